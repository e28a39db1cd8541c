"""str: access, comparison, search, split, join, replace, padding.

Every function is ``i32 f(ctx, arguments..., result)``; an optional int is ``has_x, x``, an optional
str is null for None.  Strs are never changed, so a function may return its argument, retained.
Case and character classes are in ``characters``, number formats in ``formats``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CHARACTER_SIZE,
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    IMMORTAL,
    LIST_DATA,
    LIST_LENGTH,
    N_CHARACTERS,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_ROOM,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    cell,
    count_trailing_zeros,
    extern,
    external,
    i8,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    memset,
    mul_overflow,
    native,
    ptr,
    srem,
    stack,
    store,
    text,
    ult,
    zext,
)
from scriptmode.runtime.native.allocation import malloc_usable_size, reallocate
from scriptmode.runtime.native.builder import (
    DESC_STR,
    b_char,
    b_fill,
    b_finish,
    b_init,
    b_text,
    b_units,
    copy_units,
    put_unit,
    str_from_units,
    str_new,
    unit,
    width_of,
)
from scriptmode.runtime.native.compare import sm_str_equal
from scriptmode.runtime.native.digits import b_int
from scriptmode.runtime.native.errors import (
    INDEX_ERROR,
    OVERFLOW_ERROR,
    TYPE_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.keys import FACTOR, bytes_key_hash, low_bytes, same_bytes
from scriptmode.runtime.native.lists import slice_bounds, sm_list_new, sm_list_reserve
from scriptmode.runtime.native.memory import malloc, sm_release, sm_retain
from scriptmode.runtime.native.quick import sm_hash_str, sm_str_compare
from scriptmode.runtime.native.unicode import is_line_break, is_space

DESC_LIST_STR = external("desc.List[str]")
LARGEST = (1 << 63) - 1
LARGEST_ROOM = (1 << 31) - 1  # that a str notes; where there is more it is asked for again
LONG_TEXT = 512  # from here on, equal pieces of a split text may be one object
RECENT_BITS = 10
RECENT = 1 << RECENT_BITS  # places for pieces seen before
ONES = 0x0101010101010101
HIGHS = -0x7F7F7F7F7F7F7F80
SHORT_PIECE = 32
# immortal strs of one code point, for the first ones
sm_characters = cell("sm_characters", N_CHARACTERS * CHARACTER_SIZE)
memchr = extern("memchr", ptr, ptr, i32, i64)
memmem = extern("memmem", ptr, ptr, i64, ptr, i64)


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


# ---- from and to bytes ----


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


# ---- access and comparison ----


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


@native
def sm_str_list(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``list(s)``."""
    a = sm_list_new(DESC_LIST_STR, load(i64, s, STR_LENGTH))
    if a == 0:
        return sm_raise_memory_error(ctx)
    for i in range(load(i64, s, STR_LENGTH)):
        if _push(a, substring(s, i, 1)) == 0:
            return _fail(ctx, a)
    store(ptr, result, 0, a)
    return 0


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


# ---- search ----


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
def minimum(a: i64, b: i64) -> i64:
    """The smaller one."""
    return a if a < b else b


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


# ---- split and join ----


@native(fast=True)
def _push(a: ptr, s: ptr) -> i64:
    """Move an owned str to the end of a list; 0 without memory (or when the str is null)."""
    n = load(i64, a, LIST_LENGTH)
    if s == 0:
        return 0
    if sm_list_reserve(a, n + 1) == 0:
        sm_release(s)
        return 0
    store(ptr, load(ptr, a, LIST_DATA), n * 8, s)
    store(i64, a, LIST_LENGTH, n + 1)
    return 1


@native(noinline=True)
def _fail(ctx: ptr, a: ptr) -> i32:
    sm_release(a)
    return sm_raise_memory_error(ctx)


@native
def _raise_empty_separator(ctx: ptr) -> i32:
    return raise_from(ctx, VALUE_ERROR, text("empty separator"))


@native(fast=True)
def sm_str_split(ctx: ptr, s: ptr, sep: ptr, maxsplit: i64, result: ptr) -> i32:
    """``s.split(sep, maxsplit)``; ``sep`` null splits at white space."""
    if sep != 0 and load(i64, sep, STR_LENGTH) == 0:
        return _raise_empty_separator(ctx)
    a = sm_list_new(DESC_LIST_STR, 4)
    if a == 0:
        return sm_raise_memory_error(ctx)
    if maxsplit < 0:
        maxsplit = LARGEST
    done = i64(0)
    if sep == 0:
        done = _split_at_space(a, s, maxsplit)
    else:
        done = _split_at(a, s, sep, maxsplit)
    if done == 0:
        return _fail(ctx, a)
    store(ptr, result, 0, a)
    return 0


@native(fast=True)
def _split_at(a: ptr, s: ptr, sep: ptr, maxsplit: i64) -> i64:
    n = load(i64, s, STR_LENGTH)
    if n >= LONG_TEXT and zext(i64, load(i32, s, STR_WIDTH)) == 1:
        return _split_long(a, s, sep, maxsplit)
    m = load(i64, sep, STR_LENGTH)
    at = 0
    while maxsplit > 0:
        found = search(s, sep, at, n)
        if found < 0:
            break
        if _push(a, substring(s, at, found - at)) == 0:
            return 0
        at = found + m
        maxsplit -= 1
    return _push(a, substring(s, at, n - at))


@native(noinline=True)
def _split_long(a: ptr, s: ptr, sep: ptr, maxsplit: i64) -> i64:
    """The pieces of a long text of bytes; equal short ones may be one object."""
    recent = stack(RECENT * 8)
    memset(recent, 0, RECENT * 8)
    n = load(i64, s, STR_LENGTH)
    m = load(i64, sep, STR_LENGTH)
    bytes_of_sep = unit(sep, 0) * ONES if m == 1 and load(i32, sep, STR_WIDTH) == 1 else i64(-1)
    at = 0
    while maxsplit > 0:
        count = i64(-1)
        piece = ptr(0)
        if bytes_of_sep != -1 and at + 8 <= n:
            word = load(i64, s + STR_DATA, at)
            bits = _bits_before(word ^ bytes_of_sep)
            if bits < 64:
                count = lshr(bits, 3)
                piece = _short_piece(s, at, count, word & low_bytes(count), recent)
        if count < 0:
            found = search(s, sep, at, n)
            if found < 0:
                break
            count = found - at
            if count < 8 and at + 8 <= n:
                content = load(i64, s + STR_DATA, at) & low_bytes(count)
                piece = _short_piece(s, at, count, content, recent)
            else:
                piece = _piece(s, at, count, recent)
        if _push(a, piece) == 0:
            return 0
        at = at + count + m
        maxsplit -= 1
    return _push(a, _piece(s, at, n - at, recent))


@native(inline=True)
def _bits_before(word: i64) -> i64:
    """The number of bits below the lowest byte that is zero; 64 without one."""
    return count_trailing_zeros((word - ONES) & (word ^ -1) & HIGHS) & -8


@native(inline=True)
def _short_piece(s: ptr, start: i64, count: i64, content: i64, recent: ptr) -> ptr:
    """``_piece`` of less than eight bytes, which are ``content``."""
    if count < 2:
        return substring(s, start, count)
    place = recent + lshr(content * FACTOR, 64 - RECENT_BITS) * 8
    known = load(ptr, place)
    if known != 0 and load(i64, known, STR_LENGTH) == count:
        if load(i64, known, STR_DATA) & low_bytes(count) == content:
            store(i64, known, HEAP_COUNT, load(i64, known, HEAP_COUNT) + 1)
            return known
    made = substring(s, start, count)
    store(ptr, place, 0, made)
    return made


@native(inline=True)
def _piece(s: ptr, start: i64, count: i64, recent: ptr) -> ptr:
    """``substring`` of a text of bytes; of a middling length, an equal one in ``recent``."""
    if not ult(count - 8, SHORT_PIECE - 7):
        return substring(s, start, count)
    data = s + STR_DATA + start
    place = recent + (bytes_key_hash(data, count) & (RECENT - 1)) * 8
    known = load(ptr, place)
    if known != 0 and load(i64, known, STR_LENGTH) == count:
        if same_bytes(known + STR_DATA, data, count):
            store(i64, known, HEAP_COUNT, load(i64, known, HEAP_COUNT) + 1)
            return known
    made = substring(s, start, count)
    store(ptr, place, 0, made)
    return made


@native
def _skip_space(s: ptr, at: i64) -> i64:
    while at < load(i64, s, STR_LENGTH) and is_space(unit(s, at)):
        at += 1
    return at


@native
def _skip_space_back(s: ptr, at: i64) -> i64:
    while at > 0 and is_space(unit(s, at - 1)):
        at -= 1
    return at


@native
def _split_at_space(a: ptr, s: ptr, maxsplit: i64) -> i64:
    n = load(i64, s, STR_LENGTH)
    at = _skip_space(s, 0)
    while at < n and maxsplit > 0:
        end = at
        while end < n and not is_space(unit(s, end)):
            end += 1
        if _push(a, substring(s, at, end - at)) == 0:
            return 0
        at = _skip_space(s, end)
        maxsplit -= 1
    if at < n:
        return _push(a, substring(s, at, n - at))
    return 1


@native
def sm_str_rsplit(ctx: ptr, s: ptr, sep: ptr, maxsplit: i64, result: ptr) -> i32:
    """``s.rsplit(sep, maxsplit)``."""
    if sep != 0 and load(i64, sep, STR_LENGTH) == 0:
        return _raise_empty_separator(ctx)
    a = sm_list_new(DESC_LIST_STR, 4)
    if a == 0:
        return sm_raise_memory_error(ctx)
    if maxsplit < 0:
        maxsplit = LARGEST
    done = i64(0)
    if sep == 0:
        done = _rsplit_at_space(a, s, maxsplit)
    else:
        done = _rsplit_at(a, s, sep, maxsplit)
    if done == 0:
        return _fail(ctx, a)
    _reverse_words(load(ptr, a, LIST_DATA), load(i64, a, LIST_LENGTH))
    store(ptr, result, 0, a)
    return 0


@native
def _reverse_words(data: ptr, n: i64) -> None:
    for i in range(n >> 1):
        x = load(ptr, data, i * 8)
        store(ptr, data, i * 8, load(ptr, data, (n - 1 - i) * 8))
        store(ptr, data, (n - 1 - i) * 8, x)


@native
def _rsplit_at(a: ptr, s: ptr, sep: ptr, maxsplit: i64) -> i64:
    m = load(i64, sep, STR_LENGTH)
    end = load(i64, s, STR_LENGTH)
    while maxsplit > 0:
        found = search_last(s, sep, 0, end)
        if found < 0:
            break
        if _push(a, substring(s, found + m, end - found - m)) == 0:
            return 0
        end = found
        maxsplit -= 1
    return _push(a, substring(s, 0, end))


@native
def _rsplit_at_space(a: ptr, s: ptr, maxsplit: i64) -> i64:
    end = _skip_space_back(s, load(i64, s, STR_LENGTH))
    while end > 0 and maxsplit > 0:
        at = end
        while at > 0 and not is_space(unit(s, at - 1)):
            at -= 1
        if _push(a, substring(s, at, end - at)) == 0:
            return 0
        end = _skip_space_back(s, at)
        maxsplit -= 1
    if end > 0:
        return _push(a, substring(s, 0, end))
    return 1


@native
def sm_str_splitlines(ctx: ptr, s: ptr, keepends: i8, result: ptr) -> i32:
    """``s.splitlines(keepends)``."""
    n = load(i64, s, STR_LENGTH)
    a = sm_list_new(DESC_LIST_STR, 4)
    if a == 0:
        return sm_raise_memory_error(ctx)
    at = 0
    while at < n:
        end = at
        while end < n and not is_line_break(unit(s, end)):
            end += 1
        after = end
        if end < n:
            after = end + 1
            if unit(s, end) == 13 and after < n and unit(s, after) == 10:
                after += 1
        shown = after if keepends != 0 else end
        if _push(a, substring(s, at, shown - at)) == 0:
            return _fail(ctx, a)
        at = after
    store(ptr, result, 0, a)
    return 0


@native(fast=True)
def sm_str_join(ctx: ptr, sep: ptr, parts: ptr, result: ptr) -> i32:
    """``sep.join(parts)``."""
    n = load(i64, parts, LIST_LENGTH)
    data = load(ptr, parts, LIST_DATA)
    if n == 1:
        return share(load(ptr, data), result)
    # the widest part decides the width, for each part is as narrow as can be
    width = i64(1)
    total = 0
    if n > 1:
        width = zext(i64, load(i32, sep, STR_WIDTH))
        total, too_long = mul_overflow(load(i64, sep, STR_LENGTH), n - 1)
        if too_long:
            return sm_raise_memory_error(ctx)
    if total == 0:
        width = 1
    for i in range(n):
        part = load(ptr, data, i * 8)
        total = total + load(i64, part, STR_LENGTH)
        if zext(i64, load(i32, part, STR_WIDTH)) > width:
            width = zext(i64, load(i32, part, STR_WIDTH))
    r = str_new(total, width)
    if r == 0:
        return sm_raise_memory_error(ctx)
    at = 0
    for i in range(n):
        if i > 0:
            copy_units(r, width, at, sep, 0, load(i64, sep, STR_LENGTH))
            at = at + load(i64, sep, STR_LENGTH)
        part = load(ptr, data, i * 8)
        copy_units(r, width, at, part, 0, load(i64, part, STR_LENGTH))
        at = at + load(i64, part, STR_LENGTH)
    return own(ctx, r, result)


@native
def _store_three(ctx: ptr, a: ptr, b: ptr, c: ptr, result: ptr) -> i32:
    """Hand over three owned strs as a tuple; MemoryError when one is null."""
    if a == 0 or b == 0 or c == 0:
        sm_release(a)
        sm_release(b)
        sm_release(c)
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, a)
    store(ptr, result, 8, b)
    store(ptr, result, 16, c)
    return 0


@native
def _parts_around(ctx: ptr, s: ptr, sep: ptr, at: i64, result: ptr) -> i32:
    after = at + load(i64, sep, STR_LENGTH)
    sm_retain(sep)
    rest = substring(s, after, load(i64, s, STR_LENGTH) - after)
    return _store_three(ctx, substring(s, 0, at), sep, rest, result)


@native
def sm_str_partition(ctx: ptr, s: ptr, sep: ptr, result: ptr) -> i32:
    """``s.partition(sep)``, a tuple of three strs."""
    if load(i64, sep, STR_LENGTH) == 0:
        return _raise_empty_separator(ctx)
    at = search(s, sep, 0, load(i64, s, STR_LENGTH))
    if at < 0:
        sm_retain(s)
        return _store_three(ctx, s, text(""), text(""), result)
    return _parts_around(ctx, s, sep, at, result)


@native
def sm_str_rpartition(ctx: ptr, s: ptr, sep: ptr, result: ptr) -> i32:
    """``s.rpartition(sep)``, a tuple of three strs."""
    if load(i64, sep, STR_LENGTH) == 0:
        return _raise_empty_separator(ctx)
    at = search_last(s, sep, 0, load(i64, s, STR_LENGTH))
    if at < 0:
        sm_retain(s)
        return _store_three(ctx, text(""), text(""), s, result)
    return _parts_around(ctx, s, sep, at, result)


# ---- change ----


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
