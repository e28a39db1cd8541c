"""Lowerings of ops on int, float, bool, complex and number.

Integers are 64-bit; a result outside raises OverflowError (``llvm.s*.with.overflow``).  Division
and remainder round down as Python's.  Floats follow CPython: division by zero raises, NaN compares
unequal to everything, ``//`` and ``%`` are CPython's ``float_divmod`` in the native library.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from scriptmode.abi.convention import F64, I1, I8, I32, I64, PTR
from scriptmode.abi.layouts import COMPLEX_TYPE
from scriptmode.analysis.intervals import Interval, difference, product, total
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.values import boolean, make_struct
from scriptmode.ir.graph import Node

INT_MIN = -(2**63)
PAIR = ir.LiteralStructType([I64, I1])

_SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def i64(value: int) -> ir.Constant:
    """An i64 constant."""
    return ir.Constant(I64, value)


def with_overflow(f: FunctionEmitter, name: str, a: ir.Value, b: ir.Value) -> ir.Value:
    """``llvm.<name>.with.overflow.i64``; raises OverflowError on overflow."""
    intrinsic = f.unit.intrinsic(f"llvm.{name}.with.overflow.i64", PAIR, [I64, I64])
    pair = f.b.call(intrinsic, [a, b])
    f.raise_overflow_if(f.b.extract_value(pair, 1))
    return f.b.extract_value(pair, 0)


# ---- comparisons ----


def _register_comparisons() -> None:
    def int_compare(sign: str) -> Callable[..., ir.Value]:
        return lambda f, node, a, b: boolean(f.b, f.b.icmp_signed(sign, a, b))

    def bool_compare(sign: str) -> Callable[..., ir.Value]:
        return lambda f, node, a, b: boolean(f.b, f.b.icmp_unsigned(sign, a, b))

    def float_compare(sign: str) -> Callable[..., ir.Value]:
        def emit(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
            ordered = f.b.fcmp_unordered if sign == "!=" else f.b.fcmp_ordered
            return boolean(f.b, ordered(sign, a, b))

        return emit

    def mixed_compare(sign: str) -> Callable[..., ir.Value]:
        def emit(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
            order = f.native_value("sm_compare_int_float", I64, [a, b])
            flag = f.b.icmp_signed(sign, order, i64(0))
            if sign in (">", ">="):  # 2 stands for NaN
                flag = f.b.and_(flag, f.b.icmp_signed("!=", order, i64(2)))
            return boolean(f.b, flag)

        return emit

    for name, sign in _SIGNS.items():
        lower(f"int::{name}")(int_compare(sign))
        lower(f"bool::{name}")(bool_compare(sign))
        lower(f"float::{name}")(float_compare(sign))
        lower(f"int::{name}_float")(mixed_compare(sign))


_register_comparisons()


def complex_parts(f: FunctionEmitter, value: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Real and imaginary part."""
    return f.b.extract_value(value, 0), f.b.extract_value(value, 1)


def make_complex(f: FunctionEmitter, re: ir.Value, im: ir.Value) -> ir.Value:
    """A complex number."""
    return make_struct(f.b, COMPLEX_TYPE, [re, im])


@lower("complex::eq")
def complex_eq(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Both parts are equal."""
    (ar, ai), (br, bi) = complex_parts(f, a), complex_parts(f, b)
    both = f.b.and_(f.b.fcmp_ordered("==", ar, br), f.b.fcmp_ordered("==", ai, bi))
    return boolean(f.b, both)


@lower("complex::ne")
def complex_ne(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Some part differs."""
    return f.b.xor(complex_eq(f, node, a, b), ir.Constant(I8, 1))


# ---- int arithmetic ----


def _register_overflowing() -> None:
    def emitter(
        op: str, exact: Callable[[Interval, Interval], Interval]
    ) -> Callable[..., ir.Value]:
        def emit(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
            low, high = exact(*f.intervals.inputs_of(node))
            if low >= INT_MIN and high < -INT_MIN:
                found: ir.Value = getattr(f.b, op)(a, b, flags=["nsw"])
                return found
            return with_overflow(f, f"s{op}", a, b)

        return emit

    for op, exact in {"add": total, "sub": difference, "mul": product}.items():
        lower(f"int::{op}")(emitter(op, exact))


_register_overflowing()


def _check_divisor(f: FunctionEmitter, b: ir.Value, message: str) -> None:
    if isinstance(b, ir.Constant) and b.constant != 0:
        return
    f.raise_if(f.b.icmp_signed("==", b, i64(0)), ZeroDivisionError, message)


@lower("int::floordiv")
def int_floordiv(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Quotient rounded down; -2**63 // -1 overflows."""
    low, divisor_low = (interval[0] for interval in f.intervals.inputs_of(node))
    if low >= 0 and divisor_low > 0:
        return f.b.udiv(a, b)
    _check_divisor(f, b, "integer division or modulo by zero")
    if not (isinstance(b, ir.Constant) and b.constant != -1):
        least = f.b.icmp_signed("==", a, i64(INT_MIN))
        f.raise_overflow_if(f.b.and_(least, f.b.icmp_signed("==", b, i64(-1))))
    quotient = f.b.sdiv(a, b)
    rest = f.b.sub(a, f.b.mul(quotient, b))
    # rounded towards zero: one too large when there is a rest of the other sign
    crossed = f.b.icmp_signed("<", f.b.xor(rest, b), i64(0))
    inexact = f.b.icmp_signed("!=", rest, i64(0))
    return f.b.sub(quotient, f.b.zext(f.b.and_(crossed, inexact), I64))


@lower("int::mod")
def int_mod(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Remainder with the divisor's sign."""
    low, divisor_low = (interval[0] for interval in f.intervals.inputs_of(node))
    if low >= 0 and divisor_low > 0:
        return f.b.urem(a, b)
    _check_divisor(f, b, "integer modulo by zero")
    # -2**63 % -1 traps on the processor; any a % -1 is a % 1
    divisor = b
    if not (isinstance(b, ir.Constant) and b.constant != -1):
        divisor = f.b.select(f.b.icmp_signed("==", b, i64(-1)), i64(1), b)
    rest = f.b.srem(a, divisor)
    crossed = f.b.icmp_signed("<", f.b.xor(rest, b), i64(0))
    inexact = f.b.icmp_signed("!=", rest, i64(0))
    adjusted = f.b.add(rest, b)
    return f.b.select(f.b.and_(crossed, inexact), adjusted, rest)


@lower("int::neg")
def int_neg(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``-a``."""
    return with_overflow(f, "ssub", i64(0), a)


@lower("int::abs")
def int_abs(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``abs(a)``."""
    f.raise_overflow_if(f.b.icmp_signed("==", a, i64(INT_MIN)))
    return f.b.select(f.b.icmp_signed("<", a, i64(0)), f.b.neg(a), a)


@lower("int::invert")
def int_invert(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``~a``."""
    return f.b.not_(a)


@lower("int::lshift")
def int_lshift(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a << b``: the bits shifted out must all be copies of the sign."""
    f.raise_if(f.b.icmp_signed("<", b, i64(0)), ValueError, "negative shift count")
    count = f.b.select(f.b.icmp_signed("<", b, i64(63)), b, i64(63))
    shifted = f.b.shl(a, count)
    lost = f.b.icmp_signed("!=", f.b.ashr(shifted, count), a)
    too_far = f.b.and_(f.b.icmp_signed(">", b, i64(63)), f.b.icmp_signed("!=", a, i64(0)))
    f.raise_overflow_if(f.b.or_(lost, too_far))
    return shifted


@lower("int::rshift")
def int_rshift(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a >> b``."""
    f.raise_if(f.b.icmp_signed("<", b, i64(0)), ValueError, "negative shift count")
    return f.b.ashr(a, f.b.select(f.b.icmp_signed("<", b, i64(63)), b, i64(63)))


@lower("int::and", "bool::and")
def bit_and(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a & b``."""
    return f.b.and_(a, b)


@lower("int::or", "bool::or")
def bit_or(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a | b``."""
    return f.b.or_(a, b)


@lower("int::xor", "bool::xor")
def bit_xor(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a ^ b``."""
    return f.b.xor(a, b)


@lower("bool::not")
def bool_not(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``not a``."""
    return f.b.xor(a, ir.Constant(I8, 1))


@lower("int::bit_length")
def int_bit_length(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """Bits of the absolute value."""
    size = f.b.select(f.b.icmp_signed("<", a, i64(0)), f.b.neg(a), a)
    zeros = f.unit.intrinsic("llvm.ctlz.i64", I64, [I64, I1])
    return f.b.sub(i64(64), f.b.call(zeros, [size, ir.Constant(I1, 0)]))


@lower("int::bit_count")
def int_bit_count(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """Ones of the absolute value."""
    size = f.b.select(f.b.icmp_signed("<", a, i64(0)), f.b.neg(a), a)
    return f.b.call(f.unit.intrinsic("llvm.ctpop.i64", I64, [I64]), [size])


# ---- float arithmetic ----


@lower("float::add")
def float_add(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a + b``."""
    return f.b.fadd(a, b)


@lower("float::sub")
def float_sub(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a - b``."""
    return f.b.fsub(a, b)


@lower("float::mul")
def float_mul(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a * b``."""
    return f.b.fmul(a, b)


@lower("float::truediv")
def float_truediv(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a / b``."""
    zero = f.b.fcmp_ordered("==", b, ir.Constant(F64, 0.0))
    f.raise_if(zero, ZeroDivisionError, "float division by zero")
    return f.b.fdiv(a, b)


@lower("float::neg")
def float_neg(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``-a``, which flips the sign of zero too."""
    return f.b.fneg(a)


@lower("float::abs", "math::fabs")
def float_abs(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``abs(a)``."""
    return f.b.call(f.unit.intrinsic("llvm.fabs.f64", F64, [F64]), [a])


@lower("float::bool")
def float_bool(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a != 0``; NaN is true."""
    return boolean(f.b, f.b.fcmp_unordered("!=", a, ir.Constant(F64, 0.0)))


@lower("float::same")
def float_same(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a == b``, or the same bits: a NaN has bits of its own from where it was made."""
    same = f.b.icmp_signed("==", f.b.bitcast(a, I64), f.b.bitcast(b, I64))
    return boolean(f.b, f.b.or_(f.b.fcmp_ordered("==", a, b), same))


@lower("complex::same")
def complex_same(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Both parts are, as ``float::same`` says."""
    pairs = zip(complex_parts(f, a), complex_parts(f, b), strict=True)
    return f.b.and_(*(float_same(f, node, p, q) for p, q in pairs))


@lower("float::nan")
def float_nan(f: FunctionEmitter, node: Node) -> ir.Value:
    """A NaN with bits of its own."""
    return f.native_value("sm_new_nan", F64, [])


@lower("float::is_integer")
def float_is_integer(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """Finite and whole."""
    trunc = f.b.call(f.unit.intrinsic("llvm.trunc.f64", F64, [F64]), [a])
    finite = f.b.fcmp_ordered("<", float_abs(f, node, a), ir.Constant(F64, float("inf")))
    return boolean(f.b, f.b.and_(finite, f.b.fcmp_ordered("==", trunc, a)))


@lower("math::isnan")
def math_isnan(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a`` is NaN."""
    return boolean(f.b, f.b.fcmp_unordered("uno", a, a))


@lower("math::isinf")
def math_isinf(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a`` is infinite."""
    infinity = ir.Constant(F64, float("inf"))
    return boolean(f.b, f.b.fcmp_ordered("==", float_abs(f, node, a), infinity))


@lower("math::isfinite")
def math_isfinite(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a`` is neither infinite nor NaN."""
    infinity = ir.Constant(F64, float("inf"))
    return boolean(f.b, f.b.fcmp_ordered("<", float_abs(f, node, a), infinity))


@lower("math::copysign")
def math_copysign(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a`` with the sign of ``b``."""
    return f.b.call(f.unit.intrinsic("llvm.copysign.f64", F64, [F64, F64]), [a, b])


@lower("math::sqrt")
def math_sqrt(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """Square root; a negative argument raises."""
    negative = f.b.fcmp_ordered("<", a, ir.Constant(F64, 0.0))
    with f.unlikely(negative):
        f.check(math_domain_error(f, a))
    return f.b.call(f.unit.intrinsic("llvm.sqrt.f64", F64, [F64]), [a])


def math_domain_error(f: FunctionEmitter, a: ir.Value) -> ir.Value:
    """Status of the native ``sm_math_sqrt``, which words the error as this Python does."""
    types = [PTR, F64, PTR]
    place = f.temporary(F64)
    return f.b.call(f.unit.native("sm_math_sqrt", I32, types), [f.ctx, a, place])


# ---- conversions ----


@lower("int::float")
def int_float(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``float(a)``, rounded to nearest."""
    return f.b.sitofp(a, F64)


@lower("int::bool")
def int_bool(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a != 0``."""
    return boolean(f.b, f.b.icmp_signed("!=", a, i64(0)))


@lower("int::complex")
def int_complex(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``complex(a)``."""
    return make_complex(f, f.b.sitofp(a, F64), ir.Constant(F64, 0.0))


@lower("bool::int")
def bool_int(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """0 or 1."""
    return f.b.zext(a, I64)


@lower("bool::float")
def bool_float(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """0.0 or 1.0."""
    return f.b.uitofp(a, F64)


@lower("float::complex")
def float_complex(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``complex(a)``."""
    return make_complex(f, a, ir.Constant(F64, 0.0))


@lower("complex::make")
def complex_make(f: FunctionEmitter, node: Node, re: ir.Value, im: ir.Value) -> ir.Value:
    """``complex(re, im)``."""
    return make_complex(f, re, im)


@lower("complex::real")
def complex_real(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a.real``."""
    return f.b.extract_value(a, 0)


@lower("complex::imag")
def complex_imag(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a.imag``."""
    return f.b.extract_value(a, 1)


@lower("complex::conjugate")
def complex_conjugate(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``a.conjugate()``."""
    re, im = complex_parts(f, a)
    return make_complex(f, re, f.b.fneg(im))


@lower("complex::neg")
def complex_neg(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """``-a``."""
    re, im = complex_parts(f, a)
    return make_complex(f, f.b.fneg(re), f.b.fneg(im))


@lower("complex::add")
def complex_add(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a + b``."""
    (ar, ai), (br, bi) = complex_parts(f, a), complex_parts(f, b)
    return make_complex(f, f.b.fadd(ar, br), f.b.fadd(ai, bi))


@lower("complex::sub")
def complex_sub(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """``a - b``."""
    (ar, ai), (br, bi) = complex_parts(f, a), complex_parts(f, b)
    return make_complex(f, f.b.fsub(ar, br), f.b.fsub(ai, bi))


@lower("complex::bool")
def complex_bool(f: FunctionEmitter, node: Node, a: ir.Value) -> ir.Value:
    """Some part is not zero."""
    zero = ir.Constant(F64, 0.0)
    parts = [f.b.fcmp_unordered("!=", p, zero) for p in complex_parts(f, a)]
    return boolean(f.b, f.b.or_(*parts))


@lower("dtype::eq", "device::eq", "layout::eq", "memory_format::eq")
def code_eq(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
    """Equality of numbered things."""
    return boolean(f.b, f.b.icmp_unsigned("==", a, b))
