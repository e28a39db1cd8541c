"""From a program to its forward and reverse programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import scriptmode.autodiff.rules  # noqa: F401  (enters the rules)
from scriptmode.autodiff import dual, helpers
from scriptmode.autodiff.activity import Activity, Key
from scriptmode.autodiff.grad_modes import detach_operands, drop_modes
from scriptmode.autodiff.mutation import follow_writes
from scriptmode.autodiff.prepare import check, leaves_of, prepare
from scriptmode.autodiff.recorded import record_ops
from scriptmode.autodiff.transform import Differentiated, Reverse
from scriptmode.ir.graph import Graph, Node, Program, Value, callees

Leaf = tuple[Value, tuple[str, ...]]


def differentiate(
    program: Program, name: str, roots_of: Callable[[Graph, Sequence[Leaf]], Sequence[Key]]
) -> tuple[Differentiated, list[Leaf]]:
    """The forward and reverse graphs of a function, and the tensors of modules that it reads.

    ``roots_of`` chooses, among the parameters and those tensors, what to differentiate by.  Raises
    NotDifferentiable.
    """

    def prepared() -> tuple[Graph, list[Node]]:
        graph = prepare(program, name)
        return graph, drop_modes(graph)

    graph, unrecorded, versions = follow_writes(prepared)
    leaves = leaves_of(graph)
    roots = roots_of(graph, leaves)
    detach_operands(unrecorded, lambda: Activity(graph, roots), versions)
    modes = record_ops(graph, Activity(graph, roots))
    check(graph, Activity(graph, roots), modes, versions)
    return Reverse(graph, roots, versions).run(), leaves


def program_of(graph: Graph, original: Program) -> Program:
    """A program that consists of a forward or reverse graph and of what it calls."""
    program = Program(graph.name)
    program.classes, program.enums = original.classes, original.enums
    program.named_tuples, program.globals = original.named_tuples, original.globals
    program.add(graph)
    for name in callees(graph):
        made = dual.FUNCTIONS.get(name)
        program.add(helpers.function_graph(name) if made is None else made())
    return program
