"""Heap objects: allocation, reference counts, and dropping what a descriptor describes.

A *slot* is the memory of a value, described by a descriptor (``abi.objects``).  Dropping an object
never recurses into other objects: dead ones are chained through their count words into a worklist,
so a list nested a million deep does not overflow the stack.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CELL_BOUND,
    CELL_VALUE,
    DEQUE_GAP,
    DESC_CHILDREN,
    DESC_FLAGS,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_OBJECT_SIZE,
    DESC_OFFSETS,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_INDEX,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    FLAG_OBJECT,
    FLAG_PLAIN,
    FLAG_TRACKED,
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    HEAP_PAYLOAD,
    IMMORTAL,
    ITER_SOURCE,
    KIND_ARRAY_TUPLE,
    KIND_BYTES,
    KIND_CELL,
    KIND_CLASS,
    KIND_DEQUE,
    KIND_DICT,
    KIND_FROZEN_SET,
    KIND_FUTURE,
    KIND_GENERATOR,
    KIND_ITERATOR,
    KIND_LIST,
    KIND_OPTIONAL_POINTER,
    KIND_OPTIONAL_VALUE,
    KIND_PYTHON,
    KIND_SET,
    KIND_SIZE,
    KIND_STR,
    KIND_TENSOR,
    KIND_TUPLE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_MASK,
    SET_TABLE,
    TRACK_HEADER,
    TRACKED_BYTES,
    TRACKED_COUNT,
    TRACKED_FIRST,
    TRACKED_LIMIT,
    TRACKED_LOCK,
    TRACKED_NEW,
)
from scriptmode.abi.tasks import FUTURE_TASK
from scriptmode.codegen.native import (
    atomic_add,
    atomic_store,
    call,
    cell,
    compare_and_swap,
    extern,
    i8,
    i32,
    i64,
    likely,
    load,
    memcpy,
    native,
    ptr,
    stack,
    store,
    unlikely,
)
from scriptmode.runtime.native.allocation import allocate, deallocate
from scriptmode.runtime.native.allocation import free as free
from scriptmode.runtime.native.allocation import malloc as malloc
from scriptmode.runtime.native.allocation import realloc as realloc

sm_tensor_retain = extern("sm_tensor_retain", None, ptr)
sm_tensor_release = extern("sm_tensor_release", None, ptr)

sm_counted_retain = extern("sm_counted_retain", None, ptr)
sm_counted_release = extern("sm_counted_release", None, ptr)
sm_task_release = extern("sm_task_release", None, ptr)  # of tasks.py, which stands on this file

sm_collect = extern("sm_collect", None, i64)  # of cycles.py, likewise

sm_tracked = cell("sm_tracked", TRACKED_BYTES)
sm_live_objects = cell("sm_live_objects")  # counted when sm_counting is set
sm_counting = cell("sm_counting")


@native(inline=True)
def count_objects(change: i64) -> None:
    """Note that objects came or went, in debug processes."""
    if unlikely(load(i64, sm_counting) != 0):
        atomic_add(i64, sm_live_objects, change)


sm_python_drop = cell("sm_python_drop")  # i32 (object): gives a Python object up, set by the host


@native
def sm_alloc(nbytes: i64) -> ptr:
    """Uninitialised memory, 16-byte aligned; null when there is none."""
    return malloc(nbytes if nbytes > 0 else 1)


@native
def sm_free(memory: ptr) -> None:
    """Give back memory of ``sm_alloc``."""
    free(memory)


@native(fast=True)
def sm_object_new(nbytes: i64, descriptor: ptr) -> ptr:
    """An object with count 1, payload uninitialised; null when there is no memory."""
    if unlikely(load(i64, descriptor, DESC_FLAGS) & FLAG_TRACKED != 0):
        return _tracked_new(nbytes, descriptor)
    obj = allocate(nbytes)
    if likely(obj != 0):
        store(i64, obj, HEAP_COUNT, 1)
        store(ptr, obj, HEAP_DESCRIPTOR, descriptor)
        count_objects(1)
    return obj


@native(noinline=True)
def _tracked_new(nbytes: i64, descriptor: ptr) -> ptr:
    """An object that may become part of a cycle."""
    if load(i64, sm_tracked, TRACKED_NEW) > load(i64, sm_tracked, TRACKED_LIMIT):
        sm_collect(1)
    base = allocate(nbytes + TRACK_HEADER)
    if base == 0:
        return base
    lock_tracked()
    following = load(ptr, sm_tracked, TRACKED_FIRST)
    store(ptr, base, 0, ptr(0))
    store(ptr, base, 8, following)
    if following != 0:
        store(ptr, following, 0, base)
    store(ptr, sm_tracked, TRACKED_FIRST, base)
    store(i64, sm_tracked, TRACKED_COUNT, load(i64, sm_tracked, TRACKED_COUNT) + 1)
    store(i64, sm_tracked, TRACKED_NEW, load(i64, sm_tracked, TRACKED_NEW) + 1)
    atomic_store(i64, sm_tracked + TRACKED_LOCK, 0)
    obj = base + TRACK_HEADER
    store(i64, obj, HEAP_COUNT, 1)
    store(ptr, obj, HEAP_DESCRIPTOR, descriptor)
    count_objects(1)
    return obj


@native
def lock_tracked() -> None:
    """Wait for the list of tracked objects; whoever has changed it clears ``TRACKED_LOCK``."""
    while True:
        _, mine = compare_and_swap(sm_tracked + TRACKED_LOCK, 0, 1)
        if mine:
            return


@native(noinline=True)
def _tracked_free(obj: ptr) -> None:
    base = obj - TRACK_HEADER
    lock_tracked()
    before = load(ptr, base)
    following = load(ptr, base, 8)
    if before != 0:
        store(ptr, before, 8, following)
    else:
        store(ptr, sm_tracked, TRACKED_FIRST, following)
    if following != 0:
        store(ptr, following, 0, before)
    store(i64, sm_tracked, TRACKED_COUNT, load(i64, sm_tracked, TRACKED_COUNT) - 1)
    atomic_store(i64, sm_tracked + TRACKED_LOCK, 0)
    deallocate(base)


@native
def sm_destroy(obj: ptr) -> None:
    """Drop an object to which nothing refers any more."""
    work = stack(8)
    store(i64, work, 0, 0)
    _destroy(obj, work)
    _drain(work)


@native(fast=True)
def sm_object_free(obj: ptr) -> None:
    """Free the memory of an object whose payload is already dropped."""
    count_objects(-1)
    if unlikely(load(i64, load(ptr, obj, HEAP_DESCRIPTOR), DESC_FLAGS) & FLAG_TRACKED != 0):
        _tracked_free(obj)
    else:
        deallocate(obj)


@native
def sm_retain(obj: ptr) -> None:
    """Count one more owner; null is allowed."""
    if obj != 0:
        count = load(i64, obj, HEAP_COUNT)
        if count < IMMORTAL:
            store(i64, obj, HEAP_COUNT, count + 1)


@native
def sm_release(obj: ptr) -> None:
    """Count one owner less and drop the object when it was the last; null is allowed."""
    if obj != 0:
        count = load(i64, obj, HEAP_COUNT)
        if count < IMMORTAL:
            if count > 1:
                store(i64, obj, HEAP_COUNT, count - 1)
            else:
                _drop_object(obj)


@native
def sm_release_objects(slots: ptr, n: i64) -> None:
    """Release the objects of ``n`` pointer slots; null slots are skipped."""
    for i in range(n):
        sm_release(load(ptr, slots, i * 8))


@native(noinline=True)
def _drop_object(obj: ptr) -> None:
    work = stack(8)
    store(i64, obj, HEAP_COUNT, 0)
    store(ptr, work, 0, obj)
    _drain(work)


@native
def _drain(work: ptr) -> None:
    obj = load(ptr, work)
    while obj != 0:
        store(i64, work, 0, load(i64, obj, HEAP_COUNT))
        _destroy(obj, work)
        obj = load(ptr, work)


@native
def _release_into(obj: ptr, work: ptr) -> None:
    if obj != 0:
        count = load(i64, obj, HEAP_COUNT)
        if count < IMMORTAL:
            if count > 1:
                store(i64, obj, HEAP_COUNT, count - 1)
            elif load(i64, load(ptr, obj, HEAP_DESCRIPTOR), DESC_KIND) == KIND_STR:
                sm_object_free(obj)  # it holds nothing
            else:
                store(i64, obj, HEAP_COUNT, load(i64, work))
                store(ptr, work, 0, obj)


@native
def child(descriptor: ptr, index: i64) -> ptr:
    """The descriptor of a contained type."""
    return load(ptr, load(ptr, descriptor, DESC_CHILDREN), index * 8)


@native
def child_offset(descriptor: ptr, index: i64) -> i64:
    """Where a contained value lies in the slot or object."""
    return load(i64, load(ptr, descriptor, DESC_OFFSETS), index * 8)


@native
def entry_value_offset(key: ptr) -> i64:
    """Where the value lies in an entry of a dict with these keys."""
    return ENTRY_KEY + ((load(i64, key, DESC_SIZE) + 7) & -8)


@native
def entry_size(descriptor: ptr) -> i64:
    """Bytes of an entry of a dict."""
    value = load(i64, child(descriptor, 1), DESC_SIZE)
    return entry_value_offset(child(descriptor, 0)) + ((value + 7) & -8)


@native
def place_size(element: ptr) -> i64:
    """Bytes of a place of a set with such elements."""
    return PLACE_KEY + ((load(i64, element, DESC_SIZE) + 7) & -8)


@native
def _destroy(obj: ptr, work: ptr) -> None:
    descriptor = load(ptr, obj, HEAP_DESCRIPTOR)
    kind = load(i64, descriptor, DESC_KIND)
    if kind in (KIND_LIST, KIND_ARRAY_TUPLE, KIND_SIZE):
        data = load(ptr, obj, LIST_DATA)
        sm_slots_drop_into(data, load(i64, obj, LIST_LENGTH), child(descriptor, 0), work)
        deallocate(data)
    elif kind == KIND_DICT:
        _drop_entries(obj, descriptor, work)
        deallocate(load(ptr, obj, DICT_INDEX))
        deallocate(load(ptr, obj, DICT_ENTRIES))
    elif kind == KIND_CLASS:
        _drop_children(obj, descriptor, work)
    elif kind == KIND_CELL:
        if load(i64, obj, CELL_BOUND) != 0:
            _slot_drop(obj + CELL_VALUE, child(descriptor, 0), work)
    elif kind == KIND_FUTURE:
        sm_task_release(load(ptr, obj, FUTURE_TASK))
    elif kind in (KIND_SET, KIND_FROZEN_SET):
        _drop_places(obj, child(descriptor, 0), work)
        free(load(ptr, obj, SET_TABLE))
    elif kind == KIND_DEQUE:
        _destroy_deque(obj, child(descriptor, 0), work)
    elif kind == KIND_ITERATOR:
        _release_into(load(ptr, obj, ITER_SOURCE), work)
    elif not (kind in (KIND_STR, KIND_BYTES)):  # noqa: E713
        _slot_drop(obj + HEAP_PAYLOAD, descriptor, work)
    sm_object_free(obj)


@native
def _drop_places(obj: ptr, element: ptr, work: ptr) -> None:
    if load(i64, element, DESC_FLAGS) & FLAG_PLAIN:
        return
    step = place_size(element)
    place = load(ptr, obj, SET_TABLE)
    for _ in range(load(i64, obj, SET_MASK) + 1):
        if load(i64, place, PLACE_STATE) == PLACE_USED:
            _slot_drop(place + PLACE_KEY, element, work)
        place = place + step


@native
def _destroy_deque(obj: ptr, element: ptr, work: ptr) -> None:
    data = load(ptr, obj, LIST_DATA)
    sm_slots_drop_into(data, load(i64, obj, LIST_LENGTH), element, work)
    if data != 0:
        free(data - load(i64, obj, DEQUE_GAP) * load(i64, element, DESC_SIZE))


@native
def _drop_entries(obj: ptr, descriptor: ptr, work: ptr) -> None:
    key = child(descriptor, 0)
    value = child(descriptor, 1)
    step = entry_size(descriptor)
    value_offset = entry_value_offset(key)
    if load(i64, key, DESC_FLAGS) & load(i64, value, DESC_FLAGS) & FLAG_PLAIN:
        return
    entry = load(ptr, obj, DICT_ENTRIES)
    for _ in range(load(i64, obj, DICT_USED)):
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            _slot_drop(entry + ENTRY_KEY, key, work)
            _slot_drop(entry + value_offset, value, work)
        entry = entry + step


@native(fast=True)
def sm_slots_drop_into(data: ptr, n: i64, descriptor: ptr, work: ptr) -> None:
    """Drop ``n`` adjacent values, chaining dead objects into ``work``."""
    if load(i64, descriptor, DESC_FLAGS) & FLAG_PLAIN:
        return
    if load(i64, descriptor, DESC_FLAGS) & FLAG_OBJECT:
        for i in range(n):
            _release_into(load(ptr, data, i * 8), work)
        return
    size = load(i64, descriptor, DESC_SIZE)
    for i in range(n):
        _slot_drop(data + i * size, descriptor, work)


@native
def _drop_children(base: ptr, descriptor: ptr, work: ptr) -> None:
    for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
        _slot_drop(base + child_offset(descriptor, i), child(descriptor, i), work)


@native
def _slot_drop(slot: ptr, descriptor: ptr, work: ptr) -> None:
    flags = load(i64, descriptor, DESC_FLAGS)
    if flags & FLAG_PLAIN:
        return
    if flags & FLAG_OBJECT:
        _release_into(load(ptr, slot), work)
        return
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_TENSOR:
        if load(ptr, slot) != 0:
            sm_tensor_release(load(ptr, slot))
    elif kind == KIND_GENERATOR:
        sm_counted_release(load(ptr, slot))
    elif kind == KIND_OPTIONAL_POINTER:
        if load(ptr, slot) != 0:
            _slot_drop(slot, child(descriptor, 0), work)
    elif kind == KIND_OPTIONAL_VALUE:
        if load(i8, slot) != 0:
            _slot_drop(slot + child_offset(descriptor, 0), child(descriptor, 0), work)
    elif kind == KIND_TUPLE:
        _drop_children(slot, descriptor, work)
    elif kind == KIND_PYTHON:
        if load(ptr, slot) != 0:
            call(i32, load(ptr, sm_python_drop), load(ptr, slot))
    elif kind == KIND_UNION:
        actual = load(ptr, slot)
        if actual != 0:
            if load(i64, actual, DESC_SIZE) > 8:
                _release_into(load(ptr, slot, 8), work)
            else:
                _slot_drop(slot + 8, actual, work)


@native
def sm_slot_drop(slot: ptr, descriptor: ptr) -> None:
    """Drop the value of a slot; the slot's bytes stay as they are."""
    sm_slots_drop(slot, 1, descriptor)


@native
def sm_slots_drop(data: ptr, n: i64, descriptor: ptr) -> None:
    """Drop ``n`` adjacent values."""
    work = stack(8)
    store(i64, work, 0, 0)
    sm_slots_drop_into(data, n, descriptor, work)
    _drain(work)


@native
def sm_slot_retain(slot: ptr, descriptor: ptr) -> None:
    """Count one more owner of everything that the slot's value owns."""
    flags = load(i64, descriptor, DESC_FLAGS)
    if flags & FLAG_PLAIN:
        return
    if flags & FLAG_OBJECT:
        sm_retain(load(ptr, slot))
        return
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_TENSOR:
        if load(ptr, slot) != 0:
            sm_tensor_retain(load(ptr, slot))
    elif kind == KIND_GENERATOR:
        sm_counted_retain(load(ptr, slot))
    elif kind == KIND_OPTIONAL_POINTER:
        if load(ptr, slot) != 0:
            sm_slot_retain(slot, child(descriptor, 0))
    elif kind == KIND_OPTIONAL_VALUE:
        if load(i8, slot) != 0:
            sm_slot_retain(slot + child_offset(descriptor, 0), child(descriptor, 0))
    elif kind == KIND_TUPLE:
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            sm_slot_retain(slot + child_offset(descriptor, i), child(descriptor, i))
    elif kind == KIND_UNION:
        actual = load(ptr, slot)
        if actual != 0:
            if load(i64, actual, DESC_SIZE) > 8:
                sm_retain(load(ptr, slot, 8))
            else:
                sm_slot_retain(slot + 8, actual)


@native
def sm_slots_retain(data: ptr, n: i64, descriptor: ptr) -> None:
    """Retain ``n`` adjacent values."""
    if load(i64, descriptor, DESC_FLAGS) & FLAG_PLAIN:
        return
    size = load(i64, descriptor, DESC_SIZE)
    for i in range(n):
        sm_slot_retain(data + i * size, descriptor)


@native(fast=True)
def sm_slot_copy(target: ptr, source: ptr, descriptor: ptr) -> None:
    """Make ``target`` a second owner of the value of ``source``."""
    size = load(i64, descriptor, DESC_SIZE)
    if size == 8:  # most often, and a call of memcpy takes longer
        store(i64, target, 0, load(i64, source))
    else:
        memcpy(target, source, size)
    flags = load(i64, descriptor, DESC_FLAGS)
    if flags & FLAG_OBJECT:
        sm_retain(load(ptr, target))
    elif flags & FLAG_PLAIN == 0:
        sm_slot_retain(target, descriptor)


@native
def sm_object_copy(obj: ptr) -> ptr:
    """A new instance with the attributes of ``obj``; null when there is no memory."""
    descriptor = load(ptr, obj, HEAP_DESCRIPTOR)
    size = load(i64, descriptor, DESC_OBJECT_SIZE)
    made = sm_object_new(size, descriptor)
    if made != 0:
        memcpy(made + HEAP_PAYLOAD, obj + HEAP_PAYLOAD, size - HEAP_PAYLOAD)
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            sm_slot_retain(made + child_offset(descriptor, i), child(descriptor, i))
    return made


@native
def sm_box(slot: ptr, descriptor: ptr) -> ptr:
    """The value as one heap object: itself if it is one, else a new box; null without memory."""
    if load(i64, descriptor, DESC_FLAGS) & FLAG_OBJECT:
        sm_retain(load(ptr, slot))
        return load(ptr, slot)
    box = sm_object_new(HEAP_PAYLOAD + load(i64, descriptor, DESC_SIZE), descriptor)
    if box != 0:
        sm_slot_copy(box + HEAP_PAYLOAD, slot, descriptor)
    return box


@native
def sm_any_new(target: ptr, slot: ptr, descriptor: ptr) -> i64:
    """Write ``{descriptor, payload}`` of a value to ``target``; 0 when there is no memory."""
    store(ptr, target, 0, descriptor)
    store(i64, target, 8, 0)
    if load(i64, descriptor, DESC_SIZE) > 8:
        box = sm_box(slot, descriptor)
        store(ptr, target, 8, box)
        return i64(box != 0)
    sm_slot_copy(target + 8, slot, descriptor)
    return 1


@native
def sm_any_slot(place: ptr) -> ptr:
    """The slot of the value inside a ``{descriptor, payload}``."""
    if load(i64, load(ptr, place), DESC_SIZE) > 8:
        return load(ptr, place, 8) + HEAP_PAYLOAD
    return place + 8
