"""``math.gamma`` and ``math.lgamma`` by the method that CPython has, whose last digits it gives.

Lanczos' approximation with 13 terms (Lanczos, "A precision approximation of the gamma function",
1964), in the form of a rational function with the coefficients of the Boost library; the error of
``x + g - 1/2`` is corrected for, and negative numbers are reflected.
"""

from __future__ import annotations

import math

from scriptmode.codegen.native import (
    copysign,
    extern,
    f64,
    fabs,
    floor,
    i32,
    i64,
    native,
    ptr,
    store,
)
from scriptmode.runtime.native.digits import INFINITY, is_finite
from scriptmode.runtime.native.mathematics import raise_domain, raise_range

c_cos = extern("cos", f64, f64)
c_exp = extern("exp", f64, f64)
c_fmod = extern("fmod", f64, f64, f64)
c_log = extern("log", f64, f64)
c_pow = extern("pow", f64, f64, f64)
c_round = extern("round", f64, f64)
c_sin = extern("sin", f64, f64)

PI = math.pi
LOG_PI = math.log(math.pi)
G = 6.024680040776729583740234375
G_MINUS_HALF = 5.524680040776729583740234375

# coefficients of the numerator, that of the constant first
N0, N1 = (
    23531376880.410759688572007674451636754734846804940,
    42919803642.649098768957899047001988850926355848959,
)
N2, N3 = (
    35711959237.355668049440185451547166705960488635843,
    17921034426.037209699919755754458931112671403265390,
)
N4, N5 = (
    6039542586.3520280050642916443072979210699388420708,
    1439720407.3117216736632230727949123939715485786372,
)
N6, N7 = (
    248874557.86205415651146038641322942321632125127801,
    31426415.585400194380614231628318205362874684987640,
)
N8, N9 = (
    2876370.6289353724412254090516208496135991145378768,
    186056.26539522349504029498971604569928220784236328,
)
N10, N11 = (
    8071.6720023658162106380029022722506138218516325024,
    210.82427775157934587250973392071336271166969580291,
)
N12 = 2.5066282746310002701649081771338373386264310793408


@native
def _lanczos(x: f64) -> f64:
    """The rational function; of large numbers in powers of ``1 / x``, which do not overflow."""
    p = f64(0.0)
    q = f64(0.0)
    if x < 5.0:
        p = N12
        p = p * x + N11
        p = p * x + N10
        p = p * x + N9
        p = p * x + N8
        p = p * x + N7
        p = p * x + N6
        p = p * x + N5
        p = p * x + N4
        p = p * x + N3
        p = p * x + N2
        p = p * x + N1
        p = p * x + N0
        q = x + 66.0
        q = q * x + 1925.0
        q = q * x + 32670.0
        q = q * x + 357423.0
        q = q * x + 2637558.0
        q = q * x + 13339535.0
        q = q * x + 45995730.0
        q = q * x + 105258076.0
        q = q * x + 150917976.0
        q = q * x + 120543840.0
        q = q * x + 39916800.0
        q = q * x
        return p / q
    p = N0
    p = p / x + N1
    p = p / x + N2
    p = p / x + N3
    p = p / x + N4
    p = p / x + N5
    p = p / x + N6
    p = p / x + N7
    p = p / x + N8
    p = p / x + N9
    p = p / x + N10
    p = p / x + N11
    p = p / x + N12
    q = f64(39916800.0)
    q = q / x + 120543840.0
    q = q / x + 150917976.0
    q = q / x + 105258076.0
    q = q / x + 45995730.0
    q = q / x + 13339535.0
    q = q / x + 2637558.0
    q = q / x + 357423.0
    q = q / x + 32670.0
    q = q / x + 1925.0
    q = q / x + 66.0
    q = q / x + 1.0
    return p / q


@native
def _sine_of_pi(x: f64) -> f64:
    """``sin(pi * x)``, exact where it is 0."""
    y = c_fmod(fabs(x), 2.0)
    part = i64(c_round(2.0 * y))
    r = f64(0.0)
    if part == 0:
        r = c_sin(PI * y)
    elif part == 1:
        r = c_cos(PI * (y - 0.5))
    elif part == 2:
        r = c_sin(PI * (1.0 - y))
    elif part == 3:
        r = -c_cos(PI * (y - 1.5))
    else:
        r = c_sin(PI * (y - 2.0))
    return copysign(1.0, x) * r


@native
def _gamma(x: f64) -> f64:
    """Of a number that is no integer, or one above 23; not below 1e-20 in size, nor above 200."""
    size = fabs(x)
    y = size + G_MINUS_HALF
    error = f64(0.0)
    if size > G_MINUS_HALF:
        error = (y - size) - G_MINUS_HALF
    else:
        error = (y - G_MINUS_HALF) - size
    error = error * G / y
    r = f64(0.0)
    if x < 0.0:
        r = -PI / _sine_of_pi(size) / size * c_exp(y) / _lanczos(size)
        r = r - error * r
        if size < 140.0:
            return r / c_pow(y, size - 0.5)
        root = c_pow(y, size / 2.0 - 0.25)
        return r / root / root
    r = _lanczos(size) / c_exp(y)
    r = r + error * r
    if size < 140.0:
        return r * c_pow(y, size - 0.5)
    root = c_pow(y, size / 2.0 - 0.25)
    return r * root * root


@native
def sm_math_gamma(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.gamma``."""
    r = x
    if not is_finite(x):
        if x == -INFINITY:
            return raise_domain(ctx)
    elif x == floor(x) and x <= 23.0:
        if x <= 0.0:
            return raise_domain(ctx)
        r = f64(1.0)
        for i in range(2, i64(x)):
            r = r * f64(i)
    elif fabs(x) < 1e-20:
        r = 1.0 / x
    elif x > 200.0:
        return raise_range(ctx)
    elif x < -200.0:
        r = 0.0 / _sine_of_pi(x)
    else:
        r = _gamma(x)
    if fabs(r) == INFINITY and is_finite(x):
        return raise_range(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_lgamma(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.lgamma``."""
    r = x
    size = fabs(x)
    if size == INFINITY:
        r = size
    elif x != x:
        r = x
    elif x == floor(x) and x <= 2.0:
        if x <= 0.0:
            return raise_domain(ctx)
        r = f64(0.0)
    elif size < 1e-20:
        r = -c_log(size)
    else:
        r = c_log(_lanczos(size)) - G
        r = r + (size - 0.5) * (c_log(size + G - 0.5) - 1.0)
        if x < 0.0:
            r = LOG_PI - c_log(fabs(_sine_of_pi(size))) - c_log(size) - r
    if fabs(r) == INFINITY and is_finite(x):
        return raise_range(ctx)
    store(f64, result, 0, r)
    return 0
