"""pow and hypot.

x**y = 2**(y * log2(x)).  An error of the exponent is a relative one of the result: for doubles
log2(x) is computed to about 65 bits, as a sum of two doubles, for floats as a double.
"""

from __future__ import annotations

import math

from scriptmode.codegen.elementwise.coefficients import COEFFICIENTS, parts
from scriptmode.codegen.elementwise.lanes import (
    F32,
    F64,
    Lanes,
    at_least,
    at_most,
    fast_two_sum,
    polynomial,
    power_of_two,
    rounded,
    scaled,
    two_product,
    two_sum,
    where,
)
from scriptmode.codegen.elementwise.logarithm import split

LOG2_E, LOG2_E_LOW = parts("LOG2_E", 53, 53)
TWO_THIRDS, TWO_THIRDS_LOW = 2 / 3, 2.0**-54 * (2 / 3)


def _times(a: tuple[Lanes, Lanes], b: tuple[Lanes, Lanes]) -> tuple[Lanes, Lanes]:
    """The product of two sums of two doubles."""
    high, low = two_product(a[0], b[0])
    return fast_two_sum(high, low + (a[0] * b[1] + a[1] * b[0]))


def _log2(x: Lanes) -> tuple[Lanes, Lanes]:
    """log2(x) = k + (2 s + s**3 (2/3 + s**2 (2/5 + ...))) / log(2), s = (m - 1) / (m + 1)."""
    k, f = split(x)
    below, below_low = two_sum(f, f.constant(2.0))
    s = f / below
    product, product_low = two_product(s, below)
    s_low = ((f.minus(product)).minus(product_low) - s * below_low) / below
    z = _times((s, s_low), (s, s_low))
    rest = z[0] * polynomial(z[0], COEFFICIENTS["LOG_TAIL", 53])
    inner = fast_two_sum(f.constant(TWO_THIRDS), rest)
    cubic = _times(z, (inner[0], inner[1] + TWO_THIRDS_LOW))
    outer = fast_two_sum(f.constant(2.0), cubic[0])
    natural = _times((s, s_low), (outer[0], outer[1] + cubic[1]))
    binary = _times(natural, (f.constant(LOG2_E), f.constant(LOG2_E_LOW)))
    high, low = two_sum(k.number(), binary[0])
    return fast_two_sum(high, low + binary[1])


def _positive_power64(a: Lanes, y: Lanes) -> Lanes:
    """a**y for positive finite a and finite y."""
    high, low = _log2(a)
    # no logarithm but 0 is below 2**-53: from here on the result is 0, 1 or infinite
    y = at_most(at_least(y, -(2.0**66)), 2.0**66)
    exponent, lost = two_product(high, y)
    exponent, lost = fast_two_sum(exponent, lost + low * y)
    is_inside = abs(exponent) < 1100.0
    lost = where(is_inside, lost, 0.0)
    exponent = at_most(at_least(exponent, -1100.0), 1100.0)
    number, n = rounded(exponent)
    r = exponent.minus(number) + lost
    return scaled(1.0 + r * polynomial(r, COEFFICIENTS["EXP2", 53]), n)


def _positive_power32(a: Lanes, y: Lanes) -> Lanes:
    """a**y for positive finite floats a, as doubles (which no float makes subnormal), and any y."""
    form = a.format
    start = a.constant(math.sqrt(0.5)).bits()
    moved = a.bits() - start + (form.bias << form.fraction)
    k = (moved >> form.fraction) - form.bias
    f = ((moved & ((1 << form.fraction) - 1)) + start).as_floats() - 1.0
    s = f / (f + 2.0)
    z = s * s
    curve = 2.0 + z * polynomial(z, COEFFICIENTS["LOG_ATANH", 24])
    exponent = y * (k.number() + s * curve * LOG2_E)
    exponent = at_most(at_least(exponent, -200.0), 200.0)
    number, n = rounded(exponent)
    r = exponent - number
    return (1.0 + r * polynomial(r, POW_EXP2)) * power_of_two(n)


POW_EXP2 = COEFFICIENTS["POW_EXP2", 53]


def pow(x: Lanes, y: Lanes) -> Lanes:
    """x**y with the special cases of C99, annex F.9.4.4."""
    a = abs(x)
    if x.element == F32:
        wide = _positive_power32(a.converted("fpext", F64), y.converted("fpext", F64))
        result = wide.converted("fptrunc", F32)
    else:
        result = _positive_power64(a, y)
    # a is 0, 1 or infinite, or y is infinite
    zero = x.constant(0.0)
    infinity = x.constant(math.inf)
    is_end = where(a.equals(0.0), infinity, a).equals(math.inf)
    end = where((a > 0.0) ^ (y < 0.0), infinity, zero)
    result = where(is_end, end, result)
    result = where(abs(y).equals(math.inf), where((a > 1.0) ^ (y < 0.0), infinity, zero), result)
    result = where(a.equals(1.0), 1.0, result)
    result = where(a.is_nan(), a, where(y.is_nan(), y, result))
    result = _with_parity(x, y, result)
    return where(y.equals(0.0), 1.0, where(x.equals(1.0), 1.0, result))


def _with_parity(x: Lanes, y: Lanes, result: Lanes) -> Lanes:
    """Negative x: the sign of an odd power, and NaN where y is no integer."""
    whole = y.intrinsic("llvm.floor")
    is_whole = whole.equals(y)
    half = y * 0.5
    is_odd = is_whole & ~half.intrinsic("llvm.floor").equals(half)
    flip = where(is_odd, x.bits() & x.format.sign_bit, 0)
    signed = (result.bits() ^ flip).as_floats()
    is_undefined = (x < 0.0) & (x > -math.inf) & ~is_whole
    return where(is_undefined, x.constant(math.nan), signed)


def hypot(x: Lanes, y: Lanes) -> Lanes:
    """sqrt(x*x + y*y), infinite where one of them is."""
    a, b = abs(x), abs(y)
    if x.element == F32:
        wide = [v.converted("fpext", F64) for v in (a, b)]
        total = wide[0] * wide[0] + wide[1] * wide[1]
        result = total.intrinsic("llvm.sqrt").converted("fptrunc", F32)
    else:
        greater = where(a > b, a, b)
        one = x.constant(1.0)
        is_large, is_small = greater > 2.0**500, greater < 2.0**-500
        scale = where(is_large, one * 2.0**-600, where(is_small, one * 2.0**600, 1.0))
        back = where(is_large, one * 2.0**600, where(is_small, one * 2.0**-600, 1.0))
        c, d = a * scale, b * scale
        result = (c * c + d * d).intrinsic("llvm.sqrt") * back
    is_infinite = a.equals(math.inf) | b.equals(math.inf)
    return where(is_infinite, math.inf, result)
