"""list: ``index``, ``remove``, ``in``, ``count``."""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_KIND,
    DESC_SIZE,
    HEAP_DESCRIPTOR,
    KIND_DEQUE,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import i8, i32, i64, load, native, ptr, stack, store, text
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.equality import sm_slot_eq, sm_slots_eq
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from
from scriptmode.runtime.native.lists import LARGEST, element, sm_list_delitem
from scriptmode.runtime.native.reprs import slot_repr_into


@native
def _find(ctx: ptr, a: ptr, slot: ptr, start: i64, stop: i64, found: ptr) -> i32:
    """Write the first index in ``start:stop`` of an equal element, or -1."""
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    equal = stack(8)
    i = start
    # the bound is read again: comparing may run code that changes the list
    while i < stop and i < load(i64, a, LIST_LENGTH):
        if sm_slot_eq(ctx, load(ptr, a, LIST_DATA) + i * size, slot, item, equal):
            return 1
        if load(i8, equal) != 0:
            store(i64, found, 0, i)
            return 0
        i = i + 1
    store(i64, found, 0, -1)
    return 0


@native
def sm_list_index(
    ctx: ptr,
    a: ptr,
    slot: ptr,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    result: ptr,
) -> i32:
    """``a.index(x, start, stop)``."""
    n = load(i64, a, LIST_LENGTH)
    if has_start == 0:
        start = 0
    if has_stop == 0:
        stop = LARGEST
    if start < 0:
        start = start + n
        if start < 0:
            start = 0
    if stop < 0:
        stop = stop + n
    if _find(ctx, a, slot, start, stop, result):
        return 1
    if load(i64, result) >= 0:
        return 0
    return sm_raise_not_in(ctx, a, slot)


@native(noinline=True)
def sm_raise_not_in(ctx: ptr, a: ptr, slot: ptr) -> i32:
    """Status of a search in a list, or a deque, that has no such element."""
    b = stack(40)
    b_init(b)
    if slot_repr_into(ctx, b, slot, element(a)):
        return 1
    if load(i64, load(ptr, a, HEAP_DESCRIPTOR), DESC_KIND) == KIND_DEQUE:
        b_text(b, text(" is not in deque"))
    else:
        b_text(b, text(" is not in list"))
    return raise_from(ctx, VALUE_ERROR, b_finish(b))


@native
def sm_list_remove(ctx: ptr, a: ptr, slot: ptr) -> i32:
    """``a.remove(x)``."""
    found = stack(8)
    if _find(ctx, a, slot, 0, LARGEST, found):
        return 1
    if load(i64, found) < 0:
        return raise_from(ctx, VALUE_ERROR, text("list.remove(x): x not in list"))
    return sm_list_delitem(ctx, a, load(i64, found))


@native
def sm_list_contains_any(ctx: ptr, a: ptr, slot: ptr, kind: ptr, result: ptr) -> i32:
    """``x in a`` of a value that ``kind`` describes."""
    item = element(a)
    store(i8, result, 0, 0)
    i = 0
    while i < load(i64, a, LIST_LENGTH):
        place = load(ptr, a, LIST_DATA) + i * load(i64, item, DESC_SIZE)
        if sm_slots_eq(ctx, place, item, slot, kind, result):
            return 1
        if load(i8, result) != 0:
            return 0
        i += 1
    return 0


@native
def sm_list_contains(ctx: ptr, a: ptr, slot: ptr, result: ptr) -> i32:
    """``x in a``, as an i8."""
    found = stack(8)
    if _find(ctx, a, slot, 0, LARGEST, found):
        return 1
    store(i8, result, 0, i8(load(i64, found) >= 0))
    return 0


@native
def sm_list_count(ctx: ptr, a: ptr, slot: ptr, result: ptr) -> i32:
    """``a.count(x)``."""
    found = stack(8)
    count = 0
    start = 0
    while True:
        if _find(ctx, a, slot, start, LARGEST, found):
            return 1
        if load(i64, found) < 0:
            store(i64, result, 0, count)
            return 0
        count = count + 1
        start = load(i64, found) + 1
