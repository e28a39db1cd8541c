"""The length of a range, and ``list(range(...))``."""

from __future__ import annotations

from scriptmode.abi.objects import LIST_DATA, LIST_LENGTH
from scriptmode.codegen.native import i32, i64, load, native, ptr, stack, store, text, udiv
from scriptmode.runtime.native.errors import VALUE_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.lists import DESC_LIST_INT, LARGEST, sm_list_new


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
