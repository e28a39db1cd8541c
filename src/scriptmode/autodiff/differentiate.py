"""From a program to its forward and reverse programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import scriptmode.autodiff.rules  # noqa: F401  (enters the rules)
from scriptmode.autodiff import dual, helpers
from scriptmode.autodiff.activity import Activity
from scriptmode.autodiff.grad_modes import detach_operands, drop_modes
from scriptmode.autodiff.mutation import Versions, follow_writes
from scriptmode.autodiff.paths import Key
from scriptmode.autodiff.prepare import check, leaves_of, prepare
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recorded import record_ops
from scriptmode.autodiff.recursion import Called, spread
from scriptmode.autodiff.structures import Structures
from scriptmode.autodiff.taped import reverse_functions
from scriptmode.autodiff.transform import Differentiated, Reverse
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Graph, Node, Program, Value, callees, copy_graph

Leaf = tuple[Value, tuple[str, ...]]


@dataclass
class Analysed:
    """A function ready to be differentiated by ``roots``, and the recursive ones that it calls."""

    graph: Graph
    roots: Sequence[Key]
    versions: Versions
    functions: dict[str, Called]
    structures: Structures
    leaves: list[Leaf]  # the tensors of modules that it reads

    @property
    def parts(self) -> list[tuple[Graph, Sequence[Key], Versions]]:
        """Each graph with its roots and versions."""
        called = [(f.graph, f.roots, f.versions) for f in self.functions.values()]
        return [(self.graph, self.roots, self.versions), *called]


def analyse(
    program: Program, name: str, roots_of: Callable[[Graph, Sequence[Leaf]], Sequence[Key]]
) -> Analysed:
    """Prepare a function; raises NotDifferentiable.

    ``roots_of`` chooses, among the parameters and the tensors of modules that the function reads,
    what to differentiate by.
    """
    found = prepare(program, name)
    for part in (found.graph, *(called.graph for called in found.functions.values())):
        if not part.block.returns:
            raise NotDifferentiable(f"`{part.name}` never returns", part.span)
        for loop in part.find_all("prim::Loop"):
            if loop.blocks[0].terminator.kind != YIELD:
                raise NotDifferentiable("a loop ends in its first iteration", loop.span)
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
    return Analysed(graph, roots, versions, functions, found.structures, leaves)


def differentiate(
    program: Program,
    name: str,
    roots_of: Callable[[Graph, Sequence[Leaf]], Sequence[Key]],
    given: Sequence[bool] | None = None,
) -> tuple[Differentiated, list[Leaf]]:
    """The forward and reverse graphs of a function, and the tensors of modules that it reads.

    ``roots_of`` chooses what to differentiate by (see ``analyse``).  With ``given``, which tells of
    each output whether it has a cotangent, both graphs may be differentiated again (see pullback).
    Raises NotDifferentiable.
    """
    found = analyse(program, name, roots_of)
    is_pure = given is not None
    if is_pure and found.functions:
        raise NotDifferentiable("a second derivative of recursion", found.graph.span)
    for part, by, kept in found.parts:
        modes = set() if is_pure else record_ops(part, Activity(part, by))
        check(part, Activity(part, by), modes, kept, is_pure)
    made = [*reverse_functions(found.functions), *found.structures.graphs]
    whole = Reverse(found.graph, found.roots, found.versions, found.functions, given).run(made)
    whole.result, whole.returned = found.structures.result, found.structures.returned
    return whole, found.leaves


def _name(graph: Graph) -> str:
    return graph.name


def _add_classes(program: Program, graph: Graph, original: Program) -> None:
    """The modules, and the classes of objects in a graph."""
    pending = [t for t in original.classes.values() if t.is_module]
    values = [v for node in graph.walk() for v in (*node.inputs, *node.outputs)]
    types = {v.type for v in (*graph.params, *values)}
    pending += [part for t in types for part in T.walk(t) if isinstance(part, T.ClassType)]
    for t in pending:
        if program.classes.get(t.name) is t:
            continue
        program.classes[t.name] = t
        if not t.is_module:
            slots = (*t.attributes.values(), *t.family)
            held = [part for slot in slots for part in T.walk(slot)]
            pending += [p for p in (*held, *t.bases, *t.subclasses) if isinstance(p, T.ClassType)]


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
    program.enums = original.enums
    program.named_tuples, program.globals = original.named_tuples, original.globals
    known = {function.name: function for function in functions}
    pending = [graph]
    for part in pending:
        program.add(part)
        _add_classes(program, part, original)
        for t in program.classes.values():
            if not t.is_module:  # what equality, hashes and the like call
                methods = [n for n in t.methods.values() if n not in map(_name, pending)]
                pending += [copy_graph(original.functions[n]) for n in methods]
        for name in callees(part):
            if name in map(_name, pending):
                continue
            if name in known:
                pending.append(copy_graph(known[name]))
            elif name in dual.FUNCTIONS:
                pending.append(dual.FUNCTIONS[name]())
            elif name in original.functions:
                pending.append(copy_graph(original.functions[name]))
            else:
                pending.append(helpers.function_graph(name))
    return program
