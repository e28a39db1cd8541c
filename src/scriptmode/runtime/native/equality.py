"""Equality of values, by descriptor, and the lookup of keys in sets and dicts that goes by it.

Equality takes two descriptors, since ``1 == 1.0`` and ``(1, None) == (True, x)`` compare values of
different types.  Two slots with the same object are equal at once, as in CPython's containers.
Values that only Python can compare go through the function pointers in ``hooks``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_EQ,
    DESC_FLAVOR,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_INDEX,
    DICT_LENGTH,
    DICT_MASK,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    FLAVOR_ORDERED,
    HEAP_DESCRIPTOR,
    INDEX_FREE,
    KIND_BYTES,
    KIND_CLASS,
    KIND_CODE,
    KIND_DEQUE,
    KIND_DEVICE,
    KIND_DICT,
    KIND_LIST,
    KIND_NONE,
    KIND_RANGE,
    KIND_STR,
    KIND_TENSOR,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_DUMMY,
    PLACE_FREE,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
)
from scriptmode.codegen.native import (
    call,
    i8,
    i16,
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.errors import NOT_IMPLEMENTED_ERROR, check_stack, raise_from
from scriptmode.runtime.native.hooks import HOOK_TENSOR_EQ, sm_hooks
from scriptmode.runtime.native.keys import same_text
from scriptmode.runtime.native.memory import child, entry_size, entry_value_offset, place_size
from scriptmode.runtime.native.mixed_numbers import is_number, numbers_equal
from scriptmode.runtime.native.quick import UNKNOWN, quick_equal
from scriptmode.runtime.native.resolving import (
    V_DESCRIPTOR,
    V_KIND,
    V_SLOT,
    is_set,
    is_tuple,
    range_length,
    resolve_data,
    tuple_item,
    tuple_item_type,
    tuple_length,
)


@native(fast=True)
def sm_str_equal(a: ptr, b: ptr) -> i8:
    """``a == b``."""
    return i8(same_text(a, b))


@native
def sm_slot_eq(ctx: ptr, a: ptr, b: ptr, descriptor: ptr, result: ptr) -> i32:
    """``a == b`` of two values of one type, as an i8."""
    return sm_slots_eq(ctx, a, descriptor, b, descriptor, result)


@native
def sm_slots_eq(ctx: ptr, a: ptr, da: ptr, b: ptr, db: ptr, result: ptr) -> i32:
    """``a == b`` of values of any two types, as an i8."""
    if da == db:
        known = quick_equal(a, b, da)
        if known != UNKNOWN:
            store(i8, result, 0, i8(known))
            return 0
    va = stack(24)
    vb = stack(24)
    ka = resolve_data(va, a, da)
    kb = resolve_data(vb, b, db)
    sa = load(ptr, va, V_SLOT)
    sb = load(ptr, vb, V_SLOT)
    equal = i8(0)
    if is_number(ka) and is_number(kb):
        equal = i8(numbers_equal(ka, sa, kb, sb))
    elif is_tuple(ka) and is_tuple(kb):
        return _tuples_equal(ctx, va, vb, result)
    elif ka == KIND_CLASS or kb == KIND_CLASS:
        return _objects_equal(ctx, va, vb, result)
    elif is_set(ka) and is_set(kb):
        return sm_set_eq(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka != kb:
        equal = 0
    elif ka == KIND_NONE:
        equal = 1
    elif ka in (KIND_STR, KIND_BYTES):
        equal = sm_str_equal(load(ptr, sa), load(ptr, sb))
    elif ka == KIND_DEVICE:
        equal = i8(load(i16, sa) == load(i16, sb))
    elif ka == KIND_RANGE:
        equal = i8(_ranges_equal(sa, sb))
    elif ka == KIND_CODE:
        same = load(ptr, va, V_DESCRIPTOR) == load(ptr, vb, V_DESCRIPTOR)
        equal = i8(same and load(i8, sa) == load(i8, sb))
    elif load(ptr, sa) == load(ptr, sb):
        equal = 1
    elif ka in (KIND_LIST, KIND_DEQUE):
        return _lists_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka == KIND_DICT:
        return _dicts_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka == KIND_TENSOR:
        return _tensors_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    store(i8, result, 0, equal)
    return 0


@native
def _objects_equal(ctx: ptr, va: ptr, vb: ptr, result: ptr) -> i32:
    """Equality where at least one is an instance: the same object, or as its class says."""
    a = load(ptr, va, V_SLOT)
    b = load(ptr, vb, V_SLOT)
    da = load(ptr, va, V_DESCRIPTOR)
    db = load(ptr, vb, V_DESCRIPTOR)
    ka = load(i64, va, V_KIND)
    kb = load(i64, vb, V_KIND)
    if ka == kb and load(ptr, a) == load(ptr, b):
        store(i8, result, 0, i8(1))
        return 0
    if ka == KIND_CLASS and load(ptr, da, DESC_EQ) != 0:
        return call(i32, load(ptr, da, DESC_EQ), ctx, a, b, db, result)
    if kb == KIND_CLASS and load(ptr, db, DESC_EQ) != 0:
        return call(i32, load(ptr, db, DESC_EQ), ctx, b, a, da, result)
    store(i8, result, 0, i8(0))
    return 0


@native
def _tensors_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    hook = load(ptr, sm_hooks, HOOK_TENSOR_EQ)
    if hook == 0:
        message = text("comparing tensors inside containers is not supported")
        return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)
    return call(i32, hook, ctx, a, b, result)


@native
def _tuples_equal(ctx: ptr, va: ptr, vb: ptr, result: ptr) -> i32:
    n = tuple_length(va)
    store(i8, result, 0, i8(n == tuple_length(vb)))
    for i in range(n):
        if load(i8, result) == 0:
            return 0
        a = tuple_item(va, i)
        b = tuple_item(vb, i)
        if sm_slots_eq(ctx, a, tuple_item_type(va, i), b, tuple_item_type(vb, i), result):
            return 1
    return 0


@native
def _lists_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    if check_stack(ctx):
        return 1
    n = load(i64, a, LIST_LENGTH)
    store(i8, result, 0, i8(n == load(i64, b, LIST_LENGTH)))
    if load(i8, result) == 0:
        return 0
    da = child(load(ptr, a, HEAP_DESCRIPTOR), 0)
    db = child(load(ptr, b, HEAP_DESCRIPTOR), 0)
    wa = load(i64, da, DESC_SIZE)
    wb = load(i64, db, DESC_SIZE)
    i = 0
    while i < load(i64, a, LIST_LENGTH) and i < load(i64, b, LIST_LENGTH):
        x = load(ptr, a, LIST_DATA) + i * wa
        y = load(ptr, b, LIST_DATA) + i * wb
        if sm_slots_eq(ctx, x, da, y, db, result):
            return 1
        if load(i8, result) == 0:
            return 0
        i += 1
    return 0


@native
def sm_list_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of lists, as an i8; their element types may differ."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    return _lists_equal(ctx, a, b, result)


@native
def set_step(at: i64, mask: i64) -> i64:
    """How many places are looked at in a row."""
    return i64(10) if at + 9 <= mask else i64(1)


@native
def set_find(ctx: ptr, s: ptr, slot: ptr, descriptor: ptr, hashed: i64, found: ptr) -> i32:
    """Write the place of an equal element, or the free one that ended the search, and a dummy.

    The dummy is the last one on the way, or null.
    """
    key = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    size = place_size(key)
    mask = load(i64, s, SET_MASK)
    equal = stack(8)
    store(ptr, found, 8, ptr(0))
    at = hashed & mask
    perturb = hashed
    while True:
        place = load(ptr, s, SET_TABLE) + at * size
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                store(ptr, found, 0, place)
                return 0
            if state == PLACE_DUMMY:
                store(ptr, found, 8, place)
            elif load(i64, place, PLACE_HASH) == hashed:
                if sm_slots_eq(ctx, place + PLACE_KEY, key, slot, descriptor, equal):
                    return 1
                if load(i8, equal) != 0:
                    store(ptr, found, 0, place)
                    return 0
            place = place + size
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask


@native
def set_each(ctx: ptr, s: ptr, other: ptr, wanted: i64, result: ptr) -> i32:
    """Whether every element of ``s`` is (1) or is not (0) in ``other``, as an i8."""
    store(i8, result, 0, 0)
    kind = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, s, SET_MASK) + 1):
        place = load(ptr, s, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            if set_find(ctx, other, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH), found):
                return 1
            if i64(load(i64, load(ptr, found), PLACE_STATE) == PLACE_USED) != wanted:
                return 0
    store(i8, result, 0, 1)
    return 0


@native
def set_subset(ctx: ptr, s: ptr, other: ptr, result: ptr) -> i32:
    """Whether every element of ``s`` is in ``other``, as an i8."""
    store(i8, result, 0, 0)
    if load(i64, s, SET_USED) > load(i64, other, SET_USED):
        return 0
    return set_each(ctx, s, other, 1, result)


@native
def sm_set_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of sets, whose element types may differ."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    if load(i64, a, SET_USED) != load(i64, b, SET_USED):
        store(i8, result, 0, 0)
        return 0
    return set_subset(ctx, a, b, result)


@native
def sm_set_lt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """Whether ``a`` is a proper subset."""
    if load(i64, a, SET_USED) >= load(i64, b, SET_USED):
        store(i8, result, 0, 0)
        return 0
    return set_subset(ctx, a, b, result)


@native
def _ranges_equal(a: ptr, b: ptr) -> bool:
    n = range_length(a)
    if n != range_length(b):
        return False
    if n == 0:
        return True
    return load(i64, a) == load(i64, b) and (n == 1 or load(i64, a, 16) == load(i64, b, 16))


@native
def dict_find(ctx: ptr, d: ptr, slot: ptr, descriptor: ptr, hashed: i64, found: ptr) -> i32:
    """Write the number of the entry whose key equals the slot's value, or -1."""
    store(i64, found, 0, -1)
    if load(i64, d, DICT_LENGTH) == 0:
        return 0
    own = load(ptr, d, HEAP_DESCRIPTOR)
    key = child(own, 0)
    step = entry_size(own)
    equal = stack(8)
    mask = load(i64, d, DICT_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        number = load(i64, load(ptr, d, DICT_INDEX), at * 8)
        if number == INDEX_FREE:
            return 0
        if number >= 0:
            entry = load(ptr, d, DICT_ENTRIES) + number * step
            if load(i64, entry, ENTRY_HASH) == hashed:
                if sm_slots_eq(ctx, entry + ENTRY_KEY, key, slot, descriptor, equal):
                    return 1
                if load(i8, equal) != 0:
                    store(i64, found, 0, number)
                    return 0
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native
def _dicts_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    if check_stack(ctx):
        return 1
    store(i8, result, 0, i8(load(i64, a, DICT_LENGTH) == load(i64, b, DICT_LENGTH)))
    if load(i8, result) == 0:
        return 0
    da = load(ptr, a, HEAP_DESCRIPTOR)
    db = load(ptr, b, HEAP_DESCRIPTOR)
    both_ordered = (
        load(i64, da, DESC_FLAVOR) == FLAVOR_ORDERED
        and load(i64, db, DESC_FLAVOR) == FLAVOR_ORDERED
    )
    if both_ordered and same_order(ctx, a, b, result):
        return 1
    if load(i8, result) == 0:
        return 0
    va = entry_value_offset(child(da, 0))
    vb = entry_value_offset(child(db, 0))
    found = stack(8)
    for i in range(load(i64, a, DICT_USED)):
        entry = load(ptr, a, DICT_ENTRIES) + i * entry_size(da)
        hashed = load(i64, entry, ENTRY_HASH)
        if hashed == ENTRY_ERASED:
            continue
        if dict_find(ctx, b, entry + ENTRY_KEY, child(da, 0), hashed, found):
            return 1
        if load(i64, found) < 0:
            store(i8, result, 0, 0)
            return 0
        other = load(ptr, b, DICT_ENTRIES) + load(i64, found) * entry_size(db)
        if sm_slots_eq(ctx, entry + va, child(da, 1), other + vb, child(db, 1), result):
            return 1
        if load(i8, result) == 0:
            return 0
    return 0


@native
def same_order(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """Whether the keys of two dicts of one length are equal one by one."""
    da = load(ptr, a, HEAP_DESCRIPTOR)
    db = load(ptr, b, HEAP_DESCRIPTOR)
    y = load(ptr, b, DICT_ENTRIES)
    for i in range(load(i64, a, DICT_USED)):
        x = load(ptr, a, DICT_ENTRIES) + i * entry_size(da)
        if load(i64, x, ENTRY_HASH) == ENTRY_ERASED:
            continue
        while load(i64, y, ENTRY_HASH) == ENTRY_ERASED:
            y = y + entry_size(db)
        if sm_slots_eq(ctx, x + ENTRY_KEY, child(da, 0), y + ENTRY_KEY, child(db, 0), result):
            return 1
        if load(i8, result) == 0:
            return 0
        y = y + entry_size(db)
    return 0


@native
def sm_dict_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of dicts, as an i8."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    return _dicts_equal(ctx, a, b, result)
