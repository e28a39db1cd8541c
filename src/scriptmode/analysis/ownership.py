"""Which values own references, and which borrow them from others.

The model of native code: a node's result is *owned* by the block it is in, unless it is *derived*,
that is, it shares the references of its inputs and is usable while they are::

    %t: Tuple[Tensor, int] = prim::TupleConstruct(%x, %n)     owned
    %y: Tensor = prim::TupleIndex[index=0](%t)                derived from %t
    %c: str = prim::Constant[value="a"]()                     borrowed from the program
    %e: str = list::getitem(%l, %n)                           derived where %l surely keeps it

Function params and constants are borrowed: they outlive the call.  Modules live as long as their
program and are not counted at all.  ``Ownership.bases(v)`` are the owned values that must be kept
while ``v`` is in use: ``v`` itself when owned.
"""

from __future__ import annotations

import functools
from collections.abc import Collection

from scriptmode.analysis.borrowing import is_borrowed_element
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.ir.types import Type

# kinds whose result shares the references of the inputs
DERIVING = frozenset(
    [
        "prim::unchecked_cast",
        "prim::checked_cast",
        "prim::TupleIndex",
        "tuple::as_list",
        "deque::as_list",
        "bytes::as_text",
        "str::as_bytes",
    ]
)
# containers that take over the inputs which die with them
CONSTRUCTORS = frozenset(
    [
        "prim::ListConstruct", "prim::VarTupleConstruct", "prim::TupleConstruct",
        "prim::CellConstruct",
    ]
)  # fmt: skip
# what only reads and writes a cell
CELL_ACCESSES = frozenset(
    [
        "prim::CellGet", "prim::CellRead", "prim::CellIsBound", "prim::CellSet", "prim::CellDelete",
        "prim::release",
    ]
)  # fmt: skip
# ops that may make their result out of their first input
CONSUMERS = frozenset(["str::concat", "str::next_piece"])

_COUNTED = frozenset([T.TENSOR, T.STR, T.BYTES, T.SIZE, T.GENERATOR, T.STORAGE, T.ANY])


@functools.cache
def is_boxed(t: Type) -> bool:
    """Whether a value of ``t`` inside an Any or a Union lies in a heap object of its own."""
    return t in (T.COMPLEX, T.NUMBER, T.STREAM, T.RANGE) or isinstance(t, T.TupleType)


@functools.cache
def is_counted(t: Type) -> bool:
    """Whether values of ``t`` hold reference counts."""
    if t == T.PYTHON:
        return False  # exceptions hold it, programs never do
    if t in _COUNTED:
        return True
    if isinstance(t, T.ClassType):
        return not t.is_module
    if isinstance(t, (*T.CONTAINERS, T.IteratorType, T.VarTupleType, T.FutureType, T.FunctionType)):
        return True
    if isinstance(t, T.CellType):
        return True
    if isinstance(t, T.UnionType):
        return any(is_counted(m) or is_boxed(m) for m in t.contained)
    if isinstance(t, (T.TupleType, T.OptionalType)):
        return any(map(is_counted, t.contained))
    return False


def is_any_like(t: Type) -> bool:
    """Whether ``t`` carries a type descriptor with each value."""
    return t == T.ANY or isinstance(t, T.UnionType)


@functools.cache
def needs_box(source: Type, target: Type) -> bool:
    """Whether converting a ``source`` to a ``target`` allocates."""
    if source == target or source in (T.NEVER, T.NONE):
        return False
    if isinstance(source, T.UnionType) and isinstance(target, (T.UnionType, T.VarTupleType)):
        kept = target.contained if isinstance(target, T.UnionType) else ()
        return any(needs_box(m, target) for m in source.contained if m not in kept)
    if is_any_like(target):
        if is_any_like(source):
            return False
        return is_boxed(source) or (
            isinstance(source, T.OptionalType) and needs_box(source.element, target)
        )
    if isinstance(target, T.OptionalType):
        return needs_box(T.unwrap_optional(source), target.element)
    if isinstance(source, T.TupleType) and isinstance(target, T.VarTupleType):
        return True
    if isinstance(target, T.TupleType) and isinstance(source, T.TupleType):
        return any(map(needs_box, source.elements, target.elements))
    return False


def is_stack_list(node: Node) -> bool:
    """Whether the list that ``node`` makes is only lent to ATen ops, so that it needs no heap."""
    return (
        node.kind == "prim::ListConstruct"
        and node.output.is_used
        and all(u.node.schema is not None and is_lending(u.node) for u in node.output.uses)
    )


def is_local_cell(cell: Value) -> bool:
    """Whether ``cell`` is known to the function that makes it alone, so that it needs no heap."""
    return (
        cell.node is not None
        and cell.node.kind == "prim::CellConstruct"
        and all(
            use.node.kind in CELL_ACCESSES and (use.index == 0 or use.node.kind != "prim::CellSet")
            for use in cell.uses
        )
    )


def is_narrow_text(text: Value) -> bool:
    """Whether ``text`` is a constant str with code points below 256 alone."""
    return text.is_constant and all(ord(c) < 256 for c in text.constant)


def is_lending(node: Node) -> bool:
    """Whether ``node`` is an ATen op, which never keeps a list it is given."""
    return node.kind.startswith("aten::")


class Ownership:
    """Ownership of all values of ``graph``; ``stored`` are the attribute names that are written."""

    def __init__(self, graph: Graph, stored: Collection[str] = ()) -> None:
        self.graph = graph
        self.stored = stored
        self._params = frozenset(graph.params)
        self._bases: dict[Value, frozenset[Value]] = {}
        self._owned: dict[Value, bool] = {}
        self._derived: dict[Node, bool] = {}

    def is_owned(self, value: Value) -> bool:
        """Whether ``value`` holds references of its own."""
        found = self._owned.get(value)
        if found is None:
            found = self._owned[value] = self._find_owned(value)
        return found

    def _find_owned(self, value: Value) -> bool:
        if not is_counted(value.type) or value in self._params:
            return False
        node = value.node
        return node is None or not (self._is_borrowing(node) or self.is_derived(node))

    def is_derived(self, node: Node) -> bool:
        """Whether the result of ``node`` shares the references of its inputs."""
        found = self._derived.get(node)
        if found is None:
            found = self._derived[node] = self._find_derived(node)
        return found

    def _find_derived(self, node: Node) -> bool:
        if node.kind in DERIVING:
            source = node.inputs[0].type
            if node.kind == "prim::TupleIndex":
                source = source.contained[node.attributes["index"]]
            return not needs_box(source, node.output.type)
        if len(node.outputs) != 1 or not is_counted(node.output.type):
            return False
        return is_stack_list(node) or is_borrowed_element(node, self.is_derived)

    def _is_borrowing(self, node: Node) -> bool:
        if node.kind in ("prim::Constant", "prim::Global"):
            return True
        if node.kind == "str::getitem" and is_narrow_text(node.inputs[0]):
            return True  # strs of the first 256 characters live as long as the process
        # a module's tensors are held for the whole call while nothing replaces them
        return (
            node.kind == "prim::GetAttr"
            and T.unwrap_optional(node.output.type) == T.TENSOR
            and isinstance(node.inputs[0].type, T.ClassType)
            and node.inputs[0].type.is_module
            and node.attributes["name"] not in self.stored
        )

    def bases(self, value: Value) -> frozenset[Value]:
        """The owned values that must live while ``value`` is used."""
        found = self._bases.get(value)
        if found is None:
            found = self._bases[value] = self._find_bases(value)
        return found

    def _find_bases(self, value: Value) -> frozenset[Value]:
        if self.is_owned(value):
            return frozenset([value])
        node = value.node
        if node is None or not is_counted(value.type) or not self.is_derived(node):
            return frozenset()
        return frozenset().union(*(self.bases(v) for v in node.inputs))
