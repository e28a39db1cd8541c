"""``format(x, spec)`` of int, bool, float and str: CPython's format mini-language, errors included.

A parsed spec is a frame of words (``S_...``).  Numbers go through ``_fill_number``, which lays out
padding, sign, prefix, grouped digits and the rest.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_KIND,
    ENUM_TEXT,
    KIND_BOOL,
    KIND_CLASS,
    KIND_COMPLEX,
    KIND_ENUM,
    KIND_FLOAT,
    KIND_INT,
    KIND_NUMBER,
    KIND_STR,
    KIND_TENSOR,
    STR_LENGTH,
    TAG_BOOL,
)
from scriptmode.codegen.native import (
    f64,
    fabs,
    i8,
    i32,
    i64,
    load,
    mul_overflow,
    native,
    ptr,
    stack,
    store,
    text,
    utf8,
    zext,
)
from scriptmode.runtime.native.builder import (
    b_char,
    b_discard,
    b_fill,
    b_finish,
    b_init,
    b_text,
    b_units,
    unit,
)
from scriptmode.runtime.native.digits import (
    b_exponent,
    b_not_finite,
    collect,
    is_finite,
    magnitude,
    shortest_digits,
    sign_bit,
    snprintf,
    strip_zeros,
    unsigned_digits,
)
from scriptmode.runtime.native.errors import (
    NOT_IMPLEMENTED_ERROR,
    OVERFLOW_ERROR,
    TYPE_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.memory import free, malloc, sm_release
from scriptmode.runtime.native.reprs import (
    finish,
    sm_bool_str,
    sm_float_str,
    sm_int_str,
    sm_slot_str,
)
from scriptmode.runtime.native.resolving import V_SLOT, resolve, type_name
from scriptmode.runtime.native.substrings import narrowed, share
from scriptmode.runtime.native.unicode import decimal_value

S_FILL = 0
S_ALIGN = 8
S_SIGN = 16
S_ALTERNATE = 24
S_NO_NEGATIVE_ZERO = 32
S_WIDTH = 40  # -1: none
S_GROUPING = 48  # 0, or the separator
S_PRECISION = 56  # -1: none
S_TYPE = 64  # 0: none
S_BYTES = 72

LESS = 60
EQUALS = 61
GREATER = 62
CARET = 94
COMMA = 44
UNDERSCORE = 95
POINT = 46
ZERO = 48
SPACE = 32
PLUS = 43
MINUS = 45
PERCENT = 37
LARGEST = (1 << 63) - 1


@native
def _is_align(c: i64) -> bool:
    return c in (LESS, EQUALS, GREATER, CARET)


@native
def _peek(spec: ptr, at: i64) -> i64:
    """The code point at an index, or -1 behind the end."""
    return unit(spec, at) if at < load(i64, spec, STR_LENGTH) else i64(-1)


@native
def _number(spec: ptr, at: i64, value: ptr) -> i64:
    """Read decimal digits into ``value`` (-1: none, -2: too many); the index after them."""
    start = at
    total = 0
    overflows = False
    while at < load(i64, spec, STR_LENGTH):
        digit = decimal_value(unit(spec, at))
        if digit < 0:
            break
        product, too_big = mul_overflow(total, 10)
        overflows = overflows or too_big or product > LARGEST - digit
        total = total * 10 + digit
        at += 1
    if overflows:
        total = -2
    elif at == start:
        total = -1
    store(i64, value, 0, total)
    return at


@native
def _fail(ctx: ptr, message: ptr) -> i32:
    return raise_from(ctx, VALUE_ERROR, message)


@native
def _fail_about(ctx: ptr, before: ptr, c: i64, between: ptr, name: ptr, after: ptr) -> i32:
    """Raise ValueError with a quoted character and a name in its text."""
    b = stack(40)
    b_init(b)
    b_text(b, before)
    if c > 32 and c < 128:
        b_char(b, c)
    else:
        b_text(b, text("\\x"))
        buffer = stack(16)
        n = unsigned_digits(buffer, c, 16, 97)
        for i in range(n):
            b_char(b, zext(i64, load(i8, buffer, i)))
    b_text(b, between)
    b_text(b, name)
    b_text(b, after)
    return raise_from(ctx, VALUE_ERROR, b_finish(b))


@native
def _fail_unknown(ctx: ptr, c: i64, type_name: ptr) -> i32:
    middle = text("' for object of type '")
    return _fail_about(ctx, text("Unknown format code '"), c, middle, type_name, text("'"))


@native
def _fail_both(ctx: ptr) -> i32:
    return _fail(ctx, text("Cannot specify both ',' and '_'."))


@native
def _fail_invalid(ctx: ptr, spec: ptr, type_name: ptr) -> i32:
    b = stack(40)
    b_init(b)
    b_text(b, text("Invalid format specifier '"))
    b_text(b, spec)
    b_text(b, text("' for object of type '"))
    b_text(b, type_name)
    b_text(b, text("'"))
    return raise_from(ctx, VALUE_ERROR, b_finish(b))


@native
def _parse(ctx: ptr, spec: ptr, s: ptr, align: i64, default_type: i64, type_name: ptr) -> i32:
    """Parse ``spec`` into ``s``; ``align`` is the type's own alignment."""
    at = 0
    n = load(i64, spec, STR_LENGTH)
    fill_given = False
    align_given = True
    store(i64, s, S_FILL, SPACE)
    store(i64, s, S_ALIGN, align)
    if n >= 2 and _is_align(unit(spec, 1)):
        store(i64, s, S_FILL, unit(spec, 0))
        store(i64, s, S_ALIGN, unit(spec, 1))
        fill_given = True
        at = 2
    elif _is_align(_peek(spec, 0)):
        store(i64, s, S_ALIGN, unit(spec, 0))
        at = 1
    else:
        align_given = False
    store(i64, s, S_SIGN, 0)
    if _peek(spec, at) in (SPACE, PLUS, MINUS):
        store(i64, s, S_SIGN, unit(spec, at))
        at += 1
    negative_zero = _peek(spec, at) == 122
    store(i64, s, S_NO_NEGATIVE_ZERO, i64(negative_zero))
    at += i64(negative_zero)
    alternate = _peek(spec, at) == 35
    store(i64, s, S_ALTERNATE, i64(alternate))
    at += i64(alternate)
    if not fill_given and _peek(spec, at) == ZERO:
        store(i64, s, S_FILL, ZERO)
        if not align_given and align == GREATER:
            store(i64, s, S_ALIGN, EQUALS)
        at += 1
    return _parse_rest(ctx, spec, s, at, default_type, type_name)


@native
def _parse_rest(ctx: ptr, spec: ptr, s: ptr, at: i64, default_type: i64, type_name: ptr) -> i32:
    """Width, grouping, precision and type."""
    n = load(i64, spec, STR_LENGTH)
    at = _number(spec, at, s + S_WIDTH)
    if load(i64, s, S_WIDTH) == -2:
        return _fail(ctx, text("Too many decimal digits in format string"))
    grouping = 0
    if _peek(spec, at) == COMMA:
        grouping = COMMA
        at += 1
    if _peek(spec, at) == UNDERSCORE:
        if grouping != 0:
            return _fail_both(ctx)
        grouping = UNDERSCORE
        at += 1
    if _peek(spec, at) == COMMA and grouping == UNDERSCORE:
        return _fail_both(ctx)
    store(i64, s, S_PRECISION, -1)
    if _peek(spec, at) == POINT:
        at = _number(spec, at + 1, s + S_PRECISION)
        if load(i64, s, S_PRECISION) == -2:
            return _fail(ctx, text("Too many decimal digits in format string"))
        if load(i64, s, S_PRECISION) == -1:
            return _fail(ctx, text("Format specifier missing precision"))
    if n - at > 1:
        return _fail_invalid(ctx, spec, type_name)
    kind = default_type
    if n - at == 1:
        kind = unit(spec, at)
    store(i64, s, S_TYPE, kind)
    store(i64, s, S_GROUPING, grouping)
    if grouping != 0 and not _may_group(kind, grouping):
        sep = text("Cannot specify ',' with '")
        if grouping == UNDERSCORE:
            sep = text("Cannot specify '_' with '")
        return _fail_about(ctx, sep, kind, text("'."), text(""), text(""))
    return 0


@native
def _may_group(kind: i64, grouping: i64) -> bool:
    """Whether a type (``d e f g E G % F``, none; with ``_`` also ``b o x X``) takes groups."""
    if kind in (100, 101, 102, 103, 69, 71, PERCENT, 70, 0):
        return True
    return grouping == UNDERSCORE and kind in (98, 111, 120, 88)


@native
def _grouped(digits: ptr, first: i64, count: i64, width: i64, separator: i64, size: i64) -> ptr:
    """Digits of a str in groups, zeros in front up to a width: an owned str, backwards."""
    b = stack(40)
    b_init(b)
    left = count
    use = False
    while left > 0 or width > 0:
        group = size
        if group > left and group > width:
            group = left if left > width else width
        if use:
            b_char(b, separator)
        for _ in range(group):
            c = i64(ZERO)
            if left > 0:
                left -= 1
                c = unit(digits, first + left)
            b_char(b, c)
        width -= group
        if left <= 0 and width <= 0:
            break
        width -= 1
        use = True
        if left <= 0 and width <= 0:
            # the separator alone filled the width: one more digit keeps it inside the number
            width = 1
    return b_finish(b)


@native
def _fill_number(
    ctx: ptr, s: ptr, sign: i64, prefix: i64, body: ptr, n_digits: i64, result: ptr
) -> i32:
    """Lay out a number: ``body`` is owned, its first ``n_digits`` code points are digits."""
    mark = i64(0)
    if sign < 0:
        mark = MINUS
    elif load(i64, s, S_SIGN) in (PLUS, SPACE):
        mark = load(i64, s, S_SIGN)
    n = load(i64, body, STR_LENGTH)
    around = i64(mark != 0) + (i64(2) if prefix != 0 else i64(0)) + (n - n_digits)
    width = load(i64, s, S_WIDTH)
    align = load(i64, s, S_ALIGN)
    fill = load(i64, s, S_FILL)
    digits_width = 0
    if fill == ZERO and align == EQUALS:
        digits_width = width - around
    size = i64(LARGEST)
    separator = load(i64, s, S_GROUPING)
    if separator != 0:
        size = 4 if load(i64, s, S_TYPE) in (98, 111, 120, 88) else i64(3)
    if n_digits == 0:
        digits_width = 0
    groups = _grouped(body, 0, n_digits, digits_width, separator, size)
    if groups == 0:
        sm_release(body)
        return sm_raise_memory_error(ctx)
    n_groups = load(i64, groups, STR_LENGTH)
    padding = width - around - n_groups
    if padding < 0:
        padding = 0
    left = 0
    if align == GREATER:
        left = padding
    elif align == CARET:
        left = padding >> 1
    b = stack(40)
    b_init(b)
    b_fill(b, fill, left)
    if mark != 0:
        b_char(b, mark)
    if prefix != 0:
        b_char(b, ZERO)
        b_char(b, prefix)
    if align == EQUALS:
        b_fill(b, fill, padding)
    for i in range(n_groups):
        b_char(b, unit(groups, n_groups - 1 - i))
    b_units(b, body, n_digits, n - n_digits)
    if align in (LESS, CARET):
        b_fill(b, fill, padding - left)
    sm_release(groups)
    sm_release(body)
    return finish(ctx, b, result)


# ---- int ----


@native
def _base_of(kind: i64) -> i64:
    """The base of a presentation type; 0 if it is none of ints."""
    if kind == 98:
        return 2
    if kind == 111:
        return 8
    if kind in (120, 88):
        return 16
    return 10 if kind in (100, 110) else i64(0)


@native
def _int_format(ctx: ptr, value: i64, spec: ptr, type_name: ptr, result: ptr) -> i32:
    s = stack(S_BYTES)
    if _parse(ctx, spec, s, GREATER, 100, type_name):
        return 1
    kind = load(i64, s, S_TYPE)
    if kind in (101, 69, 102, 70, 103, 71, PERCENT):
        return _float_format(ctx, f64(value), s, result)
    base = _base_of(kind)
    if base == 0 and kind != 99:
        return _fail_unknown(ctx, kind, type_name)
    if load(i64, s, S_PRECISION) != -1:
        return _fail(ctx, text("Precision not allowed in integer format specifier"))
    if load(i64, s, S_NO_NEGATIVE_ZERO) != 0:
        message = text("Negative zero coercion (z) not allowed in integer format specifier")
        return _fail(ctx, message)
    b = stack(40)
    b_init(b)
    if kind == 99:
        return _char_format(ctx, value, s, b, result)
    buffer = stack(72)
    letters = i64(65) if kind == 88 else i64(97)
    n = unsigned_digits(buffer, magnitude(value), base, letters)
    for i in range(n):
        b_char(b, zext(i64, load(i8, buffer, i)))
    body = b_finish(b)
    if body == 0:
        return sm_raise_memory_error(ctx)
    prefix = i64(0)
    if load(i64, s, S_ALTERNATE) != 0 and base != 10:
        prefix = kind
    return _fill_number(ctx, s, i64(-1) if value < 0 else 1, prefix, body, n, result)


@native
def _char_format(ctx: ptr, value: i64, s: ptr, b: ptr, result: ptr) -> i32:
    """Type ``c``."""
    if load(i64, s, S_SIGN) != 0:
        return _fail(ctx, text("Sign not allowed with integer format specifier 'c'"))
    if load(i64, s, S_ALTERNATE) != 0:
        message = text("Alternate form (#) not allowed with integer format specifier 'c'")
        return _fail(ctx, message)
    if value < 0 or value > 0x10FFFF:
        return raise_from(ctx, OVERFLOW_ERROR, text("%c arg not in range(0x110000)"))
    b_char(b, value)
    body = b_finish(b)
    if body == 0:
        return sm_raise_memory_error(ctx)
    return _fill_number(ctx, s, 1, 0, body, 0, result)


@native
def sm_int_format(ctx: ptr, value: i64, spec: ptr, result: ptr) -> i32:
    """``format(value, spec)``."""
    if load(i64, spec, STR_LENGTH) == 0:
        return sm_int_str(ctx, value, result)
    return _int_format(ctx, value, spec, text("int"), result)


@native
def sm_bool_format(ctx: ptr, value: i8, spec: ptr, result: ptr) -> i32:
    """``format(value, spec)``: an int's unless the spec is empty."""
    if load(i64, spec, STR_LENGTH) == 0:
        return sm_bool_str(ctx, value, result)
    return _int_format(ctx, zext(i64, value), spec, text("bool"), result)


@native
def _in_base(ctx: ptr, value: i64, base: i64, letter: i64, result: ptr) -> i32:
    """``hex``, ``oct``, ``bin``."""
    buffer = stack(72)
    b = stack(40)
    b_init(b)
    if value < 0:
        b_char(b, MINUS)
    b_char(b, ZERO)
    b_char(b, letter)
    for i in range(unsigned_digits(buffer, magnitude(value), base, 97)):
        b_char(b, zext(i64, load(i8, buffer, i)))
    return finish(ctx, b, result)


@native
def sm_int_hex(ctx: ptr, value: i64, result: ptr) -> i32:
    """``hex(value)``."""
    return _in_base(ctx, value, 16, 120, result)


@native
def sm_int_oct(ctx: ptr, value: i64, result: ptr) -> i32:
    """``oct(value)``."""
    return _in_base(ctx, value, 8, 111, result)


@native
def sm_int_bin(ctx: ptr, value: i64, result: ptr) -> i32:
    """``bin(value)``."""
    return _in_base(ctx, value, 2, 98, result)


# ---- float ----


@native
def _fixed_digits(buffer: ptr, digits: ptr, count: ptr) -> i64:
    """Digits and point position of printf's ``%f``, without zeros at both ends."""
    n = 0
    point = 0
    seen_point = False
    i = 0
    while load(i8, buffer, i) != 0:
        c = zext(i64, load(i8, buffer, i))
        if c >= 48 and c <= 57:
            if n == 0 and c == ZERO:
                point -= i64(seen_point)
            else:
                store(i8, digits, n, i8(c))
                n += 1
                point += i64(not seen_point)
        else:
            seen_point = True
        i += 1
    if n == 0:
        store(i8, digits, 0, ZERO)
        n = 1
        point = 1
    store(i64, count, 0, strip_zeros(digits, n))
    return point


@native
def _lay_digits(b: ptr, digits: ptr, n: i64, point: i64, end: i64, alternate: i64) -> None:
    """Append digits up to position ``end``, zeros where there are none, and the decimal point."""
    start = point - 1 if point <= 0 else i64(0)
    for i in range(start, end):
        if i == point:
            b_char(b, POINT)
        c = i64(ZERO)
        if i >= 0 and i < n:
            c = zext(i64, load(i8, digits, i))
        b_char(b, c)
    if end == point and alternate:
        b_char(b, POINT)


@native
def _b_float(b: ptr, x: f64, kind: i64, precision: i64, alternate: i64, add_zero: i64) -> i64:
    """Append a finite magnitude in form ``e f g r E G``; 0 without memory, 2 if all zeros."""
    lower = kind | 32
    count = stack(8)
    digits = malloc(precision + 800)
    buffer = malloc(precision + 800)
    if digits == 0 or buffer == 0:
        free(digits)
        free(buffer)
        return 0
    point = i64(0)
    if lower == 114:
        point = shortest_digits(x, digits, count)
    elif lower == 102:
        snprintf(buffer, precision + 800, utf8("%.*f"), i32(precision), x)
        point = _fixed_digits(buffer, digits, count)
    else:
        if lower == 103 and precision == 0:
            precision = 1
        shown = precision - 1 if lower == 103 else precision
        snprintf(buffer, precision + 800, utf8("%.*e"), i32(shown), x)
        point = collect(buffer, digits, count)
        store(i64, count, 0, strip_zeros(digits, load(i64, count)))
    n = load(i64, count)
    if x == 0.0:
        point = 1
    end = n
    use_exponent = lower == 101
    if lower == 101:
        end = precision + 1
    elif lower == 102:
        end = point + precision
    elif lower == 103:
        use_exponent = point <= -4 or point > precision - add_zero
        if alternate:
            end = precision
    else:
        use_exponent = point <= -4 or point > 16
    exponent = point - 1
    if use_exponent:
        point = 1
    least = point + i64(add_zero != 0 and not use_exponent)
    if end < least:
        end = least
    all_zero = n == 1 and load(i8, digits) == ZERO
    _lay_digits(b, digits, n, point, end, alternate)
    if use_exponent:
        b_exponent(b, exponent, i64(101) if kind & 32 else i64(69))
    free(digits)
    free(buffer)
    return 2 if all_zero else 1


@native
def _float_format(ctx: ptr, x: f64, s: ptr, result: ptr) -> i32:
    """Format by a parsed spec."""
    kind = load(i64, s, S_TYPE)
    precision = load(i64, s, S_PRECISION)
    if precision > 2147483647:
        return _fail(ctx, text("precision too big"))
    percent = kind == PERCENT
    add_zero = i64(kind == 0)
    if percent:
        x = x * 100.0
        kind = 102
    if kind == 110:
        kind = 103
    if kind == 0:
        kind = 114 if precision < 0 else i64(103)
    if precision < 0:
        precision = 6
    b = stack(40)
    b_init(b)
    sign = i64(sign_bit(x) and x == x)
    if is_finite(x):
        alternate = load(i64, s, S_ALTERNATE)
        outcome = _b_float(b, fabs(x), kind, precision, alternate, add_zero)
        if outcome == 0:
            b_discard(b)
            return sm_raise_memory_error(ctx)
        if outcome == 2 and load(i64, s, S_NO_NEGATIVE_ZERO) != 0:
            sign = 0
    else:
        b_not_finite(b, x, i64(kind & 32 == 0))
    if percent:
        b_char(b, PERCENT)
    body = b_finish(b)
    if body == 0:
        return sm_raise_memory_error(ctx)
    n = 0
    while _peek(body, n) >= 48 and _peek(body, n) <= 57:
        n += 1
    return _fill_number(ctx, s, 0 - sign, 0, body, n, result)


@native
def sm_float_format(ctx: ptr, x: f64, spec: ptr, result: ptr) -> i32:
    """``format(x, spec)``."""
    if load(i64, spec, STR_LENGTH) == 0:
        return sm_float_str(ctx, x, result)
    s = stack(S_BYTES)
    if _parse(ctx, spec, s, GREATER, 0, text("float")):
        return 1
    kind = load(i64, s, S_TYPE)
    known = kind in (0, 101, 69, 102, 70, 103, 71, 110, PERCENT)
    if not known:
        return _fail_unknown(ctx, kind, text("float"))
    return _float_format(ctx, x, s, result)


# ---- str ----


@native
def sm_str_format(ctx: ptr, value: ptr, spec: ptr, result: ptr) -> i32:
    """``format(value, spec)``."""
    if load(i64, spec, STR_LENGTH) == 0:
        return share(value, result)
    s = stack(S_BYTES)
    if _parse(ctx, spec, s, LESS, 115, text("str")):
        return 1
    if load(i64, s, S_TYPE) != 115:
        return _fail_unknown(ctx, load(i64, s, S_TYPE), text("str"))
    if load(i64, s, S_SIGN) != 0:
        if load(i64, s, S_SIGN) == SPACE:
            return _fail(ctx, text("Space not allowed in string format specifier"))
        return _fail(ctx, text("Sign not allowed in string format specifier"))
    if load(i64, s, S_NO_NEGATIVE_ZERO) != 0:
        message = text("Negative zero coercion (z) not allowed in string format specifier")
        return _fail(ctx, message)
    if load(i64, s, S_ALTERNATE) != 0:
        message = text("Alternate form (#) not allowed in string format specifier")
        return _fail(ctx, message)
    if load(i64, s, S_ALIGN) == EQUALS:
        return _fail(ctx, text("'=' alignment not allowed in string format specifier"))
    n = load(i64, value, STR_LENGTH)
    precision = load(i64, s, S_PRECISION)
    if precision >= 0 and precision < n:
        n = precision
    padding = load(i64, s, S_WIDTH) - n
    if padding < 0:
        padding = 0
    left = 0
    if load(i64, s, S_ALIGN) == GREATER:
        left = padding
    elif load(i64, s, S_ALIGN) == CARET:
        left = padding >> 1
    b = stack(40)
    b_init(b)
    b_fill(b, load(i64, s, S_FILL), left)
    b_units(b, value, 0, n)
    b_fill(b, load(i64, s, S_FILL), padding - left)
    wide = b_finish(b)
    if wide == 0:
        return sm_raise_memory_error(ctx)
    return narrowed(ctx, wide, result)


# ---- any value ----


@native
def sm_slot_format(ctx: ptr, slot: ptr, descriptor: ptr, spec: ptr, result: ptr) -> i32:
    """``format(x, spec)``; types without a mini-language take the empty spec only."""
    if load(i64, spec, STR_LENGTH) == 0:
        return sm_slot_str(ctx, slot, descriptor, result)
    v = stack(24)
    kind = resolve(v, slot, descriptor)
    s = load(ptr, v, V_SLOT)
    if kind == KIND_INT:
        number = load(i64, descriptor, DESC_KIND) == KIND_NUMBER
        name = text("bool") if number and load(i64, slot) == TAG_BOOL else text("int")
        return _int_format(ctx, load(i64, s), spec, name, result)
    if kind == KIND_BOOL:
        return sm_bool_format(ctx, load(i8, s), spec, result)
    if kind == KIND_FLOAT:
        return sm_float_format(ctx, load(f64, s), spec, result)
    if kind == KIND_STR:
        return sm_str_format(ctx, load(ptr, s), spec, result)
    if kind == KIND_ENUM:
        return sm_str_format(ctx, load(ptr, load(ptr, s), ENUM_TEXT), spec, result)
    if kind in (KIND_COMPLEX, KIND_TENSOR, KIND_CLASS):
        message = text("formatting this type with a format spec is not supported")
        return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)
    b = stack(40)
    b_init(b)
    b_text(b, text("unsupported format string passed to "))
    b_text(b, type_name(v))
    b_text(b, text(".__format__"))
    return raise_from(ctx, TYPE_ERROR, b_finish(b))
