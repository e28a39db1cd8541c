"""Equality, order and hash of values of simple types, that are looked at first.

The functions answer UNKNOWN (or False) for what needs a look through Optional, Union or enums, and
for instances and containers other than tuples.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_CHILDREN,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_OFFSETS,
    KIND_FLOAT,
    KIND_INT,
    KIND_STR,
    KIND_TUPLE,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_ROOM,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    count_trailing_zeros,
    f64,
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    store,
    zext,
)
from scriptmode.runtime.native.builder import unit
from scriptmode.runtime.native.hashing import sm_hash_bytes
from scriptmode.runtime.native.keys import same_text, sm_hash_int

XX_1 = 11400714785074694791
XX_2 = 14029467366897019727
XX_5 = 2870177450012600261
LESS = -1
EQUAL = 0
GREATER = 1
UNORDERED = 2

UNKNOWN = 3  # of an order or equality: values that the quick functions do not know


@native
def sm_hash_str(s: ptr) -> i64:
    """``hash`` of a str or bytes, cached in the object."""
    cached = load(i64, s, STR_HASH)
    if cached != 0:
        return cached
    width = zext(i64, load(i32, s, STR_WIDTH))
    hashed = sm_hash_bytes(s + STR_DATA, load(i64, s, STR_LENGTH) * width)
    store(i64, s, STR_HASH, hashed)
    store(i32, s, STR_ROOM, 0)  # so that whoever appends in place need not look at the hash
    return hashed


@native(fast=True)
def sm_str_compare(a: ptr, b: ptr) -> i64:
    """Order by code points: -1, 0 or 1."""
    n = load(i64, a, STR_LENGTH)
    m = load(i64, b, STR_LENGTH)
    both = n if n < m else m
    at = 0
    if load(i32, a, STR_WIDTH) == 1 and load(i32, b, STR_WIDTH) == 1:
        while at < both:  # texts begin at a word and lie in whole words
            x = load(i64, a + at, STR_DATA)
            y = load(i64, b + at, STR_DATA)
            if x != y:
                bits = count_trailing_zeros(x ^ y) & -8
                if at + lshr(bits, 3) >= both:
                    break
                x = lshr(x, bits) & 255
                y = lshr(y, bits) & 255
                return i64(LESS) if x < y else GREATER
            at += 8
        return i64(n > m) - i64(n < m)
    while at < both:
        x = unit(a, at)
        y = unit(b, at)
        if x != y:
            return i64(LESS) if x < y else GREATER
        at += 1
    return i64(n > m) - i64(n < m)


@native(inline=True)
def same_float(a: ptr, b: ptr) -> bool:
    """Whether a container takes two floats for equal: a NaN is what has its bits."""
    return load(f64, a) == load(f64, b) or load(i64, a) == load(i64, b)


@native(fast=True)
def quick_equal(a: ptr, b: ptr, descriptor: ptr) -> i64:
    """Whether two values of a simple type are equal, or UNKNOWN."""
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_INT:
        return i64(load(i64, a) == load(i64, b))
    if kind == KIND_STR:
        return i64(same_text(load(ptr, a), load(ptr, b)))
    if kind == KIND_TUPLE:
        children = load(ptr, descriptor, DESC_CHILDREN)
        offsets = load(ptr, descriptor, DESC_OFFSETS)
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            at = load(i64, offsets, i * 8)
            part = load(ptr, children, i * 8)
            if load(i64, part, DESC_KIND) == KIND_INT:
                if load(i64, a + at) != load(i64, b + at):
                    return 0
                continue
            known = quick_equal(a + at, b + at, part)
            if known != 1:
                return known
        return 1
    if kind == KIND_FLOAT:
        return i64(same_float(a, b))
    return UNKNOWN


@native(fast=True)
def quick_order(a: ptr, b: ptr, descriptor: ptr) -> i64:
    """The order of two values of a simple type, or UNKNOWN."""
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_INT:
        x = load(i64, a)
        y = load(i64, b)
        return i64(x > y) - i64(x < y)
    if kind == KIND_STR:
        return sm_str_compare(load(ptr, a), load(ptr, b))
    if kind == KIND_TUPLE:
        children = load(ptr, descriptor, DESC_CHILDREN)
        offsets = load(ptr, descriptor, DESC_OFFSETS)
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            at = load(i64, offsets, i * 8)
            order = quick_order(a + at, b + at, load(ptr, children, i * 8))
            if order != EQUAL:
                return order
        return EQUAL
    if kind == KIND_FLOAT:
        p = load(f64, a)
        q = load(f64, b)
        if load(i64, a) == load(i64, b):
            return EQUAL
        return i64(p > q) - i64(p < q) if p <= q or p > q else i64(UNORDERED)
    return UNKNOWN


@native(fast=True)
def quick_hash(slot: ptr, descriptor: ptr, result: ptr) -> bool:
    """Write the hash of a value of a simple type, if it is of one."""
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_INT:
        store(i64, result, 0, sm_hash_int(load(i64, slot)))
        return True
    if kind == KIND_STR:
        store(i64, result, 0, sm_hash_str(load(ptr, slot)))
        return True
    if kind == KIND_TUPLE:
        children = load(ptr, descriptor, DESC_CHILDREN)
        offsets = load(ptr, descriptor, DESC_OFFSETS)
        n = load(i64, descriptor, DESC_N_CHILDREN)
        acc = i64(XX_5)
        for i in range(n):
            part = slot + load(i64, offsets, i * 8)
            own = load(ptr, children, i * 8)
            if load(i64, own, DESC_KIND) == KIND_INT:
                acc = mixed(acc, sm_hash_int(load(i64, part)))
                continue
            if not quick_hash(part, own, result):
                return False
            acc = mixed(acc, load(i64, result))
        store(i64, result, 0, finished(acc, n))
        return True
    return False


@native(inline=True)
def mixed(acc: i64, hashed: i64) -> i64:
    """The state of a tuple's hash after one more item."""
    acc = acc + hashed * XX_2
    return ((acc << 31) | lshr(acc, 33)) * XX_1


@native(inline=True)
def finished(acc: i64, n: i64) -> i64:
    """The hash of a tuple of ``n`` items."""
    acc = acc + (n ^ (XX_5 ^ 3527539))
    return i64(1546275796) if acc == -1 else acc
