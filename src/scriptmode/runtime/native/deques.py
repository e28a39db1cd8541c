"""Deques: lists that grow at both ends.

A deque has the layout of a list, so that what reads or reorders a list does it to a deque; ``gap``
free places lie before its first element.  A limited deque drops from the other end when it is
full.  Elements pass by slot pointer and are borrowed; ``result`` slots get owned values.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DEQUE_GAP,
    DEQUE_LIMIT,
    DEQUE_SIZE,
    DEQUE_VERSION,
    DESC_SIZE,
    HEAP_DESCRIPTOR,
    LIST_CAPACITY,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    memcpy,
    memmove,
    native,
    ptr,
    srem,
    stack,
    store,
    text,
    ult,
)
from scriptmode.runtime.native.equality import sm_slot_eq
from scriptmode.runtime.native.errors import (
    INDEX_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.list_searches import sm_raise_not_in
from scriptmode.runtime.native.lists import element, sm_list_reverse, swap_slots
from scriptmode.runtime.native.memory import (
    free,
    malloc,
    sm_object_new,
    sm_release,
    sm_slot_copy,
    sm_slot_drop,
    sm_slots_drop,
    sm_slots_retain,
)

MAX_ELEMENTS = 1 << 48


@native
def sm_deque_new(ctx: ptr, limit: i64, descriptor: ptr, result: ptr) -> i32:
    """``deque(maxlen=limit)``; -1 for no limit."""
    d = sm_object_new(DEQUE_SIZE, descriptor)
    if d == 0:
        return sm_raise_memory_error(ctx)
    store(i64, d, LIST_LENGTH, 0)
    store(i64, d, LIST_CAPACITY, 0)
    store(ptr, d, LIST_DATA, ptr(0))
    store(i64, d, DEQUE_GAP, 0)
    store(i64, d, DEQUE_LIMIT, limit)
    store(i64, d, DEQUE_VERSION, 0)
    store(ptr, result, 0, d)
    return 0


@native
def _size(d: ptr) -> i64:
    return load(i64, element(d), DESC_SIZE)


@native
def deque_memory(d: ptr) -> ptr:
    """Where the memory of the elements begins."""
    return load(ptr, d, LIST_DATA) - load(i64, d, DEQUE_GAP) * _size(d)


@native(noinline=True)
def _move(d: ptr, before: i64, after: i64) -> i64:
    """New memory with room for so many more elements at each end; 0 when there is none."""
    n = load(i64, d, LIST_LENGTH)
    total = before + n + after
    if total > MAX_ELEMENTS:
        return 0
    size = _size(d)
    memory = malloc(total * size + 1)
    if memory == 0:
        return 0
    memcpy(memory + before * size, load(ptr, d, LIST_DATA), n * size)
    if load(ptr, d, LIST_DATA) != 0:
        free(deque_memory(d))
    store(ptr, d, LIST_DATA, memory + before * size)
    store(i64, d, DEQUE_GAP, before)
    store(i64, d, LIST_CAPACITY, n + after)
    return 1


@native
def _changed(d: ptr) -> None:
    store(i64, d, DEQUE_VERSION, load(i64, d, DEQUE_VERSION) + 1)


@native
def _room_after(d: ptr) -> i64:
    n = load(i64, d, LIST_LENGTH)
    if n < load(i64, d, LIST_CAPACITY):
        return 1
    gap = load(i64, d, DEQUE_GAP)
    if gap > n:
        # a queue: its elements move back to the start of the memory
        size = _size(d)
        memory = deque_memory(d)
        memmove(memory, load(ptr, d, LIST_DATA), n * size)
        store(ptr, d, LIST_DATA, memory)
        store(i64, d, DEQUE_GAP, 0)
        store(i64, d, LIST_CAPACITY, load(i64, d, LIST_CAPACITY) + gap)
        return 1
    return _move(d, gap, n + 8)


@native
def _room_before(d: ptr) -> i64:
    if load(i64, d, DEQUE_GAP) > 0:
        return 1
    n = load(i64, d, LIST_LENGTH)
    return _move(d, n + 8, load(i64, d, LIST_CAPACITY) - n)


@native
def _drop_first(d: ptr) -> None:
    first = load(ptr, d, LIST_DATA)
    _forget_first(d)
    sm_slot_drop(first, element(d))


@native
def _forget_first(d: ptr) -> None:
    store(ptr, d, LIST_DATA, load(ptr, d, LIST_DATA) + _size(d))
    store(i64, d, DEQUE_GAP, load(i64, d, DEQUE_GAP) + 1)
    store(i64, d, LIST_CAPACITY, load(i64, d, LIST_CAPACITY) - 1)
    store(i64, d, LIST_LENGTH, load(i64, d, LIST_LENGTH) - 1)


@native
def _drop_last(d: ptr) -> None:
    n = load(i64, d, LIST_LENGTH) - 1
    store(i64, d, LIST_LENGTH, n)
    sm_slot_drop(load(ptr, d, LIST_DATA) + n * _size(d), element(d))


@native
def _is_over(d: ptr) -> bool:
    limit = load(i64, d, DEQUE_LIMIT)
    return limit >= 0 and load(i64, d, LIST_LENGTH) > limit


@native
def sm_deque_append(ctx: ptr, d: ptr, slot: ptr) -> i32:
    """``d.append(x)``."""
    if _room_after(d) == 0:
        return sm_raise_memory_error(ctx)
    n = load(i64, d, LIST_LENGTH)
    sm_slot_copy(load(ptr, d, LIST_DATA) + n * _size(d), slot, element(d))
    store(i64, d, LIST_LENGTH, n + 1)
    _changed(d)
    if _is_over(d):
        _drop_first(d)
    return 0


@native
def sm_deque_appendleft(ctx: ptr, d: ptr, slot: ptr) -> i32:
    """``d.appendleft(x)``."""
    if _room_before(d) == 0:
        return sm_raise_memory_error(ctx)
    place = load(ptr, d, LIST_DATA) - _size(d)
    sm_slot_copy(place, slot, element(d))
    store(ptr, d, LIST_DATA, place)
    store(i64, d, DEQUE_GAP, load(i64, d, DEQUE_GAP) - 1)
    store(i64, d, LIST_CAPACITY, load(i64, d, LIST_CAPACITY) + 1)
    store(i64, d, LIST_LENGTH, load(i64, d, LIST_LENGTH) + 1)
    _changed(d)
    if _is_over(d):
        _drop_last(d)
    return 0


@native
def sm_deque_pop(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``d.pop()``."""
    n = load(i64, d, LIST_LENGTH) - 1
    if n < 0:
        return raise_from(ctx, INDEX_ERROR, text("pop from an empty deque"))
    memcpy(result, load(ptr, d, LIST_DATA) + n * _size(d), _size(d))
    store(i64, d, LIST_LENGTH, n)
    _changed(d)
    return 0


@native
def sm_deque_popleft(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``d.popleft()``."""
    if load(i64, d, LIST_LENGTH) == 0:
        return raise_from(ctx, INDEX_ERROR, text("pop from an empty deque"))
    memcpy(result, load(ptr, d, LIST_DATA), _size(d))
    _forget_first(d)
    _changed(d)
    return 0


@native
def sm_deque_clear(ctx: ptr, d: ptr) -> i32:
    """``d.clear()``."""
    n = load(i64, d, LIST_LENGTH)
    if n == 0:
        return 0
    store(i64, d, LIST_LENGTH, 0)
    sm_slots_drop(load(ptr, d, LIST_DATA), n, element(d))
    _changed(d)
    return 0


@native
def sm_deque_extend(ctx: ptr, d: ptr, values: ptr) -> i32:
    """``d.extend(values)`` of a list (or another deque)."""
    size = _size(d)
    n = load(i64, values, LIST_LENGTH)
    for i in range(n):
        if sm_deque_append(ctx, d, load(ptr, values, LIST_DATA) + i * size):
            return 1
    return 0


@native
def sm_deque_extendleft(ctx: ptr, d: ptr, values: ptr) -> i32:
    """``d.extendleft(values)`` of a list."""
    size = _size(d)
    for i in range(load(i64, values, LIST_LENGTH)):
        if sm_deque_appendleft(ctx, d, load(ptr, values, LIST_DATA) + i * size):
            return 1
    return 0


@native
def sm_deque_rotate(ctx: ptr, d: ptr, by: i64) -> i32:
    """``d.rotate(by)``: three reversals; a change of two or more elements even where none moves."""
    n = load(i64, d, LIST_LENGTH)
    if n < 2:
        return 0
    _changed(d)
    by = srem(by, n)
    if by < 0:
        by = by + n
    if by == 0:
        return 0
    _reverse(d, 0, n)
    _reverse(d, 0, by)
    _reverse(d, by, n)
    return 0


@native
def _reverse(d: ptr, start: i64, stop: i64) -> None:
    size = _size(d)
    data = load(ptr, d, LIST_DATA)
    last = stop - 1
    while start < last:
        swap_slots(data + start * size, data + last * size, size)
        start += 1
        last -= 1


@native
def sm_deque_insert(ctx: ptr, d: ptr, index: i64, slot: ptr) -> i32:
    """``d.insert(index, x)``; IndexError when the deque is full."""
    n = load(i64, d, LIST_LENGTH)
    if load(i64, d, DEQUE_LIMIT) >= 0 and n >= load(i64, d, DEQUE_LIMIT):
        return raise_from(ctx, INDEX_ERROR, text("deque already at its maximum size"))
    if _room_after(d) == 0:
        return sm_raise_memory_error(ctx)
    if index < 0:
        index = index + n
        if index < 0:
            index = 0
    if index > n:
        index = n
    size = _size(d)
    place = load(ptr, d, LIST_DATA) + index * size
    memmove(place + size, place, (n - index) * size)
    sm_slot_copy(place, slot, element(d))
    store(i64, d, LIST_LENGTH, n + 1)
    _changed(d)
    return 0


@native
def _erase(d: ptr, index: i64) -> None:
    size = _size(d)
    n = load(i64, d, LIST_LENGTH) - 1
    place = load(ptr, d, LIST_DATA) + index * size
    sm_slot_drop(place, element(d))
    memmove(place, place + size, (n - index) * size)
    store(i64, d, LIST_LENGTH, n)
    _changed(d)


@native
def _place(d: ptr, index: i64) -> i64:
    """The index counted from the start; -1 when it is outside."""
    n = load(i64, d, LIST_LENGTH)
    if index < 0:
        index = index + n
    return index if ult(index, n) else i64(-1)


@native(noinline=True)
def _index_error(ctx: ptr) -> i32:
    return raise_from(ctx, INDEX_ERROR, text("deque index out of range"))


@native
def sm_deque_getitem(ctx: ptr, d: ptr, index: i64, result: ptr) -> i32:
    """``d[index]``."""
    at = _place(d, index)
    if at < 0:
        return _index_error(ctx)
    sm_slot_copy(result, load(ptr, d, LIST_DATA) + at * _size(d), element(d))
    return 0


@native
def sm_deque_setitem(ctx: ptr, d: ptr, index: i64, slot: ptr) -> i32:
    """``d[index] = x``; no change of size."""
    at = _place(d, index)
    if at < 0:
        return _index_error(ctx)
    place = load(ptr, d, LIST_DATA) + at * _size(d)
    sm_slots_retain(slot, 1, element(d))
    sm_slot_drop(place, element(d))
    memcpy(place, slot, _size(d))
    return 0


@native
def sm_deque_delitem(ctx: ptr, d: ptr, index: i64) -> i32:
    """``del d[index]``."""
    at = _place(d, index)
    if at < 0:
        return _index_error(ctx)
    _erase(d, at)
    return 0


@native
def sm_deque_remove(ctx: ptr, d: ptr, slot: ptr) -> i32:
    """``d.remove(x)``."""
    equal = stack(8)
    size = _size(d)
    for i in range(load(i64, d, LIST_LENGTH)):
        if sm_slot_eq(ctx, load(ptr, d, LIST_DATA) + i * size, slot, element(d), equal):
            return 1
        if load(i8, equal) != 0:
            _erase(d, i)
            return 0
    return sm_raise_not_in(ctx, d, slot)


@native
def sm_deque_reverse(ctx: ptr, d: ptr) -> i32:
    """``d.reverse()``."""
    return sm_list_reverse(ctx, d)


@native
def sm_deque_maxlen(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``d.maxlen`` as {i8 has, i64 value}."""
    limit = load(i64, d, DEQUE_LIMIT)
    store(i8, result, 0, i8(limit >= 0))
    store(i64, result, 8, limit if limit >= 0 else i64(0))
    return 0


@native
def sm_deque_copy(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``d.copy()``."""
    if sm_deque_new(ctx, load(i64, d, DEQUE_LIMIT), load(ptr, d, HEAP_DESCRIPTOR), result):
        return 1
    if sm_deque_extend(ctx, load(ptr, result), d):
        sm_release(load(ptr, result))
        return 1
    return 0
