"""log, log2, log10, log1p and softplus.

x = 2**k * (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), so that k is 0 around 1 and nothing
cancels there.  log(1 + f) = f + t: f is exact and t is small, a polynomial in f for floats; for
doubles one in s*s with s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - f*f/2 + s * (f*f/2 + ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scriptmode.codegen.elementwise.coefficients import COEFFICIENTS, parts
from scriptmode.codegen.elementwise.exponential import exp
from scriptmode.codegen.elementwise.lanes import Lanes, polynomial, where

SQRT_HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class Base:
    """Logarithms to a base b: 1 / log(b) and log_b(2), each in two parts."""

    factor: tuple[float, ...]
    two: tuple[float, ...]


def _base(precision: int, factor: str | None, two: str | None) -> Base:
    # k times the first part of log_b(2) is exact
    short = 15 if precision == 24 else 42
    return Base(
        parts(factor, precision, precision) if factor else (1.0, 0.0),
        parts(two, precision, short) if two else (1.0, 0.0),
    )


NATURAL = {p: _base(p, None, "LOG_2") for p in (24, 53)}
BINARY = {p: _base(p, "LOG2_E", None) for p in (24, 53)}
DECIMAL = {p: _base(p, "LOG10_E", "LOG10_2") for p in (24, 53)}


def split(x: Lanes) -> tuple[Lanes, Lanes]:
    """k (an integer) and f with x = 2**k * (1 + f), for positive finite x, also subnormal."""
    form = x.format
    tiny = x < form.smallest_normal
    bits = where(tiny, x * math.ldexp(1.0, form.precision), x).bits()
    start = x.constant(SQRT_HALF).bits()
    moved = bits - start  # the exponent field of sqrt(1/2) becomes that of 1.0
    moved = moved + (form.bias << form.fraction)
    k = (moved >> form.fraction) - where(
        tiny, x.bits().constant(form.bias + form.precision), form.bias
    )
    mantissa = ((moved & ((1 << form.fraction) - 1)) + start).as_floats()
    return k, mantissa.minus(1.0)


def log_rest(f: Lanes) -> Lanes:
    """log(1 + f) - f."""
    if f.format.precision == 24:
        z = f * f
        return z * (f * polynomial(f, COEFFICIENTS["LOG", 24]) - 0.5)
    s = f / (f + 2.0)
    z = s * s
    half = f * f * 0.5
    return s * (half + z * polynomial(z, COEFFICIENTS["LOG_ATANH", 53])) - half


def _logarithm(x: Lanes, base: Base, change: Lanes | None = None) -> Lanes:
    """The logarithm of x * exp(change), for a change that is below the last bit of x."""
    k, f = split(x)
    number = k.number()
    rest = log_rest(f)
    if change is not None:
        rest = rest + change
    (factor, factor_low), (two, two_low) = base.factor, base.two
    if base.factor == (1.0, 0.0):
        small = f + (rest + number * two_low)
    else:
        small = f * factor + (rest * factor + (f * factor_low + number * two_low))
    result = number * two + small
    result = where(x < math.inf, result, x)
    return where(x <= 0.0, where(x < 0.0, x.constant(math.nan), -math.inf), result)


def log(x: Lanes) -> Lanes:
    """The natural logarithm."""
    return _logarithm(x, NATURAL[x.format.precision])


def log2(x: Lanes) -> Lanes:
    """The logarithm to base 2."""
    return _logarithm(x, BINARY[x.format.precision])


def log10(x: Lanes) -> Lanes:
    """The logarithm to base 10."""
    return _logarithm(x, DECIMAL[x.format.precision])


def log1p(x: Lanes) -> Lanes:
    """log(1 + x): the logarithm of the rounded sum, and what the rounding lost."""
    total = x.plus(1.0)
    part = total.minus(1.0)
    lost = (1.0 - total.minus(part)) + x.minus(part)
    result = _logarithm(total, NATURAL[x.format.precision], lost / total)
    return where(abs(x) < math.ldexp(1.0, -x.format.precision), x, result)


def softplus(x: Lanes) -> Lanes:
    """log(1 + exp(x)), without overflow."""
    return where(x > 0.0, x, 0.0) + log1p(exp(-abs(x)))
