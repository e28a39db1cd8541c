"""Constants as LLVM values.

Numbers are immediate, strings are immortal objects in the program's module, tensors and other
Python objects are loaded from cells that the loaded program fills.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any

import torch
from llvmlite import ir

from scriptmode.abi.convention import F64, I8, I16, I64, PTR
from scriptmode.abi.devices import device_code
from scriptmode.abi.dtypes import DTYPE_NUMBERS, LAYOUT_NUMBERS, MEMORY_FORMAT_NUMBERS
from scriptmode.abi.layouts import COMPLEX_TYPE, RANGE_TYPE, llvm_type
from scriptmode.codegen.function import FunctionEmitter, not_built
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.unit import EnumMember, FrozenConstant
from scriptmode.codegen.values import coerce, make_struct, zero
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import key_of
from scriptmode.ir.graph import Node
from scriptmode.ir.schema import EnumDefault
from scriptmode.ir.types import Type

_MEMORY_FORMATS = {"contiguous_format": 0, "preserve_format": 1, "channels_last": 2,
                   "channels_last_3d": 3}  # fmt: skip
_QSCHEMES = (
    torch.per_tensor_affine, torch.per_channel_affine, torch.per_tensor_symmetric,
    torch.per_channel_symmetric, torch.per_channel_affine_float_qparams,
)  # fmt: skip
_REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


@lower("prim::Constant", raw=True)
def emit_constant(f: FunctionEmitter, node: Node) -> ir.Value:
    """An immutable value."""
    return constant_value(f, node, node.attributes["value"], node.output.type)


def constant_value(f: FunctionEmitter, node: Node, value: Any, t: Type) -> ir.Value:
    """``value`` in the representation of ``t``; borrowed from the program."""
    if isinstance(t, T.OptionalType):
        if value is None:
            return zero(llvm_type(t))
        inner = constant_value(f, node, value, t.element)
        return coerce(f.b, f.unit, inner, t.element, t)
    if t in _IMMEDIATE:
        return _IMMEDIATE[t](value)
    if t == T.STR:
        return f.unit.text(value)
    if t == T.NUMBER:
        exact = {bool: T.BOOL, int: T.INT, float: T.FLOAT, complex: T.COMPLEX}[type(value)]
        return coerce(f.b, f.unit, constant_value(f, node, value, exact), exact, t)
    if isinstance(t, T.TupleType):
        parts = [constant_value(f, node, v, e) for v, e in zip(value, t.elements, strict=True)]
        return make_struct(f.b, llvm_type(t), parts)
    if t in (T.TENSOR, T.GENERATOR, T.STORAGE):
        return f.b.load(f.unit.cell(value), typ=PTR)
    if isinstance(t, T.EnumType):
        return f.b.load(f.unit.cell(enum_member(f, t, value)), typ=PTR)
    if isinstance(t, T.UnionType):
        member = next((m for m in t.contained if fits(value, m)), None)
        if member is None:
            raise not_built(node, f"no native code for constants of type {t} yet")
        return coerce(f.b, f.unit, constant_value(f, node, value, member), member, t)
    if t == T.SIZE or isinstance(t, T.VarTupleType):
        return constant_array(f, node, value, t)
    if t == T.RANGE:
        return ir.Constant(
            RANGE_TYPE, [ir.Constant(I64, n) for n in (value.start, value.stop, value.step)]
        )
    if t == T.BYTES:
        return f.unit.text(value.decode("latin-1"))
    if isinstance(t, T.FrozenSetType):
        return f.b.load(f.unit.cell(FrozenConstant(t, value)), typ=PTR)
    raise not_built(node, f"no native code for constants of type {t} yet")


_CLASSES: Mapping[Type, type] = {
    T.INT: int, T.FLOAT: float, T.BOOL: bool, T.STR: str, T.DTYPE: torch.dtype,
    T.DEVICE: torch.device, T.TENSOR: torch.Tensor,
}  # fmt: skip


def fits(value: Any, t: Type) -> bool:
    """Whether a constant is exactly of type ``t``, which needs no box in a Union."""
    return t in _CLASSES and (
        type(value) is _CLASSES[t] or (t == T.TENSOR and isinstance(value, torch.Tensor))
    )


def enum_member(f: FunctionEmitter, t: T.EnumType, value: Any) -> EnumMember:
    """The interned key of an enum member's cell."""
    name = key_of(value) if isinstance(value, enum.Enum) else value
    return f.unit.enum_members.setdefault((t.name, name), EnumMember(t, name))


def constant_array(f: FunctionEmitter, node: Node, values: Any, t: Type) -> ir.Value:
    """An immortal ``Tuple[T, ...]`` or Size."""
    element = t.contained[0] if t.contained else T.INT
    items = [constant_value(f, node, v, element) for v in values]
    if not all(isinstance(i, ir.Constant) for i in items):
        raise not_built(node, f"no native code for constants of type {t} yet")
    return f.unit.constant_list(llvm_type(element), items, f.unit.descriptor(t))


def _float(value: float) -> ir.Constant:
    return ir.Constant(F64, float(value))


def _complex(value: complex) -> ir.Constant:
    return ir.Constant(COMPLEX_TYPE, [_float(value.real), _float(value.imag)])


def _memory_format(value: Any) -> ir.Constant:
    if isinstance(value, EnumDefault):
        return ir.Constant(I8, _MEMORY_FORMATS[value.name])
    return ir.Constant(I8, value if isinstance(value, int) else MEMORY_FORMAT_NUMBERS[value])


def _integer(value: Any) -> ir.Constant:
    # some schemas spell an enumerator for an int: ``int reduction=Mean``
    number = _REDUCTIONS[value.name.lower()] if isinstance(value, EnumDefault) else int(value)
    return ir.Constant(I64, number)


def _device(value: Any) -> ir.Constant:
    device = value if isinstance(value, torch.device) else torch.device(value)
    return ir.Constant(I16, device_code(device))


def _coded(numbers: dict[Any, int]) -> Any:
    return lambda v: ir.Constant(I8, v if isinstance(v, int) else numbers[v])


_IMMEDIATE: Mapping[Type, Callable[[Any], ir.Constant]] = {
    T.INT: _integer,
    T.FLOAT: _float,
    T.BOOL: lambda v: ir.Constant(I8, int(v)),
    T.COMPLEX: _complex,
    T.NONE: lambda v: zero(llvm_type(T.NONE)),
    T.DTYPE: _coded(DTYPE_NUMBERS),
    T.LAYOUT: _coded(LAYOUT_NUMBERS),
    T.QSCHEME: lambda v: ir.Constant(I8, _QSCHEMES.index(v)),
    T.MEMORY_FORMAT: _memory_format,
    T.DEVICE: _device,
}
