"""The per-call memo of identities: which native container is which Python object.

A list, dict or generator that crosses the boundary twice in one call is one object on both sides.
Rows are searched one by one while they are few, and through two hash indexes (by object, by native)
after.
"""

from __future__ import annotations

from scriptmode.codegen.native import i8, i64, load, lshr, memset, native, ptr, store
from scriptmode.runtime.frame import (
    FRAME_BOXED,
    FRAME_FILLED,
    FRAME_MEMO_CAPACITY,
    FRAME_MEMO_DATA,
    FRAME_MEMO_INDEX,
    FRAME_MEMO_N,
    IN_GENERATOR,
    MEMO_NATIVE,
    MEMO_OBJECT,
    MEMO_PLAN,
    MEMO_SIZE,
    MEMO_SNAPSHOT,
    MEMO_STATE,
    PLAN_KIND,
    ROW_DONE,
)
from scriptmode.runtime.pyapi import (
    Py_DecRef,
    Py_IncRef,
    free,
    malloc,
    realloc,
    sm_release,
    sm_retain,
)

FEW = 16  # rows that are searched one by one
GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)


@native
def memo_row(frame: ptr, index: i64) -> ptr:
    """Address of a row."""
    return load(ptr, frame, FRAME_MEMO_DATA) + index * MEMO_SIZE


@native
def _slot_of(index: ptr, size: i64, key: ptr, data: ptr, field: i64) -> ptr:
    """The index slot of ``key``: the one that has its row, else the free one where it belongs."""
    at = lshr(i64(key) * GOLDEN, 20) & (size - 1)
    while True:
        slot = index + at * 8
        row = load(i64, slot)
        if row < 0 or load(ptr, data, row * MEMO_SIZE + field) == key:
            return slot
        at = (at + 1) & (size - 1)


@native
def memo_find(frame: ptr, key: ptr, field: i64) -> ptr:
    """The row whose ``field`` (MEMO_OBJECT or MEMO_NATIVE) is ``key``; null when there is none."""
    n = load(i64, frame, FRAME_MEMO_N)
    data = load(ptr, frame, FRAME_MEMO_DATA)
    if n <= FEW:
        for i in range(n):
            if load(ptr, data, i * MEMO_SIZE + field) == key:
                return data + i * MEMO_SIZE
        return ptr(0)
    size = load(i64, frame, FRAME_MEMO_CAPACITY) * 2
    index = load(ptr, frame, FRAME_MEMO_INDEX) + field * size
    found = load(i64, _slot_of(index, size, key, data, field))
    return data + found * MEMO_SIZE if found >= 0 else ptr(0)


@native
def _index_row(frame: ptr, number: i64) -> None:
    size = load(i64, frame, FRAME_MEMO_CAPACITY) * 2
    data = load(ptr, frame, FRAME_MEMO_DATA)
    row = data + number * MEMO_SIZE
    # fields 0 and 8 have their halves at 0 and 8 * size bytes of the index
    index = load(ptr, frame, FRAME_MEMO_INDEX)
    by_object = _slot_of(index, size, load(ptr, row, MEMO_OBJECT), data, MEMO_OBJECT)
    store(i64, by_object, 0, number)
    by_native = _slot_of(
        index + MEMO_NATIVE * size, size, load(ptr, row, MEMO_NATIVE), data, MEMO_NATIVE
    )
    store(i64, by_native, 0, number)


@native
def _reindex(frame: ptr) -> None:
    capacity = load(i64, frame, FRAME_MEMO_CAPACITY)
    if capacity <= FEW:
        return
    memset(load(ptr, frame, FRAME_MEMO_INDEX), i8(-1), capacity * 32)
    for i in range(load(i64, frame, FRAME_MEMO_N)):
        _index_row(frame, i)


@native
def _grow(frame: ptr) -> i64:
    """Room for more rows; 0 when there is no memory."""
    capacity = load(i64, frame, FRAME_MEMO_CAPACITY) * 4
    if capacity == 0:
        capacity = FEW
    data = realloc(load(ptr, frame, FRAME_MEMO_DATA), capacity * MEMO_SIZE)
    if data == 0:
        return 0
    store(ptr, frame, FRAME_MEMO_DATA, data)
    if capacity > FEW:
        index = malloc(capacity * 32)
        if index == 0:
            return 0
        free(load(ptr, frame, FRAME_MEMO_INDEX))
        store(ptr, frame, FRAME_MEMO_INDEX, index)
    store(i64, frame, FRAME_MEMO_CAPACITY, capacity)
    _reindex(frame)
    return 1


@native
def _is_heap_object(plan: ptr) -> bool:
    # what a generator's Python object wraps lives as long as that object
    return load(i64, plan, PLAN_KIND) != IN_GENERATOR


@native
def memo_add(frame: ptr, obj: ptr, value: ptr, plan: ptr, snapshot: ptr) -> i64:
    """Remember a pair, owning one more reference to each, and ``snapshot`` itself; 0: no memory."""
    n = load(i64, frame, FRAME_MEMO_N)
    if n == load(i64, frame, FRAME_MEMO_CAPACITY) and _grow(frame) == 0:
        return 0
    row = memo_row(frame, n)
    Py_IncRef(obj)
    if _is_heap_object(plan):
        sm_retain(value)
    store(ptr, row, MEMO_OBJECT, obj)
    store(ptr, row, MEMO_NATIVE, value)
    store(ptr, row, MEMO_PLAN, plan)
    store(ptr, row, MEMO_SNAPSHOT, snapshot)
    store(i64, row, MEMO_STATE, ROW_DONE)
    store(i64, frame, FRAME_MEMO_N, n + 1)
    if load(i64, frame, FRAME_MEMO_CAPACITY) > FEW:
        _index_row(frame, n)
    return 1


@native
def _forget_row(row: ptr) -> None:
    sm_release(load(ptr, row, MEMO_SNAPSHOT))
    if _is_heap_object(load(ptr, row, MEMO_PLAN)):
        sm_release(load(ptr, row, MEMO_NATIVE))
    Py_DecRef(load(ptr, row, MEMO_OBJECT))


@native(noinline=True)
def memo_truncate(frame: ptr, n: i64) -> None:
    """Forget all rows from ``n`` on."""
    for i in range(n, load(i64, frame, FRAME_MEMO_N)):
        _forget_row(memo_row(frame, i))
    store(i64, frame, FRAME_MEMO_N, n)
    if load(i64, frame, FRAME_FILLED) > n:
        store(i64, frame, FRAME_FILLED, n)
    if load(i64, frame, FRAME_BOXED) > n:
        store(i64, frame, FRAME_BOXED, n)
    _reindex(frame)


@native(noinline=True)
def memo_close(frame: ptr) -> None:
    """Forget everything and free the memo."""
    for i in range(load(i64, frame, FRAME_MEMO_N)):
        _forget_row(memo_row(frame, i))
    free(load(ptr, frame, FRAME_MEMO_DATA))
    free(load(ptr, frame, FRAME_MEMO_INDEX))
    store(i64, frame, FRAME_MEMO_N, 0)
    store(i64, frame, FRAME_FILLED, 0)
    store(i64, frame, FRAME_BOXED, 0)
