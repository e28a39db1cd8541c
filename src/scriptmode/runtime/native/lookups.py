"""Searches of dicts and sets for keys of simple types (``quick``), which cannot fail."""

from __future__ import annotations

from scriptmode.abi.objects import (
    DICT_ENTRIES,
    DICT_INDEX,
    DICT_MASK,
    ENTRY_HASH,
    ENTRY_KEY,
    HEAP_DESCRIPTOR,
    INDEX_FREE,
    PLACE_FREE,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
)
from scriptmode.codegen.native import i8, i64, load, lshr, native, ptr, stack
from scriptmode.runtime.native.equality import set_step
from scriptmode.runtime.native.keys import sm_hash_int
from scriptmode.runtime.native.memory import child, place_size
from scriptmode.runtime.native.quick import quick_equal, quick_hash

INT_PLACE = PLACE_KEY + 8


@native(fast=True)
def sm_dict_find_simple(d: ptr, key: ptr, step: i64) -> i64:
    """The number of the entry of a tuple of simple values, or -1; entries are ``step`` bytes."""
    kind = child(load(ptr, d, HEAP_DESCRIPTOR), 0)
    place = stack(8)
    quick_hash(key, kind, place)
    hashed = load(i64, place)
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
                if quick_equal(entry + ENTRY_KEY, key, kind) == 1:
                    return number
        elif number == INDEX_FREE:
            return -1
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native(fast=True)
def sm_set_has_int(s: ptr, key: i64) -> i8:
    """``key in s`` of a set of ints."""
    hashed = sm_hash_int(key)
    table = load(ptr, s, SET_TABLE)
    mask = load(i64, s, SET_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        place = table + at * INT_PLACE
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                return 0
            if load(i64, place, PLACE_KEY) == key and state == PLACE_USED:
                return 1
            place = place + INT_PLACE
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask


@native(fast=True)
def sm_set_has_simple(s: ptr, key: ptr) -> i8:
    """``key in s`` of a set of simple values."""
    kind = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    found = stack(8)
    quick_hash(key, kind, found)
    hashed = load(i64, found)
    size = place_size(kind)
    table = load(ptr, s, SET_TABLE)
    mask = load(i64, s, SET_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        place = table + at * size
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                return 0
            if load(i64, place, PLACE_HASH) == hashed and state == PLACE_USED:
                if quick_equal(place + PLACE_KEY, key, kind) == 1:
                    return 1
            place = place + size
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask
