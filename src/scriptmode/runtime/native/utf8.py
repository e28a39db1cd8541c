"""Make strs of UTF-8, UTF-32 and CPython's code units, and write them as UTF-8."""

from __future__ import annotations

from scriptmode.abi.objects import STR_LENGTH
from scriptmode.codegen.native import i8, i32, i64, load, native, ptr, stack, store, zext
from scriptmode.runtime.native.builder import b_char, b_finish, b_init, str_from_units, unit
from scriptmode.runtime.native.memory import malloc
from scriptmode.runtime.native.substrings import own


@native
def sm_str_from_utf32(ctx: ptr, data: ptr, n: i64, result: ptr) -> i32:
    """A str of 32-bit code points."""
    return own(ctx, str_from_units(data, n, 4), result)


@native
def sm_str_from_units(ctx: ptr, data: ptr, n: i64, width: i64, result: ptr) -> i32:
    """A str of code units of 1, 2 or 4 bytes, as CPython stores them."""
    return own(ctx, str_from_units(data, n, width), result)


@native
def _continuation(data: ptr, at: i64) -> i64:
    return zext(i64, load(i8, data, at)) & 63


@native
def sm_str_from_utf8(ctx: ptr, data: ptr, n: i64, result: ptr) -> i32:
    """A str of valid UTF-8; encoded surrogates are taken as they are."""
    b = stack(40)
    b_init(b)
    i = 0
    while i < n:
        c = zext(i64, load(i8, data, i))
        if c < 0x80:
            i += 1
        elif c < 0xE0:
            c = (c & 31) << 6 | _continuation(data, i + 1)
            i += 2
        elif c < 0xF0:
            c = (c & 15) << 12 | _continuation(data, i + 1) << 6 | _continuation(data, i + 2)
            i += 3
        else:
            c = (c & 7) << 18 | _continuation(data, i + 1) << 12
            c = c | _continuation(data, i + 2) << 6 | _continuation(data, i + 3)
            i += 4
        b_char(b, c)
    return own(ctx, b_finish(b), result)


@native
def sm_utf8_length(s: ptr) -> i64:
    """Bytes of the UTF-8 form, the final zero not counted."""
    total = 0
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        total += i64(1) if c < 0x80 else i64(2) if c < 0x800 else i64(3) if c < 65536 else i64(4)
    return total


@native
def sm_utf8_write(s: ptr, target: ptr) -> None:
    """Write the UTF-8 form and a final zero."""
    for i in range(load(i64, s, STR_LENGTH)):
        c = unit(s, i)
        if c < 0x80:
            store(i8, target, 0, i8(c))
            target = target + 1
            continue
        rest = i64(1) if c < 0x800 else i64(2) if c < 65536 else i64(3)
        lead = i64(0xC0) if rest == 1 else i64(0xE0) if rest == 2 else i64(0xF0)
        store(i8, target, 0, i8(lead | c >> (rest * 6)))
        for k in range(rest):
            store(i8, target, k + 1, i8(0x80 | ((c >> ((rest - 1 - k) * 6)) & 63)))
        target = target + rest + 1
    store(i8, target, 0, 0)


@native
def sm_str_to_utf8(s: ptr) -> ptr:
    """The NUL-terminated UTF-8 form, to be freed by ``sm_free``; null without memory."""
    target = malloc(sm_utf8_length(s) + 1)
    if target != 0:
        sm_utf8_write(s, target)
    return target
