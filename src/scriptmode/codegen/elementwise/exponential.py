"""exp and the functions made of it: expm1, sigmoid, tanh, sinh, cosh, ...

exp(x) = 2**n * exp(r) with r = x - n * log(2), |r| <= log(2)/2: log(2) has two parts of which the
first times n is exact (Cody and Waite), exp(r) is a polynomial, and 2**n is built from its bits, in
two factors where the result may be subnormal or overflow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scriptmode.codegen.elementwise.coefficients import COEFFICIENTS, parts
from scriptmode.codegen.elementwise.lanes import (
    Lanes,
    at_least,
    at_most,
    polynomial,
    power_of_two,
    rounded,
    scaled,
    scales,
    two_product,
    where,
    with_sign_of,
)

LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class Range:
    """Where functions overflow for certain, and where they vanish for certain."""

    exp_low: float
    exp_high: float  # even half of exp(x)
    expm1_high: float
    exp2_low: float
    exp2_high: float
    tanh_high: float  # tanh is 1 from here on


RANGES = {
    24: Range(-120.0, 90.0, 89.0, -151.0, 130.0, 9.5),
    53: Range(-760.0, 712.0, 710.0, -1076.0, 1026.0, 20.0),
}
LOG_2 = {24: parts("LOG_2", 24, 15), 53: parts("LOG_2", 53, 42)}


def _reduced(x: Lanes, low: Lanes | None = None) -> tuple[Lanes, Lanes, Lanes]:
    """r, n (as an integer) and n (as a float) with x + low = n * log(2) + r."""
    high_part, low_part = LOG_2[x.format.precision]
    number, n = rounded(x * LOG2_E)
    r = (x - number * high_part) - number * low_part
    return (r if low is None else r + low), n, number


def _curve(r: Lanes) -> Lanes:
    """(exp(r) - 1 - r) on the reduced range."""
    return r * r * polynomial(r, COEFFICIENTS["EXP", r.format.precision])


def exp_parts(x: Lanes, low: Lanes | None = None) -> tuple[Lanes, Lanes]:
    """q and n with exp(x + low) = (1 + q) * 2**n, -0.3 < q < 0.5; NaN stays, ends are cut off."""
    limits = RANGES[x.format.precision]
    x = at_most(at_least(x, limits.exp_low), limits.exp_high)
    r, n, _ = _reduced(x, low)
    return r + _curve(r), n


def exp(x: Lanes) -> Lanes:
    """The exponential function."""
    q, n = exp_parts(x)
    return scaled(1.0 + q, n)


def _half_exp(x: Lanes) -> Lanes:
    """exp(x) / 2, which overflows later."""
    q, n = exp_parts(x)
    return scaled(1.0 + q, n - 1)


def moderate_exp(x: Lanes) -> Lanes:
    """exp(x) where it is known to be a normal number."""
    r, n, _ = _reduced(x)
    return (1.0 + (r + _curve(r))) * power_of_two(n)


def exp2(x: Lanes) -> Lanes:
    """2**x."""
    limits = RANGES[x.format.precision]
    x = at_most(at_least(x, limits.exp2_low), limits.exp2_high)
    number, n = rounded(x)
    r = x.minus(number)
    return scaled(1.0 + r * polynomial(r, COEFFICIENTS["EXP2", r.format.precision]), n)


def expm1(x: Lanes) -> Lanes:
    """exp(x) - 1 = (2**n - 1 + 2**n r) + 2**n (exp(r) - 1 - r), of which only the last is inexact.

    Everything is halved, because 2**n overflows before the result does.
    """
    limits = RANGES[x.format.precision]
    precision = x.format.precision
    cut = at_most(at_least(x, -float(precision)), limits.expm1_high)
    high_part, low_part = LOG_2[precision]
    number, n = rounded(cut * LOG2_E)
    first = cut - number * high_part
    r = first - number * low_part
    lost = first.minus(r) - number * low_part
    half = power_of_two(n - 1)
    result = ((half - 0.5) + half * r) + half * (_curve(r) + lost)
    result = where(x > limits.expm1_high, math.inf, result + result)
    return where(abs(x) < math.ldexp(1.0, -precision), x, result)


def _sigmoid(x: Lanes, u: Lanes, low: Lanes | None = None, factor: Lanes | None = None) -> Lanes:
    """factor (or 1) / (1 + exp(-v)), where v has the sign of x and the magnitude u + low.

    exp(-|v|) serves both signs.  What its sum with 1 loses is put right at the end; for negative x
    the scale comes last, so that results may be subnormal.
    """
    q, n = exp_parts(-u, None if low is None else -low)
    first, second = scales(n)
    e = (1.0 + q) * first * second
    total = e.plus(1.0)
    inverse = 1.0 / total
    miss = e.minus(total.minus(1.0)) * inverse
    is_left = x < 0.0
    q = where(is_left, q, 0.0)
    change = q - (miss * q + miss)
    share, rest = inverse, inverse * change
    if factor is not None:
        share, share_low = two_product(inverse, factor)
        rest = share * change + share_low
    return (share + rest) * where(is_left, first, 1.0) * where(is_left, second, 1.0)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x))."""
    return _sigmoid(x, abs(x))


def silu(x: Lanes) -> Lanes:
    """x * sigmoid(x); NaN for -infinity, as 0 times it is."""
    return times_sigmoid(x, abs(x))


def times_sigmoid(x: Lanes, u: Lanes, low: Lanes | None = None) -> Lanes:
    """x / (1 + exp(-v)) for the v that has the sign of x and the magnitude u + low."""
    cut = at_least(x, RANGES[x.format.precision].exp_low)
    result = _sigmoid(x, u, low, cut)
    result = where(abs(x) < math.inf, result, where(x > 0.0, x, math.nan))
    return result.intrinsic("llvm.copysign", x)


def tanh(x: Lanes) -> Lanes:
    """A polynomial where |x| < 0.55, 1 - 2 / (exp(2|x|) + 1) beyond."""
    a = at_most(abs(x), RANGES[x.format.precision].tanh_high)
    z = x * x
    near = a + a * (z * polynomial(z, COEFFICIENTS["TANH", x.format.precision]))
    far = 1.0 - 2.0 / (moderate_exp(a + a) + 1.0)
    return with_sign_of(where(a < 0.55, near, far), x)


def sinh(x: Lanes) -> Lanes:
    """A polynomial where |x| < 1, (exp(|x|) - exp(-|x|)) / 2 beyond."""
    a = abs(x)
    z = x * x
    near = a + a * (z * polynomial(z, COEFFICIENTS["SINH", x.format.precision]))
    half = _half_exp(a)
    return with_sign_of(where(a < 1.0, near, half - 0.25 / half), x)


def cosh(x: Lanes) -> Lanes:
    """(exp(|x|) + exp(-|x|)) / 2."""
    half = _half_exp(abs(x))
    return half + 0.25 / half
