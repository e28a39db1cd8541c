"""Functions of classes that containers call: equality, hash and repr of instances.

``x in instances``, a dict with instances as keys and ``str(instances)`` ask the instances' classes
at run time.  For every class that may be asked a function is made here and entered in
``ClassType.methods``::

    graph m.Point.__eq__.1(%self: Class<m.Point>, %other: Any) -> bool
    graph m.Point.__hash__.1(%self: Class<m.Point>) -> int
    graph m.Point.__repr__.1(%self: Class<m.Point>) -> str

Without ``__eq__`` an instance equals itself only, and needs no function.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING

from scriptmode.frontend.script import dunders
from scriptmode.frontend.script.address_hashes import refuse_crossing, refuse_order
from scriptmode.frontend.script.classes import static_attribute
from scriptmode.frontend.script.conditions import is_type
from scriptmode.frontend.script.emitter import DeadCode, Emitter, Restart
from scriptmode.frontend.script.environment import Scope
from scriptmode.frontend.script.flow import choose, discard_after
from scriptmode.frontend.script.instances import python_class
from scriptmode.frontend.script.literals import settle_literals
from scriptmode.frontend.script.source import FunctionSource
from scriptmode.frontend.script.values import Constant, IRValue, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.support.diagnostics import (
    CompileError,
    ScriptAttributeError,
)

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

_TEXTS = ("prim::str", "prim::repr", "prim::format")
_KEYED = ("Dict", "Set", "FrozenSet", "OrderedDict", "DefaultDict", "Counter")
Body = Callable[[Emitter, list[IRValue]], Sugared]


def complete_classes(unit: Unit) -> None:
    """Make the functions that the program's containers may call."""
    refuse_crossing(unit)
    needs = _Needs(unit)
    while needs.find():
        for t, name in needs.take():
            others = sorted(needs.others.get(t, ()), key=str)
            if name == "__eq__":
                _define_equality(unit, t, others, needs.places[t, name])
            else:
                _define(unit, t, name, needs.places[t, name])


class _Needs:
    """Which classes need which functions, and what their instances may be compared with."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.places: dict[tuple[T.ClassType, str], Node] = {}
        self.others: dict[T.ClassType, set[T.Type]] = {}
        self._done: set[tuple[T.ClassType, str]] = set()
        self._seen: set[str] = set()

    def find(self) -> bool:
        """Look at functions that are new; whether something is to be made."""
        for name, graph in list(self.unit.program.functions.items()):
            if name not in self._seen:
                self._seen.add(name)
                for node in graph.walk():
                    self._node(node)
        return any(need not in self._done for need in self.places)

    def take(self) -> list[tuple[T.ClassType, str]]:
        """What is to be made now."""
        found = [need for need in self.places if need not in self._done]
        self._done.update(found)
        return found

    def _node(self, node: Node) -> None:
        mentioned = [t for v in (*node.inputs, *node.outputs) for t in T.walk(v.type)]
        if not any(map(T.is_instance_type, mentioned)):
            return
        refuse_order(node)
        namespace = node.kind.partition("::")[0]
        if node.kind in _TEXTS:
            self._need(node, mentioned, "__repr__")
        elif node.kind == "prim::eq" or namespace not in ("prim", "aten"):
            self._need(node, mentioned, "__eq__")
        for t in mentioned:
            if getattr(t, "constructor", "") in _KEYED:
                for name in ("__eq__", "__hash__"):
                    self._need(node, T.walk(t.contained[0]), name)

    def _need(self, node: Node, types_: list[T.Type], name: str) -> None:
        for t in types_:
            if isinstance(t, T.ClassType) and not t.is_module and not T.is_exception(t):
                for c in self.unit.classes.concrete(t):
                    self.places.setdefault((c, name), node)
                    self.others.setdefault(c, set()).update(_plain(self.unit, types_))


def _plain(unit: Unit, types_: list[T.Type]) -> Iterator[T.Type]:
    """The types without parts among ``types_``, classes as those that instances may be of."""
    for t in types_:
        if isinstance(t, T.ClassType):
            yield from unit.classes.concrete(t)
        elif not t.contained and t not in (T.ANY, T.NEVER):
            yield t


def _define(unit: Unit, t: T.ClassType, name: str, place: Node) -> None:
    """``hash`` or ``repr`` of instances of exactly ``t``."""
    cls = python_class(t)
    if name == "__hash__" and static_attribute(cls, name) is object.__hash__:
        return

    def body(e: Emitter, params: list[IRValue]) -> Sugared:
        if name == "__hash__":
            return dunders.hash_exactly(e, params[0], cls)
        return dunders.text_exactly(e, params[0], cls, "repr")

    t.methods[name] = synthesise(unit, f"{t.name}.{name}", [("self", t)], place, body)


def _define_equality(unit: Unit, t: T.ClassType, others: list[T.Type], place: Node) -> None:
    """``self == other`` of instances of exactly ``t``."""
    cls = python_class(t)
    if not isinstance(static_attribute(cls, "__eq__"), types.FunctionType):
        return

    def body(e: Emitter, params: list[IRValue]) -> Sugared:
        own, other = params

        def chain(rest: list[T.Type]) -> Sugared:
            if not rest:
                return Constant(False)
            test = _exact_test(e, other, rest[0])
            return choose(e, test, lambda: attempt(rest[0]), lambda: chain(rest[1:]))

        def attempt(kind: T.Type) -> Sugared:
            narrowed = e.lift(e.builder.cast(other.value, kind))
            mark, env = e.builder.block.last, e.env.copy()
            try:
                found = dunders.equal_exactly(e, own, cls, narrowed)
                return e.unit.truth(e, found)
            except CompileError as error:
                discard_after(e, mark)
                e.env = env
                raised = AttributeError if isinstance(error, ScriptAttributeError) else TypeError
                e.raise_error(raised, error.diagnostics[0].message)

        return chain(others)

    params: list[tuple[str, T.Type]] = [("self", t), ("other", T.ANY)]
    t.methods["__eq__"] = synthesise(unit, f"{t.name}.__eq__", params, place, body)


def _exact_test(e: Emitter, value: IRValue, t: T.Type) -> Value:
    if isinstance(t, T.ClassType):
        node = e.builder.node("prim::isinstance", [value.value], [T.BOOL], types=(t,), exact=True)
        return node.output
    return is_type(e, value.value, [t])


def synthesise(
    unit: Unit, name: str, params: list[tuple[str, T.Type]], place: Node, body: Body
) -> str:
    """Add a function that no source text defines; its name in the program."""
    unique = unit.unique_name(name)
    node = ast.parse("lambda: None", mode="eval").body
    assert isinstance(node, ast.Lambda)
    source = FunctionSource(node, place.span.file, name, "")
    hints: dict[Hashable, T.Type] = {}
    while True:
        graph = Graph(unique)
        graph.span = place.span
        e = unit.new_emitter(Scope(source, None, {}, {}), graph, hints)
        values = [IRValue(graph.add_param(t, n)) for n, t in params]
        try:
            with e.builder.located(place.span):
                try:
                    result = e.value(e.settle(body(e, values)))
                    graph.return_type = result.type
                    unit.finish(e, IRValue(result))
                except DeadCode:
                    graph.return_type = T.NEVER
                settle_literals(e)
            break
        except Restart:
            continue
    unit.program.functions[unique] = graph
    return unique
