"""The pieces of a split text one after the other, for loops that need no list of them.

A piece may be made in the memory of the one before, when nothing else refers to that.  Every str
from the heap has room for eight bytes.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    HEAP_COUNT,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import i8, i32, i64, load, lshr, memcpy, native, ptr, store, zext
from scriptmode.runtime.native.allocation import malloc_usable_size
from scriptmode.runtime.native.builder import DESC_STR, put_unit, unit
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.memory import sm_object_new, sm_release
from scriptmode.runtime.native.searches import count_of, search
from scriptmode.runtime.native.splitting import (
    HIGHS,
    ONES,
    bits_before,
    raise_empty_separator,
    skip_space,
)
from scriptmode.runtime.native.substrings import LARGEST, substring
from scriptmode.runtime.native.unicode import is_space

BEHIND_SPACE = 33  # the bytes below it are white space or rare


@native(inline=True)
def _is_narrow(s: ptr) -> bool:
    return load(i32, s, STR_WIDTH) == 1


@native(inline=True)
def _is_byte(sep: ptr) -> bool:
    return load(i64, sep, STR_LENGTH) == 1 and _is_narrow(sep)


@native(fast=True)
def sm_str_count_pieces(ctx: ptr, s: ptr, sep: ptr, result: ptr) -> i32:
    """``len(s.split(sep))``; ``sep`` null splits at white space."""
    n = load(i64, s, STR_LENGTH)
    count = 0
    if sep == 0:
        at = skip_space(s, 0)
        while at < n:
            count += 1
            at = skip_space(s, _space_after(s, at))
    elif load(i64, sep, STR_LENGTH) == 0:
        return raise_empty_separator(ctx)
    elif _is_byte(sep) and _is_narrow(s):
        count = 1 + _count_byte(s + STR_DATA, n, load(i8, sep, STR_DATA))
    else:
        count = 1 + count_of(s, sep, 0, n, LARGEST)
    store(i64, result, 0, count)
    return 0


@native(fast=True)
def _count_byte(data: ptr, n: i64, byte: i8) -> i64:
    count = 0
    for i in range(n):
        count += i64(load(i8, data, i) == byte)
    return count


@native(fast=True)
def _space_after(s: ptr, at: i64) -> i64:
    """The index of the first white space from ``at`` on, or the length."""
    n = load(i64, s, STR_LENGTH)
    is_narrow = _is_narrow(s)
    while at < n:
        if is_narrow and at + 8 <= n:
            word = load(i64, s + STR_DATA, at)
            # the lowest byte that is flagged is small, or not of ASCII
            if ((word - ONES * BEHIND_SPACE) & (word ^ -1) | word) & HIGHS == 0:
                at += 8
                continue
        if is_space(unit(s, at)):
            return at
        at += 1
    return n


@native
def sm_str_next_piece(ctx: ptr, old: ptr, s: ptr, sep: ptr, at: i64, result: ptr) -> i32:
    """The piece of ``s`` that begins at ``at``, and where the next one begins."""
    return _next_piece(ctx, ptr(0), s, sep, at, result)


@native(fast=True)
def sm_str_next_piece_moved(ctx: ptr, old: ptr, s: ptr, sep: ptr, at: i64, result: ptr) -> i32:
    """``sm_str_next_piece`` where ``old`` is handed over: in its memory if it can."""
    if sep != 0 and at + 16 <= load(i64, s, STR_LENGTH):
        if _is_byte(sep) and _is_narrow(s):
            seps = zext(i64, load(i8, sep, STR_DATA)) * ONES
            first = load(i64, s + STR_DATA, at)
            bits = bits_before(first ^ seps)
            if bits < 64:
                return _small(ctx, old, lshr(bits, 3), first & low_bits(bits), 0, at, result)
            second = load(i64, s + STR_DATA, at + 8)
            bits = bits_before(second ^ seps)
            if bits < 64:
                second = second & low_bits(bits)
                return _small(ctx, old, lshr(bits, 3) + 8, first, second, at, result)
    return _next_piece(ctx, old, s, sep, at, result)


@native(inline=True)
def low_bits(n: i64) -> i64:
    """The mask of so many bits, less than 64."""
    return (i64(1) << n) - 1


@native(fast=True)
def _small(ctx: ptr, old: ptr, n: i64, first: i64, second: i64, at: i64, result: ptr) -> i32:
    """Hand over a piece of less than sixteen bytes, and where the next one begins."""
    piece = old
    if load(i64, old, HEAP_COUNT) == 1 and malloc_usable_size(old) >= STR_DATA + 16:
        _set_header(old, n)
    else:
        sm_release(old)
        piece = sm_object_new(STR_DATA + 16, DESC_STR)
        if piece == 0:
            return sm_raise_memory_error(ctx)
        _set_header(piece, n)
    store(i64, piece, STR_DATA, first)
    store(i64, piece, STR_DATA + 8, second)
    store(ptr, result, 0, piece)
    store(i64, result, 8, at + n + 1)
    return 0


@native(inline=True)
def _set_header(s: ptr, length: i64) -> None:
    """Let a str be one of bytes with another length."""
    store(i64, s, STR_LENGTH, length)
    store(i64, s, STR_HASH, 0)
    store(i64, s, STR_WIDTH, 1)  # and no room


@native(fast=True)
def _next_piece(ctx: ptr, old: ptr, s: ptr, sep: ptr, at: i64, result: ptr) -> i32:
    end = 0
    following = 0
    if sep == 0:
        at = skip_space(s, at)
        end = _space_after(s, at)
        following = end
    else:
        end = search(s, sep, at, load(i64, s, STR_LENGTH))
        if end < 0:
            end = load(i64, s, STR_LENGTH)
        following = end + load(i64, sep, STR_LENGTH)
    piece = _part(old, s, at, end - at)
    if piece == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, piece)
    store(i64, result, 8, following)
    return 0


@native(inline=True)
def _part(old: ptr, s: ptr, start: i64, count: i64) -> ptr:
    """``substring``, in the memory of an ``old`` str that is handed over; null: there is none."""
    if old != 0:
        if load(i64, old, HEAP_COUNT) == 1 and _is_narrow(s):
            if count < 8 or STR_DATA + count < malloc_usable_size(old):
                _set_header(old, count)
                memcpy(old + STR_DATA, s + STR_DATA + start, count)
                put_unit(old, 1, count, 0)
                return old
        sm_release(old)
    return substring(s, start, count)
