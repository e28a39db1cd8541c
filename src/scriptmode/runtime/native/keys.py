"""Fast lookup of int and str keys in dicts, beside the general one in ``equality``.

A dict's hashes are its own: its order does not depend on them.  An int's hash is CPython's, so that
keys of different number types meet; a str's mixes eight bytes at a time.  That of a short str (of
less than eight bytes) is negative and tells which str it is: equal ones have equal texts.  Eight
bytes of any str can be read, whatever its length: its memory has room for them.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DICT_ENTRIES,
    DICT_INDEX,
    DICT_MASK,
    ENTRY_HASH,
    ENTRY_KEY,
    INDEX_FREE,
    STR_DATA,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    srem,
    zext,
)

P61 = (1 << 61) - 1
SHORT = -(1 << 63)  # in the hash of a short str
LONG = (1 << 63) - 1
FACTOR = -7046029254386353131  # 2**64 / golden ratio


@native(fast=True)
def sm_hash_int(value: i64) -> i64:
    """``hash(value)``."""
    if value > -P61 and value < P61:
        return i64(-2) if value == -1 else value
    hashed = srem(value, P61)
    return i64(-2) if hashed == -1 else hashed


@native(inline=True)
def _mix(hashed: i64, word: i64) -> i64:
    mixed = (hashed ^ word) * FACTOR
    return mixed ^ lshr(mixed, 32)


@native(fast=True)
def str_key_hash(s: ptr) -> i64:
    """The hash of a str as a dict's key; equal strs have equal widths, so bytes will do."""
    n = load(i64, s, STR_LENGTH)
    width = load(i32, s, STR_WIDTH)
    if n < 8 and width == 1:
        return _short_hash(n, load(i64, s, STR_DATA))
    n = n * zext(i64, width)
    if n < 8:
        return _mix(n * FACTOR, load(i64, s, STR_DATA) & low_bytes(n)) & LONG
    return bytes_key_hash(s + STR_DATA, n)


@native(inline=True)
def _short_hash(n: i64, word: i64) -> i64:
    """The hash of a short str: each step can be undone, and no str but it has the word."""
    hashed = (((n + 1) << 56 | word & low_bytes(n)) * FACTOR) & LONG
    hashed = hashed ^ lshr(hashed, 32)
    return hashed | SHORT  # the mark of erased entries has no other bit: 0 is never reached


@native(inline=True)
def bytes_key_hash(data: ptr, n: i64) -> i64:
    """The hash of eight bytes or more of a str."""
    hashed = n * FACTOR
    end = data + n - 8  # the last word may overlap the one before
    while data < end:
        hashed = _mix(hashed, load(i64, data))
        data = data + 8
    hashed = _mix(hashed, load(i64, end))
    return (hashed ^ lshr(hashed, 29)) & LONG


@native(inline=True)
def low_bytes(n: i64) -> i64:
    """The mask of the first ``n`` bytes of a word, less than eight."""
    return (i64(1) << (n * 8)) - 1


@native(fast=True)
def sm_dict_find_int(d: ptr, key: i64, step: i64) -> i64:
    """The number of the entry of an int key, or -1; entries are ``step`` bytes."""
    hashed = sm_hash_int(key)
    index = load(ptr, d, DICT_INDEX)
    entries = load(ptr, d, DICT_ENTRIES)
    mask = load(i64, d, DICT_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        number = load(i64, index, at * 8)
        if number >= 0:
            entry = entries + number * step
            if load(i64, entry, ENTRY_KEY) == key:  # no erased entry is found by the index
                return number
        elif number == INDEX_FREE:
            return -1
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native(fast=True)
def sm_dict_find_str(d: ptr, key: ptr, step: i64) -> i64:
    """The number of the entry of a str key, or -1; entries are ``step`` bytes."""
    hashed = str_key_hash(key)
    if hashed >= 0:
        return _find_long(d, key, hashed, step)
    index = load(ptr, d, DICT_INDEX)
    entries = load(ptr, d, DICT_ENTRIES)
    mask = load(i64, d, DICT_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        number = load(i64, index, at * 8)
        if number >= 0:
            if load(i64, entries + number * step, ENTRY_HASH) == hashed:
                return number
        elif number == INDEX_FREE:
            return -1
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native(noinline=True, fast=True)
def _find_long(d: ptr, key: ptr, hashed: i64, step: i64) -> i64:
    """``sm_dict_find_str`` of a str that is not short."""
    index = load(ptr, d, DICT_INDEX)
    entries = load(ptr, d, DICT_ENTRIES)
    mask = load(i64, d, DICT_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        number = load(i64, index, at * 8)
        if number >= 0:
            entry = entries + number * step
            if load(i64, entry, ENTRY_HASH) == hashed:
                if same_text(load(ptr, entry, ENTRY_KEY), key):
                    return number
        elif number == INDEX_FREE:
            return -1
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native(inline=True)
def same_text(a: ptr, b: ptr) -> bool:
    """Whether two strs are equal."""
    if a == b:
        return True
    n = load(i64, a, STR_LENGTH)
    width = zext(i64, load(i32, a, STR_WIDTH))
    if n != load(i64, b, STR_LENGTH) or width != zext(i64, load(i32, b, STR_WIDTH)):
        return False
    n = n * width
    if n < 8:
        return (load(i64, a, STR_DATA) ^ load(i64, b, STR_DATA)) & low_bytes(n) == 0
    return same_bytes(a + STR_DATA, b + STR_DATA, n)


@native(inline=True)
def same_bytes(a: ptr, b: ptr, n: i64) -> bool:
    """Whether two pieces of eight bytes or more are equal."""
    end = n - 8  # the last word may overlap the one before
    i = 0
    while i < end:
        if load(i64, a, i) != load(i64, b, i):
            return False
        i = i + 8
    return load(i64, a, end) == load(i64, b, end)
