"""str: ``list``, ``split``, ``rsplit``, ``splitlines``, ``partition``, and ``join``.

Every method is ``i32 f(ctx, arguments..., result)``; a separator is null for None.  In a long text
of bytes, equal short pieces may be one object.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CHARACTER_SIZE,
    HEAP_COUNT,
    LIST_DATA,
    LIST_LENGTH,
    STR_DATA,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    count_trailing_zeros,
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
    stack,
    store,
    text,
    ult,
    zext,
)
from scriptmode.runtime.native.builder import copy_units, str_new, unit
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.keys import FACTOR, bytes_key_hash, low_bytes, same_bytes
from scriptmode.runtime.native.lists import sm_list_new, sm_list_reserve
from scriptmode.runtime.native.memory import sm_release, sm_retain
from scriptmode.runtime.native.searches import search, search_last
from scriptmode.runtime.native.substrings import (
    LARGEST,
    own,
    share,
    sm_characters,
    substring,
)
from scriptmode.runtime.native.unicode import is_line_break, is_space

DESC_LIST_STR = external("desc.List[str]")
LONG_TEXT = 512  # from here on, equal pieces of a split text may be one object
RECENT_BITS = 10
RECENT = 1 << RECENT_BITS  # places for pieces seen before
ONES = 0x0101010101010101
HIGHS = -0x7F7F7F7F7F7F7F80
SHORT_PIECE = 32


@native
def sm_str_list(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``list(s)``."""
    n = load(i64, s, STR_LENGTH)
    a = sm_list_new(DESC_LIST_STR, n)
    if a == 0:
        return sm_raise_memory_error(ctx)
    if load(i32, s, STR_WIDTH) == 1:
        _fill_characters(load(ptr, a, LIST_DATA), s + STR_DATA, n)
        store(i64, a, LIST_LENGTH, n)
        store(ptr, result, 0, a)
        return 0
    for i in range(n):
        if _push(a, substring(s, i, 1)) == 0:
            return _fail(ctx, a)
    store(ptr, result, 0, a)
    return 0


@native(fast=True)
def _fill_characters(target: ptr, data: ptr, n: i64) -> None:
    """Write the strs of ``n`` narrow characters, which nobody owns."""
    for i in range(n):
        c = zext(i64, load(i8, data, i))
        store(ptr, target, i * 8, sm_characters + c * CHARACTER_SIZE)


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
def raise_empty_separator(ctx: ptr) -> i32:
    """ValueError for a separator without characters."""
    return raise_from(ctx, VALUE_ERROR, text("empty separator"))


@native(fast=True)
def sm_str_split(ctx: ptr, s: ptr, sep: ptr, maxsplit: i64, result: ptr) -> i32:
    """``s.split(sep, maxsplit)``; ``sep`` null splits at white space."""
    return _pieces(ctx, s, sep, maxsplit, 0, result)


@native
def sm_str_rsplit(ctx: ptr, s: ptr, sep: ptr, maxsplit: i64, result: ptr) -> i32:
    """``s.rsplit(sep, maxsplit)``."""
    if _pieces(ctx, s, sep, maxsplit, 1, result):
        return 1
    a = load(ptr, result)
    _reverse_words(load(ptr, a, LIST_DATA), load(i64, a, LIST_LENGTH))
    return 0


@native(inline=True)
def _pieces(ctx: ptr, s: ptr, sep: ptr, maxsplit: i64, is_from_end: i64, result: ptr) -> i32:
    """A list of the pieces of a str, in the order in which they are split off."""
    if sep != 0 and load(i64, sep, STR_LENGTH) == 0:
        return raise_empty_separator(ctx)
    a = sm_list_new(DESC_LIST_STR, 4)
    if a == 0:
        return sm_raise_memory_error(ctx)
    if maxsplit < 0:
        maxsplit = LARGEST
    done = i64(0)
    if sep == 0 and is_from_end:
        done = _rsplit_at_space(a, s, maxsplit)
    elif sep == 0:
        done = _split_at_space(a, s, maxsplit)
    elif is_from_end:
        done = _rsplit_at(a, s, sep, maxsplit)
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
            bits = bits_before(word ^ bytes_of_sep)
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
def bits_before(word: i64) -> i64:
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
def skip_space(s: ptr, at: i64) -> i64:
    """The index of the first code point from ``at`` on that is no white space."""
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
    at = skip_space(s, 0)
    while at < n and maxsplit > 0:
        end = at
        while end < n and not is_space(unit(s, end)):
            end += 1
        if _push(a, substring(s, at, end - at)) == 0:
            return 0
        at = skip_space(s, end)
        maxsplit -= 1
    if at < n:
        return _push(a, substring(s, at, n - at))
    return 1


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
    if width == 1:
        _join_bytes(r + STR_DATA, sep, data, n)
        return own(ctx, r, result)
    at = 0
    for i in range(n):
        if i > 0:
            copy_units(r, width, at, sep, 0, load(i64, sep, STR_LENGTH))
            at = at + load(i64, sep, STR_LENGTH)
        part = load(ptr, data, i * 8)
        copy_units(r, width, at, part, 0, load(i64, part, STR_LENGTH))
        at = at + load(i64, part, STR_LENGTH)
    return own(ctx, r, result)


@native(fast=True)
def _join_bytes(target: ptr, sep: ptr, parts: ptr, n: i64) -> None:
    """Write narrow parts, with ``sep`` between them; most are short, and many are characters."""
    between = load(i64, sep, STR_LENGTH)
    for i in range(n):
        if i > 0 and between > 0:
            memcpy(target, sep + STR_DATA, between)
            target = target + between
        part = load(ptr, parts, i * 8)
        count = load(i64, part, STR_LENGTH)
        if count == 1:
            store(i8, target, 0, load(i8, part, STR_DATA))
        else:
            memcpy(target, part + STR_DATA, count)
        target = target + count


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
        return raise_empty_separator(ctx)
    at = search(s, sep, 0, load(i64, s, STR_LENGTH))
    if at < 0:
        sm_retain(s)
        return _store_three(ctx, s, text(""), text(""), result)
    return _parts_around(ctx, s, sep, at, result)


@native
def sm_str_rpartition(ctx: ptr, s: ptr, sep: ptr, result: ptr) -> i32:
    """``s.rpartition(sep)``, a tuple of three strs."""
    if load(i64, sep, STR_LENGTH) == 0:
        return raise_empty_separator(ctx)
    at = search_last(s, sep, 0, load(i64, s, STR_LENGTH))
    if at < 0:
        sm_retain(s)
        return _store_three(ctx, text(""), text(""), s, result)
    return _parts_around(ctx, s, sep, at, result)
