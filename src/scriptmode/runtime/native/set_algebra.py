"""What sets make of one another and of lists: union, intersection, difference, order, copies.

Which of two sets an operation walks through is as in CPython's ``Objects/setobject.c``, because the
order of the result's elements follows from it.
Elements are borrowed; ``result`` slots get owned values.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    HEAP_DESCRIPTOR,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_FILLED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
)
from scriptmode.codegen.native import (
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
)
from scriptmode.runtime.native.equality import set_each, set_find, set_subset
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.lists import sm_list_new
from scriptmode.runtime.native.memory import (
    entry_size,
    place_size,
    sm_release,
    sm_slot_copy,
)
from scriptmode.runtime.native.sets import (
    set_drop_at,
    set_element,
    set_exchange,
    set_find_key,
    set_free_place,
    set_grown,
    set_put,
    set_resize,
    sm_set_add,
    sm_set_clear,
    sm_set_discard,
    sm_set_new,
)


@native
def _copy_place(target: ptr, place: ptr, kind: ptr) -> None:
    store(i64, target, PLACE_STATE, PLACE_USED)
    store(i64, target, PLACE_HASH, load(i64, place, PLACE_HASH))
    sm_slot_copy(target + PLACE_KEY, place + PLACE_KEY, kind)


@native
def _make_room(ctx: ptr, s: ptr, more: i64) -> i32:
    """Let the table take ``more`` elements without growing again."""
    if (load(i64, s, SET_FILLED) + more) * 5 >= load(i64, s, SET_MASK) * 3:
        if set_resize(s, (load(i64, s, SET_USED) + more) * 2) == 0:
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
    kind = set_element(s)
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
            _copy_place(set_free_place(s, load(i64, place, PLACE_HASH)), place, kind)
        elif set_put(ctx, s, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH)):
            return 1
    if is_empty:
        store(i64, s, SET_FILLED, used)
        store(i64, s, SET_USED, used)
    return 0


@native
def sm_set_update_list(ctx: ptr, s: ptr, values: ptr) -> i32:
    """``s.update(values)`` of a list or tuple."""
    step = load(i64, set_element(s), DESC_SIZE)
    i = 0
    while i < load(i64, values, LIST_LENGTH):
        if sm_set_add(ctx, s, load(ptr, values, LIST_DATA) + i * step):
            return 1
        i += 1
    return 0


@native
def sm_set_update_sized(ctx: ptr, s: ptr, keys: ptr) -> i32:
    """``s.update(d)`` of a dict with these keys: there is room for all of them before the first."""
    if _make_room(ctx, s, load(i64, keys, LIST_LENGTH)):
        return 1
    return sm_set_update_list(ctx, s, keys)


@native
def sm_set_update_keys(ctx: ptr, s: ptr, d: ptr) -> i32:
    """Fill a new set with the keys of a dict."""
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
    """``s | other``; a set with itself is a copy, whose table has no room for as many more."""
    if sm_set_copy(ctx, s, descriptor, result):
        return 1
    if s == other:
        return 0
    return _filled(sm_set_update(ctx, load(ptr, result), other), result)


@native
def sm_set_freeze(ctx: ptr, s: ptr, descriptor: ptr, result: ptr) -> i32:
    """A frozenset with the table of ``s``, which is empty then."""
    if sm_set_new(ctx, descriptor, result):
        return 1
    set_exchange(load(ptr, result), s)
    return 0


@native
def _select(ctx: ptr, r: ptr, source: ptr, other: ptr, wanted: i64) -> i32:
    """Add the elements of ``source`` to ``r`` that are (or are not) in ``other``."""
    kind = set_element(source)
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
            if set_put(ctx, r, place + PLACE_KEY, kind, hashed):
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
    kind = set_element(other)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, other, SET_MASK) + 1):
        place = load(ptr, other, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) != PLACE_USED:
            continue
        if set_find(ctx, s, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH), found):
            return 1
        if load(i64, load(ptr, found), PLACE_STATE) == PLACE_USED:
            set_drop_at(s, load(ptr, found))
    return 0


@native
def _shed_dummies(ctx: ptr, s: ptr) -> i32:
    """Rebuild the table when more than a quarter of it are dummies."""
    if load(i64, s, SET_FILLED) - load(i64, s, SET_USED) > load(i64, s, SET_MASK) >> 2:
        if set_resize(s, set_grown(s)) == 0:
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
    step = load(i64, set_element(s), DESC_SIZE)
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
    set_exchange(s, load(ptr, common))
    sm_release(load(ptr, common))
    return 0


@native
def sm_set_intersection_list(ctx: ptr, s: ptr, values: ptr, descriptor: ptr, result: ptr) -> i32:
    """``s.intersection(values)`` of a list: in the order of the values."""
    if sm_set_new(ctx, descriptor, result):
        return 1
    r = load(ptr, result)
    kind = set_element(s)
    step = load(i64, kind, DESC_SIZE)
    found = stack(16)
    for i in range(load(i64, values, LIST_LENGTH)):
        key = load(ptr, values, LIST_DATA) + i * step
        status = set_find_key(ctx, s, key, kind, found)
        if status == 0 and load(ptr, found) != 0:
            status = sm_set_add(ctx, r, key)
        if status != 0:
            return _filled(status, result)
    return 0


@native
def sm_set_intersection_update_list(ctx: ptr, s: ptr, values: ptr) -> i32:
    """``s.intersection_update(values)`` of a list."""
    common = stack(8)
    if sm_set_intersection_list(ctx, s, values, load(ptr, s, HEAP_DESCRIPTOR), common):
        return 1
    set_exchange(s, load(ptr, common))
    sm_release(load(ptr, common))
    return 0


@native
def sm_set_symmetric_difference_update(ctx: ptr, s: ptr, other: ptr) -> i32:
    """``s ^= other``."""
    if s == other:
        return sm_set_clear(ctx, s)
    kind = set_element(other)
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
            set_drop_at(s, load(ptr, found))
        elif set_put(ctx, s, place + PLACE_KEY, kind, hashed):
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
    kind = set_element(s)
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
