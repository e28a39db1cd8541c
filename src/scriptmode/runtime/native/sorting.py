"""``list.sort``: stable, by ``<`` only.

Below 64 elements the comparisons are CPython's own (one run found, then binary insertion), so that
orders which are not total, with NaN, come out the same; longer lists with NaN are refused.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_SIZE,
    KIND_FLOAT,
    KIND_LIST,
    LIST_CAPACITY,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import (
    f64,
    i8,
    i32,
    i64,
    load,
    memcpy,
    memmove,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.compare import (
    OP_LT,
    V_SLOT,
    is_tuple,
    resolve,
    sm_slots_compare,
    tuple_item,
    tuple_item_type,
    tuple_length,
)
from scriptmode.runtime.native.errors import (
    NOT_IMPLEMENTED_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.lists import element
from scriptmode.runtime.native.memory import free, malloc

SHORT = 64
RUN = 32
FAILED = -1


@native
def _less(ctx: ptr, keys: ptr, item: ptr, i: i64, j: i64) -> i64:
    """Whether element ``i < j``, or FAILED with the error in the context."""
    result = stack(8)
    size = load(i64, item, DESC_SIZE)
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
    if n < SHORT:
        status = _sort_short(ctx, data, item, order, n)
    else:
        for i in range(n):
            if _has_nan(data + i * load(i64, item, DESC_SIZE), item):
                message = text("sorting NaN in a list of 64 or more elements is not supported")
                return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)
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
    free(load(ptr, a, LIST_DATA))
    store(ptr, a, LIST_DATA, data)
    store(i64, a, LIST_CAPACITY, n)


@native
def sm_list_sort_by(ctx: ptr, a: ptr, keys: ptr, reverse: i8) -> i32:
    """``a.sort(key=..., reverse=reverse)`` with the list of keys made before; ``a`` may be it."""
    n = load(i64, a, LIST_LENGTH)
    order = malloc(n * 16 + 16)
    data = malloc(n * load(i64, element(a), DESC_SIZE) + 1)
    if order == 0 or data == 0:
        free(order)
        free(data)
        return sm_raise_memory_error(ctx)
    status = _sort(ctx, keys, order, order + n * 8, n, reverse)
    if status == 0 or n < SHORT:
        # a failing comparison leaves a short list as far as it was sorted, as CPython does
        _permute(a, order, data, n)
    else:
        free(data)
    free(order)
    return status


@native
def sm_list_sort(ctx: ptr, a: ptr, reverse: i8) -> i32:
    """``a.sort(reverse=reverse)``."""
    return sm_list_sort_by(ctx, a, a, reverse)
