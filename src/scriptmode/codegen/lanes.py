"""Values of kernels: scalars, or vectors of one element per lane; operators and conversions.

A value that is the same in all lanes stays a scalar until it meets a vector.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import torch
from llvmlite import ir

from scriptmode.abi.convention import F64, I1, I8, I16, I32, I64

F32 = ir.FloatType()
SCALARS: dict[torch.dtype, ir.Type] = {
    torch.float32: F32, torch.float64: F64, torch.int64: I64, torch.int32: I32,
    torch.int16: I16, torch.int8: I8, torch.uint8: I8, torch.bool: I1,
}  # fmt: skip
_CONTRACT = ("contract",)
_FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "quot": "sdiv", "rem": "srem"}
_COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_BITS = {"and": "and_", "or": "or_", "xor": "xor"}


def in_memory(dtype: torch.dtype) -> ir.Type:
    """The type of an element in memory."""
    return I8 if dtype == torch.bool else SCALARS[dtype]


def lanes_of(value: ir.Value) -> int:
    """How many lanes a value has; 1 for scalars."""
    return int(value.type.count) if isinstance(value.type, ir.VectorType) else 1


def with_lanes(t: ir.Type, lanes: int) -> ir.Type:
    """The type of so many elements."""
    return t if lanes == 1 else ir.VectorType(t, lanes)


def constant(value: Any, dtype: torch.dtype) -> ir.Constant:
    """A number."""
    if dtype == torch.float32:
        # LLVM reads a float's literal as a double that must be exact
        value = struct.unpack("f", struct.pack("f", value))[0] if abs(value) < 3.5e38 else value
    return ir.Constant(SCALARS[dtype], value)


def splat(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A scalar in all lanes; vectors stay."""
    if lanes == 1 or isinstance(value.type, ir.VectorType):
        return value
    wide = ir.VectorType(value.type, lanes)
    if isinstance(value, ir.Constant):
        return ir.Constant(wide, [value.constant] * lanes)
    one = b.insert_element(ir.Constant(wide, ir.Undefined), value, ir.Constant(I32, 0))
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    return b.shuffle_vector(one, ir.Constant(wide, ir.Undefined), zeros)


def same_lanes(b: ir.IRBuilder, values: Sequence[ir.Value]) -> list[ir.Value]:
    """All values with as many lanes as the widest."""
    lanes = max(map(lanes_of, values))
    return [splat(b, v, lanes) for v in values]


def iota(lanes: int, step: int = 1) -> ir.Constant:
    """0, step, 2 * step, ..."""
    return ir.Constant(ir.VectorType(I64, lanes), [i * step for i in range(lanes)])


def intrinsic(
    b: ir.IRBuilder, name: str, arguments: Sequence[ir.Value], overload: ir.Type, result: ir.Type,
    flags: Sequence[str] = (),
) -> ir.Value:  # fmt: skip
    """Call one of LLVM's overloaded intrinsics."""
    full = f"llvm.{name}.{mangled(overload)}"
    ftype = ir.FunctionType(result, [a.type for a in arguments])
    found = b.module.globals.get(full)
    function = found if found is not None else ir.Function(b.module, ftype, full)
    return b.call(function, list(arguments), fastmath=tuple(flags))


def mangled(t: ir.Type) -> str:
    """A type as it stands in the name of an overload."""
    if isinstance(t, ir.VectorType):
        return f"v{t.count}{mangled(t.element)}"
    if isinstance(t, ir.FloatType):
        return "f32"
    return "f64" if isinstance(t, ir.DoubleType) else f"i{t.width}"


def operate(
    b: ir.IRBuilder, name: str, values: Sequence[ir.Value], dtype: torch.dtype
) -> ir.Value | None:
    """An operator of LLVM on operands of ``dtype``; None for other functions."""
    floating = dtype.is_floating_point
    values = same_lanes(b, values)
    first = values[0]
    if floating and name in _FLOAT_OPS:
        return getattr(b, _FLOAT_OPS[name])(*values, flags=_CONTRACT)
    if not floating and name in _INT_OPS:
        return getattr(b, _INT_OPS[name])(*values)
    if name in _COMPARISONS:
        return _compare(b, _COMPARISONS[name], values, dtype)
    if name in _BITS:
        return getattr(b, _BITS[name])(*values)
    if name == "not":
        ones = 1 if dtype == torch.bool else -1
        return b.xor(first, splat(b, ir.Constant(_element(first.type), ones), lanes_of(first)))
    if name == "neg":
        return b.fneg(first) if floating else b.neg(first)
    if name == "select":
        return b.select(values[0], values[1], values[2])
    if name == "abs":
        if floating:
            return intrinsic(b, "fabs", [first], first.type, first.type)
        return intrinsic(b, "abs", [first, ir.Constant(I1, 0)], first.type, first.type)
    if name in ("maximum", "minimum"):
        if dtype == torch.bool:
            return b.or_(*values) if name == "maximum" else b.and_(*values)
        if floating:
            return intrinsic(b, name, values, first.type, first.type)
        kind = "u" if dtype == torch.uint8 else "s"
        return intrinsic(b, f"{kind}{name[:3]}", values, first.type, first.type)
    if name == "sqrt":
        return intrinsic(b, name, values, first.type, first.type)
    if name in ("floor", "ceil", "trunc"):
        return intrinsic(b, name, values, first.type, first.type)
    if name == "round":
        return intrinsic(b, "roundeven", values, first.type, first.type)
    return None


def _element(t: ir.Type) -> ir.Type:
    return t.element if isinstance(t, ir.VectorType) else t


def _compare(
    b: ir.IRBuilder, sign: str, values: Sequence[ir.Value], dtype: torch.dtype
) -> ir.Value:
    if dtype.is_floating_point:
        ordered = b.fcmp_unordered if sign == "!=" else b.fcmp_ordered
        return ordered(sign, *values)
    signed = dtype not in (torch.bool, torch.uint8)
    return (b.icmp_signed if signed else b.icmp_unsigned)(sign, *values)


def convert(b: ir.IRBuilder, value: ir.Value, source: torch.dtype, target: torch.dtype) -> ir.Value:
    """Elements of one dtype as elements of another."""
    if source == target:
        return value
    lanes = lanes_of(value)
    wide = with_lanes(SCALARS[target], lanes)
    unsigned = source in (torch.bool, torch.uint8)
    if target == torch.bool:
        zero = splat(b, constant(0, source), lanes)
        return _compare(b, "!=", [value, zero], source)
    if source.is_floating_point and target.is_floating_point:
        return (b.fpext if target == torch.float64 else b.fptrunc)(value, wide)
    if target.is_floating_point:
        return (b.uitofp if unsigned else b.sitofp)(value, wide)
    if source.is_floating_point:
        return _to_int(b, value, source, target, wide)
    if target.itemsize == source.itemsize and source != torch.bool:
        return value
    if target.itemsize < source.itemsize:
        return b.trunc(value, wide)
    return (b.zext if unsigned else b.sext)(value, wide)


def _to_int(
    b: ir.IRBuilder, value: ir.Value, source: torch.dtype, target: torch.dtype, wide: ir.Type
) -> ir.Value:
    """Truncated; what no int holds becomes the least one, as the processor does it."""
    lanes = lanes_of(value)
    bits = 8 * target.itemsize
    low, high = constant(-(2.0 ** (bits - 1)), source), constant(2.0 ** (bits - 1), source)
    fits = b.and_(
        b.fcmp_ordered(">=", value, splat(b, low, lanes)),
        b.fcmp_ordered("<", value, splat(b, high, lanes)),
    )
    zero = splat(b, constant(0, source), lanes)
    converted = b.fptosi(b.select(fits, value, zero), wide)
    least = splat(b, ir.Constant(SCALARS[target], -(2 ** (bits - 1))), lanes)
    return b.select(fits, converted, least)


# ---- folds ----


def identity(fold: str, dtype: torch.dtype) -> ir.Constant:
    """What a fold starts from."""
    if fold == "add":
        return constant(0, dtype)
    if fold == "mul":
        return constant(1, dtype)
    if fold in ("and", "or"):
        return constant(int(fold == "and"), dtype)
    low = fold == "maximum"
    if dtype.is_floating_point:
        return constant(float("-inf") if low else float("inf"), dtype)
    if dtype == torch.bool:
        return constant(int(not low), dtype)
    limits = torch.iinfo(dtype)
    return constant(limits.min if low else limits.max, dtype)


def across_lanes(b: ir.IRBuilder, fold: str, value: ir.Value, dtype: torch.dtype) -> ir.Value:
    """Fold the lanes of a vector to a scalar."""
    if lanes_of(value) == 1:
        return value
    element = value.type.element
    if dtype.is_floating_point:
        if fold in ("add", "mul"):
            start = identity(fold, dtype)
            name = f"vector.reduce.f{fold}"
            return intrinsic(b, name, [start, value], value.type, element, ("reassoc",))
        return intrinsic(b, f"vector.reduce.f{fold}", [value], value.type, element)
    if fold in ("maximum", "minimum") and dtype == torch.bool:
        fold = "or" if fold == "maximum" else "and"
    names = {"maximum": "smax", "minimum": "smin"}
    name = names.get(fold, fold)
    if dtype == torch.uint8 and fold in names:
        name = name.replace("s", "u", 1)
    return intrinsic(b, f"vector.reduce.{name}", [value], value.type, element)
