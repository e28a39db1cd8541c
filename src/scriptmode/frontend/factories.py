"""Tensors made from Python data."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.methods import METHODS, NONE, Handler, bind, flag, optional, tensor
from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand, ValueOperand
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Node, Value

_FALSE = ConstOperand(False)


_WIDTHS: tuple[T.Type, ...] = (T.BOOL, T.INT, T.FLOAT, T.COMPLEX)


def _leaf_types(item: Operand) -> list[T.Type | None]:
    if isinstance(item, SequenceOperand):
        return [t for i in item.items for t in _leaf_types(i)]
    return [C.type_of(item)]


def _data(b: Builder, item: Operand) -> Value:
    """Displays as lists of one number type, the widest that occurs; other data as they are."""
    item = _spelled_out(b, item)
    types = _leaf_types(item)
    widths = [_WIDTHS.index(t) for t in types if t in _WIDTHS]
    if not isinstance(item, SequenceOperand) or len(widths) != len(types):
        return C.to_value(b, item)
    return _list(b, item, _WIDTHS[max(widths)] if widths else T.FLOAT)


def _spelled_out(b: Builder, item: Operand, user: Node | None = None) -> Operand:
    """Tuples and lists inside a display, of which only ``user`` can know, as displays, too."""
    if isinstance(item, SequenceOperand):
        return SequenceOperand(tuple(_spelled_out(b, part) for part in item.items), item.kind)
    if not isinstance(item, ValueOperand):
        return item
    value, node = item.value, item.value.node
    if isinstance(value.type, T.TupleType):
        values = [b.tuple_index(value, i) for i in range(len(value.type.elements))]
        return _spelled_out(b, SequenceOperand(tuple(map(ValueOperand, values)), "tuple"))
    if node is not None and node.kind == "prim::ListConstruct":
        if all(use.node is user for use in value.uses):  # as it was made: nothing has changed it
            parts = [_spelled_out(b, ValueOperand(v), node) for v in node.inputs]
            return SequenceOperand(tuple(parts), "list")
    return item


def _list(b: Builder, item: Operand, leaf: T.Type) -> Value:
    if isinstance(item, SequenceOperand):
        items = [_list(b, i, leaf) for i in item.items]
        return b.list(items, T.union_of([i.type for i in items]) if items else leaf)
    value = C.to_value(b, item)
    if value.type == T.BOOL and leaf == T.INT:
        return b.op("bool::int", value)
    return C.convert(b, leaf, item)


def _tensor(
    b: Builder, data: Operand, *, dtype: Operand = NONE, device: Operand = NONE,
    pin_memory: Operand = _FALSE, requires_grad: Operand = _FALSE,
) -> Value:  # fmt: skip
    """``torch.tensor``: a copy."""
    if C.constant_of(pin_memory) is not False:
        raise C.not_built("pinned memory is not supported", b.span)
    return b.op(
        "tensor::from_data", _data(b, data), optional(b, T.DTYPE, dtype),
        optional(b, T.DEVICE, device), flag(b, requires_grad),
    )  # fmt: skip


def _as_tensor(
    b: Builder, data: Operand, *, dtype: Operand = NONE, device: Operand = NONE
) -> Value:
    """``torch.as_tensor``: a tensor is converted only where it must be."""
    if not C.is_tensor(data):
        return _tensor(b, data, dtype=dtype, device=device)
    return METHODS["to"](b, [data], {"device": device, "dtype": dtype})


def _new_tensor(
    b: Builder, self: Operand, data: Operand, *, dtype: Operand = NONE,
    device: Operand = NONE, requires_grad: Operand = _FALSE,
) -> Value:  # fmt: skip
    value = tensor(b, self)
    if C.is_none(dtype):
        dtype = ValueOperand(b.op("tensor::dtype", value))
    if C.is_none(device):
        device = ValueOperand(b.op("tensor::device", value))
    return _tensor(b, data, dtype=dtype, device=device, requires_grad=requires_grad)


METHODS["new_tensor"] = bind("Tensor.new_tensor", _new_tensor)

FACTORIES: dict[Any, Handler] = {
    torch.tensor: bind("torch.tensor", _tensor),
    torch.as_tensor: bind("torch.as_tensor", _as_tensor),
}
