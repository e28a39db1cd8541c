"""Hand over strs: an owned one, an argument itself, a part of one, the narrowest form of one.

Strs are never changed, so a function may return its argument, retained; a str of one code point
below ``N_CHARACTERS`` is one of the immortal ``sm_characters``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CHARACTER_SIZE,
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    IMMORTAL,
    N_CHARACTERS,
    STR_DATA,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import cell, i32, i64, load, native, ptr, store, zext
from scriptmode.runtime.native.builder import (
    DESC_STR,
    copy_units,
    put_unit,
    str_new,
    unit,
    width_of,
)
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.memory import sm_release, sm_retain

LARGEST = (1 << 63) - 1
# immortal strs of one code point, for the first ones
sm_characters = cell("sm_characters", N_CHARACTERS * CHARACTER_SIZE)


@native
def sm_make_characters() -> None:
    """Make the strs of one code point; once, when the library is loaded."""
    for c in range(N_CHARACTERS):
        s = sm_characters + c * CHARACTER_SIZE
        store(i64, s, HEAP_COUNT, IMMORTAL)
        store(ptr, s, HEAP_DESCRIPTOR, DESC_STR)
        store(i64, s, STR_LENGTH, 1)
        store(i64, s, STR_WIDTH, 1)
        store(i64, s, STR_DATA, c)


@native
def own(ctx: ptr, s: ptr, result: ptr) -> i32:
    """Hand over an owned str; MemoryError when it is null."""
    if s == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, s)
    return 0


@native
def share(s: ptr, result: ptr) -> i32:
    """Return an argument itself."""
    sm_retain(s)
    store(ptr, result, 0, s)
    return 0


@native(fast=True)
def substring(s: ptr, start: i64, count: i64) -> ptr:
    """An owned str of ``count`` code points from ``start``; null when there is no memory."""
    if count == 1:
        c = unit(s, start)
        if c < N_CHARACTERS:
            return sm_characters + c * CHARACTER_SIZE
    if count == load(i64, s, STR_LENGTH):
        sm_retain(s)
        return s
    width = i64(1)
    if zext(i64, load(i32, s, STR_WIDTH)) > 1:
        widest = 0
        for i in range(start, start + count):
            c = unit(s, i)
            if c > widest:
                widest = c
        width = width_of(widest)
    r = str_new(count, width)
    if r != 0:
        if width == zext(i64, load(i32, s, STR_WIDTH)):
            copy_units(r, width, 0, s, start, count)
        else:
            for i in range(count):
                put_unit(r, width, i, unit(s, start + i))
    return r


@native
def minimum(a: i64, b: i64) -> i64:
    """The smaller one."""
    return a if a < b else b


@native
def narrowed(ctx: ptr, wide: ptr, result: ptr) -> i32:
    """Hand over an owned str in its smallest width."""
    width = zext(i64, load(i32, wide, STR_WIDTH))
    n = load(i64, wide, STR_LENGTH)
    widest = 0
    if width > 1:
        for i in range(n):
            c = unit(wide, i)
            if c > widest:
                widest = c
    if width_of(widest) == width:
        store(ptr, result, 0, wide)
        return 0
    s = str_new(n, width_of(widest))
    if s != 0:
        for i in range(n):
            put_unit(s, width_of(widest), i, unit(wide, i))
    sm_release(wide)
    return own(ctx, s, result)
