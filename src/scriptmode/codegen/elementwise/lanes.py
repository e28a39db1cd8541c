"""Values of straight-line floating-point code, with Python's operators.

``Lanes`` is one float, double, integer or truth value, or an explicit vector of them; an operator
on it emits the instruction, and a Python number becomes a constant (in all lanes)::

    p = x * x + 1.0

Sums and products of floats carry ``contract``, so that the target may fuse a product with a sum.
``plus``, ``minus`` and ``times`` never fuse: what they lose can be computed exactly (``two_sum``).
There are no branches or calls, so that LLVM vectorises a loop around the scalar form.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Union

from llvmlite import ir

from scriptmode.codegen.engine import host_cpu

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()
Operand = Union["Lanes", float, int]


@dataclass(frozen=True)
class Format:
    """A floating-point format: IEEE binary32 or binary64."""

    bits: int
    precision: int  # bits of the significand, the hidden one included
    float_type: Any
    int_type: Any

    @property
    def fraction(self) -> int:
        """Stored bits of the significand."""
        return self.precision - 1

    @property
    def bias(self) -> int:
        """Exponent field of 1.0."""
        return (1 << (self.bits - self.precision - 1)) - 1

    @property
    def sign_bit(self) -> int:
        """The sign bit as a (negative) integer."""
        return -(1 << (self.bits - 1))

    @property
    def smallest_normal(self) -> float:
        """The smallest number that has full precision."""
        return math.ldexp(1.0, 1 - self.bias)

    @property
    def rounder(self) -> float:
        """Added to a number below a third of it, leaves that rounded, in the low bits."""
        return 1.5 * math.ldexp(1.0, self.fraction)

    @property
    def rounder_bits(self) -> int:
        """The bits of ``rounder``."""
        return ((self.bias + self.fraction) << self.fraction) | (1 << (self.fraction - 1))


BINARY32 = Format(32, 24, F32, I32)
BINARY64 = Format(64, 53, F64, I64)


@cache
def has_fma() -> bool:
    """Whether the processor multiplies and adds in one instruction."""
    return "+fma" in host_cpu()[1].split(",")


class Lanes:
    """A scalar or vector under construction."""

    __slots__ = ("builder", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder = builder
        self.value = value

    # ---- types ----

    @property
    def element(self) -> Any:
        """The scalar type."""
        kind = self.value.type
        return kind.element if isinstance(kind, ir.VectorType) else kind

    @property
    def is_float(self) -> bool:
        """Whether lanes are floats or doubles."""
        return self.element in (F32, F64)

    @property
    def format(self) -> Format:
        """The format of the floats, or of floats that have the size of these integers."""
        return BINARY32 if self.element in (F32, I32) else BINARY64

    def shaped(self, element: Any) -> Any:
        """The type with the same number of lanes of ``element``."""
        kind = self.value.type
        return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element

    def constant(self, number: float | int, element: Any = None) -> Lanes:
        """``number`` in all lanes."""
        kind = self.shaped(element or self.element)
        if isinstance(kind, ir.VectorType):
            one = ir.Constant(kind.element, number)
            return Lanes(self.builder, ir.Constant(kind, [one] * kind.count))
        return Lanes(self.builder, ir.Constant(kind, number))

    def _operand(self, other: Operand) -> Any:
        if isinstance(other, Lanes):
            return other.value
        return self.constant(float(other) if self.is_float else other).value

    # ---- arithmetic ----

    def _binary(self, on_float: str, on_int: str, other: Operand, swapped: bool = False) -> Lanes:
        operands = (self.value, self._operand(other))
        left, right = reversed(operands) if swapped else operands
        if self.is_float:
            result = getattr(self.builder, on_float)(left, right, flags=("contract",))
        else:
            result = getattr(self.builder, on_int)(left, right)
        return Lanes(self.builder, result)

    def __add__(self, other: Operand) -> Lanes:
        return self._binary("fadd", "add", other)

    def __radd__(self, other: Operand) -> Lanes:
        return self._binary("fadd", "add", other, swapped=True)

    def __sub__(self, other: Operand) -> Lanes:
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other: Operand) -> Lanes:
        return self._binary("fsub", "sub", other, swapped=True)

    def __mul__(self, other: Operand) -> Lanes:
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other: Operand) -> Lanes:
        return self._binary("fmul", "mul", other, swapped=True)

    def __truediv__(self, other: Operand) -> Lanes:
        return self._binary("fdiv", "sdiv", other)

    def __rtruediv__(self, other: Operand) -> Lanes:
        return self._binary("fdiv", "sdiv", other, swapped=True)

    def __neg__(self) -> Lanes:
        if self.is_float:
            return Lanes(self.builder, self.builder.fneg(self.value))
        return 0 - self

    def __abs__(self) -> Lanes:
        return self.intrinsic("llvm.fabs")

    def plus(self, other: Operand) -> Lanes:
        """The sum, rounded by itself."""
        return Lanes(self.builder, self.builder.fadd(self.value, self._operand(other)))

    def minus(self, other: Operand) -> Lanes:
        """The difference, rounded by itself."""
        return Lanes(self.builder, self.builder.fsub(self.value, self._operand(other)))

    def times(self, other: Operand) -> Lanes:
        """The product, rounded by itself."""
        return Lanes(self.builder, self.builder.fmul(self.value, self._operand(other)))

    # ---- integers and truth values ----

    def _bitwise(self, name: str, other: Operand) -> Lanes:
        return Lanes(self.builder, getattr(self.builder, name)(self.value, self._operand(other)))

    def __and__(self, other: Operand) -> Lanes:
        return self._bitwise("and_", other)

    def __or__(self, other: Operand) -> Lanes:
        return self._bitwise("or_", other)

    def __xor__(self, other: Operand) -> Lanes:
        return self._bitwise("xor", other)

    def __invert__(self) -> Lanes:
        return Lanes(self.builder, self.builder.not_(self.value))

    def __lshift__(self, other: Operand) -> Lanes:
        return self._bitwise("shl", other)

    def __rshift__(self, other: Operand) -> Lanes:
        """Shift of the bits: zeros come in, also for negative numbers."""
        return self._bitwise("lshr", other)

    # ---- comparisons: false for NaN ----

    def _compare(self, symbol: str, other: Operand) -> Lanes:
        compare = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        return Lanes(self.builder, compare(symbol, self.value, self._operand(other)))

    def __lt__(self, other: Operand) -> Lanes:
        return self._compare("<", other)

    def __le__(self, other: Operand) -> Lanes:
        return self._compare("<=", other)

    def __gt__(self, other: Operand) -> Lanes:
        return self._compare(">", other)

    def __ge__(self, other: Operand) -> Lanes:
        return self._compare(">=", other)

    def equals(self, other: Operand) -> Lanes:
        """Where both are equal."""
        return self._compare("==", other)

    def is_nan(self) -> Lanes:
        """Where lanes are no numbers."""
        return Lanes(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    # ---- conversions ----

    def bits(self) -> Lanes:
        """The bits of the floats, as integers."""
        kind = self.shaped(self.format.int_type)
        return Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def as_floats(self) -> Lanes:
        """The floats that have these bits."""
        kind = self.shaped(self.format.float_type)
        return Lanes(self.builder, self.builder.bitcast(self.value, kind))

    def converted(self, instruction: str, element: Any) -> Lanes:
        """What a conversion instruction makes of this."""
        convert = getattr(self.builder, instruction)
        return Lanes(self.builder, convert(self.value, self.shaped(element)))

    def number(self) -> Lanes:
        """These (small) integers as floats of the same size."""
        if self.element == I32:
            return self.converted("sitofp", F32)
        # processors before AVX-512 have no such instruction for 64 bits
        return (self + BINARY64.rounder_bits).as_floats().minus(BINARY64.rounder)

    def intrinsic(self, name: str, *others: Operand) -> Lanes:
        """An intrinsic whose operands and result all have this type."""
        arguments = [self.value, *(self._operand(o) for o in others)]
        kind = self.value.type
        width = f"{'f' if self.is_float else 'i'}{self.format.bits}"
        suffix = f"v{kind.count}{width}" if isinstance(kind, ir.VectorType) else width
        signature = ir.FunctionType(kind, [kind] * len(arguments))
        function = self.builder.module.globals.get(f"{name}.{suffix}") or ir.Function(
            self.builder.module, signature, f"{name}.{suffix}"
        )
        return Lanes(self.builder, self.builder.call(function, arguments))


def where(condition: Lanes, then: Operand, otherwise: Operand) -> Lanes:
    """``then`` in the lanes where ``condition`` holds, else ``otherwise``; one has to be lanes."""
    model = then if isinstance(then, Lanes) else otherwise
    assert isinstance(model, Lanes)
    values = [model._operand(v) for v in (then, otherwise)]
    return Lanes(model.builder, model.builder.select(condition.value, *values))


def at_most(x: Lanes, limit: float) -> Lanes:
    """The lesser one; NaN stays."""
    return where(x > limit, limit, x)


def at_least(x: Lanes, limit: float) -> Lanes:
    """The greater one; NaN stays."""
    return where(x < limit, limit, x)


def with_sign_of(magnitude: Lanes, sign: Lanes) -> Lanes:
    """``magnitude`` (not negative) with the sign of ``sign``."""
    return magnitude.intrinsic("llvm.copysign", sign)


def polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Horner's scheme; the constant term comes first."""
    result: Operand = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        result = result * x + coefficient
    assert isinstance(result, Lanes)
    return result


def rounded(x: Lanes) -> tuple[Lanes, Lanes]:
    """The nearest integer, as a float and as an integer, where |x| < rounder / 3."""
    shifted = x + x.format.rounder
    return shifted.minus(x.format.rounder), shifted.bits() - x.format.rounder_bits


def power_of_two(n: Lanes) -> Lanes:
    """2**n for integers that are exponents of normal numbers."""
    return ((n + n.format.bias) << n.format.fraction).as_floats()


def scales(n: Lanes) -> tuple[Lanes, Lanes]:
    """Two factors that make 2**n, for any n that is no larger than twice an exponent."""
    even = 1 << (n.format.bits - n.format.precision + 1)  # keeps the shifted number positive
    half = ((n + even) >> 1) - even // 2
    return power_of_two(half), power_of_two(n - half)


def scaled(x: Lanes, n: Lanes) -> Lanes:
    """x * 2**n, rounded once."""
    first, second = scales(n)
    return x * first * second


# ---- sums of two floats: high and low part, the low one below the high one's last bit ----


def two_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """a + b and what its rounding lost (Knuth)."""
    high = a.plus(b)
    of_b = high.minus(a)
    return high, a.minus(high.minus(of_b)).plus(b.minus(of_b))


def fast_two_sum(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """As ``two_sum`` where a is 0 or |a| >= |b| (Dekker)."""
    high = a.plus(b)
    return high, b.minus(high.minus(a))


def _halves(x: Lanes) -> tuple[Lanes, Lanes]:
    """Two floats of half the precision whose sum is x."""
    low_bits = (x.format.precision + 1) // 2
    high = (x.bits() & -(1 << low_bits)).as_floats()
    return high, x.minus(high)


def two_product(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """a * b and what its rounding lost."""
    high = a.times(b)
    if has_fma():
        return high, a.intrinsic("llvm.fma", b, -high)
    (a1, a0), (b1, b0) = _halves(a), _halves(b)
    # these products are exact, whether or not they are fused with the sums
    return high, ((a1 * b1).minus(high) + a1 * b0 + a0 * b1) + a0 * b0


def fused(a: Lanes, b: Operand, c: Lanes) -> Lanes:
    """a * b + c, as good as rounded once."""
    if has_fma():
        return a.intrinsic("llvm.fma", b, c)
    high, low = two_product(a, b if isinstance(b, Lanes) else a.constant(b))
    total, lost = two_sum(high, c)
    return total + (lost + low)
