"""Sets: CPython's open addressing, so that elements come out in CPython's order.

A place of the table is ``{i64 state, i64 hash, element}``.  Probing, growth, and which of two sets
an operation walks through are those of ``Objects/setobject.c``; erased elements leave dummies,
which are used again.
Elements pass by slot pointer and are borrowed; ``result`` slots get owned values.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    DUMMY_HASH,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    HEAP_DESCRIPTOR,
    LIST_DATA,
    LIST_LENGTH,
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
from scriptmode.runtime.native.equality import set_each, set_find, set_step, set_subset
from scriptmode.runtime.native.errors import KEY_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.keys import sm_hash_int
from scriptmode.runtime.native.lists import sm_list_new
from scriptmode.runtime.native.lookups import INT_PLACE
from scriptmode.runtime.native.memory import (
    child,
    entry_size,
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
def _element(s: ptr) -> ptr:
    return child(load(ptr, s, HEAP_DESCRIPTOR), 0)


@native
def _new_table(s: ptr, size: i64) -> i64:
    """Give the set an empty table of ``size`` places; 0 when there is no memory."""
    nbytes = size * place_size(_element(s))
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
    kind = _element(s)
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
def _free_place(s: ptr, hashed: i64) -> ptr:
    """Where an element that is not there goes, in a table without dummies."""
    size = place_size(_element(s))
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
    target = _free_place(s, load(i64, place, PLACE_HASH))
    memcpy(target, place, place_size(_element(s)))


@native(noinline=True)
def _resize(s: ptr, wanted: i64) -> i64:
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
    step = place_size(_element(s))
    for i in range(count):
        if load(i64, old, i * step) == PLACE_USED:
            _move_in(s, old + i * step)
    store(i64, s, SET_USED, used)
    store(i64, s, SET_FILLED, used)
    free(old)
    return 1


@native
def _grown(s: ptr) -> i64:
    used = load(i64, s, SET_USED)
    return used * 2 if used > LARGE else used * 4


@native
def _add(ctx: ptr, s: ptr, key: ptr, kind: ptr, hashed: i64) -> i32:
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
        if _resize(s, _grown(s)) == 0:
            return sm_raise_memory_error(ctx)
    return 0


@native
def sm_set_add(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.add(key)``."""
    hashed = stack(8)
    if sm_slot_hash(ctx, key, _element(s), hashed):
        return 1
    return _add(ctx, s, key, _element(s), load(i64, hashed))


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
                return _put(ctx, s, target, slot, _element(s), hashed, dummy != 0)
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
    kind = _element(s)
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
def _find(ctx: ptr, s: ptr, key: ptr, kind: ptr, found: ptr) -> i32:
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
    if _find(ctx, s, key, kind, found):
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
def _discard(s: ptr, place: ptr) -> None:
    kind = _element(s)
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
    if _find(ctx, s, key, _element(s), found):
        return 1
    if load(ptr, found) != 0:
        _discard(s, load(ptr, found))
    return 0


@native
def sm_set_remove(ctx: ptr, s: ptr, key: ptr) -> i32:
    """``s.remove(key)``."""
    found = stack(16)
    if _find(ctx, s, key, _element(s), found):
        return 1
    if load(ptr, found) == 0:
        return raise_from(ctx, KEY_ERROR, sm_box(key, _element(s)))
    _discard(s, load(ptr, found))
    return 0


@native
def sm_set_pop(ctx: ptr, s: ptr, result: ptr) -> i32:
    """``s.pop()``."""
    if load(i64, s, SET_USED) == 0:
        return raise_from(ctx, KEY_ERROR, text("pop from an empty set"))
    step = place_size(_element(s))
    mask = load(i64, s, SET_MASK)
    at = load(i64, s, SET_FINGER) & mask
    while load(i64, load(ptr, s, SET_TABLE), at * step) != PLACE_USED:
        at = (at + 1) & mask
    place = load(ptr, s, SET_TABLE) + at * step
    memcpy(result, place + PLACE_KEY, load(i64, _element(s), DESC_SIZE))
    _erase(s, place)
    store(i64, s, SET_FINGER, at + 1)
    return 0


@native
def _exchange(a: ptr, b: ptr) -> None:
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
    _exchange(s, load(ptr, fresh))
    sm_release(load(ptr, fresh))
    return 0


@native
def _copy_place(target: ptr, place: ptr, kind: ptr) -> None:
    store(i64, target, PLACE_STATE, PLACE_USED)
    store(i64, target, PLACE_HASH, load(i64, place, PLACE_HASH))
    sm_slot_copy(target + PLACE_KEY, place + PLACE_KEY, kind)


@native
def _make_room(ctx: ptr, s: ptr, more: i64) -> i32:
    """Let the table take ``more`` elements without growing again."""
    if (load(i64, s, SET_FILLED) + more) * 5 >= load(i64, s, SET_MASK) * 3:
        if _resize(s, (load(i64, s, SET_USED) + more) * 2) == 0:
            return sm_raise_memory_error(ctx)
    return 0


@native
def sm_set_update(ctx: ptr, s: ptr, other: ptr) -> i32:
    """``s.update(other)`` of a set with elements of the same type."""
    used = load(i64, other, SET_USED)
    if s == other or used == 0:
        return 0
    if _make_room(ctx, s, used):
        return 1
    kind = _element(s)
    step = place_size(kind)
    table = load(ptr, other, SET_TABLE)
    mask = load(i64, other, SET_MASK)
    is_empty = load(i64, s, SET_FILLED) == 0
    alike = mask == load(i64, s, SET_MASK) and load(i64, other, SET_FILLED) == used
    for i in range(mask + 1):
        place = table + i * step
        if load(i64, place, PLACE_STATE) != PLACE_USED:
            continue
        if is_empty and alike:
            _copy_place(load(ptr, s, SET_TABLE) + i * step, place, kind)
        elif is_empty:
            _copy_place(_free_place(s, load(i64, place, PLACE_HASH)), place, kind)
        elif _add(ctx, s, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH)):
            return 1
    if is_empty:
        store(i64, s, SET_FILLED, used)
        store(i64, s, SET_USED, used)
    return 0


@native
def sm_set_update_list(ctx: ptr, s: ptr, values: ptr) -> i32:
    """``s.update(values)`` of a list or tuple."""
    step = load(i64, _element(s), DESC_SIZE)
    i = 0
    while i < load(i64, values, LIST_LENGTH):
        if sm_set_add(ctx, s, load(ptr, values, LIST_DATA) + i * step):
            return 1
        i += 1
    return 0


@native
def sm_set_update_keys(ctx: ptr, s: ptr, d: ptr) -> i32:
    """``s.update(d)`` of a dict."""
    n = load(i64, d, DICT_LENGTH)
    if _make_room(ctx, s, n):
        return 1
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    i = 0
    while i < load(i64, d, DICT_USED):
        entry = load(ptr, d, DICT_ENTRIES) + i * step
        i += 1
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            if sm_set_add(ctx, s, entry + ENTRY_KEY):
                return 1
    return 0


@native
def _filled(status: i32, result: ptr) -> i32:
    """The status of what filled the new set in ``result``, which goes when that failed."""
    if status != 0:
        sm_release(load(ptr, result))
    return status


@native
def sm_set_copy(ctx: ptr, s: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s.copy()``, or ``set(s)`` or ``frozenset(s)`` as ``descriptor`` says."""
    if sm_set_new(ctx, descriptor, result):
        return 1
    return _filled(sm_set_update(ctx, load(ptr, result), s), result)


@native
def sm_set_union(ctx: ptr, s: ptr, other: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s | other``."""
    if sm_set_copy(ctx, s, descriptor, result):
        return 1
    return _filled(sm_set_update(ctx, load(ptr, result), other), result)


@native
def _select(ctx: ptr, r: ptr, source: ptr, other: ptr, wanted: i64) -> i32:
    """Add the elements of ``source`` to ``r`` that are (or are not) in ``other``."""
    kind = _element(source)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, source, SET_MASK) + 1):
        place = load(ptr, source, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) != PLACE_USED:
            continue
        hashed = load(i64, place, PLACE_HASH)
        if set_find(ctx, other, place + PLACE_KEY, kind, hashed, found):
            return 1
        if i64(load(i64, load(ptr, found), PLACE_STATE) == PLACE_USED) == wanted:
            if _add(ctx, r, place + PLACE_KEY, kind, hashed):
                return 1
    return 0


@native
def sm_set_intersection(ctx: ptr, s: ptr, other: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s & other``: a walk through the smaller one."""
    if s == other:
        return sm_set_copy(ctx, s, descriptor, result)
    if sm_set_new(ctx, descriptor, result):
        return 1
    status = i32(0)
    if load(i64, other, SET_USED) > load(i64, s, SET_USED):
        status = _select(ctx, load(ptr, result), s, other, 1)
    else:
        status = _select(ctx, load(ptr, result), other, s, 1)
    return _filled(status, result)


@native
def sm_set_difference(ctx: ptr, s: ptr, other: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s - other``."""
    if load(i64, s, SET_USED) >> 2 > load(i64, other, SET_USED):
        if sm_set_copy(ctx, s, descriptor, result):
            return 1
        return _filled(sm_set_difference_update(ctx, load(ptr, result), other), result)
    if sm_set_new(ctx, descriptor, result):
        return 1
    return _filled(_select(ctx, load(ptr, result), s, other, 0), result)


@native
def sm_set_difference_list(ctx: ptr, s: ptr, values: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s.difference(values)`` of a list: a copy from which the values are removed."""
    if sm_set_copy(ctx, s, descriptor, result):
        return 1
    return _filled(sm_set_difference_update_list(ctx, load(ptr, result), values), result)


@native
def _remove_all(ctx: ptr, s: ptr, other: ptr) -> i32:
    kind = _element(other)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, other, SET_MASK) + 1):
        place = load(ptr, other, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) != PLACE_USED:
            continue
        if set_find(ctx, s, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH), found):
            return 1
        if load(i64, load(ptr, found), PLACE_STATE) == PLACE_USED:
            _discard(s, load(ptr, found))
    return 0


@native
def _shed_dummies(ctx: ptr, s: ptr) -> i32:
    """Rebuild the table when more than a quarter of it are dummies."""
    if load(i64, s, SET_FILLED) - load(i64, s, SET_USED) > load(i64, s, SET_MASK) >> 2:
        if _resize(s, _grown(s)) == 0:
            return sm_raise_memory_error(ctx)
    return 0


@native
def sm_set_difference_update(ctx: ptr, s: ptr, other: ptr) -> i32:
    """``s -= other``."""
    if s == other:
        return sm_set_clear(ctx, s)
    status = i32(0)
    if load(i64, other, SET_USED) >> 3 > load(i64, s, SET_USED):
        common = stack(8)
        if sm_set_intersection(ctx, s, other, load(ptr, s, HEAP_DESCRIPTOR), common):
            return 1
        status = _remove_all(ctx, s, load(ptr, common))
        sm_release(load(ptr, common))
    else:
        status = _remove_all(ctx, s, other)
    return status if status != 0 else _shed_dummies(ctx, s)


@native
def sm_set_difference_update_list(ctx: ptr, s: ptr, values: ptr) -> i32:
    """``s.difference_update(values)`` of a list."""
    step = load(i64, _element(s), DESC_SIZE)
    for i in range(load(i64, values, LIST_LENGTH)):
        if sm_set_discard(ctx, s, load(ptr, values, LIST_DATA) + i * step):
            return 1
    return _shed_dummies(ctx, s)


@native
def sm_set_intersection_update(ctx: ptr, s: ptr, other: ptr) -> i32:
    """``s &= other``."""
    common = stack(8)
    if sm_set_intersection(ctx, s, other, load(ptr, s, HEAP_DESCRIPTOR), common):
        return 1
    _exchange(s, load(ptr, common))
    sm_release(load(ptr, common))
    return 0


@native
def sm_set_intersection_list(ctx: ptr, s: ptr, values: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s.intersection(values)`` of a list: in the order of the values."""
    if sm_set_new(ctx, descriptor, result):
        return 1
    r = load(ptr, result)
    kind = _element(s)
    step = load(i64, kind, DESC_SIZE)
    found = stack(16)
    for i in range(load(i64, values, LIST_LENGTH)):
        key = load(ptr, values, LIST_DATA) + i * step
        status = _find(ctx, s, key, kind, found)
        if status == 0 and load(ptr, found) != 0:
            status = sm_set_add(ctx, r, key)
        if status != 0:
            return _filled(status, result)
    return 0


@native
def sm_set_symmetric_difference_update(ctx: ptr, s: ptr, other: ptr) -> i32:
    """``s ^= other``."""
    if s == other:
        return sm_set_clear(ctx, s)
    kind = _element(other)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, other, SET_MASK) + 1):
        place = load(ptr, other, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) != PLACE_USED:
            continue
        hashed = load(i64, place, PLACE_HASH)
        if set_find(ctx, s, place + PLACE_KEY, kind, hashed, found):
            return 1
        if load(i64, load(ptr, found), PLACE_STATE) == PLACE_USED:
            _discard(s, load(ptr, found))
        elif _add(ctx, s, place + PLACE_KEY, kind, hashed):
            return 1
    return 0


@native
def sm_set_symmetric_difference(ctx: ptr, s: ptr, other: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s ^ other``: a copy of ``other``, changed by ``s``."""
    if sm_set_copy(ctx, other, descriptor, result):
        return 1
    return _filled(sm_set_symmetric_difference_update(ctx, load(ptr, result), s), result)


@native
def sm_set_issubset(ctx: ptr, s: ptr, other: ptr, result: ptr) -> i32:
    """``s <= other``; the element types may differ."""
    return set_subset(ctx, s, other, result)


@native
def sm_set_isdisjoint(ctx: ptr, s: ptr, other: ptr, result: ptr) -> i32:
    """Whether no element is common."""
    return set_each(ctx, s, other, 0, result)


@native
def sm_set_list(ctx: ptr, s: ptr, descriptor: ptr, result: ptr) -> i32:
    """``list(s)``; ``descriptor`` is that of the result."""
    a = sm_list_new(descriptor, load(i64, s, SET_USED))
    if a == 0:
        return sm_raise_memory_error(ctx)
    kind = _element(s)
    step = place_size(kind)
    target = load(ptr, a, LIST_DATA)
    for i in range(load(i64, s, SET_MASK) + 1):
        place = load(ptr, s, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            sm_slot_copy(target, place + PLACE_KEY, kind)
            target = target + load(i64, kind, DESC_SIZE)
    store(i64, a, LIST_LENGTH, load(i64, s, SET_USED))
    store(ptr, result, 0, a)
    return 0
