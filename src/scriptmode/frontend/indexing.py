"""Subscripts of tensors, read and assigned, as ``python_variable_indexing.cpp`` does them.

Ints, slices, None and ``...`` make views, from left to right::

    x[0, 1:, None]      unsqueeze(slice(select(x, 0, 0), 0, 1), 1)

Tensors and lists are collected and given to ``aten::index``.  A tensor of no dimensions is special:
an integer one selects like an int, a bool one masks.  Where the rank of an index is unknown, a
branch at run time decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.operands import (
    ConstOperand,
    Operand,
    SequenceOperand,
    SliceOperand,
)
from scriptmode.frontend.overloads import scalar_tensor
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import UNREACHABLE, YIELD, Value
from scriptmode.support.source import Span

RankOf = Callable[[Value], int | None]
R = TypeVar("R")

Kind = Literal["int", "slice", "none", "ellipsis", "flag", "tensor", "mask", "unknown"]


@dataclass(frozen=True)
class _Item:
    """One part of a subscript.

    ``tensor`` is an index of ints with at least one dimension, ``mask`` one of bools, which stands
    for as many dimensions as it has; ``flag`` is [0] or [] and indexes a new dimension; ``unknown``
    is a tensor of which too little is known.  Whether an index is a mask matters, and is asked,
    only when a dimension follows.
    """

    kind: Kind
    value: Value | None = None
    bounds: SliceOperand | None = None
    rank: int | None = None


_VECTORS = frozenset(["aten::nonzero", "aten::arange", "aten::randperm", "aten::argwhere"])


def _no_rank(value: Value) -> int | None:
    return None


def subscript(
    builder: Builder, value: Value, index: Operand, span: Span, *, rank_of: RankOf = _no_rank
) -> Value:
    """``value[index]``; ``rank_of`` may know the ranks of index tensors."""
    with builder.located(span):
        items = _classify(builder, value, index, rank_of)

        def read(items: Sequence[_Item]) -> Value:
            return _read(builder, _walk(builder, value, items), value)

        return _by_rank(builder, items, read, T.TENSOR)


def assign_subscript(
    builder: Builder,
    value: Value,
    index: Operand,
    new: Operand,
    span: Span,
    *,
    rank_of: RankOf = _no_rank,
) -> None:
    """``value[index] = new``."""
    with builder.located(span):
        new = C.normalise(new)
        found = C.type_of(new)
        if found is None or not (found == T.TENSOR or T.is_numeric(found)):
            raise C.type_error(f"cannot assign a {C.describe(new)} to a part of a Tensor", span)
        items = _classify(builder, value, index, rank_of)

        def write(items: Sequence[_Item]) -> None:
            if [i.kind for i in items] == ["ellipsis"]:
                _copy_to(builder, value, new)
            else:
                _write(builder, _walk(builder, value, items), value, new)

        alone = C.constant_of(index)
        if alone is True:
            _copy_to(builder, builder.op("aten::unsqueeze", value, builder.constant(0)), new)
        elif alone is not False:  # x[False] = y does nothing
            _by_rank(builder, items, write, None)


# --------------------------------------------------------------------------------- classification


def _classify(builder: Builder, value: Value, index: Operand, rank_of: RankOf) -> list[_Item]:
    index = C.normalise(index)
    parts: Sequence[Operand] | None = None
    if isinstance(index, SequenceOperand):
        if index.kind == "tuple" or any(_makes_tuple(i) for i in index.items):
            parts = index.items
    elif isinstance(C.type_of(index), T.TupleType):
        parts = C.items_of(builder, index)
    items = [
        _item(builder, value, C.normalise(p), rank_of)
        for p in ([index] if parts is None else parts)
    ]
    if sum(i.kind == "ellipsis" for i in items) > 1:
        raise C.not_built("a subscript with more than one `...` is not supported", builder.span)
    return items


def _makes_tuple(item: Operand) -> bool:
    """Whether a list with this element stands for a tuple of indices."""
    if isinstance(item, (SequenceOperand, SliceOperand)):
        return True
    found = C.type_of(item)
    constant = isinstance(item, ConstOperand) and item.value in (None, Ellipsis)
    return constant or found == T.TENSOR or isinstance(found, (T.ListType, T.TupleType))


def _item(builder: Builder, self: Value, item: Operand, rank_of: RankOf) -> _Item:
    if isinstance(item, SliceOperand):
        return _Item("slice", bounds=item)
    if isinstance(item, ConstOperand) and item.value is Ellipsis:
        return _Item("ellipsis")
    found = C.type_of(item)
    if found == T.NONE:
        return _Item("none")
    is_union = isinstance(found, T.UnionType) and T.is_subtype(found, T.NUMBER)
    if found == T.INT or found == T.NUMBER or is_union:
        return _Item("int", C.convert(builder, T.INT, item))
    if found == T.BOOL:
        return _Item("flag", _bool_index(builder, self, item))
    if found == T.TENSOR:
        return _tensor_item(builder, C.to_value(builder, item), rank_of)
    if isinstance(item, SequenceOperand) or isinstance(found, (T.ListType, T.TupleType)):
        leaves = _leaves(item)
        is_mask = bool(leaves) and set(leaves) == {T.BOOL}
        return _Item("mask" if is_mask else "tensor", _list_index(builder, item, leaves, is_mask))
    raise C.type_error(
        f"a {C.describe(item)} cannot index a Tensor", builder.span,
        help="use ints, slices, `...`, None, or tensors and lists of ints or bools",
    )  # fmt: skip


def _tensor_item(builder: Builder, value: Value, rank_of: RankOf) -> _Item:
    if value.is_constant:
        constant = value.constant
        is_mask = constant.dtype in (torch.bool, torch.uint8)
        if constant.dim() == 0:
            return _scalar_item(builder, value, is_mask)
        return _Item("mask" if is_mask else "tensor", value)
    node = value.node
    if node is not None and node.kind.partition(".")[0] in _VECTORS:
        return _Item("tensor", value)
    return _Item("unknown", value, rank=rank_of(value))


def _scalar_item(builder: Builder, index: Value, is_mask: bool) -> _Item:
    """A tensor of no dimensions: a flag or an int."""
    if not is_mask:
        return _Item("int", builder.op("tensor::index", index))
    vector = builder.op("aten::unsqueeze", index, builder.constant(0))
    found = builder.op("aten::nonzero", vector)
    one, zero = builder.constant(1), builder.constant(0)
    return _Item("flag", builder.op("aten::select.int", found, one, zero))


def _bool_index(builder: Builder, self: Value, item: Operand) -> Value:
    """[0] for True and [] for False."""
    stop = builder.op("bool::int", C.to_value(builder, item))
    none = builder.constant(None)
    device = builder.op("tensor::device", self)
    dtype = builder.constant(torch.int64, T.DTYPE)
    return builder.op("aten::arange", stop, dtype, none, device, none)


def _leaves(item: Operand) -> list[T.Type | None]:
    if isinstance(item, SequenceOperand):
        return [t for i in item.items for t in _leaves(i)]
    found = C.type_of(item)
    while isinstance(found, (T.ListType, T.VarTupleType)):
        found = found.element
    if isinstance(found, T.TupleType):
        return list(found.elements)
    return [found]


def _list_index(
    builder: Builder, item: Operand, leaves: Sequence[T.Type | None], is_mask: bool
) -> Value:
    """A list of ints or bools as an index tensor."""
    dtype = torch.bool if is_mask else torch.int64
    if not all(t in (T.BOOL, T.INT, T.TENSOR) for t in leaves):
        raise C.type_error(f"a {C.describe(item)} cannot index a Tensor", builder.span)
    constant = C.constant_of(item)
    if constant is not C.NOT_CONSTANT and isinstance(constant, (list, tuple)):
        return builder.constant(torch.tensor(constant, dtype=dtype), T.TENSOR)
    none, no = builder.constant(None), builder.constant(False)
    data = C.to_value(builder, item)
    return builder.op("tensor::from_data", data, builder.constant(dtype, T.DTYPE), none, no)


# -------------------------------------------------------------------------- ranks known at run time


def _by_rank(
    builder: Builder,
    items: Sequence[_Item],
    run: Callable[[Sequence[_Item]], R],
    result: T.Type | None,
) -> R:
    """``run`` on items without unknown tensors, in branches on what each unknown one is."""
    position = next((i for i, item in enumerate(items) if item.kind == "unknown"), None)
    if position is None:
        return run(items)
    item, rest = items[position], items[position + 1 :]
    index = item.value
    assert index is not None

    def branch(chosen: _Item) -> R:
        return _by_rank(builder, [*items[:position], chosen, *rest], run, result)

    def scalar() -> R:
        return _if(
            builder, _is_mask(builder, index),
            lambda: branch(_scalar_item(builder, index, True)),
            lambda: branch(_scalar_item(builder, index, False)), result,
        )  # fmt: skip

    def vector() -> R:
        # the width of a mask matters where a dimension follows, and for what `...` stands for
        if not rest and all(i.kind != "ellipsis" for i in items):
            return branch(_Item("tensor", index))
        return _if(
            builder, _is_mask(builder, index), lambda: branch(_Item("mask", index)),
            lambda: branch(_Item("tensor", index)), result,
        )  # fmt: skip

    if item.rank is not None:
        return vector() if item.rank else scalar()
    is_scalar = builder.op("int::eq", builder.op("tensor::ndim", index), builder.constant(0))
    return _if(builder, is_scalar, scalar, vector, result)


def _if(
    builder: Builder,
    condition: Value,
    then: Callable[[], R],
    otherwise: Callable[[], R],
    result: T.Type | None,
) -> R:
    node = builder.if_node(condition)
    for block, run in zip(node.blocks, (then, otherwise), strict=True):
        with builder.at(block):
            found = run()
            builder.node(YIELD, [found] if isinstance(found, Value) else [])
    return node.add_output(result) if result is not None else None  # type: ignore[return-value]


def _is_mask(builder: Builder, index: Value) -> Value:
    dtype = builder.op("tensor::dtype", index)
    is_bool = builder.op("dtype::eq", dtype, builder.constant(torch.bool, T.DTYPE))
    is_byte = builder.op("dtype::eq", dtype, builder.constant(torch.uint8, T.DTYPE))
    return builder.op("bool::or", is_bool, is_byte)


# ------------------------------------------------------------------------------ views

_OPTIONAL_TENSOR = T.OptionalType([T.TENSOR])


def _plus(builder: Builder, a: int | Value, b: int | Value) -> int | Value:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return builder.op("int::add", _int(builder, a), _int(builder, b))


def _int(builder: Builder, value: int | Value) -> Value:
    return builder.constant(value) if isinstance(value, int) else value


class _Cursor:
    """The view so far, its next dimension, and the index tensors collected.

    ``slot`` is the place of the next index in the list that ``aten::index`` takes.  It is behind
    ``dim`` after a mask, which stands for several dimensions in one slot.  Both are known at run
    time only after a mask or ``...``.
    """

    def __init__(self, builder: Builder, view: Value) -> None:
        self.builder = builder
        self.view = view
        self.dim: int | Value = 0
        self.slot: int | Value = 0
        self.known: list[Value | None] = []
        self.dynamic: Value | None = None

    @property
    def has_indices(self) -> bool:
        """Whether ``aten::index`` has anything to do."""
        return bool(self.known) or self.dynamic is not None

    def step(self, item: _Item, *, is_last: bool) -> None:
        """Apply one item other than ``...``."""
        builder = self.builder
        if item.kind == "int":
            assert item.value is not None
            place = _int(builder, self.dim)
            self.view = builder.op("aten::select.int", self.view, place, item.value)
            return
        if item.kind == "slice":
            self.view = _slice(builder, self.view, _int(builder, self.dim), item)
        elif item.kind in ("none", "flag"):
            self.view = builder.op("aten::unsqueeze", self.view, _int(builder, self.dim))
        if item.value is not None:
            self._record(item.value)
        if not is_last:
            width: int | Value = 1
            if item.kind == "mask":
                assert item.value is not None
                width = builder.op("tensor::ndim", item.value)
            self.advance(width, 1)

    def advance(self, dims: int | Value, slots: int | Value) -> None:
        """Move on to a later dimension."""
        is_same = self.dim is self.slot and dims is slots
        self.dim = _plus(self.builder, self.dim, dims)
        self.slot = self.dim if is_same else _plus(self.builder, self.slot, slots)

    def _record(self, index: Value) -> None:
        if isinstance(self.slot, int):
            self.known += [None] * (self.slot - len(self.known))
            self.known.append(index)
            return
        builder = self.builder
        if self.dynamic is None:
            self.dynamic = self._list(self.known)
        missing = builder.op("int::sub", self.slot, builder.op("list::len", self.dynamic))
        padding = builder.op("list::repeat", self._list([None]), missing)
        builder.op_node("list::extend", [self.dynamic, padding])
        builder.op_node("list::append", [self.dynamic, index])

    def indices(self) -> Value:
        """The List[Optional[Tensor]] that ``aten::index`` takes."""
        return self._list(self.known) if self.dynamic is None else self.dynamic

    def _list(self, items: Sequence[Value | None]) -> Value:
        builder = self.builder
        values = [builder.constant(None) if i is None else i for i in items]
        return builder.list(values, _OPTIONAL_TENSOR)


def _walk(builder: Builder, value: Value, items: Sequence[_Item]) -> _Cursor:
    """Apply all items."""
    cursor = _Cursor(builder, value)
    at = next((i for i, item in enumerate(items) if item.kind == "ellipsis"), len(items))
    left, right = items[:at], items[at + 1 :]
    for i, item in enumerate(left):
        cursor.step(item, is_last=i == len(items) - 1)
    if not right:
        return cursor
    if all(i.kind in ("int", "slice", "none") for i in right):
        if any(i.kind != "int" for i in left) and any(i.kind != "none" for i in right):
            _spare(builder, value, items)
        cursor.view = _from_right(builder, cursor.view, right)
        return cursor
    spare = _spare(builder, value, items)
    cursor.advance(spare, spare)
    for i, item in enumerate(right):
        cursor.step(item, is_last=i == len(right) - 1)
    return cursor


def _from_right(builder: Builder, value: Value, items: Sequence[_Item]) -> Value:
    """Items after ``...``, last first, with dimensions counted from the end."""
    kept = 0
    for item in reversed(items):
        place = builder.constant(-1 - kept)
        if item.kind == "int":
            assert item.value is not None
            value = builder.op("aten::select.int", value, place, item.value)
            continue
        if item.kind == "slice":
            value = _slice(builder, value, place, item)
        else:
            value = builder.op("aten::unsqueeze", value, place)
        kept += 1
    return value


def _slice(builder: Builder, value: Value, dim: Value, item: _Item) -> Value:
    bounds = item.bounds
    assert bounds is not None
    step = ConstOperand(1) if C.is_none(bounds.step) else bounds.step
    constant = C.constant_of(step)
    if isinstance(constant, int) and constant <= 0:
        message = builder.constant("step must be greater than zero")
        builder.node("prim::raise", [message], exception=ValueError)
    parts = []
    for part, t in ((bounds.start, T.OptionalType([T.INT])), (bounds.stop, T.OptionalType([T.INT])),
                    (step, T.INT)):  # fmt: skip
        if not (C.is_none(part) or C.accepts(t, part, None, C.LENIENT)):
            raise C.type_error(f"a slice index cannot be {C.describe(part)}", builder.span)
        parts.append(C.convert(builder, t, part))
    return builder.op("aten::slice.Tensor", value, dim, *parts)


def _spare(builder: Builder, self: Value, items: Sequence[_Item]) -> Value:
    """How many dimensions ``...`` stands for; IndexError when there are too many indices."""
    fixed = sum(i.kind in ("int", "slice", "tensor") for i in items)
    specified: int | Value = fixed
    for item in items:
        if item.kind == "mask":
            assert item.value is not None
            specified = _plus(builder, specified, builder.op("tensor::ndim", item.value))
    rank = builder.op("tensor::ndim", self)
    spare = builder.op("int::sub", rank, _int(builder, specified))
    node = builder.if_node(builder.op("int::lt", spare, builder.constant(0)))
    with builder.at(node.blocks[0]):
        message = builder.constant("too many indices for the tensor's dimensions")
        builder.node("prim::raise", [message], exception=IndexError)
        builder.node(UNREACHABLE)
    with builder.at(node.blocks[1]):
        builder.node(YIELD)
    return spare


# --------------------------------------------------------------------------------- reading, writing


def _read(builder: Builder, cursor: _Cursor, self: Value) -> Value:
    view = cursor.view
    if cursor.has_indices:
        return builder.op("aten::index.Tensor", view, cursor.indices())
    return builder.op("aten::alias", view) if view is self else view


def _write(builder: Builder, cursor: _Cursor, self: Value, new: Operand) -> None:
    if not cursor.has_indices:
        _copy_to(builder, cursor.view, new)
        return
    if C.is_tensor(new):
        source = _strip_ones(builder, C.to_value(builder, new))
    else:
        dtype = builder.op("tensor::dtype", self)
        device = builder.op("tensor::device", self)
        source = scalar_tensor(builder, C.to_value(builder, new), dtype, device)
    builder.op("aten::index_put_", cursor.view, cursor.indices(), source, builder.constant(False))


def _copy_to(builder: Builder, target: Value, new: Operand) -> None:
    """Copy with broadcasting; leading dimensions of size 1 that ``target`` lacks are dropped."""
    if not C.is_tensor(new):
        builder.op_node("tensor::check_writable", [target])
        builder.op("aten::fill_.Scalar", target, C.to_value(builder, new))
        return
    source = C.to_value(builder, new)
    ranks = [builder.op("tensor::ndim", v) for v in (source, target)]
    excess = builder.op("int::sub", *ranks)

    def strip() -> Value:
        sizes = C.as_list(builder, builder.op("tensor::shape", source))
        none = builder.constant(None)
        rest = builder.op("list::slice", sizes, excess, none, none)
        return builder.op("aten::view", source, rest)

    source = _if(
        builder, builder.op("int::gt", excess, builder.constant(0)), strip,
        lambda: source, T.TENSOR,
    )  # fmt: skip
    builder.op("aten::copy_", target, source, builder.constant(False))


def _strip_ones(builder: Builder, source: Value) -> Value:
    """``source`` without its leading dimensions of size 1."""

    def more(value: Value) -> Value:
        rank = builder.op("tensor::ndim", value)
        return _if(
            builder, builder.op("int::gt", rank, builder.constant(0)),
            lambda: builder.op(
                "int::eq", builder.op("aten::size.int", value, builder.constant(0)),
                builder.constant(1),
            ),
            lambda: builder.constant(False), T.BOOL,
        )  # fmt: skip

    start = more(source)
    rank = builder.op("tensor::ndim", source)
    loop = builder.node("prim::Loop", [rank, start, source])
    body = loop.add_block()
    body.add_param(T.INT)
    value = body.add_param(T.TENSOR)
    with builder.at(body):
        zero = builder.constant(0)
        inner = builder.op("aten::select.int", value, zero, zero)
        builder.node(YIELD, [more(inner), inner])
    return loop.add_output(T.TENSOR)
