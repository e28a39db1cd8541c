"""str: changed copies by ``replace``, ``strip``, ``removeprefix``, padding, ``expandtabs``.

Every method is ``i32 f(ctx, arguments..., result)``; an optional str is null for None.  Case and
character classes are in ``characters``, number formats in ``formats``.
"""

from __future__ import annotations

from scriptmode.abi.objects import STR_LENGTH
from scriptmode.codegen.native import i32, i64, load, native, ptr, srem, stack, text
from scriptmode.runtime.native.builder import (
    b_char,
    b_fill,
    b_finish,
    b_init,
    b_text,
    b_units,
    unit,
)
from scriptmode.runtime.native.errors import TYPE_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.searches import matches_at, search
from scriptmode.runtime.native.substrings import LARGEST, narrowed, own, share, substring
from scriptmode.runtime.native.unicode import is_space


@native
def sm_str_replace(ctx: ptr, s: ptr, old: ptr, new: ptr, count: i64, result: ptr) -> i32:
    """``s.replace(old, new, count)``."""
    n = load(i64, s, STR_LENGTH)
    m = load(i64, old, STR_LENGTH)
    if count < 0:
        count = LARGEST
    b = stack(40)
    b_init(b)
    at = 0
    while count > 0:
        found = search(s, old, at, n)
        if found < 0:
            break
        b_units(b, s, at, found - at)
        b_text(b, new)
        at = found + m
        count -= 1
        if m == 0:
            if at >= n:
                break
            b_char(b, unit(s, at))
            at += 1
    b_units(b, s, at, n - at)
    return _narrow(ctx, b, result)


@native
def _narrow(ctx: ptr, b: ptr, result: ptr) -> i32:
    """Finish a builder that copied whole runs, whose width may be larger than needed."""
    wide = b_finish(b)
    if wide == 0:
        return sm_raise_memory_error(ctx)
    return narrowed(ctx, wide, result)


@native
def _in_set(chars: ptr, c: i64) -> bool:
    if chars == 0:
        return is_space(c)
    for i in range(load(i64, chars, STR_LENGTH)):
        if unit(chars, i) == c:
            return True
    return False


@native
def _strip(ctx: ptr, s: ptr, chars: ptr, left: i64, right: i64, result: ptr) -> i32:
    start = 0
    stop = load(i64, s, STR_LENGTH)
    if left:
        while start < stop and _in_set(chars, unit(s, start)):
            start += 1
    if right:
        while stop > start and _in_set(chars, unit(s, stop - 1)):
            stop -= 1
    return own(ctx, substring(s, start, stop - start), result)


@native
def sm_str_strip(ctx: ptr, s: ptr, chars: ptr, result: ptr) -> i32:
    """``s.strip(chars)``; null strips white space."""
    return _strip(ctx, s, chars, 1, 1, result)


@native
def sm_str_lstrip(ctx: ptr, s: ptr, chars: ptr, result: ptr) -> i32:
    """``s.lstrip(chars)``."""
    return _strip(ctx, s, chars, 1, 0, result)


@native
def sm_str_rstrip(ctx: ptr, s: ptr, chars: ptr, result: ptr) -> i32:
    """``s.rstrip(chars)``."""
    return _strip(ctx, s, chars, 0, 1, result)


@native
def sm_str_removeprefix(ctx: ptr, s: ptr, prefix: ptr, result: ptr) -> i32:
    """``s.removeprefix(prefix)``."""
    n = load(i64, s, STR_LENGTH)
    m = load(i64, prefix, STR_LENGTH)
    if m > n or not matches_at(s, 0, prefix):
        return share(s, result)
    return own(ctx, substring(s, m, n - m), result)


@native
def sm_str_removesuffix(ctx: ptr, s: ptr, suffix: ptr, result: ptr) -> i32:
    """``s.removesuffix(suffix)``."""
    n = load(i64, s, STR_LENGTH)
    m = load(i64, suffix, STR_LENGTH)
    if m > n or not matches_at(s, n - m, suffix):
        return share(s, result)
    return own(ctx, substring(s, 0, n - m), result)


@native
def _pad(ctx: ptr, s: ptr, left: i64, right: i64, fill: ptr, result: ptr) -> i32:
    if load(i64, fill, STR_LENGTH) != 1:
        message = text("The fill character must be exactly one character long")
        return raise_from(ctx, TYPE_ERROR, message)
    if left <= 0 and right <= 0:
        return share(s, result)
    b = stack(40)
    b_init(b)
    b_fill(b, unit(fill, 0), left)
    b_text(b, s)
    b_fill(b, unit(fill, 0), right)
    return own(ctx, b_finish(b), result)


@native
def sm_str_ljust(ctx: ptr, s: ptr, width: i64, fill: ptr, result: ptr) -> i32:
    """``s.ljust(width, fill)``."""
    return _pad(ctx, s, 0, missing(s, width), fill, result)


@native
def sm_str_rjust(ctx: ptr, s: ptr, width: i64, fill: ptr, result: ptr) -> i32:
    """``s.rjust(width, fill)``."""
    return _pad(ctx, s, missing(s, width), 0, fill, result)


@native
def missing(s: ptr, width: i64) -> i64:
    """Code points that are missing to a width."""
    n = load(i64, s, STR_LENGTH)
    return width - n if width > n else i64(0)


@native
def sm_str_center(ctx: ptr, s: ptr, width: i64, fill: ptr, result: ptr) -> i32:
    """``s.center(width, fill)``."""
    pad = missing(s, width)
    left = (pad >> 1) + (pad & width & 1)
    return _pad(ctx, s, left, pad - left, fill, result)


@native
def sm_str_zfill(ctx: ptr, s: ptr, width: i64, result: ptr) -> i32:
    """``s.zfill(width)``."""
    n = load(i64, s, STR_LENGTH)
    sign = 0
    if n > 0 and (unit(s, 0) == 43 or unit(s, 0) == 45):
        sign = 1
    if width <= n:
        return share(s, result)
    b = stack(40)
    b_init(b)
    b_units(b, s, 0, sign)
    b_fill(b, 48, width - n)
    b_units(b, s, sign, n - sign)
    return own(ctx, b_finish(b), result)


@native
def sm_str_expandtabs(ctx: ptr, s: ptr, tabsize: i64, result: ptr) -> i32:
    """``s.expandtabs(tabsize)``."""
    b = stack(40)
    b_init(b)
    column = 0
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if c == 9:
            if tabsize > 0:
                spaces = tabsize - srem(column, tabsize)
                b_fill(b, 32, spaces)
                column += spaces
            continue
        b_char(b, c)
        column += 1
        if c == 10 or c == 13:
            column = 0
    return own(ctx, b_finish(b), result)
