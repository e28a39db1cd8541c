"""Arithmetic of int, float, complex and ATen's number, with CPython's results and errors.

An int result outside 64 bits raises OverflowError.  Additions, multiplications and comparisons of
one type are emitted by the code generator; what needs a loop, a libm call or a message is here.
"""

from __future__ import annotations

import sys

from scriptmode.abi.objects import LIST_DATA, LIST_LENGTH, TAG_BOOL, TAG_COMPLEX, TAG_FLOAT, TAG_INT
from scriptmode.codegen.native import (
    add_overflow,
    bitcast,
    copysign,
    count_leading_zeros,
    count_ones,
    extern,
    f64,
    fabs,
    floor,
    i8,
    i32,
    i64,
    load,
    lshr,
    mul_overflow,
    native,
    ptr,
    rint,
    sdiv,
    srem,
    stack,
    store,
    text,
    trunc,
    udiv,
    uge,
    ugt,
    urem,
    utf8,
    zext,
)
from scriptmode.runtime.native.digits import (
    INFINITY,
    is_finite,
    magnitude,
    snprintf,
    strtod,
)
from scriptmode.runtime.native.errors import (
    OVERFLOW_ERROR,
    TYPE_ERROR,
    VALUE_ERROR,
    ZERO_DIVISION_ERROR,
    raise_from,
    sm_raise_overflow,
)
from scriptmode.runtime.native.mixed_numbers import sm_compare_int_float

c_fmod = extern("fmod", f64, f64, f64)
c_pow = extern("pow", f64, f64, f64)
c_hypot = extern("hypot", f64, f64, f64)
c_atan2 = extern("atan2", f64, f64, f64)
c_exp = extern("exp", f64, f64)
c_log = extern("log", f64, f64)
c_cos = extern("cos", f64, f64)
c_sin = extern("sin", f64, f64)

SMALLEST = -(1 << 63)
EXACT = 1 << 53  # ints up to here are floats
TWO_63 = 9223372036854775808.0
# CPython 3.12 adds floats with a compensation term
COMPENSATED = sys.version_info >= (3, 12)


@native(noinline=True)
def _raise_zero(ctx: ptr, message: ptr) -> i32:
    return raise_from(ctx, ZERO_DIVISION_ERROR, message)


# ---- int ----


@native
def sm_int_floordiv(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a // b``."""
    if b == 0:
        return _raise_zero(ctx, text("integer division or modulo by zero"))
    if b == -1:
        if a == SMALLEST:
            return sm_raise_overflow(ctx)
        store(i64, result, 0, 0 - a)
        return 0
    q = sdiv(a, b)
    if srem(a, b) != 0 and (a < 0) != (b < 0):
        q -= 1
    store(i64, result, 0, q)
    return 0


@native
def sm_int_mod(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a % b``."""
    if b == 0:
        return _raise_zero(ctx, text("integer modulo by zero"))
    r = 0
    if b != -1:
        r = srem(a, b)
        if r != 0 and (a < 0) != (b < 0):
            r += b
    store(i64, result, 0, r)
    return 0


@native
def sm_int_pow(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a ** b`` for ``b >= 0``."""
    if b < 0:
        message = text("negative exponent of an int power whose result is typed int")
        return raise_from(ctx, VALUE_ERROR, message)
    r = i64(1)
    while True:
        if b & 1:
            product, too_big = mul_overflow(r, a)
            if too_big:
                return sm_raise_overflow(ctx)
            r = product
        b = b >> 1
        if b == 0:
            break
        square, overflowed = mul_overflow(a, a)
        if overflowed:
            return sm_raise_overflow(ctx)
        a = square
    store(i64, result, 0, r)
    return 0


@native
def sm_int_pow_float(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a ** b`` for a negative ``b``."""
    return sm_float_pow(ctx, f64(a), f64(b), result)


@native
def sm_int_neg(ctx: ptr, a: i64, result: ptr) -> i32:
    """``-a``."""
    if a == SMALLEST:
        return sm_raise_overflow(ctx)
    store(i64, result, 0, 0 - a)
    return 0


@native
def sm_int_abs(ctx: ptr, a: i64, result: ptr) -> i32:
    """``abs(a)``."""
    if a == SMALLEST:
        return sm_raise_overflow(ctx)
    store(i64, result, 0, magnitude(a))
    return 0


@native
def sm_int_lshift(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a << b``."""
    if b < 0:
        return raise_from(ctx, VALUE_ERROR, text("negative shift count"))
    r = 0
    if a != 0:
        if b > 63:
            return sm_raise_overflow(ctx)
        r = a << b
        if r >> b != a:
            return sm_raise_overflow(ctx)
    store(i64, result, 0, r)
    return 0


@native
def sm_int_rshift(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a >> b``."""
    if b < 0:
        return raise_from(ctx, VALUE_ERROR, text("negative shift count"))
    store(i64, result, 0, a >> (b if b < 63 else i64(63)))
    return 0


@native
def bit_length(a: i64) -> i64:
    """Bits of an unsigned number."""
    return 64 - count_leading_zeros(a)


@native
def sm_int_bit_length(ctx: ptr, a: i64, result: ptr) -> i32:
    """``a.bit_length()``."""
    store(i64, result, 0, bit_length(magnitude(a)))
    return 0


@native
def sm_int_bit_count(ctx: ptr, a: i64, result: ptr) -> i32:
    """``a.bit_count()``."""
    store(i64, result, 0, count_ones(magnitude(a)))
    return 0


@native
def _exact_quotient(a: i64, b: i64) -> f64:
    """Unsigned a / b, correctly rounded, for a, b > 0."""
    shift = 55 - (bit_length(a) - bit_length(b))
    q = udiv(a, b)
    r = urem(a, b)
    if shift >= 0:
        for _ in range(shift):
            r = r << 1
            q = q << 1
            if uge(r, b):
                r = r - b
                q = q | 1
    else:
        lost = q & ((1 << (0 - shift)) - 1)
        q = lshr(q, 0 - shift)
        r = r | lost
    # 56 or 57 bits with a sticky bit: the conversion rounds once, the scaling is exact
    scaled = f64(q << 1 | i64(r != 0))
    return scaled * bitcast(f64, (1023 - shift - 1) << 52)


@native
def sm_int_truediv(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``a / b``, correctly rounded."""
    if b == 0:
        return _raise_zero(ctx, text("division by zero"))
    x = magnitude(a)
    y = magnitude(b)
    r = f64(a) / f64(b)
    if a != 0 and (ugt(x, EXACT) or ugt(y, EXACT)):
        r = _exact_quotient(x, y)
        if (a < 0) != (b < 0):
            r = -r
    store(f64, result, 0, r)
    return 0


@native
def sm_int_round_digits(ctx: ptr, a: i64, digits: i64, result: ptr) -> i32:
    """``round(a, digits)``: to a multiple of a power of ten, ties to even."""
    if digits >= 0:
        store(i64, result, 0, a)
        return 0
    if digits < -18:
        # half of 10**19 still is an int: larger ones would round to 10**19
        if digits == -19 and ugt(magnitude(a), 5000000000000000000):
            return sm_raise_overflow(ctx)
        store(i64, result, 0, 0)
        return 0
    power = i64(1)
    for _ in range(0 - digits):
        power = power * 10
    size = magnitude(a)
    rest = urem(size, power)
    size = size - rest
    half = power >> 1
    if rest > half or (rest == half and udiv(size, power) & 1 == 1):
        size = size + power
    if size < 0 and not (a < 0 and size == SMALLEST):
        return sm_raise_overflow(ctx)
    store(i64, result, 0, 0 - size if a < 0 else size)
    return 0


@native
def sm_list_sum_int(ctx: ptr, a: ptr, result: ptr) -> i32:
    """``sum(a)`` of ints."""
    total = 0
    data = load(ptr, a, LIST_DATA)
    for i in range(load(i64, a, LIST_LENGTH)):
        sum_, too_big = add_overflow(total, load(i64, data, i * 8))
        if too_big:
            return sm_raise_overflow(ctx)
        total = sum_
    store(i64, result, 0, total)
    return 0


@native
def sm_list_sum_float(ctx: ptr, a: ptr, result: ptr) -> i32:
    """``sum(a)`` of floats, from the left, as the running CPython adds."""
    total = 0.0
    lost = 0.0
    data = load(ptr, a, LIST_DATA)
    for i in range(load(i64, a, LIST_LENGTH)):
        x = load(f64, data, i * 8)
        t = total + x
        if COMPENSATED:
            lost += (total - t) + x if fabs(total) >= fabs(x) else (x - t) + total
        total = t
    if COMPENSATED and lost != 0.0 and is_finite(lost):
        total += lost
    store(f64, result, 0, total)
    return 0


@native
def sm_int_eq_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a == b``, without rounding ``a``."""
    store(i8, result, 0, i8(sm_compare_int_float(a, b) == 0))
    return 0


@native
def sm_int_ne_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a != b``, without rounding ``a``."""
    store(i8, result, 0, i8(sm_compare_int_float(a, b) != 0))
    return 0


@native
def sm_int_lt_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a < b``, without rounding ``a``."""
    store(i8, result, 0, i8(sm_compare_int_float(a, b) == -1))
    return 0


@native
def sm_int_le_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a <= b``, without rounding ``a``."""
    store(i8, result, 0, i8(sm_compare_int_float(a, b) <= 0))
    return 0


@native
def sm_int_gt_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a > b``, without rounding ``a``."""
    store(i8, result, 0, i8(sm_compare_int_float(a, b) == 1))
    return 0


@native
def sm_int_ge_float(ctx: ptr, a: i64, b: f64, result: ptr) -> i32:
    """``a >= b``, without rounding ``a``."""
    store(i8, result, 0, i8((sm_compare_int_float(a, b) | 1) == 1))
    return 0


# ---- float ----


@native
def sm_float_truediv(ctx: ptr, a: f64, b: f64, result: ptr) -> i32:
    """``a / b``."""
    if b == 0.0:
        return _raise_zero(ctx, text("float division by zero"))
    store(f64, result, 0, a / b)
    return 0


@native
def _float_mod(a: f64, b: f64) -> f64:
    """``a % b`` for ``b`` other than zero: the sign is that of ``b``."""
    r = c_fmod(a, b)
    if r == 0.0:
        return copysign(0.0, b)
    return r + b if (b < 0.0) != (r < 0.0) else r


@native
def sm_float_mod(ctx: ptr, a: f64, b: f64, result: ptr) -> i32:
    """``a % b``."""
    if b == 0.0:
        return _raise_zero(ctx, text("float modulo"))
    store(f64, result, 0, _float_mod(a, b))
    return 0


@native
def _float_floordiv(a: f64, b: f64) -> f64:
    r = c_fmod(a, b)
    q = (a - r) / b
    if r != 0.0 and (b < 0.0) != (r < 0.0):
        q -= 1.0
    if q == 0.0:
        return copysign(0.0, a / b)
    down = floor(q)
    return down + 1.0 if q - down > 0.5 else down


@native
def sm_float_floordiv(ctx: ptr, a: f64, b: f64, result: ptr) -> i32:
    """``a // b``."""
    if b == 0.0:
        return _raise_zero(ctx, text("float floor division by zero"))
    store(f64, result, 0, _float_floordiv(a, b))
    return 0


@native
def sm_float_divmod(ctx: ptr, a: f64, b: f64, result: ptr) -> i32:
    """``divmod(a, b)``, a tuple."""
    if b == 0.0:
        return _raise_zero(ctx, text("float divmod()"))
    store(f64, result, 0, _float_floordiv(a, b))
    store(f64, result, 8, _float_mod(a, b))
    return 0


@native
def sm_int_divmod(ctx: ptr, a: i64, b: i64, result: ptr) -> i32:
    """``divmod(a, b)``, a tuple."""
    if sm_int_floordiv(ctx, a, b, result):
        return 1
    return sm_int_mod(ctx, a, b, result + 8)


@native
def _is_odd(x: f64) -> bool:
    """Whether an odd integer."""
    return c_fmod(fabs(x), 2.0) == 1.0


@native
def sm_float_pow(ctx: ptr, a: f64, b: f64, result: ptr) -> i32:
    """``a ** b``; a complex result is a ValueError."""
    if is_finite(a) and is_finite(b):
        if a == 0.0 and b < 0.0:
            return _raise_zero(ctx, text("0.0 cannot be raised to a negative power"))
        if a < 0.0 and floor(b) != b:
            message = text("power of a negative float with a fractional exponent is complex")
            return raise_from(ctx, VALUE_ERROR, message)
    elif a == 0.0 and b < 0.0 and fabs(b) != INFINITY:
        return _raise_zero(ctx, text("0.0 cannot be raised to a negative power"))
    # C's pow follows the same rules for infinities and NaN
    r = c_pow(a, b)
    if fabs(r) == INFINITY and is_finite(a) and is_finite(b):
        message = text("(34, 'Numerical result out of range')")
        return raise_from(ctx, OVERFLOW_ERROR, message)
    store(f64, result, 0, r)
    return 0


@native
def float_to_int(ctx: ptr, x: f64, result: ptr) -> i32:
    """``int(x)`` of a float without fraction."""
    if x != x:
        return raise_from(ctx, VALUE_ERROR, text("cannot convert float NaN to integer"))
    if fabs(x) == INFINITY:
        message = text("cannot convert float infinity to integer")
        return raise_from(ctx, OVERFLOW_ERROR, message)
    if x >= TWO_63 or x < -TWO_63:
        return sm_raise_overflow(ctx)
    store(i64, result, 0, i64(x))
    return 0


@native
def sm_float_int(ctx: ptr, x: f64, result: ptr) -> i32:
    """``int(x)``."""
    return float_to_int(ctx, trunc(x), result)


@native
def sm_float_round(ctx: ptr, x: f64, result: ptr) -> i32:
    """``round(x)``: ties to even."""
    return float_to_int(ctx, rint(x), result)


@native
def sm_float_is_integer(ctx: ptr, x: f64, result: ptr) -> i32:
    """``x.is_integer()``."""
    store(i8, result, 0, i8(is_finite(x) and trunc(x) == x))
    return 0


@native
def _round_above_point(x: f64, digits: i64) -> f64:
    """``round(x, -n)``: decimal digits before the point are dropped, exactly."""
    buffer = stack(400)
    snprintf(buffer, 400, utf8("%.310e"), fabs(x))
    at = 0
    while load(i8, buffer, at) != 101:
        at += 1
    exponent = 0
    i = at + 2
    while load(i8, buffer, i) != 0:
        exponent = exponent * 10 + zext(i64, load(i8, buffer, i)) - 48
        i += 1
    if load(i8, buffer, at + 1) == 45:
        exponent = 0 - exponent
    kept = exponent + 1 + digits
    if kept > 0:
        snprintf(buffer, 400, utf8("%.*e"), i32(kept - 1), fabs(x))
        return strtod(buffer, ptr(0))
    if kept < 0 or load(i8, buffer) < 53:
        return 0.0
    if load(i8, buffer) == 53:
        more = False
        for k in range(1, at):
            c = load(i8, buffer, k)
            if c > 48 and c <= 57:
                more = True
        if not more:
            return 0.0
    snprintf(buffer, 400, utf8("1e%lld"), exponent + 1)
    return strtod(buffer, ptr(0))


@native
def sm_float_round_digits(ctx: ptr, x: f64, digits: i64, result: ptr) -> i32:
    """``round(x, digits)``: correctly rounded in decimal, ties to even."""
    r = x
    if is_finite(x) and digits <= 323:
        if digits < -308:
            r = 0.0
        elif digits < 0:
            r = _round_above_point(x, digits)
        else:
            buffer = stack(700)
            snprintf(buffer, 700, utf8("%.*f"), i32(digits), fabs(x))
            r = strtod(buffer, ptr(0))
        if r == INFINITY:
            message = text("rounded value too large to represent")
            return raise_from(ctx, OVERFLOW_ERROR, message)
        r = copysign(r, x)
    store(f64, result, 0, r)
    return 0


# ---- complex ----


@native
def _store_complex(result: ptr, re: f64, im: f64) -> None:
    store(f64, result, 0, re)
    store(f64, result, 8, im)


@native
def sm_complex_mul(ctx: ptr, ar: f64, ai: f64, br: f64, bi: f64, result: ptr) -> i32:
    """``a * b``."""
    _store_complex(result, ar * br - ai * bi, ar * bi + ai * br)
    return 0


@native
def _quotient(ar: f64, ai: f64, br: f64, bi: f64, result: ptr) -> bool:
    """Write a / b as CPython computes it; false when b is zero."""
    if br == 0.0 and bi == 0.0:
        return False
    if fabs(br) >= fabs(bi):
        ratio = bi / br
        scale = br + bi * ratio
        _store_complex(result, (ar + ai * ratio) / scale, (ai - ar * ratio) / scale)
    elif fabs(bi) >= fabs(br):
        turned = br / bi
        divisor = br * turned + bi
        _store_complex(result, (ar * turned + ai) / divisor, (ai * turned - ar) / divisor)
    else:
        _store_complex(result, br - br + bi, br - br + bi)  # one is NaN
    return True


@native
def sm_complex_truediv(ctx: ptr, ar: f64, ai: f64, br: f64, bi: f64, result: ptr) -> i32:
    """``a / b``."""
    if not _quotient(ar, ai, br, bi, result):
        return _raise_zero(ctx, text("complex division by zero"))
    return 0


@native
def sm_complex_abs(ctx: ptr, re: f64, im: f64, result: ptr) -> i32:
    """``abs(a)``."""
    r = c_hypot(re, im)
    if fabs(r) == INFINITY and is_finite(re) and is_finite(im):
        return raise_from(ctx, OVERFLOW_ERROR, text("absolute value too large"))
    store(f64, result, 0, r)
    return 0


@native
def _power_by_squaring(ar: f64, ai: f64, n: i64, result: ptr) -> None:
    re = 1.0
    im = 0.0
    mask = i64(1)
    while n >= mask:
        if n & mask:
            t = re * ar - im * ai
            im = re * ai + im * ar
            re = t
        mask = mask << 1
        u = ar * ar - ai * ai
        ai = ar * ai + ai * ar
        ar = u
    _store_complex(result, re, im)


@native
def _power(ar: f64, ai: f64, br: f64, bi: f64, result: ptr) -> bool:
    """Write a ** b by polar coordinates; false for zero to a negative or complex power."""
    if br == 0.0 and bi == 0.0:
        _store_complex(result, 1.0, 0.0)
        return True
    if ar == 0.0 and ai == 0.0:
        _store_complex(result, 0.0, 0.0)
        return not (bi != 0.0 or br < 0.0)
    size = c_hypot(ar, ai)
    length = c_pow(size, br)
    angle = c_atan2(ai, ar)
    phase = angle * br
    if bi != 0.0:
        length /= c_exp(angle * bi)
        phase += bi * c_log(size)
    _store_complex(result, length * c_cos(phase), length * c_sin(phase))
    # CPython takes the domain error of cos(inf) for that of a zero base
    return fabs(phase) != INFINITY


@native
def sm_complex_pow(ctx: ptr, ar: f64, ai: f64, br: f64, bi: f64, result: ptr) -> i32:
    """``a ** b``."""
    done = True
    if bi == 0.0 and br == floor(br) and fabs(br) <= 100.0:
        n = i64(br)
        if n > 0:
            _power_by_squaring(ar, ai, n, result)
        else:
            _power_by_squaring(ar, ai, 0 - n, result)
            done = _quotient(1.0, 0.0, load(f64, result), load(f64, result, 8), result)
    else:
        done = _power(ar, ai, br, bi, result)
    if not done:
        return _raise_zero(ctx, text("0.0 to a negative or complex power"))
    if fabs(load(f64, result)) == INFINITY or fabs(load(f64, result, 8)) == INFINITY:
        return raise_from(ctx, OVERFLOW_ERROR, text("complex exponentiation"))
    return 0


# ---- number: {tag, lo, hi} ----


@native
def sm_number_int(ctx: ptr, tag: i64, lo: i64, hi: i64, result: ptr) -> i32:
    """``int(n)``."""
    if tag == TAG_FLOAT:
        return sm_float_int(ctx, bitcast(f64, lo), result)
    if tag == TAG_COMPLEX:
        message = text(
            "int() argument must be a string, a bytes-like object or a real number, not 'complex'"
        )
        return raise_from(ctx, TYPE_ERROR, message)
    store(i64, result, 0, lo)
    return 0


@native
def sm_number_float(ctx: ptr, tag: i64, lo: i64, hi: i64, result: ptr) -> i32:
    """``float(n)``."""
    if tag == TAG_COMPLEX:
        message = text("float() argument must be a string or a real number, not 'complex'")
        return raise_from(ctx, TYPE_ERROR, message)
    store(f64, result, 0, bitcast(f64, lo) if tag == TAG_FLOAT else f64(lo))
    return 0


@native
def sm_number_bool(ctx: ptr, tag: i64, lo: i64, hi: i64, result: ptr) -> i32:
    """``bool(n)``."""
    truth = lo != 0
    if tag == TAG_FLOAT:
        truth = bitcast(f64, lo) != 0.0
    elif tag == TAG_COMPLEX:
        truth = bitcast(f64, lo) != 0.0 or bitcast(f64, hi) != 0.0
    store(i8, result, 0, i8(truth))
    return 0


@native
def sm_number_complex(ctx: ptr, tag: i64, lo: i64, hi: i64, result: ptr) -> i32:
    """``complex(n)``."""
    re = f64(lo) if tag in (TAG_INT, TAG_BOOL) else bitcast(f64, lo)
    _store_complex(result, re, bitcast(f64, hi) if tag == TAG_COMPLEX else 0.0)
    return 0
