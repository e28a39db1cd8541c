"""Deep copies of containers and instances, in which what was shared is shared, and rings are rings.

Every mutable object is copied once: a *memo* finds the copy of an object.  Copies are made shallow
at first; they wait in the memo's order until what they hold is replaced by copies in turn, so that
deeply nested objects do not overflow the stack.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_FLAGS,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    FLAG_OBJECT,
    FLAG_PLAIN,
    HEAP_DESCRIPTOR,
    HEAP_PAYLOAD,
    KIND_ARRAY_TUPLE,
    KIND_CLASS,
    KIND_DEQUE,
    KIND_DICT,
    KIND_LIST,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_SET,
    KIND_TUPLE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
)
from scriptmode.codegen.native import i8, i32, i64, load, memset, native, ptr, stack, store
from scriptmode.runtime.native.deques import sm_deque_copy
from scriptmode.runtime.native.dicts import sm_dict_copy
from scriptmode.runtime.native.errors import sm_raise_memory_error
from scriptmode.runtime.native.lists import sm_list_convert
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    free,
    malloc,
    place_size,
    realloc,
    sm_box,
    sm_object_copy,
    sm_release,
    sm_retain,
    sm_slot_copy,
    sm_slot_drop,
)
from scriptmode.runtime.native.sets import sm_set_add, sm_set_new

MEMO_TABLE = 0  # places of an original and its copy
MEMO_MASK = 8
MEMO_ORDER = 16  # the same pairs in the order in which they were entered
MEMO_N = 24
MEMO_CAPACITY = 32
MEMO_SIZE = 40


@native
def _memo_place(memo: ptr, original: ptr) -> ptr:
    """Where an object is in the table, or would be."""
    word = stack(8)
    store(ptr, word, 0, original)
    mask = load(i64, memo, MEMO_MASK)
    i = (load(i64, word) >> 4) & mask
    while True:
        place = load(ptr, memo, MEMO_TABLE) + i * 16
        if load(ptr, place) == 0 or load(ptr, place) == original:
            return place
        i = (i + 1) & mask


@native
def _memo_grow(memo: ptr) -> i64:
    """Room for twice as many objects; 0 without memory."""
    n = load(i64, memo, MEMO_N)
    capacity = n * 2 if n > 0 else i64(16)
    order = realloc(load(ptr, memo, MEMO_ORDER), capacity * 16)
    if order == 0:
        return 0
    store(ptr, memo, MEMO_ORDER, order)
    table = malloc(capacity * 32)
    if table == 0:
        return 0
    memset(table, i8(0), capacity * 32)
    free(load(ptr, memo, MEMO_TABLE))
    store(ptr, memo, MEMO_TABLE, table)
    store(i64, memo, MEMO_MASK, capacity * 2 - 1)
    store(i64, memo, MEMO_CAPACITY, capacity)
    for i in range(n):
        place = _memo_place(memo, load(ptr, order, i * 16))
        store(ptr, place, 0, load(ptr, order, i * 16))
        store(ptr, place, 8, load(ptr, order, i * 16 + 8))
    return 1


@native
def _memo_enter(memo: ptr, original: ptr, copied: ptr) -> i64:
    """Remember a copy; 0 without memory."""
    n = load(i64, memo, MEMO_N)
    if n == load(i64, memo, MEMO_CAPACITY):
        if _memo_grow(memo) == 0:
            return 0
    place = _memo_place(memo, original)
    store(ptr, place, 0, original)
    store(ptr, place, 8, copied)
    store(ptr, load(ptr, memo, MEMO_ORDER), n * 16, original)
    store(ptr, load(ptr, memo, MEMO_ORDER), n * 16 + 8, copied)
    store(i64, memo, MEMO_N, n + 1)
    return 1


@native
def _set_again(ctx: ptr, s: ptr, result: ptr) -> i32:
    """A set of the same elements, entered one by one as Python does."""
    descriptor = load(ptr, s, HEAP_DESCRIPTOR)
    if sm_set_new(ctx, descriptor, result):
        return 1
    for i in range(load(i64, s, SET_MASK) + 1):
        place = load(ptr, s, SET_TABLE) + i * place_size(child(descriptor, 0))
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            if sm_set_add(ctx, load(ptr, result), place + PLACE_KEY):
                sm_release(load(ptr, result))
                return 1
    return 0


@native
def _shallow(ctx: ptr, obj: ptr, kind: i64, result: ptr) -> i32:
    """A new object that holds what ``obj`` holds."""
    if kind in (KIND_LIST, KIND_ARRAY_TUPLE):
        return sm_list_convert(ctx, obj, load(ptr, obj, HEAP_DESCRIPTOR), result)
    if kind == KIND_DICT:
        return sm_dict_copy(ctx, obj, result)
    if kind == KIND_SET:
        return _set_again(ctx, obj, result)
    if kind == KIND_DEQUE:
        return sm_deque_copy(ctx, obj, result)
    made = sm_object_copy(obj)
    if made == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, made)
    return 0


@native
def _copy_of(ctx: ptr, memo: ptr, obj: ptr, result: ptr) -> i32:
    """The copy of an object, of which the result is one more owner; what never changes is kept."""
    descriptor = load(ptr, obj, HEAP_DESCRIPTOR)
    kind = load(i64, descriptor, DESC_KIND)
    holds = kind == KIND_ARRAY_TUPLE and (
        load(i64, child(descriptor, 0), DESC_FLAGS) & FLAG_PLAIN == 0
    )
    if not (holds or kind in (KIND_LIST, KIND_DICT, KIND_SET, KIND_DEQUE, KIND_CLASS)):
        sm_retain(obj)
        store(ptr, result, 0, obj)
        return 0
    if load(i64, memo, MEMO_N) > 0:
        place = _memo_place(memo, obj)
        if load(ptr, place) != 0:
            sm_retain(load(ptr, place, 8))
            store(ptr, result, 0, load(ptr, place, 8))
            return 0
    if _shallow(ctx, obj, kind, result):
        return 1
    if _memo_enter(memo, obj, load(ptr, result)) == 0:
        sm_release(load(ptr, result))
        return sm_raise_memory_error(ctx)
    return 0


@native
def _deepen(ctx: ptr, memo: ptr, slot: ptr, descriptor: ptr) -> i32:
    """Replace the objects that a slot owns by their copies."""
    flags = load(i64, descriptor, DESC_FLAGS)
    if flags & FLAG_PLAIN:
        return 0
    if flags & FLAG_OBJECT:
        old = load(ptr, slot)
        if old == 0:
            return 0
        if _copy_of(ctx, memo, old, slot):
            store(ptr, slot, 0, old)
            return 1
        sm_release(old)
        return 0
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_OPTIONAL_POINTER:
        if load(ptr, slot) != 0:
            return _deepen(ctx, memo, slot, child(descriptor, 0))
    elif kind == KIND_OPTIONAL_VALUE:
        if load(i8, slot) != 0:
            return _deepen(ctx, memo, slot + child_offset(descriptor, 0), child(descriptor, 0))
    elif kind == KIND_TUPLE:
        return _deepen_children(ctx, memo, slot, descriptor)
    elif kind == KIND_UNION:
        actual = load(ptr, slot)
        if actual != 0:
            if load(i64, actual, DESC_SIZE) > 8:
                old = load(ptr, slot, 8)
                box = sm_box(old + HEAP_PAYLOAD, actual)
                if box == 0:
                    return sm_raise_memory_error(ctx)
                store(ptr, slot, 8, box)
                sm_release(old)
                return _deepen(ctx, memo, box + HEAP_PAYLOAD, actual)
            return _deepen(ctx, memo, slot + 8, actual)
    return 0


@native
def _deepen_children(ctx: ptr, memo: ptr, base: ptr, descriptor: ptr) -> i32:
    for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
        if _deepen(ctx, memo, base + child_offset(descriptor, i), child(descriptor, i)):
            return 1
    return 0


@native
def _deepen_object(ctx: ptr, memo: ptr, obj: ptr) -> i32:
    """Replace what a copy holds; keys, and elements of sets, never change."""
    descriptor = load(ptr, obj, HEAP_DESCRIPTOR)
    kind = load(i64, descriptor, DESC_KIND)
    if kind in (KIND_LIST, KIND_ARRAY_TUPLE, KIND_DEQUE):
        element = child(descriptor, 0)
        if load(i64, element, DESC_FLAGS) & FLAG_PLAIN:
            return 0
        for i in range(load(i64, obj, LIST_LENGTH)):
            slot = load(ptr, obj, LIST_DATA) + i * load(i64, element, DESC_SIZE)
            if _deepen(ctx, memo, slot, element):
                return 1
    elif kind == KIND_DICT:
        offset = entry_value_offset(child(descriptor, 0))
        for i in range(load(i64, obj, DICT_USED)):
            entry = load(ptr, obj, DICT_ENTRIES) + i * entry_size(descriptor)
            if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
                if _deepen(ctx, memo, entry + offset, child(descriptor, 1)):
                    return 1
    elif kind == KIND_CLASS:
        return _deepen_children(ctx, memo, obj, descriptor)
    return 0


@native
def sm_object_deepcopy(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``copy.deepcopy(x)``."""
    memo = stack(MEMO_SIZE)
    memset(memo, i8(0), MEMO_SIZE)
    sm_slot_copy(result, slot, descriptor)
    failed = _deepen(ctx, memo, result, descriptor)
    i = 0
    while failed == 0 and i < load(i64, memo, MEMO_N):
        failed = _deepen_object(ctx, memo, load(ptr, load(ptr, memo, MEMO_ORDER), i * 16 + 8))
        i = i + 1
    free(load(ptr, memo, MEMO_TABLE))
    free(load(ptr, memo, MEMO_ORDER))
    if failed:
        sm_slot_drop(result, descriptor)
    return failed


@native
def sm_instance_copy(ctx: ptr, obj: ptr, result: ptr) -> i32:
    """``copy.copy(x)`` of an instance."""
    made = sm_object_copy(obj)
    if made == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, made)
    return 0
