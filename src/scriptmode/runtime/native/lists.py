"""Lists of unboxed elements, generic over the element's descriptor.

Elements pass by slot pointer and are borrowed; a ``result`` slot receives an owned value.  An
optional int is two arguments, ``has_x`` and ``x``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_FLAGS,
    DESC_KIND,
    DESC_SIZE,
    FLAG_PLAIN,
    HEAP_DESCRIPTOR,
    KIND_LIST,
    LIST_CAPACITY,
    LIST_DATA,
    LIST_LENGTH,
    LIST_SIZE,
)
from scriptmode.codegen.native import (
    external,
    i8,
    i32,
    i64,
    load,
    memcpy,
    memmove,
    mul_overflow,
    native,
    ptr,
    sdiv,
    stack,
    store,
    text,
    udiv,
    ult,
    unlikely,
)
from scriptmode.runtime.native.allocation import allocate
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.digits import b_int
from scriptmode.runtime.native.equality import sm_slot_eq, sm_slots_eq
from scriptmode.runtime.native.errors import (
    INDEX_ERROR,
    VALUE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.memory import (
    child,
    free,
    malloc,
    realloc,
    sm_object_free,
    sm_object_new,
    sm_release,
    sm_slot_copy,
    sm_slot_drop,
    sm_slots_drop,
    sm_slots_retain,
)
from scriptmode.runtime.native.reprs import slot_repr_into

DESC_LIST_INT = external("desc.List[int]")
LARGEST = (1 << 63) - 1
SMALLEST = -(1 << 63)
MAX_BYTES = 1 << 60
MOST_ROOM = 1 << 12  # elements that a hint makes room for
SHORT = 1 << 16  # elements of a list that grows by a half


@native
def element(a: ptr) -> ptr:
    """The descriptor of a list's elements."""
    return child(load(ptr, a, HEAP_DESCRIPTOR), 0)


@native
def list_type(a: ptr) -> ptr:
    """The descriptor of ``List[T]`` for a list or a tuple laid out as one."""
    descriptor = load(ptr, a, HEAP_DESCRIPTOR)
    return descriptor if load(i64, descriptor, DESC_KIND) == KIND_LIST else child(descriptor, 1)


@native(fast=True)
def sm_list_new(descriptor: ptr, capacity: i64) -> ptr:
    """An empty list with room for ``capacity`` elements; null when there is no memory."""
    size = load(i64, child(descriptor, 0), DESC_SIZE)
    nbytes, too_big = mul_overflow(size, capacity)
    if too_big or nbytes > MAX_BYTES:
        return ptr(0)
    a = sm_object_new(LIST_SIZE, descriptor)
    if a == 0:
        return a
    store(i64, a, LIST_LENGTH, 0)
    store(i64, a, LIST_CAPACITY, capacity)
    store(ptr, a, LIST_DATA, ptr(0))
    if nbytes > 0:
        data = allocate(nbytes)
        if data == 0:
            sm_object_free(a)
            return ptr(0)
        store(ptr, a, LIST_DATA, data)
    return a


@native(fast=True)
def sm_list_reserve(a: ptr, needed: i64) -> i64:
    """Make room for ``needed`` elements in all; 0 when there is no memory."""
    if needed <= load(i64, a, LIST_CAPACITY):
        return 1
    # fast at first, for reallocating costs most while lists are short
    capacity = needed + (needed >> 3) + 6 if needed > SHORT else needed + (needed >> 1) + 6
    nbytes, too_big = mul_overflow(capacity, load(i64, element(a), DESC_SIZE))
    if too_big or nbytes > MAX_BYTES:
        return 0
    data = realloc(load(ptr, a, LIST_DATA), nbytes if nbytes > 0 else 1)
    if data == 0:
        return 0
    store(ptr, a, LIST_DATA, data)
    store(i64, a, LIST_CAPACITY, capacity)
    return 1


@native(fast=True)
def sm_list_make_room(a: ptr, more: i64) -> None:
    """Room for up to ``more`` further elements, if there is memory."""
    if more > MOST_ROOM:
        more = MOST_ROOM
    needed = load(i64, a, LIST_LENGTH) + more
    nbytes = needed * load(i64, element(a), DESC_SIZE)
    if needed <= load(i64, a, LIST_CAPACITY) or nbytes > MAX_BYTES:
        return
    old = load(ptr, a, LIST_DATA)
    data = allocate(nbytes) if old == 0 else realloc(old, nbytes)
    if data != 0:
        store(ptr, a, LIST_DATA, data)
        store(i64, a, LIST_CAPACITY, needed)


@native
def sm_list_from(ctx: ptr, descriptor: ptr, data: ptr, n: i64, result: ptr) -> i32:
    """A list that copies ``n`` borrowed values."""
    a = sm_list_new(descriptor, n)
    if a == 0:
        return sm_raise_memory_error(ctx)
    item = child(descriptor, 0)
    memcpy(load(ptr, a, LIST_DATA), data, n * load(i64, item, DESC_SIZE))
    sm_slots_retain(load(ptr, a, LIST_DATA), n, item)
    store(i64, a, LIST_LENGTH, n)
    store(ptr, result, 0, a)
    return 0


@native
def sm_list_convert(ctx: ptr, a: ptr, descriptor: ptr, result: ptr) -> i32:
    """A copy of a list or tuple under another descriptor with the same elements."""
    return sm_list_from(ctx, descriptor, load(ptr, a, LIST_DATA), load(i64, a, LIST_LENGTH), result)


@native(fast=True)
def sm_list_append(ctx: ptr, a: ptr, slot: ptr) -> i32:
    """``a.append(x)``."""
    n = load(i64, a, LIST_LENGTH)
    if unlikely(sm_list_reserve(a, n + 1) == 0):
        return sm_raise_memory_error(ctx)
    item = element(a)
    sm_slot_copy(load(ptr, a, LIST_DATA) + n * load(i64, item, DESC_SIZE), slot, item)
    store(i64, a, LIST_LENGTH, n + 1)
    return 0


@native
def sm_list_insert(ctx: ptr, a: ptr, index: i64, slot: ptr) -> i32:
    """``a.insert(index, x)``; an index outside is moved to the nearest end."""
    n = load(i64, a, LIST_LENGTH)
    if sm_list_reserve(a, n + 1) == 0:
        return sm_raise_memory_error(ctx)
    if index < 0:
        index = index + n
        if index < 0:
            index = 0
    if index > n:
        index = n
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + index * size
    memmove(place + size, place, (n - index) * size)
    sm_slot_copy(place, slot, item)
    store(i64, a, LIST_LENGTH, n + 1)
    return 0


@native
def _place(a: ptr, index: i64) -> ptr:
    """Address of an element, counting from the end when negative; null when outside."""
    n = load(i64, a, LIST_LENGTH)
    if index < 0:
        index = index + n
    if not ult(index, n):
        return ptr(0)
    # elements of size 0 have no data: any address but null will do
    return load(ptr, a, LIST_DATA) + index * load(i64, element(a), DESC_SIZE)


@native
def sm_list_pop(ctx: ptr, a: ptr, index: i64, result: ptr) -> i32:
    """``a.pop(index)``."""
    n = load(i64, a, LIST_LENGTH)
    if n == 0:
        return raise_from(ctx, INDEX_ERROR, text("pop from empty list"))
    if index < 0:
        index = index + n
    if not ult(index, n):
        return raise_from(ctx, INDEX_ERROR, text("pop index out of range"))
    size = load(i64, element(a), DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + index * size
    memcpy(result, place, size)
    memmove(place, place + size, (n - 1 - index) * size)
    store(i64, a, LIST_LENGTH, n - 1)
    return 0


@native
def sm_list_getitem(ctx: ptr, a: ptr, index: i64, result: ptr) -> i32:
    """``a[index]``."""
    n = load(i64, a, LIST_LENGTH)
    if index < 0:
        index = index + n
    if not ult(index, n):
        return sm_list_index_error(ctx)
    sm_slot_copy(result, _place(a, index), element(a))
    return 0


@native(noinline=True)
def sm_list_index_error(ctx: ptr) -> i32:
    """Status of reading outside a list."""
    return raise_from(ctx, INDEX_ERROR, text("list index out of range"))


@native(noinline=True)
def sm_list_assignment_error(ctx: ptr) -> i32:
    """Status of writing outside a list."""
    return raise_from(ctx, INDEX_ERROR, text("list assignment index out of range"))


@native
def sm_list_setitem(ctx: ptr, a: ptr, index: i64, slot: ptr) -> i32:
    """``a[index] = x``."""
    n = load(i64, a, LIST_LENGTH)
    if index < 0:
        index = index + n
    if not ult(index, n):
        return sm_list_assignment_error(ctx)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + index * size
    if load(i64, item, DESC_FLAGS) & FLAG_PLAIN:
        memcpy(place, slot, size)
        return 0
    # the old value goes last: the new one may be reachable only through it
    _replace(place, slot, item, size)
    return 0


@native
def _replace(place: ptr, slot: ptr, item: ptr, size: i64) -> None:
    small = stack(64)
    old = small if size <= 64 else malloc(size)
    memcpy(old, place, size)
    sm_slot_copy(place, slot, item)
    sm_slot_drop(old, item)
    if size > 64:
        free(old)


@native
def sm_list_delitem(ctx: ptr, a: ptr, index: i64) -> i32:
    """``del a[index]``."""
    n = load(i64, a, LIST_LENGTH)
    if index < 0:
        index = index + n
    if not ult(index, n):
        return sm_list_assignment_error(ctx)
    _erase(a, index, index + 1)
    return 0


@native
def _erase(a: ptr, start: i64, stop: i64) -> None:
    """Remove the elements ``start:stop``."""
    n = load(i64, a, LIST_LENGTH)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + start * size
    sm_slots_drop(place, stop - start, item)
    memmove(place, place + (stop - start) * size, (n - stop) * size)
    store(i64, a, LIST_LENGTH, n - (stop - start))


@native
def sm_list_clear(ctx: ptr, a: ptr) -> i32:
    """``a.clear()``."""
    _erase(a, 0, load(i64, a, LIST_LENGTH))
    return 0


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
def swap_slots(a: ptr, b: ptr, size: i64) -> None:
    """Exchange the bytes of two slots."""
    words = size >> 3
    for i in range(words):
        x = load(i64, a, i * 8)
        store(i64, a, i * 8, load(i64, b, i * 8))
        store(i64, b, i * 8, x)
    for i in range(words * 8, size):
        y = load(i8, a, i)
        store(i8, a, i, load(i8, b, i))
        store(i8, b, i, y)


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
        _erase(a, first, first + count)
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


@native
def sm_list_extend(ctx: ptr, a: ptr, b: ptr) -> i32:
    """``a.extend(b)``; ``b`` may be ``a``."""
    n = load(i64, a, LIST_LENGTH)
    m = load(i64, b, LIST_LENGTH)
    if sm_list_reserve(a, n + m) == 0:
        return sm_raise_memory_error(ctx)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    place = load(ptr, a, LIST_DATA) + n * size
    memcpy(place, load(ptr, b, LIST_DATA), m * size)
    sm_slots_retain(place, m, item)
    store(i64, a, LIST_LENGTH, n + m)
    return 0


@native
def sm_list_concat(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a + b``."""
    n = load(i64, a, LIST_LENGTH)
    r = sm_list_new(list_type(a), n + load(i64, b, LIST_LENGTH))
    if r == 0:
        return sm_raise_memory_error(ctx)
    if sm_list_extend(ctx, r, a) or sm_list_extend(ctx, r, b):
        sm_release(r)
        return 1
    store(ptr, result, 0, r)
    return 0


@native
def sm_list_repeat(ctx: ptr, a: ptr, times: i64, result: ptr) -> i32:
    """``a * times``."""
    n = load(i64, a, LIST_LENGTH)
    if times < 0:
        times = 0
    total, too_big = mul_overflow(n, times)
    if too_big:
        return sm_raise_memory_error(ctx)
    r = sm_list_new(list_type(a), total)
    if r == 0:
        return sm_raise_memory_error(ctx)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    data = load(ptr, r, LIST_DATA)
    if total > 0:
        memcpy(data, load(ptr, a, LIST_DATA), n * size)
        _repeat_bytes(data, n * size, total * size)
    sm_slots_retain(data, total, item)
    store(i64, r, LIST_LENGTH, total)
    store(ptr, result, 0, r)
    return 0


@native
def _repeat_bytes(data: ptr, done: i64, whole: i64) -> None:
    """Fill ``whole`` bytes with repetitions of the first ``done``."""
    while done < whole:
        part = done if done * 2 <= whole else whole - done
        memcpy(data + done, data, part)
        done = done + part


@native
def sm_list_inplace_repeat(ctx: ptr, a: ptr, times: i64) -> i32:
    """``a *= times``."""
    n = load(i64, a, LIST_LENGTH)
    if times <= 0:
        return sm_list_clear(ctx, a)
    total, too_big = mul_overflow(n, times)
    if too_big or sm_list_reserve(a, total) == 0:
        return sm_raise_memory_error(ctx)
    item = element(a)
    size = load(i64, item, DESC_SIZE)
    data = load(ptr, a, LIST_DATA)
    if n > 0:
        _repeat_bytes(data, n * size, total * size)
    sm_slots_retain(data + n * size, total - n, item)
    store(i64, a, LIST_LENGTH, total)
    return 0


@native
def sm_list_reverse(ctx: ptr, a: ptr) -> i32:
    """``a.reverse()``."""
    size = load(i64, element(a), DESC_SIZE)
    n = load(i64, a, LIST_LENGTH)
    low = load(ptr, a, LIST_DATA)
    high = low + (n - 1) * size
    if size > 0 and n > 1:  # an empty list may have no data: null less one is not below null
        while low < high:
            swap_slots(low, high, size)
            low = low + size
            high = high - size
    return 0


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
    b = stack(40)
    b_init(b)
    if slot_repr_into(ctx, b, slot, element(a)):
        return 1
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


@native
def sm_range_length(ctx: ptr, start: i64, stop: i64, step: i64, result: ptr) -> i32:
    """``len(range(start, stop, step))``, at most the largest int."""
    if step == 0:
        return raise_from(ctx, VALUE_ERROR, text("range() arg 3 must not be zero"))
    count = 0
    if step > 0 and start < stop:
        count = _steps(stop - start, step)
    elif step < 0 and stop < start:
        count = _steps(start - stop, -step)
    if count < 0:
        count = LARGEST  # more than fits an int: no memory holds it, no loop ends
    store(i64, result, 0, count)
    return 0


@native
def _steps(width: i64, step: i64) -> i64:
    """Steps within an unsigned width."""
    return udiv(width - 1, step) + 1


@native
def sm_list_range(ctx: ptr, start: i64, stop: i64, step: i64, result: ptr) -> i32:
    """``list(range(start, stop, step))``."""
    count = stack(8)
    if sm_range_length(ctx, start, stop, step, count):
        return 1
    n = load(i64, count)
    r = sm_list_new(DESC_LIST_INT, n)
    if r == 0:
        return sm_raise_memory_error(ctx)
    data = load(ptr, r, LIST_DATA)
    for i in range(n):
        store(i64, data, i * 8, start + i * step)
    store(i64, r, LIST_LENGTH, n)
    store(ptr, result, 0, r)
    return 0
