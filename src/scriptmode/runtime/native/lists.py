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
    stack,
    store,
    text,
    ult,
    unlikely,
)
from scriptmode.runtime.native.allocation import allocate
from scriptmode.runtime.native.errors import INDEX_ERROR, raise_from, sm_raise_memory_error
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

DESC_LIST_INT = external("desc.List[int]")
LARGEST = (1 << 63) - 1
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
    erase_range(a, index, index + 1)
    return 0


@native
def erase_range(a: ptr, start: i64, stop: i64) -> None:
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
    erase_range(a, 0, load(i64, a, LIST_LENGTH))
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
