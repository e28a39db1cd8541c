"""``list.sort``: stable, by ``<`` only.

Below 64 elements the comparisons are CPython's own (one run found, then binary insertion), so that
orders which are not total, with NaN, come out the same; longer lists with NaN are refused.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_KIND,
    DESC_SIZE,
    KIND_FLOAT,
    KIND_INT,
    KIND_LIST,
    KIND_STR,
    LIST_CAPACITY,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import (
    bitcast,
    f64,
    i8,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    memmove,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.allocation import allocate, deallocate
from scriptmode.runtime.native.errors import (
    NOT_IMPLEMENTED_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.lists import element
from scriptmode.runtime.native.memory import free, malloc
from scriptmode.runtime.native.ordering import OP_LT, sm_slots_compare
from scriptmode.runtime.native.quick import LESS, UNKNOWN, quick_order
from scriptmode.runtime.native.resolving import (
    V_SLOT,
    is_tuple,
    resolve,
    tuple_item,
    tuple_item_type,
    tuple_length,
)

SHORT = 64
COUNTS_SIZE = 8 * 2048  # for each byte of a key, how many keys have each value of it
SIGN = -(1 << 63)
LOWER_BITS = (1 << 63) - 1
RUN = 32
FAILED = -1


@native
def _less(ctx: ptr, keys: ptr, item: ptr, i: i64, j: i64) -> i64:
    """Whether element ``i < j``, or FAILED with the error in the context."""
    size = load(i64, item, DESC_SIZE)
    known = quick_order(keys + i * size, keys + j * size, item)
    if known != UNKNOWN:
        return i64(known == LESS)
    result = stack(8)
    if sm_slots_compare(ctx, keys + i * size, item, keys + j * size, item, OP_LT, result):
        return FAILED
    return i64(load(i8, result))


@native
def _insert(ctx: ptr, keys: ptr, item: ptr, order: ptr, start: i64, stop: i64) -> i32:
    """Sort ``order[0:stop]`` whose first ``start`` are sorted, by binary insertion."""
    for at in range(start, stop):
        pivot = load(i64, order, at * 8)
        low = 0
        high = at
        while low < high:
            middle = low + ((high - low) >> 1)
            less = _less(ctx, keys, item, pivot, load(i64, order, middle * 8))
            if less < 0:
                return 1
            if less:
                high = middle
            else:
                low = middle + 1
        memmove(order + (low + 1) * 8, order + low * 8, (at - low) * 8)
        store(i64, order, low * 8, pivot)
    return 0


@native
def _reverse(order: ptr, n: i64) -> None:
    for i in range(n >> 1):
        x = load(i64, order, i * 8)
        store(i64, order, i * 8, load(i64, order, (n - 1 - i) * 8))
        store(i64, order, (n - 1 - i) * 8, x)


@native
def _first_run(ctx: ptr, keys: ptr, item: ptr, order: ptr, n: i64) -> i64:
    """The length of the ordered run at the start, a descending one reversed; or FAILED."""
    down = _less(ctx, keys, item, load(i64, order, 8), load(i64, order))
    if down < 0:
        return FAILED
    count = 2
    while count < n:
        previous = load(i64, order, (count - 1) * 8)
        less = _less(ctx, keys, item, load(i64, order, count * 8), previous)
        if less < 0:
            return FAILED
        if less != down:
            break
        count += 1
    if down:
        _reverse(order, count)
    return count


@native
def _sort_short(ctx: ptr, keys: ptr, item: ptr, order: ptr, n: i64) -> i32:
    if n < 2:
        return 0
    sorted_ = _first_run(ctx, keys, item, order, n)
    if sorted_ < 0:
        return 1
    return _insert(ctx, keys, item, order, sorted_, n)


@native
def _merge(ctx: ptr, keys: ptr, item: ptr, source: ptr, target: ptr, middle: i64, stop: i64) -> i32:
    """Merge ``source[0:middle]`` and ``source[middle:stop]`` into ``target``."""
    i = 0
    j = middle
    for k in range(stop):
        take_right = j < stop
        if i < middle and j < stop:
            left = load(i64, source, i * 8)
            less = _less(ctx, keys, item, load(i64, source, j * 8), left)
            if less < 0:
                return 1
            take_right = less != 0
        if take_right:
            store(i64, target, k * 8, load(i64, source, j * 8))
            j += 1
        else:
            store(i64, target, k * 8, load(i64, source, i * 8))
            i += 1
    return 0


@native
def _sort_long(ctx: ptr, keys: ptr, item: ptr, order: ptr, spare: ptr, n: i64) -> i32:
    """Merge sort; the result is in ``order``."""
    for start in range(0, n, RUN):
        count = n - start if n - start < RUN else i64(RUN)
        if _insert(ctx, keys, item, order + start * 8, 1, count):
            return 1
    width = i64(RUN)
    source = order
    target = spare
    while width < n:
        at = 0
        while at < n:
            stop = n - at if n - at < width * 2 else width * 2
            middle = stop if stop < width else width
            if _merge(ctx, keys, item, source + at * 8, target + at * 8, middle, stop):
                return 1
            at += width * 2
        swapped = source
        source = target
        target = swapped
        width = width << 1
    if source != order:
        memcpy(order, source, n * 8)
    return 0


@native(fast=True)
def _sort_numbers(keys: ptr, kind: i64, order: ptr, n: i64) -> bool:
    """Sort ``order`` by keys that are ints, or floats without NaN; False when memory is short.

    A radix sort from the lowest byte on, stable, of {bits whose unsigned order is that of the
    keys, element number}; bytes that all keys share are skipped.
    """
    counts = malloc(COUNTS_SIZE + n * 32)
    if counts == 0:
        return False
    memset(counts, 0, COUNTS_SIZE)
    source = counts + COUNTS_SIZE
    target = source + n * 16
    for k in range(n):
        number = load(i64, order, k * 8)
        bits = load(i64, keys, number * 8)
        if kind == KIND_FLOAT:
            bits = bitcast(i64, load(f64, keys, number * 8) + 0.0)  # zeros are equal
            bits = bits ^ ((bits >> 63) & LOWER_BITS)
        bits = bits ^ SIGN
        store(i64, source, k * 16, bits)
        store(i64, source, k * 16 + 8, number)
        for byte in range(8):
            place = counts + byte * 2048 + (lshr(bits, byte * 8) & 255) * 8
            store(i64, place, 0, load(i64, place) + 1)
    for byte in range(8):
        table = counts + byte * 2048
        shift = byte * 8
        if load(i64, table, (lshr(load(i64, source), shift) & 255) * 8) == n:
            continue
        total = i64(0)
        for digit in range(256):
            count = load(i64, table, digit * 8)
            store(i64, table, digit * 8, total)
            total += count
        for k in range(n):
            bits = load(i64, source, k * 16)
            place = table + (lshr(bits, shift) & 255) * 8
            to = load(i64, place)
            store(i64, place, 0, to + 1)
            store(i64, target, to * 16, bits)
            store(i64, target, to * 16 + 8, load(i64, source, k * 16 + 8))
        swapped = source
        source = target
        target = swapped
    for k in range(n):
        store(i64, order, k * 8, load(i64, source, k * 16 + 8))
    free(counts)
    return True


@native
def _has_nan(slot: ptr, descriptor: ptr) -> bool:
    """Whether a value is NaN or a tuple or list with one."""
    v = stack(24)
    kind = resolve(v, slot, descriptor)
    if kind == KIND_FLOAT:
        x = load(f64, load(ptr, v, V_SLOT))
        return x != x
    if is_tuple(kind):
        for i in range(tuple_length(v)):
            if _has_nan(tuple_item(v, i), tuple_item_type(v, i)):
                return True
    if kind == KIND_LIST:
        a = load(ptr, load(ptr, v, V_SLOT))
        item = element(a)
        for i in range(load(i64, a, LIST_LENGTH)):
            if _has_nan(load(ptr, a, LIST_DATA) + i * load(i64, item, DESC_SIZE), item):
                return True
    return False


@native
def _sort(ctx: ptr, keys: ptr, order: ptr, spare: ptr, n: i64, reverse: i8) -> i32:
    """Fill ``order`` with the element numbers in sorted order."""
    item = element(keys)
    data = load(ptr, keys, LIST_DATA)
    for i in range(n):
        store(i64, order, i * 8, n - 1 - i if reverse != 0 else i)
    status = i32(0)
    kind = load(i64, item, DESC_KIND)
    if n < SHORT:
        status = _sort_short(ctx, data, item, order, n)
    else:
        for i in range(0 if kind in (KIND_INT, KIND_STR) else n):
            if _has_nan(data + i * load(i64, item, DESC_SIZE), item):
                message = text("sorting NaN in a list of 64 or more elements is not supported")
                return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)
        is_done = False
        if kind in (KIND_INT, KIND_FLOAT):
            is_done = _sort_numbers(data, kind, order, n)
        if not is_done:
            status = _sort_long(ctx, data, item, order, spare, n)
    if reverse != 0:
        _reverse(order, n)
    return status


@native
def _permute(a: ptr, order: ptr, data: ptr, n: i64) -> None:
    """Move the elements into ``data`` in order, which becomes the list's."""
    size = load(i64, element(a), DESC_SIZE)
    for i in range(n):
        source = load(ptr, a, LIST_DATA) + load(i64, order, i * 8) * size
        memcpy(data + i * size, source, size)
    deallocate(load(ptr, a, LIST_DATA))
    store(ptr, a, LIST_DATA, data)
    store(i64, a, LIST_CAPACITY, n)


@native
def sm_list_sort_by(ctx: ptr, a: ptr, keys: ptr, reverse: i8) -> i32:
    """``a.sort(key=..., reverse=reverse)`` with the list of keys made before; ``a`` may be it."""
    n = load(i64, a, LIST_LENGTH)
    order = allocate(n * 16 + 16)
    data = allocate(n * load(i64, element(a), DESC_SIZE) + 1)
    if order == 0 or data == 0:
        deallocate(order)
        deallocate(data)
        return sm_raise_memory_error(ctx)
    status = _sort(ctx, keys, order, order + n * 8, n, reverse)
    if status == 0 or n < SHORT:
        # a failing comparison leaves a short list as far as it was sorted, as CPython does
        _permute(a, order, data, n)
    else:
        deallocate(data)
    deallocate(order)
    return status


@native
def sm_list_sort(ctx: ptr, a: ptr, reverse: i8) -> i32:
    """``a.sort(reverse=reverse)``."""
    return sm_list_sort_by(ctx, a, a, reverse)
