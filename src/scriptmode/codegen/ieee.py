"""Lowerings of floats' arithmetic by IEEE 754, and of the numbers that stand for dtypes."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import F64, I8, I64
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.metadata import one_of
from scriptmode.ir.graph import Node
from scriptmode.ops.aten import SCALAR_TYPES

_UNARY = (
    "sqrt", "log", "log2", "log10", "log1p", "acos", "asin", "acosh", "atanh", "exp", "expm1",
    "sinh", "cosh", "sin", "cos", "tan",
)  # fmt: skip
_BINARY = ("pow", "fmod", "remainder")


def _call(f: FunctionEmitter, name: str, *args: ir.Value) -> ir.Value:
    return f.b.call(f.unit.external(name, F64, [F64] * len(args)), args)


@lower("ieee::div")
def div(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a / b``: a zero ``b`` gives an infinity or NaN."""
    return f.b.fdiv(a, b)


@lower("ieee::floordiv")
def floordiv(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """The floor of the rounded quotient."""
    floor = f.unit.intrinsic("llvm.floor.f64", F64, [F64])
    return f.b.call(floor, [f.b.fdiv(a, b)])


@lower("ieee::round")
def rounded(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """The nearest int, of two the even one."""
    return f.b.call(f.unit.intrinsic("llvm.roundeven.f64", F64, [F64]), [a])


@lower("ieee::mod")
def mod(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """A remainder of the sign of ``b``."""
    return _call(f, "fmod", f.b.fadd(b, _call(f, "fmod", a, b)), b)


@lower(*(f"ieee::{name}" for name in _UNARY))
def unary(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """The function of the C library by this name."""
    return _call(f, node.kind.removeprefix("ieee::"), a)


@lower(*(f"ieee::{name}" for name in _BINARY))
def binary(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """The function of the C library by this name."""
    return _call(f, node.kind.removeprefix("ieee::"), a, b)


@lower("dtype::code")
def dtype_code(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """The number of a dtype, which is how it is laid out."""
    return f.b.zext(self, I64)


@lower("dtype::from_code")
def dtype_from_code(f: FunctionEmitter, node: Node, code: ir.Value) -> ir.Value:
    """The dtype of a number that is one."""
    small = f.b.trunc(code, I8)
    is_small = f.b.icmp_unsigned("<", code, ir.Constant(I64, max(SCALAR_TYPES) + 1))
    known = f.b.icmp_unsigned("!=", one_of(f, small, list(SCALAR_TYPES)), ir.Constant(I8, 0))
    wrong = f.b.not_(f.b.and_(is_small, known))
    f.raise_if(wrong, RuntimeError, "there is no dtype of this number")
    return small
