"""list: ``a[i:j:k]``, read, assigned and deleted; the bounds of slices of any sequence.

A slice's part is ``has_x, x``.
"""

from __future__ import annotations

from scriptmode.abi.objects import DESC_SIZE, LIST_DATA, LIST_LENGTH
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    memcpy,
    memmove,
    native,
    ptr,
    sdiv,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.digits import b_int
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.lists import (
    LARGEST,
    element,
    erase_range,
    list_type,
    sm_list_new,
    sm_list_reserve,
    swap_slots,
)
from scriptmode.runtime.native.memory import free, malloc, sm_release, sm_slot_drop, sm_slots_retain

SMALLEST = -(1 << 63)


@native
def slice_bounds(
    ctx: ptr,
    n: i64,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    has_step: i8,
    step: i64,
    bounds: ptr,
) -> i32:
    """Write start, stop, step and count of a slice over ``n`` items to ``bounds``."""
    if has_step == 0:
        step = 1
    if step == 0:
        return raise_from(ctx, VALUE_ERROR, text("slice step cannot be zero"))
    if step == SMALLEST:
        step = -LARGEST
    if has_start == 0:
        start = LARGEST if step < 0 else 0
    if has_stop == 0:
        stop = SMALLEST if step < 0 else LARGEST
    start = _clip_bound(start, n, step)
    stop = _clip_bound(stop, n, step)
    count = 0
    if step < 0:
        if stop < start:
            count = sdiv(start - stop - 1, -step) + 1
    elif start < stop:
        count = sdiv(stop - start - 1, step) + 1
    store(i64, bounds, 0, start)
    store(i64, bounds, 8, stop)
    store(i64, bounds, 16, step)
    store(i64, bounds, 24, count)
    return 0


@native
def _clip_bound(bound: i64, n: i64, step: i64) -> i64:
    if bound < 0:
        bound = bound + n
        if bound < 0:
            return i64(-1) if step < 0 else 0
        return bound
    if bound >= n:
        return n - 1 if step < 0 else n
    return bound


@native
def sm_list_slice(
    ctx: ptr,
    a: ptr,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    has_step: i8,
    step: i64,
    result: ptr,
) -> i32:
    """``a[start:stop:step]``."""
    bounds = stack(32)
    n = load(i64, a, LIST_LENGTH)
    if slice_bounds(ctx, n, has_start, start, has_stop, stop, has_step, step, bounds):
        return 1
    first = load(i64, bounds, 0)
    by = load(i64, bounds, 16)
    count = load(i64, bounds, 24)
    r = sm_list_new(list_type(a), count)
    if r == 0:
        return sm_raise_memory_error(ctx)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    source = load(ptr, a, LIST_DATA) + first * size
    target = load(ptr, r, LIST_DATA)
    if by == 1:
        memcpy(target, source, count * size)
    else:
        for i in range(count):
            memcpy(target + i * size, source + i * by * size, size)
    sm_slots_retain(target, count, item)
    store(i64, r, LIST_LENGTH, count)
    store(ptr, result, 0, r)
    return 0


@native
def sm_list_copy(ctx: ptr, a: ptr, result: ptr) -> i32:
    """``a.copy()``."""
    return sm_list_slice(ctx, a, 0, 0, 0, 0, 0, 0, result)


@native
def sm_list_setslice(
    ctx: ptr,
    a: ptr,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    has_step: i8,
    step: i64,
    values: ptr,
) -> i32:
    """``a[start:stop:step] = values``; ``values`` is a list of the same type."""
    bounds = stack(32)
    n = load(i64, a, LIST_LENGTH)
    if slice_bounds(ctx, n, has_start, start, has_stop, stop, has_step, step, bounds):
        return 1
    held = stack(8)
    if sm_list_copy(ctx, values, held):
        return 1
    taken = load(ptr, held)
    status = i32(0)
    if load(i64, bounds, 16) == 1:
        status = _replace_range(ctx, a, load(i64, bounds, 0), load(i64, bounds, 8), taken)
    else:
        status = _replace_stepped(ctx, a, bounds, taken)
    sm_release(taken)
    return status


@native
def _replace_range(ctx: ptr, a: ptr, start: i64, stop: i64, taken: ptr) -> i32:
    """Put the elements of ``taken`` in place of ``start:stop``; ``taken`` becomes the old ones."""
    if stop < start:
        stop = start
    n = load(i64, a, LIST_LENGTH)
    old = stop - start
    new = load(i64, taken, LIST_LENGTH)
    if sm_list_reserve(a, n - old + new) == 0 or sm_list_reserve(taken, old) == 0:
        return sm_raise_memory_error(ctx)
    size = load(i64, element(a), DESC_SIZE)
    keep = malloc(old * size + 1)
    if keep == 0:
        return sm_raise_memory_error(ctx)
    place = load(ptr, a, LIST_DATA) + start * size
    memcpy(keep, place, old * size)
    memmove(place + new * size, place + old * size, (n - stop) * size)
    memcpy(place, load(ptr, taken, LIST_DATA), new * size)
    memcpy(load(ptr, taken, LIST_DATA), keep, old * size)
    store(i64, a, LIST_LENGTH, n - old + new)
    store(i64, taken, LIST_LENGTH, old)
    free(keep)
    return 0


@native
def _replace_stepped(ctx: ptr, a: ptr, bounds: ptr, taken: ptr) -> i32:
    count = load(i64, bounds, 24)
    new = load(i64, taken, LIST_LENGTH)
    if new != count:
        b = stack(40)
        b_init(b)
        b_text(b, text("attempt to assign sequence of size "))
        b_int(b, new)
        b_text(b, text(" to extended slice of size "))
        b_int(b, count)
        return raise_from(ctx, VALUE_ERROR, b_finish(b))
    size = load(i64, element(a), DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + load(i64, bounds, 0) * size
    by = load(i64, bounds, 16) * size
    source = load(ptr, taken, LIST_DATA)
    for i in range(count):
        swap_slots(place + i * by, source + i * size, size)
    return 0


@native
def sm_list_delslice(
    ctx: ptr,
    a: ptr,
    has_start: i8,
    start: i64,
    has_stop: i8,
    stop: i64,
    has_step: i8,
    step: i64,
) -> i32:
    """``del a[start:stop:step]``."""
    bounds = stack(32)
    n = load(i64, a, LIST_LENGTH)
    if slice_bounds(ctx, n, has_start, start, has_stop, stop, has_step, step, bounds):
        return 1
    first = load(i64, bounds, 0)
    by = load(i64, bounds, 16)
    count = load(i64, bounds, 24)
    if count == 0:
        return 0
    if by < 0:
        first = first + by * (count - 1)
        by = -by
    if by == 1:
        erase_range(a, first, first + count)
        return 0
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    data = load(ptr, a, LIST_DATA)
    for k in range(count):
        at = first + k * by
        sm_slot_drop(data + at * size, item)
        until = at + by if k + 1 < count else n
        memmove(data + (at - k) * size, data + (at + 1) * size, (until - at - 1) * size)
    store(i64, a, LIST_LENGTH, n - count)
    return 0
