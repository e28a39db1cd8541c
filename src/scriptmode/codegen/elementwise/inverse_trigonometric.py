"""asin, acos, atan and atan2: one polynomial each, after a reduction by an identity."""

from __future__ import annotations

import math

from scriptmode.codegen.elementwise.coefficients import COEFFICIENTS, parts
from scriptmode.codegen.elementwise.lanes import Lanes, polynomial, where, with_sign_of

HALF_PI = {p: parts("HALF_PI", p, p) for p in (24, 53)}
TAN_EIGHTH, TAN_THREE_EIGHTHS = math.sqrt(2) - 1, math.sqrt(2) + 1  # of pi


def _arc_sine(x: Lanes, z: Lanes) -> Lanes:
    """asin(x) - x where z = x*x <= 1/4."""
    return x * (z * polynomial(z, COEFFICIENTS["ASIN", x.format.precision]))


def _half_angle(a: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """For 1/2 <= a: z = (1 - a) / 2, its root, and what the root lacks."""
    z = 0.5 - a * 0.5
    root = z.intrinsic("llvm.sqrt")
    # the root is off by (z - root*root) / (2 * root); its upper half's square is exact
    keep = -(1 << ((a.format.precision + 1) // 2))
    high = (root.bits() & keep).as_floats()
    lost = where(z > 0.0, (z - high * high) / (root + high), 0.0)
    return z, high, lost


def asin(x: Lanes) -> Lanes:
    """Beyond 1/2: pi/2 - 2 asin(sqrt((1 - |x|) / 2))."""
    a = abs(x)
    half_pi, half_pi_low = HALF_PI[x.format.precision]
    is_small = a < 0.5
    z, high, lost = _half_angle(a)
    root = high + lost
    rest = _arc_sine(where(is_small, a, root), where(is_small, a * a, z))
    quarter = half_pi * 0.5
    # (pi/4 - 2 high) + pi/4: the difference is small and exact, or nearly
    far = quarter - ((2.0 * (rest + lost) - half_pi_low) - (quarter - 2.0 * high))
    return with_sign_of(where(is_small, a + rest, far), x)


def acos(x: Lanes) -> Lanes:
    """pi/2 - asin(x), or twice asin(sqrt((1 - |x|) / 2)), that from pi for negative x."""
    a = abs(x)
    half_pi, half_pi_low = HALF_PI[x.format.precision]
    is_small = a < 0.5
    z, high, lost = _half_angle(a)
    rest = _arc_sine(where(is_small, x, high + lost), where(is_small, x * x, z))
    middle = half_pi - (x + (rest - half_pi_low))
    right = 2.0 * (high + (rest + lost))
    left = 2.0 * (half_pi - (high + (rest + (lost - half_pi_low))))
    return where(is_small, middle, where(x < 0.0, left, right))


def _arc_tangent(y: Lanes, x: Lanes) -> Lanes:
    """atan(y / x) for y, x >= 0, not both 0 or infinite.

    The angle less 0, pi/4 or pi/2 has the tangent y/x, (y - x)/(y + x) or -x/y.
    """
    half_pi, half_pi_low = HALF_PI[x.format.precision]
    is_middle = y > x * TAN_EIGHTH
    is_high = y > x * TAN_THREE_EIGHTHS
    numerator = where(is_high, -x, where(is_middle, y - x, y))
    denominator = where(is_high, y, where(is_middle, y + x, x))
    t = numerator / denominator
    z = t * t
    rest = t * (z * polynomial(z, COEFFICIENTS["ATAN", x.format.precision]))
    share = where(is_high, x.constant(1.0), where(is_middle, x.constant(0.5), 0.0))
    return share * half_pi + (t + (rest + share * half_pi_low))


def atan(x: Lanes) -> Lanes:
    """The arc tangent."""
    a = abs(x)
    finite = where(a < math.inf, a, 1.0)
    angle = where(
        a < math.inf, _arc_tangent(finite, x.constant(1.0)), HALF_PI[x.format.precision][0]
    )
    return with_sign_of(where(x.is_nan(), x, angle), x)


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of the point (x, y), as C99 defines it at zeros and infinities."""
    half_pi, half_pi_low = HALF_PI[x.format.precision]
    a, b = abs(y), abs(x)
    # at infinity only which one is infinite counts; large sums must not overflow, and
    # products of tiny numbers keep their bits
    is_infinite = where(a > b, a, b).equals(math.inf)
    one = x.constant(1.0)
    a = where(is_infinite, where(a.equals(math.inf), one, 0.0), a)
    b = where(is_infinite, where(b.equals(math.inf), one, 0.0), b)
    greater = where(a > b, a, b)
    is_large, is_tiny = greater > 2.0 ** (x.format.bias - 1), greater < 2.0 ** (90 - x.format.bias)
    scale = where(is_large, one * 0.25, where(is_tiny, one * 2.0**60, 1.0))
    angle = _arc_tangent(a * scale, b * scale)
    angle = where(greater.equals(0.0), 0.0, angle)
    # the sign of x counts where it is a zero, too
    is_left = x.bits() < 0
    angle = where(is_left, 2.0 * half_pi - (angle - 2.0 * half_pi_low), angle)
    return where(y.is_nan(), y, where(x.is_nan(), x, with_sign_of(angle, y)))
