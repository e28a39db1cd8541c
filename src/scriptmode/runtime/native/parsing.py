"""Numbers from text: ``int(s, base)`` and ``float(s)`` as CPython reads them."""

from __future__ import annotations

from scriptmode.abi.objects import STR_LENGTH
from scriptmode.codegen.native import (
    bitcast,
    cell,
    f64,
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    text,
    udiv,
    ugt,
    utf8,
)
from scriptmode.runtime.native.builder import b_finish, b_init, b_text, unit
from scriptmode.runtime.native.digits import INFINITY, b_int, snprintf, strtod
from scriptmode.runtime.native.errors import (
    OVERFLOW_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.memory import free, malloc
from scriptmode.runtime.native.reprs import b_str_repr
from scriptmode.runtime.native.unicode import decimal_value, is_space

# Bits of NaNs: what made one, and which it is; ``math.nan`` and those of arithmetic have no payload
NEW_NAN = 0x7FFC000000000000  # made by ``float("nan")``: a count
NAN_OF_OBJECT = 0x7FFA000000000000  # came from Python: the object's address
NAN_PAYLOAD = 0xFFFFFFFFFFFF
sm_nans = cell("sm_nans")

UNDERSCORE = 95
DOT = 46
PLUS = 43
MINUS = 45
NOT_A_NUMBER = 0
TOO_LARGE = 2


@native
def _ascii(c: i64) -> i64:
    """A code point as ASCII: decimal digits of any script, else itself, or -1."""
    if c < 127:
        return c
    digit = decimal_value(c)
    return digit + 48 if digit >= 0 else i64(-1)


@native
def _digit(c: i64) -> i64:
    """The value of a digit in bases up to 36, or 99."""
    c = _ascii(c)
    if c >= 48 and c <= 57:
        return c - 48
    lower = c | 32
    if lower >= 97 and lower <= 122 and c > 0:
        return lower - 87
    return 99


@native
def _prefix_base(s: ptr, at: i64, end: i64) -> i64:
    """The base that ``0x``, ``0o`` or ``0b`` at an index means, or 0."""
    if end - at < 2 or _ascii(unit(s, at)) != 48:
        return 0
    letter = unit(s, at + 1) | 32
    if letter == 120:
        return 16
    if letter == 111:
        return 8
    return 2 if letter == 98 else i64(0)


@native
def _read_int(s: ptr, base: i64, result: ptr) -> i64:
    """1 and the value in ``result``, or ``NOT_A_NUMBER``, or ``TOO_LARGE``."""
    at = 0
    end = load(i64, s, STR_LENGTH)
    while at < end and is_space(unit(s, at)):
        at += 1
    while end > at and is_space(unit(s, end - 1)):
        end -= 1
    negative = False
    if at < end and unit(s, at) in (PLUS, MINUS):
        negative = unit(s, at) == MINUS
        at += 1
    prefix = _prefix_base(s, at, end)
    only_zeros = False
    if base == 0:
        base = prefix if prefix != 0 else i64(10)
        # "010" is an error, "000" is 0
        only_zeros = prefix == 0 and at < end and _digit(unit(s, at)) == 0
    if prefix == base:
        at += 2
        if at < end and unit(s, at) == UNDERSCORE:
            at += 1
    return _read_digits(s, at, end, base, negative, only_zeros, result)


@native
def _read_digits(
    s: ptr, at: i64, end: i64, base: i64, negative: bool, only_zeros: bool, result: ptr
) -> i64:
    value = 0
    limit = i64((1 << 63) - 1)
    if negative:
        limit = 1 << 63
    overflows = False
    after_digit = False
    while at < end:
        c = unit(s, at)
        at += 1
        if c == UNDERSCORE:
            if not after_digit:
                return NOT_A_NUMBER
            after_digit = False
            continue
        digit = _digit(c)
        if digit >= base or (only_zeros and digit != 0):
            return NOT_A_NUMBER
        after_digit = True
        if ugt(value, udiv(limit, base)) or ugt(digit, limit - value * base):
            overflows = True
        value = value * base + digit
    if not after_digit:
        return NOT_A_NUMBER
    if overflows:
        return TOO_LARGE
    store(i64, result, 0, 0 - value if negative else value)
    return 1


@native
def sm_str_int_base(ctx: ptr, s: ptr, base: i64, result: ptr) -> i32:
    """``int(s, base)``."""
    if base != 0 and (base < 2 or base > 36):
        message = text("int() base must be >= 2 and <= 36, or 0")
        return raise_from(ctx, VALUE_ERROR, message)
    outcome = _read_int(s, base, result)
    if outcome == 1:
        return 0
    if outcome == TOO_LARGE:
        return raise_from(ctx, OVERFLOW_ERROR, text("int too large for 64 bits"))
    b = stack(40)
    b_init(b)
    b_text(b, text("invalid literal for int() with base "))
    b_int(b, base)
    b_text(b, text(": "))
    b_str_repr(b, s)
    return raise_from(ctx, VALUE_ERROR, b_finish(b))


@native
def sm_str_int(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``int(s)``."""
    return sm_str_int_base(ctx, s, 10, result)


# ---- float ----


@native
def _copy_text(s: ptr, target: ptr) -> i64:
    """Write the stripped text as ASCII; its length, or -1 when it cannot be a number."""
    at = 0
    end = load(i64, s, STR_LENGTH)
    while at < end and is_space(unit(s, at)):
        at += 1
    while end > at and is_space(unit(s, end - 1)):
        end -= 1
    for i in range(at, end):
        c = _ascii(unit(s, i))
        if c <= 0:
            return -1
        store(i8, target, i - at, i8(c))
    store(i8, target, end - at, 0)
    return end - at


@native
def _is_digit_at(data: ptr, at: i64) -> bool:
    c = load(i8, data, at)
    return c >= 48 and c <= 57


@native
def _drop_underscores(data: ptr) -> bool:
    """Remove underscores that stand between digits; false when one stands elsewhere."""
    write = 0
    read = 0
    while load(i8, data, read) != 0:
        if load(i8, data, read) == UNDERSCORE:
            if read == 0 or not _is_digit_at(data, read - 1) or not _is_digit_at(data, read + 1):
                return False
        else:
            store(i8, data, write, load(i8, data, read))
            write += 1
        read += 1
    store(i8, data, write, 0)
    return True


@native
def _skip_digits(data: ptr, at: i64) -> i64:
    while _is_digit_at(data, at):
        at += 1
    return at


@native
def _is_decimal(data: ptr, at: i64) -> bool:
    """Whether digits, point and exponent fill the text from an index."""
    start = at
    at = _skip_digits(data, at)
    n = at - start
    if load(i8, data, at) == DOT:
        after = _skip_digits(data, at + 1)
        n += after - at - 1
        at = after
    if n == 0:
        return False
    if load(i8, data, at) | 32 == 101:
        at += 1
        if load(i8, data, at) in (PLUS, MINUS):
            at += 1
        if not _is_digit_at(data, at):
            return False
        at = _skip_digits(data, at)
    return load(i8, data, at) == 0


@native
def _is_word(data: ptr, at: i64, word: ptr) -> bool:
    """Whether the rest of the text is a word, in any case."""
    i = 0
    while load(i8, word, i) != 0:
        if load(i8, data, at + i) | 32 != load(i8, word, i):
            return False
        i += 1
    return load(i8, data, at + i) == 0


@native
def _decimal_point(data: ptr, room: ptr) -> ptr:
    """The text with the decimal point of the locale, for strtod; in ``room`` if it differs."""
    sample = stack(16)
    snprintf(sample, 16, utf8("%.1f"), f64(0.5))
    if load(i8, sample, 1) == DOT:
        return data
    write = 0
    read = 0
    while load(i8, data, read) != 0:
        if load(i8, data, read) == DOT:
            i = 1
            while not _is_digit_at(sample, i):
                store(i8, room, write, load(i8, sample, i))
                write += 1
                i += 1
        else:
            store(i8, room, write, load(i8, data, read))
            write += 1
        read += 1
    store(i8, room, write, 0)
    return room


@native
def sm_new_nan() -> f64:
    """A NaN that equals no other in a container: ``float("nan")``."""
    count = load(i64, sm_nans) + 1
    store(i64, sm_nans, 0, count)
    return bitcast(f64, i64(NEW_NAN) | (count & NAN_PAYLOAD))


@native(inline=True)
def plain_float(x: f64) -> f64:
    """A float as others see it: a NaN without the payload."""
    return x if x == x else bitcast(f64, bitcast(i64, x) & (i64(0xFFF8) << 48))


@native
def _read_float(data: ptr, room: ptr, result: ptr) -> bool:
    """Read ASCII text; false when it is no number."""
    at = 0
    if load(i8, data) in (PLUS, MINUS):
        at = 1
    negative = load(i8, data) == MINUS
    x = 0.0
    if _is_decimal(data, at):
        x = strtod(_decimal_point(data, room) + at, ptr(0))
    elif _is_word(data, at, utf8("inf")) or _is_word(data, at, utf8("infinity")):
        x = INFINITY
    elif _is_word(data, at, utf8("nan")):
        x = sm_new_nan()
    else:
        return False
    store(f64, result, 0, -x if negative else x)
    return True


@native
def sm_str_float(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``float(s)``."""
    n = load(i64, s, STR_LENGTH)
    # the second half holds a copy with another decimal point
    data = malloc(n * 2 + 64)
    if data == 0:
        return sm_raise_memory_error(ctx)
    good = _copy_text(s, data) >= 0 and _drop_underscores(data)
    good = good and _read_float(data, data + n + 16, result)
    free(data)
    if good:
        return 0
    b = stack(40)
    b_init(b)
    b_text(b, text("could not convert string to float: "))
    b_str_repr(b, s)
    return raise_from(ctx, VALUE_ERROR, b_finish(b))
