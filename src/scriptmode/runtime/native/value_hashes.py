"""``hash(x)`` of values, by descriptor: CPython's wherever it is a matter of the value."""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_HASH,
    DESC_HASHES,
    DESC_KIND,
    ENTRY_ERASED,
    ENUM_HASH,
    HEAP_DESCRIPTOR,
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
    KIND_RANGE,
    KIND_SET,
    KIND_STR,
    PLACE_HASH,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
)
from scriptmode.codegen.native import (
    bitcast,
    call,
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
    urem,
    zext,
)
from scriptmode.runtime.native.builder import b_finish, b_init, b_text
from scriptmode.runtime.native.errors import TYPE_ERROR, raise_from
from scriptmode.runtime.native.hashing import HASH_OF_NONE, sm_hash_state
from scriptmode.runtime.native.keys import P61, sm_hash_int, str_key_hash
from scriptmode.runtime.native.memory import child, place_size
from scriptmode.runtime.native.mixed_numbers import integer_at, is_integer
from scriptmode.runtime.native.quick import XX_5, finished, mixed, quick_hash, sm_hash_str
from scriptmode.runtime.native.resolving import (
    V_DESCRIPTOR,
    V_SLOT,
    is_tuple,
    range_length,
    resolve,
    tuple_item,
    tuple_item_type,
    tuple_length,
    type_name,
)

INFINITY = float("inf")
HASH_INF = 314159
HASH_IMAG = 1000003


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
    if is_integer(kind):
        hashed = sm_hash_int(integer_at(kind, s))
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
