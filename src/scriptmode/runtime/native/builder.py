"""Make strings: new str objects, and a builder that grows and widens as code points arrive.

A builder is 40 bytes of the caller's stack.  Its buffer already is the str object to be, so
``b_finish`` copies nothing.  When memory ends the builder remembers it: ``b_finish`` gives null.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    external,
    i8,
    i16,
    i32,
    i64,
    load,
    memcpy,
    native,
    ptr,
    stack,
    store,
    ult,
    zext,
)
from scriptmode.runtime.native.allocation import allocate
from scriptmode.runtime.native.memory import count_objects, free, realloc

DESC_STR = external("desc.str")

B_OBJECT = 0
B_LENGTH = 8
B_CAPACITY = 16
B_WIDTH = 24
B_FAILED = 32
MAX_UNITS = 1 << 58


@native(fast=True)
def str_new(length: i64, width: i64) -> ptr:
    """A str with undefined code points; null when there is no memory."""
    if not ult(length, MAX_UNITS):
        return ptr(0)
    s = allocate(STR_DATA + (length + 1) * width)
    if s != 0:
        _finish_header(s, length, width)
    return s


@native
def _finish_header(s: ptr, length: i64, width: i64) -> None:
    store(i64, s, HEAP_COUNT, 1)
    store(ptr, s, HEAP_DESCRIPTOR, DESC_STR)
    store(i64, s, STR_LENGTH, length)
    store(i64, s, STR_HASH, 0)
    store(i64, s, STR_WIDTH, width)
    put_unit(s, width, length, 0)
    count_objects(1)


@native
def unit(s: ptr, index: i64) -> i64:
    """The code point at an index that is inside (or the zero after the last)."""
    width = zext(i64, load(i32, s, STR_WIDTH))
    if width == 1:
        return zext(i64, load(i8, s, STR_DATA + index))
    if width == 2:
        return zext(i64, load(i16, s, STR_DATA + index * 2))
    return zext(i64, load(i32, s, STR_DATA + index * 4))


@native
def put_unit(s: ptr, width: i64, index: i64, c: i64) -> None:
    """Write a code point that fits the width."""
    if width == 1:
        store(i8, s, STR_DATA + index, i8(c))
    elif width == 2:
        store(i16, s, STR_DATA + index * 2, i16(c))
    else:
        store(i32, s, STR_DATA + index * 4, i32(c))


@native(inline=True)
def width_of(c: i64) -> i64:
    """The smallest width that holds a code point."""
    return i64(1) if c < 256 else i64(2) if c < 65536 else i64(4)


@native(fast=True)
def copy_units(target: ptr, width: i64, at: i64, source: ptr, start: i64, count: i64) -> None:
    """Copy code points into a str of at least the source's width."""
    own = zext(i64, load(i32, source, STR_WIDTH))
    if own == width:
        memcpy(target + STR_DATA + at * width, source + STR_DATA + start * width, count * width)
        return
    for i in range(count):
        put_unit(target, width, at + i, unit(source, start + i))


@native
def b_init(b: ptr) -> None:
    """An empty builder."""
    store(ptr, b, B_OBJECT, ptr(0))
    store(i64, b, B_LENGTH, 0)
    store(i64, b, B_CAPACITY, 0)
    store(i64, b, B_WIDTH, 1)
    store(i64, b, B_FAILED, 0)


@native(noinline=True)
def _grow(b: ptr, needed: i64, width: i64) -> i64:
    """Make room for ``needed`` units of ``width``; 0 when there is no memory."""
    if load(i64, b, B_FAILED) != 0:
        return 0
    old = load(i64, b, B_WIDTH)
    capacity = load(i64, b, B_CAPACITY)
    obj = load(ptr, b, B_OBJECT)
    if needed > capacity or width > old:
        if needed > capacity:
            capacity = needed + (needed >> 1) + 16
        if width < old:
            width = old
        moved = ptr(0)
        if needed < MAX_UNITS:
            size = STR_DATA + (capacity + 1) * width
            moved = allocate(size) if obj == 0 else realloc(obj, size)
        if moved == 0:
            b_discard(b)
            store(i64, b, B_FAILED, 1)
            return 0
        obj = moved
        if width > old:
            store(i64, obj, STR_WIDTH, old)
            for i in range(load(i64, b, B_LENGTH) - 1, -1, -1):
                put_unit(obj, width, i, unit(obj, i))
            store(i64, b, B_WIDTH, width)
        store(ptr, b, B_OBJECT, obj)
        store(i64, b, B_CAPACITY, capacity)
    return 1


@native
def b_discard(b: ptr) -> None:
    """Free what was built."""
    free(load(ptr, b, B_OBJECT))
    b_init(b)


@native
def b_char(b: ptr, c: i64) -> None:
    """Append a code point."""
    n = load(i64, b, B_LENGTH)
    width = width_of(c)
    if n >= load(i64, b, B_CAPACITY) or width > load(i64, b, B_WIDTH):
        if _grow(b, n + 1, width) == 0:
            return
    put_unit(load(ptr, b, B_OBJECT), load(i64, b, B_WIDTH), n, c)
    store(i64, b, B_LENGTH, n + 1)


@native
def b_fill(b: ptr, c: i64, count: i64) -> None:
    """Append a code point ``count`` times."""
    for _ in range(count):
        b_char(b, c)


@native
def b_ascii(b: ptr, data: ptr, count: i64) -> None:
    """Append ASCII bytes."""
    b_bytes(b, data, count)


@native
def b_bytes(b: ptr, data: ptr, count: i64) -> None:
    """Append code points below 256."""
    n = load(i64, b, B_LENGTH)
    if _grow(b, n + count, 1) == 0:
        return
    s = load(ptr, b, B_OBJECT)
    width = load(i64, b, B_WIDTH)
    if width == 1:
        memcpy(s + STR_DATA + n, data, count)
    else:
        for i in range(count):
            put_unit(s, width, n + i, zext(i64, load(i8, data, i)))
    store(i64, b, B_LENGTH, n + count)


@native
def b_units(b: ptr, s: ptr, start: i64, count: i64) -> None:
    """Append code points of a str."""
    n = load(i64, b, B_LENGTH)
    if count > 0:
        if _grow(b, n + count, zext(i64, load(i32, s, STR_WIDTH))) != 0:
            copy_units(load(ptr, b, B_OBJECT), load(i64, b, B_WIDTH), n, s, start, count)
            store(i64, b, B_LENGTH, n + count)


@native
def b_text(b: ptr, s: ptr) -> None:
    """Append a str."""
    b_units(b, s, 0, load(i64, s, STR_LENGTH))


@native
def b_finish(b: ptr) -> ptr:
    """The str that was built, owned; null when memory ended."""
    n = load(i64, b, B_LENGTH)
    if _grow(b, n, 1) == 0:
        return ptr(0)
    s = load(ptr, b, B_OBJECT)
    width = load(i64, b, B_WIDTH)
    if s == 0 or load(i64, b, B_CAPACITY) > n + 64:
        s = realloc(s, STR_DATA + (n + 1) * width)
        if s == 0:
            b_discard(b)
            return s
    _finish_header(s, n, width)
    return s


@native
def str_from_units(data: ptr, n: i64, width: i64) -> ptr:
    """A str of the code units at an address, in the smallest width; null without memory."""
    b = stack(40)
    b_init(b)
    for i in range(n):
        if width == 4:
            b_char(b, zext(i64, load(i32, data, i * 4)))
        elif width == 2:
            b_char(b, zext(i64, load(i16, data, i * 2)))
        else:
            b_char(b, zext(i64, load(i8, data, i)))
    return b_finish(b)
