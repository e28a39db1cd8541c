"""Sets of objects that are hashed by their addresses: what they may do, and what is refused.

Members can be added, taken out and looked for.  Their order, which hangs on addresses in Python,
and the way to Python, where a set keeps the table that CPython made of its hashes, are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn

from scriptmode.frontend.script.classes import static_attribute
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node
from scriptmode.support.diagnostics import Diagnostic, ScriptTypeError
from scriptmode.support.source import Span

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

# what shows the order of a set's elements
_SHOW_ORDER = (
    "set::iter", "set::list", "set::pop", "prim::print", "prim::str", "prim::repr", "prim::format",
)  # fmt: skip
_CROSSINGS = ("prim::python_call", "prim::Global")


def refuse_order(node: Node) -> None:
    """Refuse what shows the order of such a set."""
    if node.kind in _SHOW_ORDER:
        name = _hashed_by_address(t for v in node.inputs for t in T.walk(v.type))
        if name is not None:
            _refuse(name, "the order of a set of `{}` objects, which are hashed by their addresses",
                    node.span)  # fmt: skip


def refuse_crossing(unit: Unit) -> None:
    """Refuse such sets in what the program takes from Python, or gives it."""
    for instance in unit.instances.values():
        graph = instance.graph
        if graph is None or instance.target not in unit.entries:
            continue
        crossing = [*(p.type for p in graph.params), instance.return_type or T.NONE]
        _check(crossing, graph.span)
    for graph in unit.program.functions.values():
        for node in graph.walk():
            if node.kind in _CROSSINGS:
                _check([v.type for v in (*node.inputs, *node.outputs)], node.span)


def _check(types: Iterable[T.Type], span: Span) -> None:
    name = _hashed_by_address(_reachable(types))
    if name is not None:
        _refuse(name, "a set of `{}` objects, which are hashed by their addresses, "
                "cannot pass between Python and compiled code", span)  # fmt: skip


def _reachable(types: Iterable[T.Type]) -> Iterator[T.Type]:
    """The types inside of types, the attributes of classes among them."""
    pending, seen = [t for given in types for t in T.walk(given)], set()
    while pending:
        t = pending.pop()
        if t in seen:
            continue
        seen.add(t)
        yield t
        if isinstance(t, T.ClassType):
            kinds = [k for c in (t, *t.subclasses) for k in c.attributes.values()]
            pending += [part for kind in kinds for part in T.walk(kind)]


def _hashed_by_address(types: Iterable[T.Type]) -> str | None:
    """The class of the elements of such a set among types; None where there is none."""
    sets = [t for t in types if isinstance(t, T.SetType)]
    for part in (p for t in sets for p in T.walk(t)):
        cls = part.python_class if isinstance(part, T.ClassType) else None
        if cls is not None and static_attribute(cls, "__hash__") is object.__hash__:
            return cls.__name__
    return None


def _refuse(name: str, message: str, span: Span) -> NoReturn:
    help = f"define `__hash__` and `__eq__` in `{name}`, or keep them in a list"
    raise ScriptTypeError(Diagnostic("SM0201", message.format(name), span, help=help))
