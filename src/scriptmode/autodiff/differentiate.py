"""From a program to its forward and reverse programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import scriptmode.autodiff.rules  # noqa: F401  (enters the rules)
from scriptmode.autodiff import dual, helpers
from scriptmode.autodiff.activity import Activity, Key
from scriptmode.autodiff.grad_modes import detach_operands, drop_modes
from scriptmode.autodiff.mutation import Versions, follow_writes
from scriptmode.autodiff.prepare import check, leaves_of, prepare
from scriptmode.autodiff.recorded import record_ops
from scriptmode.autodiff.recursion import Called, spread
from scriptmode.autodiff.taped import reverse_functions
from scriptmode.autodiff.transform import Differentiated, Reverse
from scriptmode.ir.graph import Graph, Node, Program, Value, callees, copy_graph

Leaf = tuple[Value, tuple[str, ...]]


def differentiate(
    program: Program, name: str, roots_of: Callable[[Graph, Sequence[Leaf]], Sequence[Key]]
) -> tuple[Differentiated, list[Leaf]]:
    """The forward and reverse graphs of a function, and the tensors of modules that it reads.

    ``roots_of`` chooses, among the parameters and those tensors, what to differentiate by.  Raises
    NotDifferentiable.
    """
    found = prepare(program, name)
    functions = {called.name: _follow(called) for called in found.functions.values()}
    graph, unrecorded, versions = _followed(found.graph)
    leaves = leaves_of(graph)
    roots = roots_of(graph, leaves)
    parts = [(graph, roots, unrecorded, versions)]
    parts += [(f.graph, f.roots, f.unrecorded, f.versions) for f in functions.values()]
    spread(graph, roots, functions)
    for part, by, quiet, kept in parts:
        detach_operands(quiet, partial(Activity, part, by), kept)
    spread(graph, roots, functions)
    parts[1:] = [(f.graph, f.roots, f.unrecorded, f.versions) for f in functions.values()]
    for part, by, _, kept in parts:
        modes = record_ops(part, Activity(part, by))
        check(part, Activity(part, by), modes, kept)
    made = reverse_functions(functions)
    return Reverse(graph, roots, versions, functions).run(made), leaves


def _followed(original: Graph) -> tuple[Graph, Sequence[Node], Versions]:
    def prepared() -> tuple[Graph, list[Node]]:
        graph = copy_graph(original)
        return graph, drop_modes(graph)

    return follow_writes(prepared)


def _follow(called: Called) -> Called:
    count = len(called.leaves)
    graph, unrecorded, versions = _followed(called.graph)
    leaves = graph.params[len(graph.params) - count :]
    return replace(called, graph=graph, leaves=leaves, unrecorded=unrecorded, versions=versions)


def program_of(graph: Graph, original: Program, functions: Sequence[Graph] = ()) -> Program:
    """A program that consists of a forward or reverse graph and of what it calls."""
    program = Program(graph.name)
    program.classes, program.enums = original.classes, original.enums
    program.named_tuples, program.globals = original.named_tuples, original.globals
    known = {function.name: function for function in functions}
    pending = [graph]
    for part in pending:
        program.add(part)
        for name in callees(part):
            if name in [other.name for other in pending]:
                continue
            if name in known:
                pending.append(copy_graph(known[name]))
            elif name in dual.FUNCTIONS:
                pending.append(dual.FUNCTIONS[name]())
            else:
                pending.append(helpers.function_graph(name))
    return program
