"""Equality, order and hash of values, by descriptor.

Equality takes two descriptors, since ``1 == 1.0`` and ``(1, None) == (True, x)`` compare values of
different types.  Two slots with the same object are equal at once, as in CPython's containers.
Values that only Python can compare go through the function pointers in ``sm_hooks``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_EQ,
    DESC_FLAVOR,
    DESC_HASH,
    DESC_HASHES,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_NAME,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_INDEX,
    DICT_LENGTH,
    DICT_MASK,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    ENUM_DATA,
    ENUM_HASH,
    FLAVOR_ORDERED,
    HEAP_DESCRIPTOR,
    INDEX_FREE,
    KIND_ARRAY_TUPLE,
    KIND_BOOL,
    KIND_BYTES,
    KIND_CLASS,
    KIND_CODE,
    KIND_COMPLEX,
    KIND_DEQUE,
    KIND_DEVICE,
    KIND_DICT,
    KIND_ENUM,
    KIND_FLOAT,
    KIND_FROZEN_SET,
    KIND_INT,
    KIND_LIST,
    KIND_NONE,
    KIND_NUMBER,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_RANGE,
    KIND_SET,
    KIND_SIZE,
    KIND_STR,
    KIND_TENSOR,
    KIND_TUPLE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_DUMMY,
    PLACE_FREE,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
    TAG_COMPLEX,
    TAG_FLOAT,
)
from scriptmode.codegen.native import (
    bitcast,
    call,
    cell,
    f64,
    fabs,
    i8,
    i16,
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    stack,
    store,
    text,
    trunc,
    udiv,
    urem,
    zext,
)
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.errors import (
    NOT_IMPLEMENTED_ERROR,
    TYPE_ERROR,
    check_stack,
    raise_from,
)
from scriptmode.runtime.native.hashing import HASH_OF_NONE, sm_hash_state
from scriptmode.runtime.native.keys import P61, same_text, sm_hash_int, str_key_hash
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    place_size,
    sm_any_slot,
)
from scriptmode.runtime.native.quick import (
    EQUAL,
    GREATER,
    LESS,
    UNKNOWN,
    UNORDERED,
    XX_5,
    finished,
    mixed,
    quick_equal,
    quick_hash,
    quick_order,
    sm_hash_str,
    sm_str_compare,
)

# function pointers set by the host: tensor eq, tensor repr, object repr (see HOOKS)
sm_hooks = cell("sm_hooks", 64)
HOOK_TENSOR_EQ = 0  # i32 (ctx, tensor a, tensor b, i8* result)
HOOK_TENSOR_REPR = 8  # i32 (ctx, tensor, str* result)
HOOK_OBJECT_REPR = 16  # i32 (ctx, slot, descriptor, str* result)

INFINITY = float("inf")
HASH_INF = 314159
HASH_IMAG = 1000003
OP_LT = 0
OP_LE = 1
OP_GT = 2
OP_GE = 3

V_SLOT = 0
V_DESCRIPTOR = 8
V_KIND = 16


@native
def resolve(v: ptr, slot: ptr, descriptor: ptr) -> i64:
    """Look through Optional, Union and number; write slot, descriptor, kind to ``v``; the kind."""
    kind = load(i64, descriptor, DESC_KIND)
    while True:
        if kind == KIND_OPTIONAL_POINTER:
            if load(ptr, slot) == 0:
                kind = KIND_NONE
                break
            descriptor = child(descriptor, 0)
        elif kind == KIND_OPTIONAL_VALUE:
            if load(i8, slot) == 0:
                kind = KIND_NONE
                break
            slot = slot + child_offset(descriptor, 0)
            descriptor = child(descriptor, 0)
        elif kind == KIND_UNION:
            descriptor = load(ptr, slot)
            slot = sm_any_slot(slot)
        elif kind == KIND_NUMBER:
            tag = load(i64, slot)
            slot = slot + 8
            kind = KIND_INT
            if tag == TAG_FLOAT:
                kind = KIND_FLOAT
            elif tag == TAG_COMPLEX:
                kind = KIND_COMPLEX
            break
        else:
            break
        kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_CLASS:
        descriptor = load(ptr, load(ptr, slot), HEAP_DESCRIPTOR)  # of the class that it is of
    store(ptr, v, V_SLOT, slot)
    store(ptr, v, V_DESCRIPTOR, descriptor)
    store(i64, v, V_KIND, kind)
    return kind


@native
def _resolve_data(v: ptr, slot: ptr, descriptor: ptr) -> i64:
    """``resolve`` that looks through members of an IntEnum and the like, too."""
    kind = resolve(v, slot, descriptor)
    if kind == KIND_ENUM:
        member = load(ptr, load(ptr, v, V_SLOT))
        data = load(ptr, member, ENUM_DATA)
        if data != 0:
            kind = load(i64, data, DESC_KIND)
            store(ptr, v, V_SLOT, member + ENUM_DATA + 8)
            store(ptr, v, V_DESCRIPTOR, data)
            store(i64, v, V_KIND, kind)
    return kind


@native
def is_number(kind: i64) -> bool:
    """Whether int, float, bool or complex."""
    return kind >= KIND_INT and kind <= KIND_COMPLEX


@native
def sm_compare_int_float(a: i64, x: f64) -> i64:
    """Order of an int and a float without rounding: -1, 0, 1, or 2 for NaN."""
    if x != x:
        return UNORDERED
    if x >= 9223372036854775808.0:
        return LESS
    if x < -9223372036854775808.0:
        return GREATER
    whole = i64(trunc(x))
    if a != whole:
        return i64(LESS) if a < whole else GREATER
    rest = x - trunc(x)
    return i64(LESS) if rest > 0.0 else i64(GREATER) if rest < 0.0 else EQUAL


@native
def _integer(kind: i64, slot: ptr) -> i64:
    return zext(i64, load(i8, slot)) if kind == KIND_BOOL else load(i64, slot)


@native
def _is_integer(kind: i64) -> bool:
    return kind in (KIND_INT, KIND_BOOL)


@native
def _order_numbers(ka: i64, a: ptr, kb: i64, b: ptr) -> i64:
    """Order of two real numbers."""
    if _is_integer(ka):
        x = _integer(ka, a)
        if _is_integer(kb):
            y = _integer(kb, b)
            return i64(LESS) if x < y else i64(x > y)
        return sm_compare_int_float(x, load(f64, b))
    if _is_integer(kb):
        order = sm_compare_int_float(_integer(kb, b), load(f64, a))
        return order if order == UNORDERED else 0 - order
    p = load(f64, a)
    q = load(f64, b)
    if p < q:
        return LESS
    if p > q:
        return GREATER
    return i64(EQUAL) if p == q else UNORDERED


@native
def _numbers_equal(ka: i64, a: ptr, kb: i64, b: ptr) -> bool:
    if ka == KIND_COMPLEX:
        if kb == KIND_COMPLEX:
            return load(f64, a) == load(f64, b) and load(f64, a, 8) == load(f64, b, 8)
        return load(f64, a, 8) == 0.0 and _order_numbers(KIND_FLOAT, a, kb, b) == EQUAL
    if kb == KIND_COMPLEX:
        return load(f64, b, 8) == 0.0 and _order_numbers(ka, a, KIND_FLOAT, b) == EQUAL
    return _order_numbers(ka, a, kb, b) == EQUAL


@native(fast=True)
def sm_str_equal(a: ptr, b: ptr) -> i8:
    """``a == b``."""
    return i8(same_text(a, b))


@native
def sm_slot_eq(ctx: ptr, a: ptr, b: ptr, descriptor: ptr, result: ptr) -> i32:
    """``a == b`` of two values of one type, as an i8."""
    return sm_slots_eq(ctx, a, descriptor, b, descriptor, result)


@native
def sm_slots_eq(ctx: ptr, a: ptr, da: ptr, b: ptr, db: ptr, result: ptr) -> i32:
    """``a == b`` of values of any two types, as an i8."""
    if da == db:
        known = quick_equal(a, b, da)
        if known != UNKNOWN:
            store(i8, result, 0, i8(known))
            return 0
    va = stack(24)
    vb = stack(24)
    ka = _resolve_data(va, a, da)
    kb = _resolve_data(vb, b, db)
    sa = load(ptr, va, V_SLOT)
    sb = load(ptr, vb, V_SLOT)
    equal = i8(0)
    if is_number(ka) and is_number(kb):
        equal = i8(_numbers_equal(ka, sa, kb, sb))
    elif is_tuple(ka) and is_tuple(kb):
        return _tuples_equal(ctx, va, vb, result)
    elif ka == KIND_CLASS or kb == KIND_CLASS:
        return _objects_equal(ctx, va, vb, result)
    elif is_set(ka) and is_set(kb):
        return sm_set_eq(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka != kb:
        equal = 0
    elif ka == KIND_NONE:
        equal = 1
    elif ka in (KIND_STR, KIND_BYTES):
        equal = sm_str_equal(load(ptr, sa), load(ptr, sb))
    elif ka == KIND_DEVICE:
        equal = i8(load(i16, sa) == load(i16, sb))
    elif ka == KIND_RANGE:
        equal = i8(_ranges_equal(sa, sb))
    elif ka == KIND_CODE:
        same = load(ptr, va, V_DESCRIPTOR) == load(ptr, vb, V_DESCRIPTOR)
        equal = i8(same and load(i8, sa) == load(i8, sb))
    elif load(ptr, sa) == load(ptr, sb):
        equal = 1
    elif ka in (KIND_LIST, KIND_DEQUE):
        return _lists_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka == KIND_DICT:
        return _dicts_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    elif ka == KIND_TENSOR:
        return _tensors_equal(ctx, load(ptr, sa), load(ptr, sb), result)
    store(i8, result, 0, equal)
    return 0


@native
def _objects_equal(ctx: ptr, va: ptr, vb: ptr, result: ptr) -> i32:
    """Equality where at least one is an instance: the same object, or as its class says."""
    a = load(ptr, va, V_SLOT)
    b = load(ptr, vb, V_SLOT)
    da = load(ptr, va, V_DESCRIPTOR)
    db = load(ptr, vb, V_DESCRIPTOR)
    ka = load(i64, va, V_KIND)
    kb = load(i64, vb, V_KIND)
    if ka == kb and load(ptr, a) == load(ptr, b):
        store(i8, result, 0, i8(1))
        return 0
    if ka == KIND_CLASS and load(ptr, da, DESC_EQ) != 0:
        return call(i32, load(ptr, da, DESC_EQ), ctx, a, b, db, result)
    if kb == KIND_CLASS and load(ptr, db, DESC_EQ) != 0:
        return call(i32, load(ptr, db, DESC_EQ), ctx, b, a, da, result)
    store(i8, result, 0, i8(0))
    return 0


@native
def _tensors_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    hook = load(ptr, sm_hooks, HOOK_TENSOR_EQ)
    if hook == 0:
        message = text("comparing tensors inside containers is not supported")
        return raise_from(ctx, NOT_IMPLEMENTED_ERROR, message)
    return call(i32, hook, ctx, a, b, result)


@native
def is_tuple(kind: i64) -> bool:
    """Whether a tuple of any layout."""
    return kind in (KIND_TUPLE, KIND_ARRAY_TUPLE, KIND_SIZE)


@native
def tuple_length(v: ptr) -> i64:
    """The number of items of a resolved tuple."""
    if load(i64, v, V_KIND) == KIND_TUPLE:
        return load(i64, load(ptr, v, V_DESCRIPTOR), DESC_N_CHILDREN)
    return load(i64, load(ptr, load(ptr, v, V_SLOT)), LIST_LENGTH)


@native
def tuple_item(v: ptr, i: i64) -> ptr:
    """The slot of an item of a resolved tuple."""
    descriptor = load(ptr, v, V_DESCRIPTOR)
    slot = load(ptr, v, V_SLOT)
    if load(i64, v, V_KIND) == KIND_TUPLE:
        return slot + child_offset(descriptor, i)
    return load(ptr, load(ptr, slot), LIST_DATA) + i * load(i64, child(descriptor, 0), DESC_SIZE)


@native
def tuple_item_type(v: ptr, i: i64) -> ptr:
    """The descriptor of an item of a resolved tuple."""
    descriptor = load(ptr, v, V_DESCRIPTOR)
    return child(descriptor, i if load(i64, v, V_KIND) == KIND_TUPLE else i64(0))


@native
def _tuples_equal(ctx: ptr, va: ptr, vb: ptr, result: ptr) -> i32:
    n = tuple_length(va)
    store(i8, result, 0, i8(n == tuple_length(vb)))
    for i in range(n):
        if load(i8, result) == 0:
            return 0
        a = tuple_item(va, i)
        b = tuple_item(vb, i)
        if sm_slots_eq(ctx, a, tuple_item_type(va, i), b, tuple_item_type(vb, i), result):
            return 1
    return 0


@native
def _lists_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    if check_stack(ctx):
        return 1
    n = load(i64, a, LIST_LENGTH)
    store(i8, result, 0, i8(n == load(i64, b, LIST_LENGTH)))
    if load(i8, result) == 0:
        return 0
    da = child(load(ptr, a, HEAP_DESCRIPTOR), 0)
    db = child(load(ptr, b, HEAP_DESCRIPTOR), 0)
    wa = load(i64, da, DESC_SIZE)
    wb = load(i64, db, DESC_SIZE)
    i = 0
    while i < load(i64, a, LIST_LENGTH) and i < load(i64, b, LIST_LENGTH):
        x = load(ptr, a, LIST_DATA) + i * wa
        y = load(ptr, b, LIST_DATA) + i * wb
        if sm_slots_eq(ctx, x, da, y, db, result):
            return 1
        if load(i8, result) == 0:
            return 0
        i += 1
    return 0


@native
def sm_list_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of lists, as an i8; their element types may differ."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    return _lists_equal(ctx, a, b, result)


# ---- set lookup and comparison, ranges ----


@native
def is_set(kind: i64) -> bool:
    """Whether a set or frozenset."""
    return kind in (KIND_SET, KIND_FROZEN_SET)


@native
def set_step(at: i64, mask: i64) -> i64:
    """How many places are looked at in a row."""
    return i64(10) if at + 9 <= mask else i64(1)


@native
def set_find(ctx: ptr, s: ptr, slot: ptr, descriptor: ptr, hashed: i64, found: ptr) -> i32:
    """Write the place of an equal element, or the free one that ended the search, and a dummy.

    The dummy is the last one on the way, or null.
    """
    key = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    size = place_size(key)
    mask = load(i64, s, SET_MASK)
    equal = stack(8)
    store(ptr, found, 8, ptr(0))
    at = hashed & mask
    perturb = hashed
    while True:
        place = load(ptr, s, SET_TABLE) + at * size
        for _ in range(set_step(at, mask)):
            state = load(i64, place, PLACE_STATE)
            if state == PLACE_FREE:
                store(ptr, found, 0, place)
                return 0
            if state == PLACE_DUMMY:
                store(ptr, found, 8, place)
            elif load(i64, place, PLACE_HASH) == hashed:
                if sm_slots_eq(ctx, place + PLACE_KEY, key, slot, descriptor, equal):
                    return 1
                if load(i8, equal) != 0:
                    store(ptr, found, 0, place)
                    return 0
            place = place + size
        perturb = lshr(perturb, 5)
        at = (at * 5 + 1 + perturb) & mask


@native
def set_subset(ctx: ptr, s: ptr, other: ptr, result: ptr) -> i32:
    """Whether every element of ``s`` is in ``other``, as an i8."""
    store(i8, result, 0, 0)
    if load(i64, s, SET_USED) > load(i64, other, SET_USED):
        return 0
    kind = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    step = place_size(kind)
    found = stack(16)
    for i in range(load(i64, s, SET_MASK) + 1):
        place = load(ptr, s, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            if set_find(ctx, other, place + PLACE_KEY, kind, load(i64, place, PLACE_HASH), found):
                return 1
            if load(i64, load(ptr, found), PLACE_STATE) != PLACE_USED:
                return 0
    store(i8, result, 0, 1)
    return 0


@native
def sm_set_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of sets, whose element types may differ."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    if load(i64, a, SET_USED) != load(i64, b, SET_USED):
        store(i8, result, 0, 0)
        return 0
    return set_subset(ctx, a, b, result)


@native
def sm_set_lt(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """Whether ``a`` is a proper subset."""
    if load(i64, a, SET_USED) >= load(i64, b, SET_USED):
        store(i8, result, 0, 0)
        return 0
    return set_subset(ctx, a, b, result)


@native
def range_length(r: ptr) -> i64:
    """``len`` of a range ``{start, stop, step}``."""
    start = load(i64, r)
    stop = load(i64, r, 8)
    step = load(i64, r, 16)
    if step > 0:
        return udiv(stop - start - 1, step) + 1 if start < stop else i64(0)
    return udiv(start - stop - 1, 0 - step) + 1 if stop < start else i64(0)


@native
def _ranges_equal(a: ptr, b: ptr) -> bool:
    n = range_length(a)
    if n != range_length(b):
        return False
    if n == 0:
        return True
    return load(i64, a) == load(i64, b) and (n == 1 or load(i64, a, 16) == load(i64, b, 16))


@native
def _hash_range(r: ptr) -> i64:
    n = range_length(r)
    none = load(i64, sm_hash_state, HASH_OF_NONE)
    acc = mixed(XX_5, sm_hash_int(n))
    acc = mixed(acc, none if n == 0 else sm_hash_int(load(i64, r)))
    acc = mixed(acc, none if n < 2 else sm_hash_int(load(i64, r, 16)))
    return finished(acc, 3)


@native
def _shuffled(hashed: i64) -> i64:
    return ((hashed ^ 89869747) ^ (hashed << 16)) * 3644798167


@native
def _hash_set(s: ptr) -> i64:
    """CPython's hash of a frozenset: of its table, free places and dummies taken out again."""
    step = place_size(child(load(ptr, s, HEAP_DESCRIPTOR), 0))
    acc = 0
    for i in range(load(i64, s, SET_MASK) + 1):
        place = load(ptr, s, SET_TABLE) + i * step
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            acc = acc ^ _shuffled(load(i64, place, PLACE_HASH))
    acc = acc ^ (load(i64, s, SET_USED) + 1) * 1927868237
    acc = acc ^ lshr(acc, 11) ^ lshr(acc, 25)
    acc = acc * 69069 + 907133923
    return i64(590923713) if acc == -1 else acc


# ---- dict lookup and equality ----


@native
def dict_find(ctx: ptr, d: ptr, slot: ptr, descriptor: ptr, hashed: i64, found: ptr) -> i32:
    """Write the number of the entry whose key equals the slot's value, or -1."""
    store(i64, found, 0, -1)
    if load(i64, d, DICT_LENGTH) == 0:
        return 0
    own = load(ptr, d, HEAP_DESCRIPTOR)
    key = child(own, 0)
    step = entry_size(own)
    equal = stack(8)
    mask = load(i64, d, DICT_MASK)
    at = hashed & mask
    perturb = hashed
    while True:
        number = load(i64, load(ptr, d, DICT_INDEX), at * 8)
        if number == INDEX_FREE:
            return 0
        if number >= 0:
            entry = load(ptr, d, DICT_ENTRIES) + number * step
            if load(i64, entry, ENTRY_HASH) == hashed:
                if sm_slots_eq(ctx, entry + ENTRY_KEY, key, slot, descriptor, equal):
                    return 1
                if load(i8, equal) != 0:
                    store(i64, found, 0, number)
                    return 0
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask


@native
def _dicts_equal(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    if check_stack(ctx):
        return 1
    store(i8, result, 0, i8(load(i64, a, DICT_LENGTH) == load(i64, b, DICT_LENGTH)))
    if load(i8, result) == 0:
        return 0
    da = load(ptr, a, HEAP_DESCRIPTOR)
    db = load(ptr, b, HEAP_DESCRIPTOR)
    both_ordered = (
        load(i64, da, DESC_FLAVOR) == FLAVOR_ORDERED
        and load(i64, db, DESC_FLAVOR) == FLAVOR_ORDERED
    )
    if both_ordered and _same_order(ctx, a, b, result):
        return 1
    if load(i8, result) == 0:
        return 0
    va = entry_value_offset(child(da, 0))
    vb = entry_value_offset(child(db, 0))
    found = stack(8)
    for i in range(load(i64, a, DICT_USED)):
        entry = load(ptr, a, DICT_ENTRIES) + i * entry_size(da)
        hashed = load(i64, entry, ENTRY_HASH)
        if hashed == ENTRY_ERASED:
            continue
        if dict_find(ctx, b, entry + ENTRY_KEY, child(da, 0), hashed, found):
            return 1
        if load(i64, found) < 0:
            store(i8, result, 0, 0)
            return 0
        other = load(ptr, b, DICT_ENTRIES) + load(i64, found) * entry_size(db)
        if sm_slots_eq(ctx, entry + va, child(da, 1), other + vb, child(db, 1), result):
            return 1
        if load(i8, result) == 0:
            return 0
    return 0


@native
def _same_order(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """Whether the keys of two dicts of one length are equal one by one."""
    da = load(ptr, a, HEAP_DESCRIPTOR)
    db = load(ptr, b, HEAP_DESCRIPTOR)
    y = load(ptr, b, DICT_ENTRIES)
    for i in range(load(i64, a, DICT_USED)):
        x = load(ptr, a, DICT_ENTRIES) + i * entry_size(da)
        if load(i64, x, ENTRY_HASH) == ENTRY_ERASED:
            continue
        while load(i64, y, ENTRY_HASH) == ENTRY_ERASED:
            y = y + entry_size(db)
        if sm_slots_eq(ctx, x + ENTRY_KEY, child(da, 0), y + ENTRY_KEY, child(db, 0), result):
            return 1
        if load(i8, result) == 0:
            return 0
        y = y + entry_size(db)
    return 0


@native
def sm_dict_eq(ctx: ptr, a: ptr, b: ptr, result: ptr) -> i32:
    """``a == b`` of dicts, as an i8."""
    if a == b:
        store(i8, result, 0, 1)
        return 0
    return _dicts_equal(ctx, a, b, result)


# ---- order ----


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
    ka = _resolve_data(va, a, da)
    kb = _resolve_data(vb, b, db)
    sa = load(ptr, va, V_SLOT)
    sb = load(ptr, vb, V_SLOT)
    if is_number(ka) and is_number(kb) and ka != KIND_COMPLEX and kb != KIND_COMPLEX:
        store(i8, result, 0, _holds(_order_numbers(ka, sa, kb, sb), op))
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
def type_name(v: ptr) -> ptr:
    """The Python name of a resolved value's type: a borrowed str."""
    kind = load(i64, v, V_KIND)
    if kind == KIND_NONE:
        return text("NoneType")
    if kind == KIND_INT:
        return text("int")
    if kind == KIND_FLOAT:
        return text("float")
    if kind == KIND_BOOL:
        return text("bool")
    if kind == KIND_COMPLEX:
        return text("complex")
    if kind == KIND_LIST:
        return text("list")
    return load(ptr, load(ptr, v, V_DESCRIPTOR), DESC_NAME)


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


# ---- hash ----


@native
def sm_hash_float(x: f64) -> i64:
    """``hash`` of a float; NaN hashes as 0."""
    if x != x:
        return 0
    if fabs(x) == INFINITY:
        return i64(HASH_INF) if x > 0.0 else 0 - HASH_INF
    bits = bitcast(i64, x)
    exponent = lshr(bits, 52) & 2047
    mantissa = bits & ((1 << 52) - 1)
    if exponent == 0:
        exponent = 1
    else:
        mantissa = mantissa | (1 << 52)
    # mantissa < 2^53 < P61; times 2^e modulo 2^61 - 1 is a rotation of 61 bits
    turn = exponent - 1075 + 61 * 64
    turn = urem(turn, 61)
    hashed = ((mantissa << turn) & P61) | lshr(mantissa, 61 - turn)
    if hashed == P61:
        hashed = 0
    if bits < 0:
        hashed = 0 - hashed
    return i64(-2) if hashed == -1 else hashed


@native
def sm_slot_hash(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``hash(x)``; TypeError for lists and dicts."""
    if quick_hash(slot, descriptor, result):
        return 0
    v = stack(24)
    kind = resolve(v, slot, descriptor)
    s = load(ptr, v, V_SLOT)
    d = load(ptr, v, V_DESCRIPTOR)
    hashed = 0
    if _is_integer(kind):
        hashed = sm_hash_int(_integer(kind, s))
    elif kind == KIND_FLOAT:
        hashed = sm_hash_float(load(f64, s))
    elif kind == KIND_COMPLEX:
        hashed = sm_hash_float(load(f64, s)) + HASH_IMAG * sm_hash_float(load(f64, s, 8))
        hashed = i64(-2) if hashed == -1 else hashed
    elif kind in (KIND_STR, KIND_BYTES):
        hashed = sm_hash_str(load(ptr, s))
    elif is_tuple(kind):
        return _hash_tuple(ctx, v, result)
    elif kind == KIND_NONE:
        hashed = load(i64, sm_hash_state, HASH_OF_NONE)
    elif kind == KIND_ENUM:
        hashed = load(i64, load(ptr, s), ENUM_HASH)
    elif kind == KIND_FROZEN_SET:
        hashed = _hash_set(load(ptr, s))
    elif kind == KIND_RANGE:
        hashed = _hash_range(s)
    elif kind == KIND_DEVICE:
        device = zext(i64, load(i16, s))
        hashed = ((device & 255) << 16) | (device >> 8)
    elif kind == KIND_CODE:
        hashed = zext(i64, load(i8, s)) + 1
        if load(ptr, d, DESC_HASHES) != 0:
            hashed = load(i64, load(ptr, d, DESC_HASHES), zext(i64, load(i8, s)) * 8)
    elif kind in (KIND_LIST, KIND_DICT, KIND_SET, KIND_DEQUE):
        b = stack(40)
        b_init(b)
        b_text(b, text("unhashable type: '"))
        b_text(b, type_name(v))
        b_text(b, text("'"))
        return raise_from(ctx, TYPE_ERROR, b_finish(b))
    else:
        function = load(ptr, d, DESC_HASH)
        if kind == KIND_CLASS and function != 0:
            return call(i32, function, ctx, s, d, result)
        # objects without a hash of their own: by identity
        hashed = lshr(load(i64, s), 4)
    store(i64, result, 0, hashed)
    return 0


@native
def _hash_tuple(ctx: ptr, v: ptr, result: ptr) -> i32:
    """CPython's tuple hash (xxHash)."""
    n = tuple_length(v)
    acc = i64(XX_5)
    for i in range(n):
        if sm_slot_hash(ctx, tuple_item(v, i), tuple_item_type(v, i), result):
            return 1
        acc = mixed(acc, load(i64, result))
    store(i64, result, 0, finished(acc, n))
    return 0


@native
def key_hash(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``sm_slot_hash`` for dict entries, but for strs: never the mark of erased ones."""
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_INT:  # never the mark
        store(i64, result, 0, sm_hash_int(load(i64, slot)))
        return 0
    if kind == KIND_STR:
        store(i64, result, 0, str_key_hash(load(ptr, slot)))
        return 0
    v = stack(24)
    if resolve(v, slot, descriptor) == KIND_STR:
        store(i64, result, 0, str_key_hash(load(ptr, load(ptr, v, V_SLOT))))
        return 0
    if sm_slot_hash(ctx, slot, descriptor, result):
        return 1
    if load(i64, result) == ENTRY_ERASED:
        store(i64, result, 0, 1)
    return 0
