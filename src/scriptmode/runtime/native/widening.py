"""Copies of containers with elements of a wider type: ``List[int]`` as ``List[int | None]``."""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_SIZE,
    HEAP_DESCRIPTOR,
    KIND_ARRAY_TUPLE,
    KIND_NONE,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_TUPLE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_FILLED,
    SET_FINGER,
    SET_MASK,
    SET_TABLE,
    SET_USED,
)
from scriptmode.codegen.native import i8, i32, i64, load, memset, native, ptr, stack, store
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.lists import sm_list_new
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    place_size,
    sm_any_new,
    sm_release,
    sm_slot_copy,
)
from scriptmode.runtime.native.resolving import V_DESCRIPTOR, V_SLOT, resolve
from scriptmode.runtime.native.sets import set_sized


@native
def slot_widen(target: ptr, wanted: ptr, source: ptr, own: ptr) -> i64:
    """Write a value of type ``own`` as one of the wider type ``wanted``; 0 without memory."""
    if own == wanted:
        sm_slot_copy(target, source, wanted)
        return 1
    memset(target, i8(0), load(i64, wanted, DESC_SIZE))
    kind = load(i64, wanted, DESC_KIND)
    v = stack(24)
    found = resolve(v, source, own)
    slot = load(ptr, v, V_SLOT)
    inner = load(ptr, v, V_DESCRIPTOR)
    if kind == KIND_OPTIONAL_POINTER:
        if found == KIND_NONE:
            return 1
        return slot_widen(
            target, child(wanted, 0), load(ptr, v, V_SLOT), load(ptr, v, V_DESCRIPTOR)
        )
    if kind == KIND_OPTIONAL_VALUE:
        if found == KIND_NONE:
            return 1
        store(i8, target, 0, 1)
        target = target + child_offset(wanted, 0)
        return slot_widen(
            target, child(wanted, 0), load(ptr, v, V_SLOT), load(ptr, v, V_DESCRIPTOR)
        )
    if kind == KIND_UNION:
        if found == KIND_TUPLE:
            return member_widen(target, wanted, slot, inner)
        return sm_any_new(target, slot, inner)
    if kind == KIND_ARRAY_TUPLE and found == KIND_TUPLE:
        return tuple_widen(target, wanted, slot, inner)
    if kind == KIND_TUPLE:
        for i in range(load(i64, wanted, DESC_N_CHILDREN)):
            place = target + child_offset(wanted, i)
            part = slot + child_offset(inner, i)
            if slot_widen(place, child(wanted, i), part, child(inner, i)) == 0:
                return 0
        return 1
    sm_slot_copy(target, slot, inner)
    return 1


@native
def tuple_widen(target: ptr, wanted: ptr, slot: ptr, own: ptr) -> i64:
    """Write a tuple of a fixed length as one of any length; 0 without memory."""
    n = load(i64, own, DESC_N_CHILDREN)
    r = sm_list_new(wanted, n)
    if r == 0:
        return 0
    element = child(wanted, 0)
    for i in range(n):
        place = load(ptr, r, LIST_DATA) + i * load(i64, element, DESC_SIZE)
        if slot_widen(place, element, slot + child_offset(own, i), child(own, i)) == 0:
            sm_release(r)
            return 0
        store(i64, r, LIST_LENGTH, i + 1)
    store(ptr, target, 0, r)
    return 1


@native
def member_widen(target: ptr, wanted: ptr, slot: ptr, own: ptr) -> i64:
    """Write a tuple as a member of a union, which may have tuples of any length instead of it."""
    other = wanted
    for i in range(load(i64, wanted, DESC_N_CHILDREN)):
        member = child(wanted, i)
        if member == own:
            return sm_any_new(target, slot, own)
        if load(i64, member, DESC_KIND) == KIND_ARRAY_TUPLE:
            other = member
    if other == wanted:
        return sm_any_new(target, slot, own)
    made = stack(8)
    if tuple_widen(made, other, slot, own) == 0:
        return 0
    store(ptr, target, 0, other)
    store(ptr, target, 8, load(ptr, made))
    return 1


@native
def sm_list_widen(ctx: ptr, a: ptr, descriptor: ptr, result: ptr) -> i32:
    """A copy of a list (or tuple) with elements of the wider type of ``descriptor``."""
    n = load(i64, a, LIST_LENGTH)
    r = sm_list_new(descriptor, n)
    if r == 0:
        return sm_raise_memory_error(ctx)
    own = child(load(ptr, a, HEAP_DESCRIPTOR), 0)
    wanted = child(descriptor, 0)
    for i in range(n):
        target = load(ptr, r, LIST_DATA) + i * load(i64, wanted, DESC_SIZE)
        source = load(ptr, a, LIST_DATA) + i * load(i64, own, DESC_SIZE)
        if slot_widen(target, wanted, source, own) == 0:
            sm_release(r)
            return sm_raise_memory_error(ctx)
        store(i64, r, LIST_LENGTH, i + 1)
    store(ptr, result, 0, r)
    return 0


@native
def sm_set_widen(ctx: ptr, s: ptr, descriptor: ptr, result: ptr) -> i32:
    """A copy of a set, with the same table, of elements of the wider type of ``descriptor``."""
    r = set_sized(descriptor, load(i64, s, SET_MASK))
    if r == 0:
        return sm_raise_memory_error(ctx)
    own = child(load(ptr, s, HEAP_DESCRIPTOR), 0)
    wanted = child(descriptor, 0)
    for i in range(load(i64, s, SET_MASK) + 1):
        source = load(ptr, s, SET_TABLE) + i * place_size(own)
        target = load(ptr, r, SET_TABLE) + i * place_size(wanted)
        state = load(i64, source, PLACE_STATE)
        store(i64, target, PLACE_HASH, load(i64, source, PLACE_HASH))
        if state == PLACE_USED:
            if slot_widen(target + PLACE_KEY, wanted, source + PLACE_KEY, own) == 0:
                sm_release(r)
                return sm_raise_memory_error(ctx)
        store(i64, target, PLACE_STATE, state)
    store(i64, r, SET_FILLED, load(i64, s, SET_FILLED))
    store(i64, r, SET_USED, load(i64, s, SET_USED))
    store(i64, r, SET_FINGER, load(i64, s, SET_FINGER))
    store(ptr, result, 0, r)
    return 0
