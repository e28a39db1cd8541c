"""erf, erfc and gelu.

Near 0 erf is a polynomial; far from it erf is 1 less something small, 1 - exp(polynomial).  Where
erfc is small it is exp(-x*x) * g(t) / (x + d), where t = (x - c) / (x + c) and the polynomial g is
nearly constant; x*x has two parts, and what roundings lose is carried along.
"""

from __future__ import annotations

import math

from scriptmode.codegen.elementwise.coefficients import COEFFICIENTS
from scriptmode.codegen.elementwise.exponential import exp_parts, moderate_exp, times_sigmoid
from scriptmode.codegen.elementwise.lanes import (
    Lanes,
    at_most,
    fast_two_sum,
    fused,
    polynomial,
    scaled,
    two_product,
    where,
    with_sign_of,
)

ERFC, NORMAL = (3.0, 0.5625), (5.0, 1.0)  # c and d
ERF_IS_ONE = {24: 3.92, 53: 5.95}
ERFC_IS_ZERO = {24: 10.1, 53: 27.3}
NORMAL_IS_ZERO = {24: 14.3, 53: 39.0}
NEAR = {24: 0.75, 53: 1.0}  # erf is the polynomial below this
GELU_B, GELU_K = math.sqrt(2 / math.pi), 0.044715


def _erf_near(x: Lanes) -> Lanes:
    """erf(x) - x where |x| <= NEAR."""
    z = x * x
    return x * polynomial(z, COEFFICIENTS["ERF", x.format.precision])


def _tail(
    a: Lanes, name: str, constants: tuple[float, float], share: float, times: Lanes | None = None
) -> Lanes:
    """exp(-share * a*a) * g(t) / (a + d) for a >= 0, times another factor."""
    c, d = constants
    square, square_low = two_product(a, a)
    total = a.plus(d)
    # what the sum loses is put right in the exponent: exp(-e) is nearly 1 - e
    lost = where(a < d, a.minus(total.minus(d)), d - total.minus(a))
    shifted = a + c
    both = 1.0 / (shifted * total)  # one division serves two
    inverse = both.times(shifted)
    t = (a + a) * (both * total) - 1.0
    first, first_low, *others = COEFFICIENTS[name, a.format.precision]
    g, g_low = fast_two_sum(a.constant(first), t * polynomial(t, others))
    g_low = g_low + first_low
    miss = fused(inverse, total, a.constant(-1.0)) + lost * inverse
    q, n = exp_parts(square * -share, square_low * -share - miss)
    lost = g_low * inverse
    if times is not None:
        inverse, inverse_low = two_product(inverse, times)
        lost = lost * times + g * inverse_low
    factor, factor_low = two_product(g, inverse)
    return scaled(factor + (factor * q + (factor_low + lost)), n)


def erf(x: Lanes) -> Lanes:
    """The error function."""
    precision = x.format.precision
    a = at_most(abs(x), ERF_IS_ONE[precision])
    near = a + _erf_near(a)
    far = 1.0 - moderate_exp(polynomial(a, COEFFICIENTS["LOG_ERFC", precision]))
    return with_sign_of(where(a < NEAR[precision], near, far), x)


def erfc(x: Lanes) -> Lanes:
    """1 - erf(x), with full precision where that is small."""
    precision = x.format.precision
    a = at_most(abs(x), ERFC_IS_ZERO[precision])
    tail = _tail(a, "ERFC", ERFC, 1.0)
    # 1 - x - (erf(x) - x); between 1/4 and 1/2 the first difference still has all bits
    near = 0.5 - ((x - 0.5) + _erf_near(x))
    return where(a < 0.5, near, where(x < 0.0, 2.0 - tail, tail))


def gelu(x: Lanes) -> Lanes:
    """x times the normal distribution's mass below x; NaN for -infinity, as 0 times it is."""
    a = at_most(abs(x), NORMAL_IS_ZERO[x.format.precision])
    loss = _tail(a, "NORMAL", NORMAL, 0.5, a)  # |x| times the mass beyond |x|
    return where(x < 0.0, where(x > -math.inf, x.constant(-0.0), math.nan), x) - loss


def gelu_tanh(x: Lanes) -> Lanes:
    """x / (1 + exp(-u)), u = 2 b (x + k x**3): what gelu's approximation with tanh amounts to.

    b and k are torch's, floats for floats.  u has two parts, because exp turns its absolute error
    into a relative one.
    """
    a = at_most(abs(x), 100.0)
    square, square_low = two_product(a, a)
    cubic, cubic_low = two_product(square, a.constant(GELU_K))
    bracket, bracket_low = _sum_with_one(cubic, cubic_low + square_low * GELU_K)
    linear, linear_low = two_product(a, a.constant(2.0 * GELU_B))
    u, u_low = two_product(linear, bracket)
    return times_sigmoid(x, u, u_low + (linear * bracket_low + linear_low * bracket))


def _sum_with_one(high: Lanes, low: Lanes) -> tuple[Lanes, Lanes]:
    """1 + high + low in two parts, for high >= 0."""
    total = high.plus(1.0)
    lost = where(high < 1.0, high.minus(total.minus(1.0)), 1.0 - total.minus(high))
    return fast_two_sum(total, lost + low)
