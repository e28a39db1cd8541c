"""Conversions between numbers, texts and tensors."""

from __future__ import annotations

from collections.abc import Mapping

from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.torchscript.emitter import Emitter
from scriptmode.torchscript.ops.table import builtin

_TO_FLOAT: Mapping[T.Type, str] = {
    T.INT: "int::float",
    T.BOOL: "bool::float",
    T.NUMBER: "number::float",
    T.TENSOR: "tensor::float",
    T.STR: "str::float",
}
_TO_INT: Mapping[T.Type, str] = {
    T.BOOL: "bool::int",
    T.FLOAT: "float::int",
    T.NUMBER: "number::int",
    T.TENSOR: "tensor::int",
    T.STR: "str::int",
}
_TO_BOOL: Mapping[T.Type, str] = {
    T.INT: "int::bool",
    T.FLOAT: "float::bool",
    T.TENSOR: "tensor::bool",
    T.NUMBER: "number::bool",
    T.STR: "str::bool",
    T.COMPLEX: "complex::bool",
}


@builtin("Float", "FloatImplicit")
def to_float(e: Emitter, value: Value) -> Value:
    """``float(value)``."""
    if value.type == T.FLOAT:
        return value
    kind = _TO_FLOAT.get(value.type)
    if kind is None:
        raise e.problem(f"a float of a {value.type}")
    if kind == "int::float" and value.is_constant:
        return e.constant(float(value.constant))
    return e.op(kind, value)


@builtin("Int", "IntImplicit")
def to_int(e: Emitter, value: Value) -> Value:
    """``int(value)``."""
    if value.type == T.INT:
        return value
    kind = _TO_INT.get(value.type)
    if kind is None:
        raise e.problem(f"an int of a {value.type}")
    return e.op(kind, value)


@builtin("Bool")
def truth(e: Emitter, value: Value) -> Value:
    """``bool(value)``."""
    if value.type == T.BOOL:
        return value
    kind = _TO_BOOL.get(value.type)
    if kind is None:
        raise e.problem(f"a condition that is a {value.type}")
    return e.op(kind, value)


@builtin("ScalarImplicit")
def to_number(e: Emitter, value: Value) -> Value:
    """A tensor as a number."""
    return e.op("aten::item", value)


@builtin("Complex", "ComplexImplicit")
def to_complex(e: Emitter, real: Value, imaginary: Value | None = None) -> Value:
    """``complex(real, imaginary)``."""
    if imaginary is None and real.type == T.COMPLEX:
        return real
    if imaginary is None and real.type in (T.TENSOR, T.NUMBER):
        return e.op("tensor::complex" if real.type == T.TENSOR else "number::complex", real)
    other = e.constant(0.0) if imaginary is None else to_float(e, imaginary)
    return e.op("complex::make", to_float(e, real), other)


@builtin("str")
def to_text(e: Emitter, value: Value) -> Value:
    """``str(value)``."""
    if value.type == T.STR:
        return value
    return e.builder.node("prim::str", [value], [T.STR]).output
