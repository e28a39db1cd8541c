"""Sets: CPython's open addressing, so that elements come out in CPython's order.

A place of the table is ``{i64 state, i64 hash, element}``.  Probing, growth, and which of two sets
an operation walks through are those of ``Objects/setobject.c``; erased elements leave dummies,
which are used again.
Elements pass by slot pointer and are borrowed; ``result`` slots get owned values.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_SIZE,
    DUMMY_HASH,
    HEAP_DESCRIPTOR,
    PLACE_DUMMY,
    PLACE_FREE,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_FILLED,
    SET_FINGER,
    SET_MASK,
    SET_SIZE,
    SET_TABLE,
    SET_USED,
)
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.equality import set_find, set_step
from scriptmode.runtime.native.errors import KEY_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.keys import sm_hash_int
from scriptmode.runtime.native.lookups import INT_PLACE
from scriptmode.runtime.native.memory import (
    child,
    free,
    malloc,
    place_size,
    sm_box,
    sm_object_free,
    sm_object_new,
    sm_release,
    sm_slot_copy,
    sm_slot_drop,
    sm_slot_retain,
)
from scriptmode.runtime.native.quick import quick_equal, quick_hash
from scriptmode.runtime.native.value_hashes import sm_slot_hash

SMALLEST = 8
LARGE = 50000  # above this many elements a table only doubles
MAX_PLACES = 1 << 48


@native
def set_element(s: ptr) -> ptr:
    """The descriptor of the elements."""
    return child(load(ptr, s, HEAP_DESCRIPTOR), 0)


@native
def _new_table(s: ptr, size: i64) -> i64:
    """Give the set an empty table of ``size`` places; 0 when there is no memory."""
    nbytes = size * place_size(set_element(s))
    table = malloc(nbytes)
    if table == 0:
        return 0
    memset(table, 0, nbytes)
    store(ptr, s, SET_TABLE, table)
    store(i64, s, SET_MASK, size - 1)
    store(i64, s, SET_FILLED, 0)
    store(i64, s, SET_USED, 0)
    return 1


@native
def sm_set_new(ctx: ptr, descriptor: ptr, result: ptr) -> i32:
    """``set()``."""
    s = sm_object_new(SET_SIZE, descriptor)
    if s == 0:
        return sm_raise_memory_error(ctx)
    store(i64, s, SET_FINGER, 0)
    if _new_table(s, SMALLEST) == 0:
        sm_object_free(s)
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, s)
    return 0


@native
def set_sized(descriptor: ptr, mask: i64) -> ptr:
    """An empty set whose table has ``mask + 1`` places; null when there is no memory."""
    s = sm_object_new(SET_SIZE, descriptor)
    if s == 0:
        return s
    store(i64, s, SET_FINGER, 0)
    if _new_table(s, mask + 1) == 0:
        sm_object_free(s)
        return ptr(0)
    return s


@native
def set_clone(s: ptr) -> ptr:
    """A copy with the same table; null when there is no memory."""
    made = set_sized(load(ptr, s, HEAP_DESCRIPTOR), load(i64, s, SET_MASK))
    if made == 0:
        return made
    kind = set_element(s)
    step = place_size(kind)
    table = load(ptr, made, SET_TABLE)
    memcpy(table, load(ptr, s, SET_TABLE), (load(i64, s, SET_MASK) + 1) * step)
    for i in range(load(i64, s, SET_MASK) + 1):
        if load(i64, table, i * step) == PLACE_USED:
            sm_slot_retain(table + i * step + PLACE_KEY, kind)
    store(i64, made, SET_FILLED, load(i64, s, SET_FILLED))
    store(i64, made, SET_USED, load(i64, s, SET_USED))
    store(i64, made, SET_FINGER, load(i64, s, SET_FINGER))
    return made


@native
def set_free_place(s: ptr, hashed: i64) -> ptr:
    """Where an element that is not there goes, in a table without dummies."""
    size = place_size(set_element(s))
    mask = load(i64, s, SET_MASK)
    at = hashed & mask
    perturb = hashed
    probe = stack(16)
    while True:
        place = load(ptr, s, SET_TABLE) + at * size
        for _ in range(set_step(at, mask)):
            if load(i64, place, PLACE_STATE) == PLACE_FREE:
                return place
            place = place + size
        store(i64, probe, 0, at)
        store(i64, probe, 8, perturb)
        _next_probe(probe, mask)
        at = load(i64, probe)
        perturb = load(i64, probe, 8)


@native
def _next_probe(probe: ptr, mask: i64) -> None:
    perturb = _shifted(load(i64, probe, 8))
    store(i64, probe, 8, perturb)
    store(i64, probe, 0, (load(i64, probe) * 5 + 1 + perturb) & mask)


@native
def _shifted(perturb: i64) -> i64:
    return (perturb >> 5) & ((1 << 59) - 1)


@native
def _move_in(s: ptr, place: ptr) -> None:
    """Take the element of another table's place over."""
    target = set_free_place(s, load(i64, place, PLACE_HASH))
    memcpy(target, place, place_size(set_element(s)))


@native(noinline=True)
def set_resize(s: ptr, wanted: i64) -> i64:
    """Rebuild the table with more than ``wanted`` places; 0 when there is no memory."""
    size = i64(SMALLEST)
    while size <= wanted:
        size = size << 1
    if size > MAX_PLACES:
        return 0
    old = load(ptr, s, SET_TABLE)
    count = load(i64, s, SET_MASK) + 1
    used = load(i64, s, SET_USED)
    if _new_table(s, size) == 0:
        return 0
    step = place_size(set_element(s))
    for i in range(count):
        if load(i64, old, i * step) == PLACE_USED:
            _move_in(s, old + i * step)
    store(i64, s, SET_USED, used)
    store(i64, s, SET_FILLED, used)
    free(old)
    return 1


@native
def set_grown(s: ptr) -> i64:
    """How many places a table that has become full should have room for."""
    used = load(i64, s, SET_USED)
    return used * 2 if used > LARGE else used * 4


@native
def set_put(ctx: ptr, s: ptr, key: ptr, kind: ptr, hashed: i64) -> i32:
    """Add an element that is described by ``kind``, the set's own."""
    found = stack(16)
    if set_find(ctx, s, key, kind, hashed, found):
        return 1
    place = load(ptr, found)
    if load(i64, place, PLACE_STATE) == PLACE_USED:
        return 0
    dummy = load(ptr, found, 8)
    if dummy != 0:
        # the last dummy on the way is used again
        place = dummy
    return _put(ctx, s, place, key, kind, hashed, dummy != 0)


@native(fast=True)
def _put(ctx: ptr, s: ptr, place: ptr, key: ptr, kind: ptr, hashed: i64, was_dummy: bool) -> i32:
    """Write an element into a place that is free or a dummy."""
    store(i64, place, PLACE_STATE, PLACE_USED)
    store(i64, place, PLACE_HASH, hashed)
    sm_slot_copy(place + PLACE_KEY, key, kind)
    if was_dummy:
        store(i64, s, SET_USED, load(i64, s, SET_USED) + 1)
        return 0
    filled = load(i64, s, SET_FILLED) + 1
    store(i64, s, SET_FILLED, filled)
    store(i64, s, SET_USED, load(i64, s, SET_USED) + 1)
    if filled * 5 >= load(i64, s, SET_MASK) * 3:
        if set_resize(s, set_grown(s)) == 0:
            return sm_raise_memory_error(ctx)
    return 0


@native
def sm_set_add(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.add(key)``."""
    hashed = stack(8)
    if sm_slot_hash(ctx, key, set_element(s), hashed):
        return 1
    return set_put(ctx, s, key, set_element(s), load(i64, hashed))


@native(fast=True)
def sm_set_add_int(ctx: ptr, s: ptr, key: i64) -> i32:
    """``s.add(key)`` of a set of ints."""
    hashed = sm_hash_int(key)
    table = load(ptr, s, SET_TABLE)
    mask = load(i64, s, SET_MASK)
    dummy = ptr(0)
    at = hashed & mask
    perturb = hashed
    while True:
        place = table + at * INT_PLACE
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                slot = stack(8)
                store(i64, slot, 0, key)
                target = place if dummy == 0 else dummy
                return _put(ctx, s, target, slot, set_element(s), hashed, dummy != 0)
            if state == PLACE_DUMMY:
                dummy = place
            elif load(i64, place, PLACE_KEY) == key:
                return 0
            place = place + INT_PLACE
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask


@native(fast=True)
def sm_set_add_simple(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.add(key)`` of a set of simple values, which are compared without errors."""
    kind = set_element(s)
    found = stack(8)
    quick_hash(key, kind, found)
    hashed = load(i64, found)
    size = place_size(kind)
    table = load(ptr, s, SET_TABLE)
    mask = load(i64, s, SET_MASK)
    dummy = ptr(0)
    at = hashed & mask
    perturb = hashed
    while True:
        place = table + at * size
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                target = place if dummy == 0 else dummy
                return _put(ctx, s, target, key, kind, hashed, dummy != 0)
            if state == PLACE_DUMMY:
                dummy = place
            elif load(i64, place, PLACE_HASH) == hashed:
                if quick_equal(place + PLACE_KEY, key, kind) == 1:
                    return 0
            place = place + size
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask


@native
def sm_set_len(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``len(s)``."""
    store(i64, result, 0, load(i64, s, SET_USED))
    return 0


@native
def set_find_key(ctx: ptr, s: ptr, key: ptr, kind: ptr, found: ptr) -> i32:
    """Write the place of an element, or null."""
    hashed = stack(8)
    if sm_slot_hash(ctx, key, kind, hashed):
        return 1
    if set_find(ctx, s, key, kind, load(i64, hashed), found):
        return 1
    if load(i64, load(ptr, found), PLACE_STATE) != PLACE_USED:
        store(ptr, found, 0, ptr(0))
    return 0


@native
def sm_set_contains(ctx: ptr, s: ptr, key: ptr, kind: ptr, result: ptr) -> i32:
    """``key in s``; ``kind`` describes the key."""
    found = stack(16)
    if set_find_key(ctx, s, key, kind, found):
        return 1
    store(i8, result, 0, i8(load(ptr, found) != 0))
    return 0


@native
def _erase(s: ptr, place: ptr) -> None:
    """Turn a place into a dummy, its element dropped last."""
    store(i64, place, PLACE_STATE, PLACE_DUMMY)
    store(i64, place, PLACE_HASH, DUMMY_HASH)
    store(i64, s, SET_USED, load(i64, s, SET_USED) - 1)


@native
def set_drop_at(s: ptr, place: ptr) -> None:
    """Drop the element at a place of the table."""
    kind = set_element(s)
    size = load(i64, kind, DESC_SIZE)
    small = stack(64)
    old = small if size <= 64 else malloc(size)
    memcpy(old, place + PLACE_KEY, size)
    _erase(s, place)
    sm_slot_drop(old, kind)
    if size > 64:
        free(old)


@native
def sm_set_discard(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.discard(key)``."""
    found = stack(16)
    if set_find_key(ctx, s, key, set_element(s), found):
        return 1
    if load(ptr, found) != 0:
        set_drop_at(s, load(ptr, found))
    return 0


@native
def sm_set_remove(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.remove(key)``."""
    found = stack(16)
    if set_find_key(ctx, s, key, set_element(s), found):
        return 1
    if load(ptr, found) == 0:
        return raise_from(ctx, KEY_ERROR, sm_box(key, set_element(s)))
    set_drop_at(s, load(ptr, found))
    return 0


@native
def sm_set_pop(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.pop()``."""
    if load(i64, s, SET_USED) == 0:
        return raise_from(ctx, KEY_ERROR, text("pop from an empty set"))
    step = place_size(set_element(s))
    mask = load(i64, s, SET_MASK)
    at = load(i64, s, SET_FINGER) & mask
    while load(i64, load(ptr, s, SET_TABLE), at * step) != PLACE_USED:
        at = (at + 1) & mask
    place = load(ptr, s, SET_TABLE) + at * step
    memcpy(result, place + PLACE_KEY, load(i64, set_element(s), DESC_SIZE))
    _erase(s, place)
    store(i64, s, SET_FINGER, at + 1)
    return 0


@native
def set_exchange(a: ptr, b: ptr) -> None:
    """Exchange the tables of two sets of one type."""
    keep = stack(SET_SIZE)
    memcpy(keep, a + SET_USED, SET_FINGER - SET_USED)
    memcpy(a + SET_USED, b + SET_USED, SET_FINGER - SET_USED)
    memcpy(b + SET_USED, keep, SET_FINGER - SET_USED)


@native
def sm_set_clear(ctx: ptr, s: ptr) -> i32:
    """``s.clear()``."""
    fresh = stack(8)
    if sm_set_new(ctx, load(ptr, s, HEAP_DESCRIPTOR), fresh):
        return 1
    set_exchange(s, load(ptr, fresh))
    sm_release(load(ptr, fresh))
    return 0
