"""Tensor methods that torch binds by hand: sizes, conversions, items.

Each handler takes the builder, the tensor and the operands under the method's own Python signature.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence

import torch

from scriptmode.frontend import conversion as C
from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import Diagnostic, ScriptTypeError

Handler = Callable[[Builder, Sequence[Operand], Mapping[str, Operand]], Value]

METHODS: dict[str, Handler] = {}

NONE = ConstOperand(None)
_TRUE, _FALSE = ConstOperand(True), ConstOperand(False)
_CONTIGUOUS = ConstOperand(torch.contiguous_format)


def bind(name: str, function: Callable[..., Value]) -> Handler:
    """Let ``function(builder, operands...)`` be called as its Python signature says."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def handler(builder: Builder, args: Sequence[Operand], kwargs: Mapping[str, Operand]) -> Value:
        items = [C.normalise(a) for a in args]
        named = {k: C.normalise(v) for k, v in kwargs.items()}
        try:
            bound = signature.bind(builder, *items, **named)
        except TypeError as error:
            raise ScriptTypeError(
                Diagnostic("SM0221", f"{name}(): {error}", builder.span)
            ) from None
        bound.apply_defaults()
        return function(*bound.args, **bound.kwargs)

    return handler


def method(*names: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare the handler of a Tensor method."""

    def declare(function: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            METHODS[name] = bind(f"Tensor.{name}", function)
        return function

    return declare


def tensor(b: Builder, item: Operand) -> Value:
    """The operand as a Tensor value."""
    return C.to_value(b, item, T.TENSOR)


def flag(b: Builder, item: Operand) -> Value:
    """The operand as a bool value."""
    if not C.accepts(T.BOOL, item, None, C.LENIENT):
        raise C.type_error(f"{C.describe(item)} where a bool is wanted", b.span)
    return C.convert(b, T.BOOL, item)


def optional(b: Builder, t: T.Type, item: Operand) -> Value:
    """The operand as an Optional value."""
    if not C.is_none(item) and not C.accepts(t, item, None, C.LENIENT):
        raise C.type_error(f"{C.describe(item)} where a {t} is wanted", b.span)
    return C.convert(b, T.optional_of(t), item)


# ----------------------------------------------------------------------------------- sizes, strides


@method("size")
def _size(b: Builder, self: Operand, dim: Operand = NONE) -> Value:
    if C.is_none(dim):
        return b.op("tensor::shape", tensor(b, self))
    return b.op("aten::size.int", tensor(b, self), C.to_value(b, dim, T.INT))


@method("stride")
def _stride(b: Builder, self: Operand, dim: Operand = NONE) -> Value:
    if C.is_none(dim):
        return C.as_tuple(b, b.op("tensor::stride", tensor(b, self)))
    return b.op("aten::stride.int", tensor(b, self), C.to_value(b, dim, T.INT))


@method("dim", "ndimension")
def _dim(b: Builder, self: Operand) -> Value:
    return b.op("tensor::ndim", tensor(b, self))


@method("numel", "nelement")
def _numel(b: Builder, self: Operand) -> Value:
    return b.op("aten::numel", tensor(b, self))


@method("__len__")
def _len(b: Builder, self: Operand) -> Value:
    return b.op("tensor::len", tensor(b, self))


@method("element_size")
def _element_size(b: Builder, self: Operand) -> Value:
    return b.op("tensor::element_size", tensor(b, self))


@method("is_contiguous")
def _is_contiguous(b: Builder, self: Operand, *, memory_format: Operand = _CONTIGUOUS) -> Value:
    if C.constant_of(memory_format) is torch.contiguous_format:
        return b.op("aten::is_contiguous", tensor(b, self))
    wanted = C.to_value(b, memory_format, T.MEMORY_FORMAT)
    return b.op("aten::is_contiguous.memory_format", tensor(b, self), wanted)


# ------------------------------------------------------------------------------ Python's numbers


@method("item")
def _item(b: Builder, self: Operand) -> Value:
    return b.op("aten::item", tensor(b, self))


def _nested_numbers() -> T.Type:
    """Numbers, or lists of them, up to the deepest that is built."""
    found: list[T.Type] = []
    for t in (T.FLOAT, T.INT, T.BOOL, T.COMPLEX):
        inner: T.Type = t
        for _ in range(_DEEPEST_LIST + 1):
            found.append(inner)
            inner = T.ListType([inner])
    return T.union_of(found)


_DEEPEST_LIST = 5
NESTED_NUMBERS = _nested_numbers()  # what ``tolist`` gives


@method("tolist")
def _tolist(b: Builder, self: Operand) -> Value:
    # the rank and the dtype are known at run time only
    return b.node(
        "prim::python_call", [tensor(b, self)], [NESTED_NUMBERS], function=torch.Tensor.tolist
    ).output


def _number(kind: str) -> Callable[..., Value]:
    return lambda b, self: b.op(kind, tensor(b, self))


for _name, _kind in {
    "__int__": "tensor::int", "__float__": "tensor::float", "__complex__": "tensor::complex",
    "__bool__": "tensor::bool", "__index__": "tensor::index", "__long__": "tensor::int",
    "__nonzero__": "tensor::bool",
}.items():  # fmt: skip
    method(_name)(_number(_kind))


# -------------------------------------------------------------------------------------- conversions

_CASTS = {
    "float": torch.float32, "double": torch.float64, "half": torch.float16,
    "bfloat16": torch.bfloat16, "int": torch.int32, "long": torch.int64, "short": torch.int16,
    "char": torch.int8, "byte": torch.uint8, "bool": torch.bool, "cfloat": torch.complex64,
    "cdouble": torch.complex128, "chalf": torch.complex32,
}  # fmt: skip


def cast(b: Builder, value: Value, dtype: Value, memory_format: Operand = NONE) -> Value:
    """``value.to(dtype)``."""
    no = b.constant(False)
    return b.op("aten::to.dtype", value, dtype, no, no, optional(b, T.MEMORY_FORMAT, memory_format))


def _cast(dtype: torch.dtype) -> Callable[..., Value]:
    def run(b: Builder, self: Operand, *, memory_format: Operand = NONE) -> Value:
        return cast(b, tensor(b, self), b.constant(dtype, T.DTYPE), memory_format)

    return run


for _name, _dtype in _CASTS.items():
    method(_name)(_cast(_dtype))


@method("type_as")
def _type_as(b: Builder, self: Operand, other: Operand) -> Value:
    return b.op("aten::type_as", tensor(b, self), tensor(b, other))


def _looks_like_dtype(item: Operand) -> bool:
    return C.type_of(item) == T.DTYPE or C.constant_of(item) in (float, int, bool, complex)


@method("to")
def _to(b: Builder, self: Operand, *args: Operand, **kwargs: Operand) -> Value:
    first = args[0] if args else NONE
    if C.is_tensor(first) or "tensor" in kwargs:
        return _to_tensor(b, self, *args, **kwargs)
    if args and _looks_like_dtype(first):
        return _to_dtype(b, self, *args, **kwargs)
    return _to_device(b, self, *args, **kwargs)


def _strict(function: Callable[..., Value]) -> Callable[..., Value]:
    handler = bind("Tensor.to", function)
    return lambda b, *args, **kwargs: handler(b, args, kwargs)


@_strict
def _to_tensor(
    b: Builder, self: Operand, tensor_: Operand = NONE, non_blocking: Operand = _FALSE,
    copy: Operand = _FALSE, *, memory_format: Operand = NONE,
    **kwargs: Operand,
) -> Value:  # fmt: skip
    target = kwargs.get("tensor", tensor_)
    return b.op(
        "aten::to.other", tensor(b, self), tensor(b, target), flag(b, non_blocking),
        flag(b, copy), optional(b, T.MEMORY_FORMAT, memory_format),
    )  # fmt: skip


@_strict
def _to_dtype(
    b: Builder, self: Operand, dtype: Operand, non_blocking: Operand = _FALSE,
    copy: Operand = _FALSE, *, memory_format: Operand = NONE,
) -> Value:  # fmt: skip
    return b.op(
        "aten::to.dtype", tensor(b, self), C.to_value(b, dtype, T.DTYPE), flag(b, non_blocking),
        flag(b, copy), optional(b, T.MEMORY_FORMAT, memory_format),
    )  # fmt: skip


@_strict
def _to_device(
    b: Builder, self: Operand, device: Operand = NONE, dtype: Operand = NONE,
    non_blocking: Operand = _FALSE, copy: Operand = _FALSE, *, memory_format: Operand = NONE,
) -> Value:  # fmt: skip
    if C.is_none(device) and not C.is_none(dtype) and C.type_of(dtype) == T.DTYPE:
        return _to_dtype(b, self, dtype, non_blocking, copy, memory_format=memory_format)
    value, none = tensor(b, self), b.constant(None)
    if all(C.is_none(o) for o in (device, dtype, memory_format)):
        if C.constant_of(copy) is False:
            return value
    return b.op(
        "aten::to.dtype_layout", value, optional(b, T.DTYPE, dtype), none,
        optional(b, T.DEVICE, device), none, flag(b, non_blocking), flag(b, copy),
        optional(b, T.MEMORY_FORMAT, memory_format),
    )  # fmt: skip


@method("cpu")
def _cpu(b: Builder, self: Operand, *, memory_format: Operand = NONE) -> Value:
    return _to_device(b, self, ConstOperand(torch.device("cpu")), memory_format=memory_format)


@method("cuda")
def _cuda(
    b: Builder, self: Operand, device: Operand = NONE, non_blocking: Operand = _FALSE, *,
    memory_format: Operand = NONE,
) -> Value:  # fmt: skip
    target = ConstOperand(torch.device("cuda")) if C.is_none(device) else device
    if not torch.cuda.is_available():
        raise C.not_built("this torch has no CUDA device", b.span)
    return _to_device(b, self, target, non_blocking=non_blocking, memory_format=memory_format)


@method("type")
def _type(
    b: Builder, self: Operand, dtype: Operand = NONE, non_blocking: Operand = _FALSE, *,
    memory_format: Operand = NONE,
) -> Value:  # fmt: skip
    wanted = C.constant_of(dtype)
    if C.is_none(dtype):
        return b.op("tensor::type_name", tensor(b, self))
    if wanted is None:
        raise C.not_built("`type()` without a dtype is not supported", b.span, help="use `.dtype`")
    if isinstance(wanted, str):
        wanted = getattr(torch, wanted.removeprefix("torch."), None)
    if isinstance(wanted, type(torch.FloatTensor)):
        if wanted.is_cuda or wanted.is_sparse:
            raise C.not_built("`type()` of another device is not supported", b.span)
        dtype = ConstOperand(wanted.dtype)
    return _to_dtype(b, self, dtype, non_blocking, memory_format=memory_format)


@method("contiguous")
def _contiguous(b: Builder, self: Operand, *, memory_format: Operand = _CONTIGUOUS) -> Value:
    wanted = C.to_value(b, memory_format, T.MEMORY_FORMAT)
    return b.op("aten::contiguous", tensor(b, self), wanted)


@method("copy_")
def _copy(
    b: Builder, self: Operand, src: Operand = NONE, non_blocking: Operand = _FALSE, *,
    other: Operand = NONE,
) -> Value:  # fmt: skip
    source = other if C.is_none(src) else src
    found = C.type_of(source)
    if found is not None and T.is_numeric(found):
        b.op_node("tensor::check_writable", [tensor(b, self)])
        return b.op("aten::fill_.Scalar", tensor(b, self), C.to_value(b, source))
    return b.op("aten::copy_", tensor(b, self), tensor(b, source), flag(b, non_blocking))


@method("requires_grad_")
def _requires_grad(b: Builder, self: Operand, requires_grad: Operand = _TRUE) -> Value:
    return b.op("aten::requires_grad_", tensor(b, self), flag(b, requires_grad))


@method("nonzero")
def _nonzero(b: Builder, self: Operand, *, as_tuple: Operand = _FALSE) -> Value:
    if C.constant_of(as_tuple) is True:
        return C.as_tuple(b, b.op("aten::nonzero_numpy", tensor(b, self)))
    if C.constant_of(as_tuple) is not False:
        raise C.type_error("`as_tuple` must be a constant: it decides the result's type", b.span)
    return b.op("aten::nonzero", tensor(b, self))


@method("__iter__")
def _iter(b: Builder, self: Operand) -> Value:
    return C.as_tuple(b, b.op("aten::unbind.int", tensor(b, self), b.constant(0)))


@method("__contains__")
def _contains(b: Builder, self: Operand, element: Operand) -> Value:
    if C.is_tensor(element):
        equal = b.op("aten::eq.Tensor", tensor(b, element), tensor(b, self))
    else:
        equal = b.op("aten::eq.Scalar", tensor(b, self), C.to_value(b, element, T.NUMBER))
    return b.op("tensor::bool", b.op("aten::any", equal))


@method("__reversed__")
def _reversed(b: Builder, self: Operand) -> Value:
    value = tensor(b, self)
    is_scalar = b.op("int::eq", b.op("tensor::ndim", value), b.constant(0))
    node = b.if_node(is_scalar)
    with b.at(node.blocks[0]):
        b.node("prim::Yield", [value])
    with b.at(node.blocks[1]):
        dims = b.list([b.constant(0)], T.INT)
        b.node("prim::Yield", [b.op("aten::flip", value, dims)])
    return node.add_output(T.TENSOR)


def varargs(items: Sequence[Operand]) -> Operand:
    """``f(a, b)`` and ``f([a, b])`` alike."""
    if len(items) == 1 and C.type_of(items[0]) not in (T.INT, T.TENSOR):
        return items[0]
    return SequenceOperand(tuple(items), "tuple")
