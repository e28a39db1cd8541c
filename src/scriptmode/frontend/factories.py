"""Tensors made from Python data."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.methods import METHODS, NONE, Handler, bind, flag, optional, tensor
from scriptmode.frontend.operands import ConstOperand, Operand, ValueOperand
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Value

_FALSE = ConstOperand(False)


def _tensor(
    b: Builder, data: Operand, *, dtype: Operand = NONE, device: Operand = NONE,
    pin_memory: Operand = _FALSE, requires_grad: Operand = _FALSE,
) -> Value:  # fmt: skip
    """``torch.tensor``: a copy."""
    if C.constant_of(pin_memory) is not False:
        raise C.not_built("pinned memory is not supported", b.span)
    return b.op(
        "tensor::from_data", C.to_value(b, data), optional(b, T.DTYPE, dtype),
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
