"""Functions of one or a few instructions: roundings, roots, remainders, choices."""

from __future__ import annotations

import math

from scriptmode.codegen.elementwise.lanes import F32, F64, Lanes, where, with_sign_of


def floor(x: Lanes) -> Lanes:
    """The greatest integer that is not above x."""
    return x.intrinsic("llvm.floor")


def ceil(x: Lanes) -> Lanes:
    """The least integer that is not below x."""
    return x.intrinsic("llvm.ceil")


def trunc(x: Lanes) -> Lanes:
    """The integer next to x in the direction of zero."""
    return x.intrinsic("llvm.trunc")


def round_half_even(x: Lanes) -> Lanes:
    """The nearest integer, the even one of two."""
    return x.intrinsic("llvm.roundeven")


def sqrt(x: Lanes) -> Lanes:
    """The square root."""
    return x.intrinsic("llvm.sqrt")


def rsqrt(x: Lanes) -> Lanes:
    """1 / sqrt(x)."""
    return 1.0 / sqrt(x)


def reciprocal(x: Lanes) -> Lanes:
    """1 / x."""
    return 1.0 / x


def sign(x: Lanes) -> Lanes:
    """1, 0 or -1; 0 for NaN and for -0.0, as torch's."""
    one = x.constant(1.0)
    return where(x > 0.0, one, where(x < 0.0, -one, 0.0))


def relu(x: Lanes) -> Lanes:
    """0 where x is below 0; NaN and -0.0 stay."""
    return where(x < 0.0, 0.0, x)


def minimum(x: Lanes, y: Lanes) -> Lanes:
    """The lesser one; NaN if one of them is."""
    return where(x.is_nan(), x, where(x < y, x, y))


def maximum(x: Lanes, y: Lanes) -> Lanes:
    """The greater one; NaN if one of them is."""
    return where(x.is_nan(), x, where(x > y, x, y))


def fmod(x: Lanes, y: Lanes) -> Lanes:
    """What is left of x, with its sign, when y is taken off as often as possible; exact.

    The quotient of doubles may have 2000 bits, which takes a loop: LLVM calls libc's function lane
    by lane.
    """
    if x.element == F32:
        return _fmod32(x, y)
    return Lanes(x.builder, x.builder.frem(x.value, y.value))


def _fmod32(x: Lanes, y: Lanes) -> Lanes:
    """``fmod`` of floats: long division in doubles, the quotient has up to ten digits of 28 bits.

    Digits are rounded to nearest, so that each step is exact whether or not its digit is: a digit
    times y has less than 53 bits, and what is left is a multiple of the last bit of x or of y.
    """
    left = abs(x).converted("fpext", F64)
    divisor = abs(y).converted("fpext", F64)
    inverse = 1.0 / divisor
    for place in range(252, -1, -28):
        digit = (left * (inverse * 2.0**-place)).intrinsic("llvm.rint")
        left = left - digit * (divisor * 2.0**place)
    left = where(left < 0.0, left + divisor, left).converted("fptrunc", F32)
    # 0 times an infinite y is none, but nothing is taken off
    is_whole = abs(y).equals(math.inf) & (abs(x) < math.inf)
    return where(is_whole, x, with_sign_of(left, x))


def remainder(x: Lanes, y: Lanes) -> Lanes:
    """``fmod`` moved to the sign of y, as torch does."""
    left = fmod(x, y)
    is_foreign = ((left < 0.0) ^ (y < 0.0)) & ~left.equals(0.0)
    return where(is_foreign, left + y, left)
