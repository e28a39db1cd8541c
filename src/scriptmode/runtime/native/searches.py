"""str: ``in``, ``find``, ``index``, ``count``, ``startswith``, ``endswith``.

Every method is ``i32 f(ctx, arguments..., result)``; an optional int is ``has_x, x``.
"""

from __future__ import annotations

from scriptmode.abi.objects import STR_DATA, STR_LENGTH, STR_WIDTH
from scriptmode.codegen.native import extern, i8, i32, i64, load, native, ptr, store, text, zext
from scriptmode.runtime.native.builder import unit
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from
from scriptmode.runtime.native.substrings import LARGEST, minimum

memchr = extern("memchr", ptr, ptr, i32, i64)
memmem = extern("memmem", ptr, ptr, i64, ptr, i64)


@native
def matches_at(s: ptr, at: i64, part: ptr) -> bool:
    """Whether ``part`` stands in ``s`` at an index that leaves room for it."""
    for i in range(load(i64, part, STR_LENGTH)):
        if unit(s, at + i) != unit(part, i):
            return False
    return True


@native(fast=True)
def search(s: ptr, part: ptr, start: i64, stop: i64) -> i64:
    """The first index of ``part`` within ``start:stop``, or -1."""
    m = load(i64, part, STR_LENGTH)
    if m == 0:
        return start if start <= stop else i64(-1)
    first = unit(part, 0)
    if zext(i64, load(i32, s, STR_WIDTH)) == 1 and zext(i64, load(i32, part, STR_WIDTH)) == 1:
        data = s + STR_DATA
        left = stop - start
        if left < m:
            return -1
        found = ptr(0)
        if m == 1:
            found = memchr(data + start, i32(first), left)
        else:
            found = memmem(data + start, left, part + STR_DATA, m)
        return i64(-1) if found == 0 else i64(found) - i64(data)
    for i in range(start, stop - m + 1):
        if unit(s, i) == first and matches_at(s, i, part):
            return i
    return -1


@native
def search_last(s: ptr, part: ptr, start: i64, stop: i64) -> i64:
    """The last index of ``part`` within ``start:stop``, or -1."""
    for i in range(stop - load(i64, part, STR_LENGTH), start - 1, -1):
        if matches_at(s, i, part):
            return i
    return -1


@native
def range_start(n: i64, has: i8, start: i64) -> i64:
    """The start of a search range; it may lie behind the end."""
    if has == 0:
        return 0
    if start < 0:
        start += n
        if start < 0:
            return 0
    return start


@native
def range_stop(n: i64, has: i8, stop: i64) -> i64:
    """The end of a search range."""
    if has == 0 or stop > n:
        return n
    if stop < 0:
        stop += n
        if stop < 0:
            return 0
    return stop


@native
def sm_str_contains(ctx: ptr, s: ptr, part: ptr, result: ptr) -> i32:
    """``part in s``."""
    store(i8, result, 0, i8(search(s, part, 0, load(i64, s, STR_LENGTH)) >= 0))
    return 0


@native
def sm_str_find(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.find(part, start, stop)``."""
    n = load(i64, s, STR_LENGTH)
    low = range_start(n, has_start, start)
    store(i64, result, 0, search(s, part, low, range_stop(n, has_stop, stop)))
    return 0


@native
def sm_str_rfind(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.rfind(part, start, stop)``."""
    n = load(i64, s, STR_LENGTH)
    low = range_start(n, has_start, start)
    store(i64, result, 0, search_last(s, part, low, range_stop(n, has_stop, stop)))
    return 0


@native
def sm_str_index(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.index(part, start, stop)``."""
    sm_str_find(ctx, s, part, has_start, start, has_stop, stop, result)
    return _found(ctx, result)


@native
def sm_str_rindex(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.rindex(part, start, stop)``."""
    sm_str_rfind(ctx, s, part, has_start, start, has_stop, stop, result)
    return _found(ctx, result)


@native
def _found(ctx: ptr, result: ptr) -> i32:
    if load(i64, result) < 0:
        return raise_from(ctx, VALUE_ERROR, text("substring not found"))
    return 0


@native
def sm_str_count(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.count(part, start, stop)``."""
    n = load(i64, s, STR_LENGTH)
    at = range_start(n, has_start, start)
    end = range_stop(n, has_stop, stop)
    store(i64, result, 0, count_of(s, part, at, end, LARGEST))
    return 0


@native
def count_of(s: ptr, part: ptr, start: i64, stop: i64, limit: i64) -> i64:
    """How often ``part`` stands in ``start:stop`` without overlap, at most ``limit``."""
    m = load(i64, part, STR_LENGTH)
    if m == 0:
        return 0 if start > stop else minimum(stop - start + 1, limit)
    count = 0
    at = search(s, part, start, stop)
    while at >= 0 and count < limit:
        count += 1
        at = search(s, part, at + m, stop)
    return count


@native
def sm_str_startswith(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.startswith(part, start, stop)``."""
    n = load(i64, s, STR_LENGTH)
    at = range_start(n, has_start, start)
    room = range_stop(n, has_stop, stop) - at
    fits = load(i64, part, STR_LENGTH) <= room
    store(i8, result, 0, i8(fits and matches_at(s, at, part)))
    return 0


@native
def sm_str_endswith(
    ctx: ptr, s: ptr, part: ptr, has_start: i8, start: i64, has_stop: i8, stop: i64, result: ptr
) -> i32:
    """``s.endswith(part, start, stop)``."""
    n = load(i64, s, STR_LENGTH)
    at = range_start(n, has_start, start)
    end = range_stop(n, has_stop, stop)
    m = load(i64, part, STR_LENGTH)
    store(i8, result, 0, i8(m <= end - at and matches_at(s, end - m, part)))
    return 0
