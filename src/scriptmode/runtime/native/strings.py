"""str: length, access, ``+``, ``*``, comparison, ``ord`` and ``chr``.

Every function is ``i32 f(ctx, arguments..., result)``; an optional int is ``has_x, x``.  Searches
are in ``searches``, ``split`` and ``join`` in ``splitting``, changed copies in ``edits``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CHARACTER_SIZE,
    HEAP_COUNT,
    N_CHARACTERS,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_ROOM,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    mul_overflow,
    native,
    ptr,
    stack,
    store,
    text,
    ult,
    zext,
)
from scriptmode.runtime.native.allocation import malloc_usable_size, reallocate
from scriptmode.runtime.native.builder import (
    b_char,
    b_finish,
    b_init,
    b_text,
    copy_units,
    put_unit,
    str_new,
    unit,
)
from scriptmode.runtime.native.digits import b_int
from scriptmode.runtime.native.equality import sm_str_equal
from scriptmode.runtime.native.errors import (
    INDEX_ERROR,
    OVERFLOW_ERROR,
    TYPE_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.list_slices import slice_bounds
from scriptmode.runtime.native.memory import sm_release
from scriptmode.runtime.native.quick import sm_hash_str, sm_str_compare
from scriptmode.runtime.native.substrings import minimum, own, share, sm_characters, substring

LARGEST_ROOM = (1 << 31) - 1  # that a str notes; where there is more it is asked for again


@native
def sm_str_len(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``len(s)``."""
    store(i64, result, 0, load(i64, s, STR_LENGTH))
    return 0


@native
def sm_str_bool(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``bool(s)``."""
    store(i8, result, 0, i8(load(i64, s, STR_LENGTH) != 0))
    return 0


@native
def sm_str_hash(ctx: ptr, s: ptr, result: ptr) -> i32:
    """A hash for dicts, not CPython's."""
    store(i64, result, 0, sm_hash_str(s))
    return 0


@native
def sm_bytes_getitem(ctx: ptr, s: ptr, index: i64, result: ptr) -> i32:
    """``s[index]`` of bytes."""
    n = load(i64, s, STR_LENGTH)
    if index < 0:
        index = index + n
    if index < 0 or index >= n:
        return raise_from(ctx, INDEX_ERROR, text("index out of range"))
    store(i64, result, 0, unit(s, index))
    return 0


@native(fast=True)
def sm_str_getitem(ctx: ptr, s: ptr, index: i64, result: ptr) -> i32:
    """``s[index]``."""
    n = load(i64, s, STR_LENGTH)
    if index < 0:
        index += n
    if not ult(index, n):
        return raise_from(ctx, INDEX_ERROR, text("string index out of range"))
    c = unit(s, index)
    if c < N_CHARACTERS:
        store(ptr, result, 0, sm_characters + c * CHARACTER_SIZE)
        return 0
    return own(ctx, substring(s, index, 1), result)


@native
def sm_str_slice(
    ctx: ptr,
    s: ptr,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    has_step: i8,
    step: i64,
    result: ptr,
) -> i32:
    """``s[start:stop:step]``."""
    bounds = stack(32)
    n = load(i64, s, STR_LENGTH)
    if slice_bounds(ctx, n, has_start, start, has_stop, stop, has_step, step, bounds):
        return 1
    first = load(i64, bounds, 0)
    by = load(i64, bounds, 16)
    count = load(i64, bounds, 24)
    if by == 1:
        return own(ctx, substring(s, first, count), result)
    if load(i32, s, STR_WIDTH) == 1:
        r = str_new(count, 1)
        if r != 0:
            for i in range(count):
                store(i8, r + i, STR_DATA, load(i8, s + (first + i * by), STR_DATA))
        return own(ctx, r, result)
    b = stack(40)
    b_init(b)
    for i in range(count):
        b_char(b, unit(s, first + i * by))
    return own(ctx, b_finish(b), result)


@native(fast=True)
def sm_str_concat(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a + b``."""
    n = load(i64, a, STR_LENGTH)
    m = load(i64, b, STR_LENGTH)
    if m == 0:
        return share(a, result)
    if n == 0:
        return share(b, result)
    wa = zext(i64, load(i32, a, STR_WIDTH))
    wb = zext(i64, load(i32, b, STR_WIDTH))
    width = wa if wa > wb else wb
    r = str_new(n + m, width)
    if r != 0:
        copy_units(r, width, 0, a, 0, n)
        copy_units(r, width, n, b, 0, m)
    return own(ctx, r, result)


@native(fast=True)
def sm_str_append(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a + b`` where ``a`` is handed over: in its own memory when nothing else refers to it."""
    n = load(i64, a, STR_LENGTH)
    m = load(i64, b, STR_LENGTH)
    width = zext(i64, load(i32, a, STR_WIDTH))
    if load(i64, a, HEAP_COUNT) != 1 or zext(i64, load(i32, b, STR_WIDTH)) > width or n == 0:
        status = sm_str_concat(ctx, a, b, result)
        sm_release(a)
        return status
    room = zext(i64, load(i32, a, STR_ROOM))
    if m > room:
        needed = STR_DATA + (n + m + 1) * width
        size = malloc_usable_size(a)
        if needed > size:
            # by a half more, so that appending n times copies O(n)
            size = needed + (needed >> 1)
            moved = reallocate(a, STR_DATA + n * width, size)
            if moved == 0:
                sm_release(a)
                return sm_raise_memory_error(ctx)
            a = moved
        room = minimum(lshr(size - STR_DATA, width >> 1) - 1 - n, LARGEST_ROOM)
        room = room if room > m else m
    if m == 1:
        put_unit(a, width, n, unit(b, 0))
    else:
        copy_units(a, width, n, b, 0, m)
    put_unit(a, width, n + m, 0)
    store(i64, a, STR_LENGTH, n + m)
    store(i64, a, STR_HASH, 0)
    store(i32, a, STR_ROOM, i32(room - m))
    store(ptr, result, 0, a)
    return 0


@native
def sm_str_repeat(ctx: ptr, s: ptr, times: i64, result: ptr) -> i32:
    """``s * times``."""
    n = load(i64, s, STR_LENGTH)
    if times < 0:
        times = 0
    total, too_long = mul_overflow(n, times)
    if too_long:
        return raise_from(ctx, OVERFLOW_ERROR, text("repeated string is too long"))
    if times == 1:
        return share(s, result)
    width = zext(i64, load(i32, s, STR_WIDTH)) if total > 0 else i64(1)
    r = str_new(total, width)
    if r != 0:
        for i in range(times if n > 0 else i64(0)):
            memcpy(r + STR_DATA + i * n * width, s + STR_DATA, n * width)
    return own(ctx, r, result)


@native
def sm_str_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b``."""
    store(i8, result, 0, sm_str_equal(a, b))
    return 0


@native
def sm_str_ne(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a != b``."""
    store(i8, result, 0, 1 - sm_str_equal(a, b))
    return 0


@native
def sm_str_lt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a < b``."""
    store(i8, result, 0, i8(sm_str_compare(a, b) < 0))
    return 0


@native
def sm_str_le(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a <= b``."""
    store(i8, result, 0, i8(sm_str_compare(a, b) <= 0))
    return 0


@native
def sm_str_gt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a > b``."""
    store(i8, result, 0, i8(sm_str_compare(a, b) > 0))
    return 0


@native
def sm_str_ge(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a >= b``."""
    store(i8, result, 0, i8(sm_str_compare(a, b) >= 0))
    return 0


@native
def sm_str_ord(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``ord(s)``."""
    if load(i64, s, STR_LENGTH) != 1:
        b = stack(40)
        b_init(b)
        b_text(b, text("ord() expected a character, but string of length "))
        b_int(b, load(i64, s, STR_LENGTH))
        b_text(b, text(" found"))
        return raise_from(ctx, TYPE_ERROR, b_finish(b))
    store(i64, result, 0, unit(s, 0))
    return 0


@native
def sm_int_chr(ctx: ptr, c: i64, result: ptr) -> i32:
    """``chr(c)``."""
    if c > 2147483647 or c < -2147483648:
        message = text("Python int too large to convert to C int")
        return raise_from(ctx, OVERFLOW_ERROR, message)
    if c < 0 or c > 0x10FFFF:
        return raise_from(ctx, VALUE_ERROR, text("chr() arg not in range(0x110000)"))
    if c < N_CHARACTERS:
        return share(sm_characters + c * CHARACTER_SIZE, result)
    b = stack(40)
    b_init(b)
    b_char(b, c)
    return own(ctx, b_finish(b), result)
