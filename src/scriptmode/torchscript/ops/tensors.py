"""Tensors: what ATen's registry does not have, and attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from scriptmode.frontend.attributes import tensor_attribute
from scriptmode.frontend.calls import call_method, call_torch
from scriptmode.frontend.operands import Operand, ValueOperand
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.aten_calls import call_aten, dtype_of
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.table import builtin


def _is_tensor(value: Value) -> bool:
    return value.type == T.TENSOR


@builtin("size", "prim.shape")
def size(e: Emitter, x: Value) -> Value | None:
    """``x.size()``, a list of its own."""
    if not _is_tensor(x):
        return None
    shape = e.op("tensor::shape", x)
    schema = e.builder.resolve("tuple::as_list")
    found = e.builder.node("tuple::as_list", [shape], [T.ListType([T.INT])], schema=schema).output
    return e.op("list::copy", found)


@builtin("stride")
def stride(e: Emitter, x: Value) -> Value | None:
    """``x.stride()``."""
    return e.op("tensor::stride", x)


@builtin("dim", "ndimension")
def rank(e: Emitter, x: Value) -> Value | None:
    """``x.dim()``."""
    return e.op("tensor::ndim", x) if _is_tensor(x) else None


@builtin("prim.dtype")
def dtype(e: Emitter, x: Value) -> Value | None:
    """The number of ``x.dtype``."""
    return e.op("dtype::code", e.op("tensor::dtype", x)) if _is_tensor(x) else None


_LAYOUT_CODES = {torch.strided: 0, torch.sparse_coo: 1, torch.sparse_csr: 2}


@builtin("prim.layout")
def layout(e: Emitter, x: Value) -> Value | None:
    """The number of ``x.layout``."""
    found = e.op("tensor::layout", x)
    value = e.constant(3)
    for known, code in _LAYOUT_CODES.items():
        here = e.op("layout::eq", found, e.constant(known, T.LAYOUT))
        value = e.choose(here, lambda c=code: e.constant(c), lambda v=value: v)
    return value


def _attribute(name: str) -> Callable[[Emitter, Value], Value | None]:
    def run(e: Emitter, x: Value) -> Value | None:
        return tensor_attribute(e.builder, x, name, e.builder.span) if _is_tensor(x) else None

    return run


for _name in (
    "device", "requires_grad", "grad", "data", "is_cuda", "is_cpu", "is_sparse", "is_sparse_csr",
    "is_mkldnn", "is_quantized", "is_meta", "is_mps", "is_xpu", "is_xla", "is_vulkan", "is_ipu",
    "is_nested", "itemsize", "nbytes",
):  # fmt: skip
    builtin(f"prim.{_name}")(_attribute(_name))


@builtin("prim.type")
def device_type(e: Emitter, device: Value) -> Value | None:
    """``device.type``."""
    return e.op("device::type", device) if device.type == T.DEVICE else None


@builtin("prim.index")
def device_index(e: Emitter, device: Value) -> Value | None:
    """``device.index``."""
    return e.op("device::index", device) if device.type == T.DEVICE else None


@builtin("device")
def make_device(e: Emitter, kind: Value, index: Value | None = None) -> Value | None:
    """``torch.device(kind, index)``."""
    if kind.type != T.STR:
        return None
    if index is not None:
        return e.op("device::make_index", kind, index)
    if kind.is_constant:
        try:
            return e.constant(torch.device(kind.constant), T.DEVICE)
        except RuntimeError as error:
            raise e.problem(f"no device: {error}"[:200]) from None
    return e.op("device::make", kind)


@builtin("eq")
def same_device(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a == b`` of devices."""
    return e.op("device::eq", a, b) if a.type == b.type == T.DEVICE else None


@builtin("ne")
def other_device(e: Emitter, a: Value, b: Value) -> Value | None:
    """``a != b`` of devices."""
    found = same_device(e, a, b)
    return None if found is None else e.op("bool::not", found)


@builtin("prim.NumToTensor")
def number_to_tensor(e: Emitter, value: Value) -> Value | None:
    """A number as a 0-dim tensor of the widest dtype of its kind."""
    kinds: dict[T.Type, torch.dtype] = {
        T.INT: torch.int64,
        T.FLOAT: torch.float64,
        T.BOOL: torch.bool,
        T.COMPLEX: torch.complex128,
    }
    found = kinds.get(value.type)
    if found is None:
        return None
    none = e.none()
    return e.op("aten::scalar_tensor", value, e.constant(found, T.DTYPE), none, none, none)


def _operands(e: Emitter, given: Mapping[str, Value | None]) -> dict[str, Operand]:
    found: dict[str, Operand] = {}
    for name, value in given.items():
        if value is not None and value.type != T.NONE:
            found[name] = dtype_of(e, value) if name == "dtype" else ValueOperand(value)
    return found


@builtin("tensor")
def tensor(
    e: Emitter, data: Value, *, dtype: Value | None = None, device: Value | None = None,
    requires_grad: Value | None = None,
) -> Value | None:  # fmt: skip
    """``torch.tensor(data)``."""
    options = _operands(e, {"dtype": dtype, "device": device, "requires_grad": requires_grad})
    return call_torch(e.builder, torch.tensor, [ValueOperand(data)], options, e.builder.span)


@builtin("as_tensor")
def as_tensor(
    e: Emitter, data: Value, *, dtype: Value | None = None, device: Value | None = None
) -> Value | None:
    """``torch.as_tensor(data)``."""
    options = _operands(e, {"dtype": dtype, "device": device})
    return call_torch(e.builder, torch.as_tensor, [ValueOperand(data)], options, e.builder.span)


@builtin("to")
def to(
    e: Emitter, x: Value, first: Value, second: Value | None = None, third: Value | None = None,
    fourth: Value | None = None,
) -> Value | None:  # fmt: skip
    """``x.to(device, dtype)``, ``x.to(dtype)`` with values that may be None; ``x.to(False)``."""
    if not _is_tensor(x) or _is_tensor(first):
        return None
    rest = [v for v in (second, third, fourth) if v is not None]
    options: dict[str, Value | None] = {}
    if T.unwrap_optional(first.type) == T.DEVICE or (
        first.type == T.NONE and second is not None and second.type != T.BOOL
    ):
        options["device"] = first
        if rest and rest[0].type != T.BOOL:
            options["dtype"] = rest.pop(0)
    elif T.unwrap_optional(first.type) in (T.INT, T.NONE):
        options["dtype"] = first
    elif first.type == T.BOOL:
        rest.insert(0, first)
    else:
        return None
    if len(rest) > 2 or any(v.type != T.BOOL for v in rest):
        return None
    flags = dict(zip(("non_blocking", "copy"), rest, strict=False))
    return call_method(e.builder, x, "to", [], _operands(e, {**options, **flags}), e.builder.span)


@builtin("cpu")
def cpu(e: Emitter, x: Value) -> Value | None:
    """``x.cpu()``."""
    return call_method(e.builder, x, "cpu", [], {}, e.builder.span)


@builtin("cuda")
def cuda(e: Emitter, x: Value) -> Value | None:
    """``x.cuda()``."""
    return call_method(e.builder, x, "cuda", [], {}, e.builder.span)


@builtin("copy_")
def copy_number(e: Emitter, x: Value, other: Value) -> Value | None:
    """``x.copy_(number)``."""
    if other.type not in (T.INT, T.FLOAT):
        return None
    return e.op("aten::fill_.Scalar", x, other)


@builtin("split")
def split_sizes(e: Emitter, x: Value, sizes: Value, dim: Value | None = None) -> Value | None:
    """``x.split(sizes, dim)``."""
    if not _is_tensor(x) or not isinstance(sizes.type, T.ListType):
        return None
    return call_aten(e, "split_with_sizes", [x, sizes, *([] if dim is None else [dim])], {})


_NUMBERS: Mapping[T.Type, str] = {
    T.FLOAT: "tensor::float",
    T.INT: "tensor::int",
    T.BOOL: "tensor::bool",
    T.COMPLEX: "tensor::complex",
}


def to_list(e: Emitter, x: Value, t: T.Type) -> Value:
    """``x.tolist()`` as a ``t``, which says the rank and the kind of numbers."""
    depth, kind = 0, t
    while isinstance(kind, T.ListType):
        depth, kind = depth + 1, kind.element
    if kind not in _NUMBERS or not _is_tensor(x):
        raise e.problem(f"the numbers of a {x.type} as a {t}")
    is_of_rank = e.op("int::eq", e.op("tensor::ndim", x), e.constant(depth))
    e.check(is_of_rank, RuntimeError, "Output annotation list dimension and runtime tensor "
            "dimension must match for tolist()")  # fmt: skip
    return _listed(e, x, t, _NUMBERS[kind])


def _listed(e: Emitter, x: Value, t: T.Type, kind: str) -> Value:
    if not isinstance(t, T.ListType):
        return e.op(kind, x)
    found, element = e.builder.list([], t.element), t.element

    def enter(index: Value) -> None:
        part = e.op("aten::select.int", x, e.constant(0), index)
        e.run("list::append", found, _listed(e, part, element, kind))

    e.loop(e.op("aten::size.int", x, e.constant(0)), enter)
    return found


@builtin("element_size")
def element_size(e: Emitter, x: Value) -> Value | None:
    """``x.element_size()``."""
    return e.op("tensor::element_size", x)


@builtin("is_grad_enabled")
def is_grad_enabled(e: Emitter) -> Value | None:
    """Whether gradients are recorded."""
    return e.op("torch::is_grad_enabled")


@builtin("set_grad_enabled")
def set_grad_enabled(e: Emitter, mode: Value) -> Value | None:
    """Record gradients or do not, from now on."""
    return e.run("torch::set_grad_enabled", mode)


@builtin("is_scripting", "prim.is_scripting")
def is_scripting(e: Emitter) -> Value | None:
    """True: the program is compiled."""
    return e.constant(True)


@builtin("_get_tracing_state")
def is_tracing(e: Emitter) -> Value | None:
    """False: nothing is recorded."""
    return e.constant(False)


@builtin("is_autocast_enabled")
def is_autocast_enabled(e: Emitter, device_type: Value | None = None) -> Value | None:
    """Whether ops on the device are cast."""
    return e.op("torch::is_autocast_enabled", device_type or e.constant("cuda"))


@builtin("is_autocast_cpu_enabled")
def is_autocast_cpu_enabled(e: Emitter) -> Value | None:
    """Whether ops on the CPU are cast."""
    return e.op("torch::is_autocast_enabled", e.constant("cpu"))


@builtin("get_autocast_dtype")
def get_autocast_dtype(e: Emitter, device_type: Value) -> Value | None:
    """The number of the dtype that ops on the device are cast to."""
    return e.op("dtype::code", e.op("torch::get_autocast_dtype", device_type))
