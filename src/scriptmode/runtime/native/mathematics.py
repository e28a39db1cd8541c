"""The functions of ``math``, with CPython's results and errors.

CPython's rule for libm functions: a NaN from arguments that are not NaN is a domain error; an
infinity from finite arguments is a range error where the function can overflow, else a domain
error.
"""

from __future__ import annotations

import math

from scriptmode.codegen.native import (
    ceil,
    copysign,
    extern,
    f64,
    fabs,
    floor,
    i8,
    i32,
    i64,
    load,
    mul_overflow,
    native,
    ptr,
    sqrt,
    stack,
    store,
    text,
    trunc,
    udiv,
    ugt,
    urem,
)
from scriptmode.runtime.native.arithmetic import float_to_int
from scriptmode.runtime.native.digits import INFINITY, is_finite, magnitude
from scriptmode.runtime.native.errors import (
    OVERFLOW_ERROR,
    VALUE_ERROR,
    ZERO_DIVISION_ERROR,
    raise_from,
    sm_raise_overflow,
)

c_acos = extern("acos", f64, f64)
c_acosh = extern("acosh", f64, f64)
c_asin = extern("asin", f64, f64)
c_asinh = extern("asinh", f64, f64)
c_atan = extern("atan", f64, f64)
c_atanh = extern("atanh", f64, f64)
c_cbrt = extern("cbrt", f64, f64)
c_cos = extern("cos", f64, f64)
c_cosh = extern("cosh", f64, f64)
c_erf = extern("erf", f64, f64)
c_erfc = extern("erfc", f64, f64)
c_exp = extern("exp", f64, f64)
c_exp2 = extern("exp2", f64, f64)
c_expm1 = extern("expm1", f64, f64)
c_log1p = extern("log1p", f64, f64)
c_sin = extern("sin", f64, f64)
c_sinh = extern("sinh", f64, f64)
c_tan = extern("tan", f64, f64)
c_tanh = extern("tanh", f64, f64)
c_log = extern("log", f64, f64)
c_log2 = extern("log2", f64, f64)
c_log10 = extern("log10", f64, f64)
c_pow = extern("pow", f64, f64, f64)
c_fmod = extern("fmod", f64, f64, f64)
c_remainder = extern("remainder", f64, f64, f64)
c_atan2 = extern("atan2", f64, f64, f64)
c_nextafter = extern("nextafter", f64, f64, f64)
c_frexp = extern("frexp", f64, f64, ptr)
c_ldexp = extern("ldexp", f64, f64, i32)

PI = math.pi


@native(noinline=True)
def raise_domain(ctx: ptr) -> i32:
    """``math domain error``."""
    return raise_from(ctx, VALUE_ERROR, text("math domain error"))


@native(noinline=True)
def raise_range(ctx: ptr) -> i32:
    """``math range error``."""
    return raise_from(ctx, OVERFLOW_ERROR, text("math range error"))


@native
def _checked(ctx: ptr, x: f64, r: f64, can_overflow: i64, result: ptr) -> i32:
    """Store a libm result or raise what CPython raises for it."""
    if r != r and x == x:
        return raise_domain(ctx)
    if fabs(r) == INFINITY and is_finite(x):
        return raise_range(ctx) if can_overflow else raise_domain(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_sqrt(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.sqrt``."""
    return _checked(ctx, x, sqrt(x), 0, result)


@native
def sm_math_fabs(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.fabs``."""
    store(f64, result, 0, fabs(x))
    return 0


@native
def sm_math_acos(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.acos``."""
    return _checked(ctx, x, c_acos(x), 0, result)


@native
def sm_math_acosh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.acosh``."""
    return _checked(ctx, x, c_acosh(x), 0, result)


@native
def sm_math_asin(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.asin``."""
    return _checked(ctx, x, c_asin(x), 0, result)


@native
def sm_math_asinh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.asinh``."""
    return _checked(ctx, x, c_asinh(x), 0, result)


@native
def sm_math_atan(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.atan``."""
    return _checked(ctx, x, c_atan(x), 0, result)


@native
def sm_math_atanh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.atanh``."""
    return _checked(ctx, x, c_atanh(x), 0, result)


@native
def sm_math_cbrt(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.cbrt``."""
    return _checked(ctx, x, c_cbrt(x), 0, result)


@native
def sm_math_cos(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.cos``."""
    return _checked(ctx, x, c_cos(x), 0, result)


@native
def sm_math_cosh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.cosh``."""
    return _checked(ctx, x, c_cosh(x), 1, result)


@native
def sm_math_erf(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.erf``."""
    return _checked(ctx, x, c_erf(x), 0, result)


@native
def sm_math_erfc(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.erfc``."""
    return _checked(ctx, x, c_erfc(x), 0, result)


@native
def sm_math_exp(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.exp``."""
    return _checked(ctx, x, c_exp(x), 1, result)


@native
def sm_math_exp2(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.exp2``."""
    return _checked(ctx, x, c_exp2(x), 1, result)


@native
def sm_math_expm1(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.expm1``."""
    return _checked(ctx, x, c_expm1(x), 1, result)


@native
def sm_math_log1p(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.log1p``."""
    return _checked(ctx, x, c_log1p(x), 0, result)


@native
def sm_math_sin(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.sin``."""
    return _checked(ctx, x, c_sin(x), 0, result)


@native
def sm_math_sinh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.sinh``."""
    return _checked(ctx, x, c_sinh(x), 1, result)


@native
def sm_math_tan(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.tan``."""
    return _checked(ctx, x, c_tan(x), 0, result)


@native
def sm_math_tanh(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.tanh``."""
    return _checked(ctx, x, c_tanh(x), 0, result)


@native
def sm_math_log(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.log``; zero and negative numbers are domain errors."""
    if x <= 0.0:
        return raise_domain(ctx)
    store(f64, result, 0, c_log(x))
    return 0


@native
def sm_math_log2(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.log2``; zero and negative numbers are domain errors."""
    if x <= 0.0:
        return raise_domain(ctx)
    store(f64, result, 0, c_log2(x))
    return 0


@native
def sm_math_log10(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.log10``; zero and negative numbers are domain errors."""
    if x <= 0.0:
        return raise_domain(ctx)
    store(f64, result, 0, c_log10(x))
    return 0


@native
def sm_math_log_base(ctx: ptr, x: f64, base: f64, result: ptr) -> i32:
    """``math.log(x, base)``."""
    if x <= 0.0 or base <= 0.0:
        return raise_domain(ctx)
    divisor = c_log(base)
    if divisor == 0.0:
        return raise_from(ctx, ZERO_DIVISION_ERROR, text("float division by zero"))
    store(f64, result, 0, c_log(x) / divisor)
    return 0


@native
def sm_math_degrees(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.degrees``."""
    store(f64, result, 0, x * (180.0 / PI))
    return 0


@native
def sm_math_radians(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.radians``."""
    store(f64, result, 0, x * (PI / 180.0))
    return 0


@native
def sm_math_ulp(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.ulp``."""
    x = fabs(x)
    r = x
    if is_finite(x):
        above = c_nextafter(x, INFINITY)
        r = above - x
        if above == INFINITY:
            r = x - c_nextafter(x, 0.0)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_atan2(ctx: ptr, y: f64, x: f64, result: ptr) -> i32:
    """``math.atan2``."""
    store(f64, result, 0, c_atan2(y, x))
    return 0


@native
def sm_math_copysign(ctx: ptr, x: f64, y: f64, result: ptr) -> i32:
    """``math.copysign``."""
    store(f64, result, 0, copysign(x, y))
    return 0


@native
def sm_math_nextafter(ctx: ptr, x: f64, y: f64, result: ptr) -> i32:
    """``math.nextafter``."""
    store(f64, result, 0, c_nextafter(x, y))
    return 0


@native
def sm_math_fmod(ctx: ptr, x: f64, y: f64, result: ptr) -> i32:
    """``math.fmod``."""
    r = c_fmod(x, y)
    if r != r and x == x and y == y:
        return raise_domain(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_remainder(ctx: ptr, x: f64, y: f64, result: ptr) -> i32:
    """``math.remainder``."""
    r = c_remainder(x, y)
    if r != r and x == x and y == y:
        return raise_domain(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_pow(ctx: ptr, x: f64, y: f64, result: ptr) -> i32:
    """``math.pow``."""
    r = c_pow(x, y)
    if is_finite(x) and is_finite(y) and not is_finite(r):
        return raise_domain(ctx) if r != r or x == 0.0 else raise_range(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_ldexp(ctx: ptr, x: f64, i: i64, result: ptr) -> i32:
    """``math.ldexp``."""
    power = i64(-10000) if i < -10000 else i64(10000) if i > 10000 else i
    r = c_ldexp(x, i32(power))
    if not is_finite(r) and is_finite(x):
        return raise_range(ctx)
    store(f64, result, 0, r)
    return 0


@native
def sm_math_frexp(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.frexp``, a tuple (float, int)."""
    exponent = stack(4)
    store(i32, exponent, 0, 0)
    r = x
    if is_finite(x):
        r = c_frexp(x, exponent)
    store(f64, result, 0, r)
    store(i64, result, 8, i64(load(i32, exponent)))
    return 0


@native
def sm_math_modf(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.modf``, a tuple of two floats."""
    whole = trunc(x)
    fraction = copysign(x - whole, x)
    if fabs(x) == INFINITY:
        fraction = copysign(0.0, x)
    store(f64, result, 0, fraction)
    store(f64, result, 8, whole)
    return 0


@native
def sm_math_isclose(ctx: ptr, a: f64, b: f64, rel_tol: f64, abs_tol: f64, result: ptr) -> i32:
    """``math.isclose``."""
    if rel_tol < 0.0 or abs_tol < 0.0:
        return raise_from(ctx, VALUE_ERROR, text("tolerances must be non-negative"))
    close = a == b
    if not close and not is_infinite(a) and not is_infinite(b):
        difference = fabs(b - a)
        limit = difference <= fabs(rel_tol * b) or difference <= fabs(rel_tol * a)
        close = limit or difference <= abs_tol
    store(i8, result, 0, i8(close))
    return 0


@native
def is_infinite(x: f64) -> bool:
    """Whether infinite."""
    return fabs(x) == INFINITY


@native
def sm_math_isnan(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.isnan``."""
    store(i8, result, 0, i8(x != x))
    return 0


@native
def sm_math_isinf(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.isinf``."""
    store(i8, result, 0, i8(is_infinite(x)))
    return 0


@native
def sm_math_isfinite(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.isfinite``."""
    store(i8, result, 0, i8(is_finite(x)))
    return 0


@native
def sm_math_floor(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.floor``."""
    return float_to_int(ctx, floor(x), result)


@native
def sm_math_ceil(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.ceil``."""
    return float_to_int(ctx, ceil(x), result)


@native
def sm_math_trunc(ctx: ptr, x: f64, result: ptr) -> i32:
    """``math.trunc``."""
    return float_to_int(ctx, trunc(x), result)


# ---- integers ----


@native
def _gcd(a: i64, b: i64) -> i64:
    """Greatest common divisor of unsigned numbers."""
    while b != 0:
        c = urem(a, b)
        a = b
        b = c
    return a


@native
def sm_math_gcd(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``math.gcd``."""
    found = _gcd(magnitude(a), magnitude(b))
    if found < 0:
        return sm_raise_overflow(ctx)
    store(i64, result, 0, found)
    return 0


@native
def sm_math_lcm(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``math.lcm``."""
    found = 0
    if a != 0 and b != 0:
        divisor = _gcd(magnitude(a), magnitude(b))
        x = udiv(magnitude(a), divisor)
        y = magnitude(b)
        product, too_big = mul_overflow(x, y)
        if x < 0 or y < 0 or too_big:
            return sm_raise_overflow(ctx)
        found = product
    store(i64, result, 0, found)
    return 0


@native
def _check_counts(ctx: ptr, n: i64, k: i64) -> i32:
    if n < 0:
        return raise_from(ctx, VALUE_ERROR, text("n must be a non-negative integer"))
    if k < 0:
        return raise_from(ctx, VALUE_ERROR, text("k must be a non-negative integer"))
    return 0


@native
def sm_math_comb(ctx: ptr, n: i64, k: i64, result: ptr) -> i32:
    """``math.comb``."""
    if _check_counts(ctx, n, k):
        return 1
    found = i64(k <= n)
    if k <= n:
        if k > n - k:
            k = n - k
        for i in range(k):
            # each partial result is a binomial coefficient: the division is exact
            shared = _gcd(found, i + 1)
            factor = udiv(n - i, udiv(i + 1, shared))
            product, too_big = mul_overflow(udiv(found, shared), factor)
            if too_big:
                return sm_raise_overflow(ctx)
            found = product
    store(i64, result, 0, found)
    return 0


@native
def sm_math_perm(ctx: ptr, n: i64, k: i64, result: ptr) -> i32:
    """``math.perm``."""
    if _check_counts(ctx, n, k):
        return 1
    found = i64(k <= n)
    if k <= n:
        for i in range(k):
            product, too_big = mul_overflow(found, n - i)
            if too_big:
                return sm_raise_overflow(ctx)
            found = product
    store(i64, result, 0, found)
    return 0


@native
def sm_math_factorial(ctx: ptr, n: i64, result: ptr) -> i32:
    """``math.factorial``."""
    if n < 0:
        message = text("factorial() not defined for negative values")
        return raise_from(ctx, VALUE_ERROR, message)
    return sm_math_perm(ctx, n, n, result)


@native
def sm_math_isqrt(ctx: ptr, n: i64, result: ptr) -> i32:
    """``math.isqrt``."""
    if n < 0:
        message = text("isqrt() argument must be nonnegative")
        return raise_from(ctx, VALUE_ERROR, message)
    root = i64(sqrt(f64(n)))
    # the float root is off by one at most
    while ugt(root * root, n):
        root -= 1
    while not ugt((root + 1) * (root + 1), n):
        root += 1
    store(i64, result, 0, root)
    return 0
