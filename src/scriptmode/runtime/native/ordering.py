"""Order of values, by descriptors: ``<``, ``<=``, ``>``, ``>=``.

Containers find the first unequal elements with ``equality``; sets are ordered by inclusion.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_SIZE,
    HEAP_DESCRIPTOR,
    KIND_BYTES,
    KIND_COMPLEX,
    KIND_DEQUE,
    KIND_LIST,
    KIND_STR,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import i8, i32, i64, load, native, ptr, stack, store, text
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.equality import set_subset, sm_set_lt, sm_slots_eq
from scriptmode.runtime.native.errors import TYPE_ERROR, check_stack, raise_from
from scriptmode.runtime.native.memory import child
from scriptmode.runtime.native.mixed_numbers import is_number, order_numbers
from scriptmode.runtime.native.quick import UNKNOWN, UNORDERED, quick_order, sm_str_compare
from scriptmode.runtime.native.resolving import (
    V_SLOT,
    is_set,
    is_tuple,
    resolve,
    resolve_data,
    tuple_item,
    tuple_item_type,
    tuple_length,
    type_name,
)

OP_LT = 0
OP_LE = 1
OP_GT = 2
OP_GE = 3


@native
def _holds(order: i64, op: i64) -> i8:
    """Whether ``<``, ``<=``, ``>`` or ``>=`` holds for an order."""
    if order == UNORDERED:
        return 0
    if op == OP_LT:
        return i8(order < 0)
    if op == OP_LE:
        return i8(order <= 0)
    if op == OP_GT:
        return i8(order > 0)
    return i8(order >= 0)


@native
def sm_slot_compare(ctx: ptr, a: ptr, b: ptr, op: i64, descriptor: ptr, result: ptr) -> i32:
    """``a op b`` of two values of one type, as an i8; ``op`` is one of ``OP_LT`` ... ``OP_GE``."""
    return sm_slots_compare(ctx, a, descriptor, b, descriptor, op, result)


@native
def sm_slots_compare(ctx: ptr, a: ptr, da: ptr, b: ptr, db: ptr, op: i64, result: ptr) -> i32:
    """``a op b`` of values of any two types, as an i8."""
    if da == db:
        known = quick_order(a, b, da)
        if known != UNKNOWN:
            store(i8, result, 0, _holds(known, op))
            return 0
    va = stack(24)
    vb = stack(24)
    ka = resolve_data(va, a, da)
    kb = resolve_data(vb, b, db)
    sa = load(ptr, va, V_SLOT)
    sb = load(ptr, vb, V_SLOT)
    if is_number(ka) and is_number(kb) and ka != KIND_COMPLEX and kb != KIND_COMPLEX:
        store(i8, result, 0, _holds(order_numbers(ka, sa, kb, sb), op))
        return 0
    if ka == kb and ka in (KIND_STR, KIND_BYTES):
        store(i8, result, 0, _holds(sm_str_compare(load(ptr, sa), load(ptr, sb)), op))
        return 0
    if is_tuple(ka) and is_tuple(kb):
        return _compare_tuples(ctx, va, vb, op, result)
    if ka == kb and ka in (KIND_LIST, KIND_DEQUE):
        return _compare_lists(ctx, load(ptr, sa), load(ptr, sb), op, result)
    if is_set(ka) and is_set(kb):
        return _compare_sets(ctx, load(ptr, sa), load(ptr, sb), op, result)
    resolve(va, a, da)
    resolve(vb, b, db)
    return raise_order_error(ctx, op, va, vb)


@native
def _compare_sets(ctx: ptr, a: ptr, b: ptr, op: i64, result: ptr) -> i32:
    if op == OP_LT:
        return sm_set_lt(ctx, a, b, result)
    if op == OP_LE:
        return set_subset(ctx, a, b, result)
    if op == OP_GT:
        return sm_set_lt(ctx, b, a, result)
    return set_subset(ctx, b, a, result)


@native
def _symbol(op: i64) -> ptr:
    if op == OP_LT:
        return text("<")
    if op == OP_LE:
        return text("<=")
    return text(">") if op == OP_GT else text(">=")


@native(noinline=True)
def raise_order_error(ctx: ptr, op: i64, va: ptr, vb: ptr) -> i32:
    """``'op' not supported between instances of 'A' and 'B'``."""
    b = stack(40)
    b_init(b)
    b_text(b, text("'"))
    b_text(b, _symbol(op))
    b_text(b, text("' not supported between instances of '"))
    b_text(b, type_name(va))
    b_text(b, text("' and '"))
    b_text(b, type_name(vb))
    b_text(b, text("'"))
    return raise_from(ctx, TYPE_ERROR, b_finish(b))


@native
def _compare_tuples(ctx: ptr, va: ptr, vb: ptr, op: i64, result: ptr) -> i32:
    n = tuple_length(va)
    m = tuple_length(vb)
    for i in range(n if n < m else m):
        a = tuple_item(va, i)
        b = tuple_item(vb, i)
        da = tuple_item_type(va, i)
        db = tuple_item_type(vb, i)
        if sm_slots_eq(ctx, a, da, b, db, result):
            return 1
        if load(i8, result) == 0:
            return sm_slots_compare(ctx, a, da, b, db, op, result)
    store(i8, result, 0, _holds(i64(n > m) - i64(n < m), op))
    return 0


@native
def _compare_lists(ctx: ptr, a: ptr, b: ptr, op: i64, result: ptr) -> i32:
    """The first unequal elements decide, else the lengths."""
    if check_stack(ctx):
        return 1
    da = child(load(ptr, a, HEAP_DESCRIPTOR), 0)
    db = child(load(ptr, b, HEAP_DESCRIPTOR), 0)
    i = 0
    while i < load(i64, a, LIST_LENGTH) and i < load(i64, b, LIST_LENGTH):
        x = load(ptr, a, LIST_DATA) + i * load(i64, da, DESC_SIZE)
        y = load(ptr, b, LIST_DATA) + i * load(i64, db, DESC_SIZE)
        if sm_slots_eq(ctx, x, da, y, db, result):
            return 1
        if load(i8, result) == 0:
            return sm_slots_compare(ctx, x, da, y, db, op, result)
        i += 1
    difference = load(i64, a, LIST_LENGTH) - load(i64, b, LIST_LENGTH)
    order = i64(difference > 0) - i64(difference < 0)
    store(i8, result, 0, _holds(order, op))
    return 0


@native
def sm_list_lt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a < b`` of lists, as an i8."""
    return _compare_lists(ctx, a, b, OP_LT, result)


@native
def sm_list_le(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a <= b`` of lists, as an i8."""
    return _compare_lists(ctx, a, b, OP_LE, result)


@native
def sm_list_gt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a > b`` of lists, as an i8."""
    return _compare_lists(ctx, a, b, OP_GT, result)


@native
def sm_list_ge(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a >= b`` of lists, as an i8."""
    return _compare_lists(ctx, a, b, OP_GE, result)
