"""Digits of numbers: int in any base, float as CPython prints it (shortest that reads back).

Digit functions work like CPython's ``dtoa``: they write decimal digits and give the position of the
decimal point.  libc's printf and strtod are used in a way that does not depend on the locale.
"""

from __future__ import annotations

from scriptmode.codegen.native import (
    bitcast,
    extern,
    f64,
    fabs,
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    text,
    trunc,
    udiv,
    urem,
    utf8,
    zext,
)
from scriptmode.runtime.native.builder import b_ascii, b_bytes, b_char, b_fill, b_text

snprintf = extern("snprintf", i32, ptr, i64, ptr, variadic=True)
strtod = extern("strtod", f64, ptr, ptr)

INFINITY = float("inf")
POINT = 46
ZERO = 48
MINUS = 45


@native
def unsigned_digits(buffer: ptr, value: i64, base: i64, letters: i64) -> i64:
    """Write digits of an unsigned value (``letters``: code of the digit ten); their count."""
    n = 0
    scratch = stack(64)
    while True:
        digit = urem(value, base)
        code = digit + ZERO if digit < 10 else digit - 10 + letters
        store(i8, scratch, n, i8(code))
        n += 1
        value = udiv(value, base)
        if value == 0:
            break
    for i in range(n):
        store(i8, buffer, i, load(i8, scratch, n - 1 - i))
    return n


@native
def magnitude(value: i64) -> i64:
    """The absolute value as an unsigned number."""
    return 0 - value if value < 0 else value


@native(fast=True)
def decimal(end: ptr, value: i64) -> ptr:
    """Write an int in base ten so that it ends before ``end``; where it begins."""
    left = magnitude(value)
    while True:
        rest = udiv(left, 10)
        end = end - 1
        store(i8, end, 0, i8(left - rest * 10 + ZERO))
        left = rest
        if left == 0:
            break
    if value < 0:
        end = end - 1
        store(i8, end, 0, MINUS)
    return end


@native
def b_int(b: ptr, value: i64) -> None:
    """Append an int in base ten."""
    buffer = stack(32)
    start = decimal(buffer + 32, value)
    b_bytes(b, start, i64(buffer + 32) - i64(start))


@native
def collect(source: ptr, digits: ptr, count: ptr) -> i64:
    """Digits and decimal point position of ``d.ddde+xx``; trailing zeros stay."""
    n = 0
    i = 0
    c = zext(i64, load(i8, source))
    while c != 101:
        if c >= 48 and c <= 57:
            store(i8, digits, n, i8(c))
            n += 1
        i += 1
        c = zext(i64, load(i8, source, i))
    negative = load(i8, source, i + 1) == MINUS
    i += 2
    exponent = 0
    while load(i8, source, i) != 0:
        exponent = exponent * 10 + zext(i64, load(i8, source, i)) - 48
        i += 1
    store(i64, count, 0, n)
    return (0 - exponent if negative else exponent) + 1


@native
def strip_zeros(digits: ptr, n: i64) -> i64:
    """The count of digits without trailing zeros; one at least."""
    while n > 1 and load(i8, digits, n - 1) == ZERO:
        n -= 1
    return n


@native
def _next_reads_back(buffer: ptr, x: f64) -> bool:
    """Whether the digits, one unit up in the last place, read back as a power of two.

    Below a power of two floats are twice as dense: the nearest decimal may lie outside what rounds
    to it, and the next one inside.
    """
    if bitcast(i64, x) & ((1 << 52) - 1) != 0:
        return False
    at = 0
    while load(i8, buffer, at) != 101:
        at += 1
    # a final 9 would carry, and then fewer digits would have been enough
    at -= 1
    if load(i8, buffer, at) == 57:
        return False
    store(i8, buffer, at, load(i8, buffer, at) + 1)
    return strtod(buffer, ptr(0)) == x


@native
def shortest_digits(x: f64, digits: ptr, count: ptr) -> i64:
    """Write the fewest digits that read back as ``x >= 0``; the point's position."""
    buffer = stack(64)
    if x < 1e15 and trunc(x) == x:
        n = unsigned_digits(digits, i64(x), 10, 97)
        store(i64, count, 0, strip_zeros(digits, n))
        return n
    # below 15 digits the shortest form is that of 15 digits without zeros, but for subnormals
    precision = i32(0) if x < 2.3e-308 else i32(14)
    while precision < 17:
        snprintf(buffer, 64, utf8("%.*e"), precision, x)
        if strtod(buffer, ptr(0)) == x or _next_reads_back(buffer, x):
            break
        precision += 1
    if precision == 17:
        precision = 16
    point = collect(buffer, digits, count)
    store(i64, count, 0, strip_zeros(digits, load(i64, count)))
    return point


@native
def b_exponent(b: ptr, exponent: i64, letter: i64) -> None:
    """Append ``e+XX``, two digits at least."""
    b_char(b, letter)
    b_char(b, 45 if exponent < 0 else i64(43))
    size = magnitude(exponent)
    if size < 10:
        b_char(b, ZERO)
    b_int(b, size)


@native
def b_not_finite(b: ptr, x: f64, upper: i64) -> None:
    """Append ``nan`` or ``inf``, without a sign."""
    if x != x:
        b_text(b, text("NAN") if upper else text("nan"))
    else:
        b_text(b, text("INF") if upper else text("inf"))


@native
def is_finite(x: f64) -> bool:
    """Whether neither infinite nor NaN."""
    return fabs(x) < INFINITY


@native
def sign_bit(x: f64) -> bool:
    """Whether the sign bit is set, also of zero and NaN."""
    return bitcast(i64, x) < 0


@native
def b_plain_digits(b: ptr, digits: ptr, n: i64, point: i64) -> None:
    """Append digits with a decimal point at a position, zeros around as needed."""
    if point <= 0:
        b_char(b, ZERO)
        b_char(b, POINT)
        b_fill(b, ZERO, 0 - point)
        b_ascii(b, digits, n)
    elif point >= n:
        b_ascii(b, digits, n)
        b_fill(b, ZERO, point - n)
    else:
        b_ascii(b, digits, point)
        b_char(b, POINT)
        b_ascii(b, digits + point, n - point)


@native
def b_float_magnitude(b: ptr, x: f64, add_point: i64) -> None:
    """Append repr of a float without its sign; ``add_point``: ``1.0`` instead of ``1``."""
    digits = stack(32)
    count = stack(8)
    if not is_finite(x):
        b_not_finite(b, x, 0)
        return
    point = shortest_digits(fabs(x), digits, count)
    n = load(i64, count)
    if point <= -4 or point > 16:
        b_ascii(b, digits, 1)
        if n > 1:
            b_char(b, POINT)
            b_ascii(b, digits + 1, n - 1)
        b_exponent(b, point - 1, 101)
        return
    b_plain_digits(b, digits, n, point)
    if add_point and point >= n:
        b_char(b, POINT)
        b_char(b, ZERO)


@native
def b_float(b: ptr, x: f64) -> None:
    """Append ``repr(x)``."""
    if sign_bit(x) and x == x:
        b_char(b, MINUS)
    b_float_magnitude(b, x, 1)


@native
def b_complex(b: ptr, re: f64, im: f64) -> None:
    """Append ``repr(complex(re, im))``."""
    has_real = re != 0.0 or sign_bit(re)
    if has_real:
        b_char(b, 40)
        if sign_bit(re) and re == re:
            b_char(b, MINUS)
        b_float_magnitude(b, re, 0)
    if sign_bit(im) and im == im:
        b_char(b, MINUS)
    elif has_real:
        b_char(b, 43)
    b_float_magnitude(b, im, 0)
    b_char(b, 106)
    if has_real:
        b_char(b, 41)
