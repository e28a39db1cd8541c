"""str: case conversion and classes of characters, for all of Unicode."""

from __future__ import annotations

from scriptmode.abi.objects import STR_DATA, STR_LENGTH, STR_WIDTH
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    ult,
    zext,
)
from scriptmode.runtime.native.builder import b_char, b_init, str_new, unit
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.keys import low_bytes
from scriptmode.runtime.native.reprs import finish
from scriptmode.runtime.native.unicode import (
    ALPHA,
    CASED,
    DECIMAL,
    DIGIT,
    IGNORABLE,
    LOWER,
    NAME_MORE,
    NAME_START,
    NUMERIC,
    PRINTABLE,
    SPACE,
    TITLE,
    TO_FOLDED,
    TO_LOWER,
    TO_TITLE,
    TO_UPPER,
    UPPER,
    has_property,
    map_case,
)

HIGHS = -0x7F7F7F7F7F7F7F80
SIGMA = 0x3A3
FINAL_SIGMA = 0x3C2
SMALL_SIGMA = 0x3C3


@native
def _b_mapped(b: ptr, rows: ptr, c: i64) -> None:
    """Append what a case map makes of a code point."""
    codes = stack(24)
    for i in range(map_case(rows, c, codes)):
        b_char(b, load(i64, codes, i * 8))


@native
def _ends_word(s: ptr, at: i64) -> bool:
    """Whether a sigma at an index is the last letter of its word."""
    i = at - 1
    while i >= 0 and has_property(IGNORABLE, unit(s, i)):
        i -= 1
    if i < 0 or not has_property(CASED, unit(s, i)):
        return False
    n = load(i64, s, STR_LENGTH)
    i = at + 1
    while i < n and has_property(IGNORABLE, unit(s, i)):
        i += 1
    return i == n or not has_property(CASED, unit(s, i))


@native
def _b_lower(b: ptr, s: ptr, at: i64) -> None:
    """Append the lower case of one code point of a str."""
    if unit(s, at) == SIGMA:
        b_char(b, FINAL_SIGMA if _ends_word(s, at) else i64(SMALL_SIGMA))
    else:
        _b_mapped(b, TO_LOWER, unit(s, at))


@native(fast=True)
def _is_ascii(s: ptr) -> bool:
    """Whether all code points are below 128; texts begin at a word and lie in whole words."""
    n = load(i64, s, STR_LENGTH)
    if load(i32, s, STR_WIDTH) != 1:
        return False
    every = i64(0)
    whole = n & -8
    for at in range(0, whole, 8):
        every = every | load(i64, s + at, STR_DATA)
    every = every | (load(i64, s + whole, STR_DATA) & low_bytes(n - whole))
    return every & HIGHS == 0


@native(fast=True)
def _other_case(ctx: ptr, s: ptr, first: i64, result: ptr) -> i32:
    """A str of ASCII with the 26 letters from ``first`` on in the other case."""
    n = load(i64, s, STR_LENGTH)
    r = str_new(n, 1)
    if r == 0:
        return sm_raise_memory_error(ctx)
    for i in range(n):
        c = zext(i64, load(i8, s + i, STR_DATA))
        store(i8, r + i, STR_DATA, i8(c ^ 32 if ult(c - first, 26) else c))
    store(ptr, result, 0, r)
    return 0


@native
def sm_str_lower(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.lower()``."""
    if _is_ascii(s):
        return _other_case(ctx, s, 65, result)
    b = stack(40)
    b_init(b)
    for i in range(load(i64, s, STR_LENGTH)):
        _b_lower(b, s, i)
    return finish(ctx, b, result)


@native
def sm_str_upper(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.upper()``."""
    if _is_ascii(s):
        return _other_case(ctx, s, 97, result)
    b = stack(40)
    b_init(b)
    for i in range(load(i64, s, STR_LENGTH)):
        _b_mapped(b, TO_UPPER, unit(s, i))
    return finish(ctx, b, result)


@native
def sm_str_casefold(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.casefold()``."""
    b = stack(40)
    b_init(b)
    for i in range(load(i64, s, STR_LENGTH)):
        _b_mapped(b, TO_FOLDED, unit(s, i))
    return finish(ctx, b, result)


@native
def sm_str_capitalize(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.capitalize()``."""
    b = stack(40)
    b_init(b)
    for i in range(load(i64, s, STR_LENGTH)):
        if i == 0:
            _b_mapped(b, TO_TITLE, unit(s, i))
        else:
            _b_lower(b, s, i)
    return finish(ctx, b, result)


@native
def sm_str_title(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.title()``."""
    b = stack(40)
    b_init(b)
    inside = False
    for i in range(load(i64, s, STR_LENGTH)):
        if inside:
            _b_lower(b, s, i)
        else:
            _b_mapped(b, TO_TITLE, unit(s, i))
        inside = has_property(CASED, unit(s, i))
    return finish(ctx, b, result)


@native
def sm_str_swapcase(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.swapcase()``."""
    b = stack(40)
    b_init(b)
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if has_property(UPPER, c):
            _b_lower(b, s, i)
        elif has_property(LOWER, c):
            _b_mapped(b, TO_UPPER, c)
        else:
            b_char(b, c)
    return finish(ctx, b, result)


# ---- classes ----


@native
def _all_have(s: ptr, boundaries: ptr, start: i64) -> bool:
    for i in range(start, load(i64, s, STR_LENGTH)):
        if not has_property(boundaries, unit(s, i)):
            return False
    return True


@native
def _answer(truth: bool, result: ptr) -> i32:
    store(i8, result, 0, i8(truth))
    return 0


@native
def _class(s: ptr, boundaries: ptr, result: ptr) -> i32:
    """Whether there are code points and all have a property."""
    return _answer(load(i64, s, STR_LENGTH) > 0 and _all_have(s, boundaries, 0), result)


@native
def sm_str_isalpha(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isalpha()``."""
    return _class(s, ALPHA, result)


@native
def sm_str_isdecimal(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isdecimal()``."""
    return _class(s, DECIMAL, result)


@native
def sm_str_isdigit(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isdigit()``."""
    return _class(s, DIGIT, result)


@native
def sm_str_isnumeric(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isnumeric()``."""
    return _class(s, NUMERIC, result)


@native
def sm_str_isspace(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isspace()``."""
    return _class(s, SPACE, result)


@native
def sm_str_isprintable(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isprintable()``; true for the empty str."""
    return _answer(_all_have(s, PRINTABLE, 0), result)


@native
def sm_str_isascii(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isascii()``; true for the empty str."""
    ascii_only = True
    for i in range(load(i64, s, STR_LENGTH)):
        ascii_only = ascii_only and unit(s, i) < 128
    return _answer(ascii_only, result)


@native
def sm_str_isalnum(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isalnum()``."""
    n = load(i64, s, STR_LENGTH)
    every = n > 0
    for i in range(n):
        c = unit(s, i)
        # decimals and digits are numeric
        every = every and (has_property(ALPHA, c) or has_property(NUMERIC, c))
    return _answer(every, result)


@native
def sm_str_isidentifier(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isidentifier()``."""
    starts = load(i64, s, STR_LENGTH) > 0 and has_property(NAME_START, unit(s, 0))
    return _answer(starts and _all_have(s, NAME_MORE, 1), result)


@native
def _one_case(s: ptr, wanted: ptr, other: ptr, result: ptr) -> i32:
    """Whether there is a ``wanted`` letter and none of the other cases."""
    found = False
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if has_property(other, c) or has_property(TITLE, c):
            return _answer(False, result)
        found = found or has_property(wanted, c)
    return _answer(found, result)


@native
def sm_str_islower(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.islower()``."""
    return _one_case(s, LOWER, UPPER, result)


@native
def sm_str_isupper(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.isupper()``."""
    return _one_case(s, UPPER, LOWER, result)


@native
def sm_str_istitle(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.istitle()``."""
    found = False
    inside = False
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if has_property(UPPER, c) or has_property(TITLE, c):
            if inside:
                return _answer(False, result)
            inside = True
            found = True
        elif has_property(LOWER, c):
            if not inside:
                return _answer(False, result)
            found = True
        else:
            inside = False
    return _answer(found, result)
