"""Attributes of tensors, read and written."""

from __future__ import annotations

from collections.abc import Callable

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.operands import Operand
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Value
from scriptmode.support.source import Span

# attribute -> op of the tensor alone
_OPS = {
    "shape": "tensor::shape", "dtype": "tensor::dtype", "device": "tensor::device",
    "layout": "tensor::layout", "ndim": "tensor::ndim", "requires_grad": "tensor::requires_grad",
    "is_leaf": "tensor::is_leaf", "grad": "tensor::grad", "data": "tensor::data",
    "is_quantized": "tensor::is_quantized", "is_sparse": "tensor::is_sparse",
    "is_nested": "tensor::is_nested", "itemsize": "tensor::element_size",
    "T": "aten::numpy_T", "H": "aten::matrix_H", "mT": "aten::mT", "mH": "aten::mH",
    "imag": "aten::imag", "_version": "aten::_version", "output_nr": "aten::output_nr",
    "retains_grad": "aten::retains_grad", "real": "aten::real",
}  # fmt: skip
_DEVICE_TYPES = {
    f"is_{name}": name
    for name in ("cpu", "cuda", "mps", "xpu", "meta", "xla", "ipu", "maia", "mtia", "vulkan")
}
_LAYOUTS = {"is_sparse_csr": torch.sparse_csr, "is_mkldnn": getattr(torch, "_mkldnn")}  # noqa: B009


def _nbytes(builder: Builder, value: Value) -> Value:
    size = builder.op("tensor::element_size", value)
    return builder.op("int::mul", builder.op("aten::numel", value), size)


_COMPUTED: dict[str, Callable[[Builder, Value], Value]] = {"nbytes": _nbytes}

# attributes of eager tensors that have no counterpart in a compiled program
_REFUSED = {
    "grad_fn": "the autograd graph is not visible in a compiled program",
    "names": "named tensors are not supported",
    "name": "named tensors are not supported",
    "_base": "the base of a view is not visible in a compiled program",
}


def tensor_attribute(builder: Builder, value: Value, name: str, span: Span) -> Value | None:
    """``value.name`` for an attribute that is not a method; None when there is no such one."""
    with builder.located(span):
        if name in _OPS:
            return builder.op(_OPS[name], value)
        if name in _COMPUTED:
            return _COMPUTED[name](builder, value)
        if name in _DEVICE_TYPES:
            kind = builder.constant(_DEVICE_TYPES[name])
            return builder.op("tensor::is_device_type", value, kind)
        if name in _LAYOUTS:
            wanted = builder.constant(_LAYOUTS[name], T.LAYOUT)
            return builder.op("layout::eq", builder.op("tensor::layout", value), wanted)
        if name in _REFUSED:
            raise C.not_built(f"`{name}` of a tensor: {_REFUSED[name]}", span)
        return None


def assign_tensor_attribute(
    builder: Builder, value: Value, name: str, new: Operand, span: Span
) -> None:
    """``value.name = new`` for ``data`` and ``requires_grad``."""
    with builder.located(span):
        if name == "requires_grad":
            builder.op("aten::requires_grad_", value, C.to_value(builder, new, T.BOOL))
        elif name == "data":
            builder.op_node("aten::set_data", [value, C.to_value(builder, new, T.TENSOR)])
        else:
            raise C.not_built(f"assigning `{name}` of a tensor is not supported", span)
