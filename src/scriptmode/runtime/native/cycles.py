"""Collect cycles: objects that are kept alive by one another only.

Instances of classes that may be part of a cycle, and shared variables, are *tracked*: linked into a
list from their allocation on.  At the end of a call, and when many have been made since, trial
deletion looks for those that nothing else refers to:

1. every reference among the tracked objects and the containers between them is subtracted from the
   counts; what is left of a count are references from outside (variables, modules, the boundary)
2. whatever has some left lives, and all that it refers to; their counts are restored
3. the others are garbage: the references among them are cut, then each is dropped as usual

It runs only while no other thread is in native code, and no process is forked.  Marks stand in the
counts meanwhile.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CELL_BOUND,
    CELL_VALUE,
    DESC_FLAGS,
    DESC_KIND,
    DESC_N_CHILDREN,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    FLAG_CYCLIC,
    FLAG_OBJECT,
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    HEAP_PAYLOAD,
    IMMORTAL,
    ITER_SOURCE,
    KIND_ARRAY_TUPLE,
    KIND_CELL,
    KIND_CLASS,
    KIND_DEQUE,
    KIND_DICT,
    KIND_FROZEN_SET,
    KIND_FUTURE,
    KIND_ITERATOR,
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
    TRACK_HEADER,
    TRACKED_ACTIVE,
    TRACKED_BUSY,
    TRACKED_COUNT,
    TRACKED_FIRST,
    TRACKED_LIMIT,
    TRACKED_LOCK,
    TRACKED_NEW,
)
from scriptmode.codegen.native import (
    atomic_add,
    atomic_load,
    atomic_store,
    compare_and_swap,
    i8,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
)
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    free,
    lock_tracked,
    malloc,
    place_size,
    realloc,
    sm_destroy,
    sm_tracked,
)

SEEN = 1 << 58  # marks in a count
ALIVE = 1 << 59
COUNT = (1 << 56) - 1
FEWEST = 10_000  # tracked objects made between two collections inside a call

# what is done to each reference of an object
SUBTRACT = 0
RESTORE = 1
CUT = 2

# the objects that were reached, 24 bytes of the caller's stack
V_DATA = 0
V_N = 8
V_CAPACITY = 16


@native
def sm_enter() -> None:
    """A thread begins to work on native objects; it waits for a collection to end."""
    atomic_add(i64, sm_tracked + TRACKED_ACTIVE, 1)
    while atomic_load(i64, sm_tracked + TRACKED_BUSY) != 0:
        pass


@native
def sm_leave() -> None:
    """A thread has ended its work; the last one collects."""
    atomic_add(i64, sm_tracked + TRACKED_ACTIVE, -1)
    if load(i64, sm_tracked, TRACKED_NEW) != 0:
        sm_collect(0)


@native
def sm_before_fork() -> None:
    """Wait for what a child must not find half done, a collection and changes of the list."""
    mine = False
    while not mine:
        _, mine = compare_and_swap(sm_tracked + TRACKED_BUSY, 0, 1)
    lock_tracked()


@native
def sm_after_fork() -> None:
    """Let work and collections go on, in the parent and in the child."""
    atomic_store(i64, sm_tracked + TRACKED_LOCK, 0)
    atomic_store(i64, sm_tracked + TRACKED_BUSY, 0)


@native(noinline=True)
def sm_collect(active: i64) -> None:
    """Collect, if no more than ``active`` threads work on native objects."""
    if atomic_load(i64, sm_tracked + TRACKED_ACTIVE) != active:
        return
    _, mine = compare_and_swap(sm_tracked + TRACKED_BUSY, 0, 1)
    if mine:
        dead = stack(24)
        _start(dead)
        if atomic_load(i64, sm_tracked + TRACKED_ACTIVE) == active:
            _find_dead(dead)
        atomic_store(i64, sm_tracked + TRACKED_BUSY, 0)
        data = load(ptr, dead, V_DATA)
        for i in range(load(i64, dead, V_N)):
            sm_destroy(load(ptr, data, i * 8))
        free(data)


@native
def _start(v: ptr) -> None:
    store(ptr, v, V_DATA, ptr(0))
    store(i64, v, V_N, 0)
    store(i64, v, V_CAPACITY, 0)


@native
def _append(v: ptr, obj: ptr) -> i64:
    """0 when there is no memory."""
    n = load(i64, v, V_N)
    if n == load(i64, v, V_CAPACITY):
        capacity = n * 2 if n > 0 else i64(64)
        data = realloc(load(ptr, v, V_DATA), capacity * 8)
        if data == 0:
            return 0
        store(ptr, v, V_DATA, data)
        store(i64, v, V_CAPACITY, capacity)
    store(ptr, load(ptr, v, V_DATA), n * 8, obj)
    store(i64, v, V_N, n + 1)
    return 1


@native
def _find_dead(dead: ptr) -> None:
    """Leave the garbage in ``dead``, cut off from everything that is part of cycles."""
    seen = stack(24)
    _start(seen)
    base = load(ptr, sm_tracked, TRACKED_FIRST)
    while base != 0:
        _see(seen, base + TRACK_HEADER)
        base = load(ptr, base, 8)
    i = 0
    while i < load(i64, seen, V_N):
        _references(load(ptr, load(ptr, seen, V_DATA), i * 8), SUBTRACT, seen)
        i = i + 1
    _restore_living(seen)
    data = load(ptr, seen, V_DATA)
    n = load(i64, seen, V_N)
    for k in range(n):
        obj = load(ptr, data, k * 8)
        if not load(i64, obj, HEAP_COUNT) & ALIVE:
            _references(obj, CUT, seen)
    for k in range(n):
        obj = load(ptr, data, k * 8)
        is_dead = not load(i64, obj, HEAP_COUNT) & ALIVE
        store(i64, obj, HEAP_COUNT, load(i64, obj, HEAP_COUNT) & COUNT)
        if is_dead:
            _append(dead, obj)  # without memory it is left alone for good
    free(data)
    store(i64, sm_tracked, TRACKED_NEW, 0)
    rest = load(i64, sm_tracked, TRACKED_COUNT) - load(i64, dead, V_N)
    store(i64, sm_tracked, TRACKED_LIMIT, rest if rest > FEWEST else i64(FEWEST))


@native
def _see(seen: ptr, obj: ptr) -> None:
    count = load(i64, obj, HEAP_COUNT)
    if not count & SEEN and _append(seen, obj):
        store(i64, obj, HEAP_COUNT, count | SEEN)


@native
def _restore_living(seen: ptr) -> None:
    """Mark what is referred to from outside, and all that it reaches, restoring their counts."""
    alive = stack(24)
    _start(alive)
    data = load(ptr, seen, V_DATA)
    n = load(i64, seen, V_N)
    # each object is entered once: with this much room nothing below can fail
    store(ptr, alive, V_DATA, malloc(n * 8 + 8))
    store(i64, alive, V_CAPACITY, n + 1)
    whole = load(ptr, alive, V_DATA) != 0
    for k in range(n):
        obj = load(ptr, data, k * 8)
        if not whole:  # no memory: everything lives
            store(i64, obj, HEAP_COUNT, load(i64, obj, HEAP_COUNT) | ALIVE)
        elif load(i64, obj, HEAP_COUNT) & COUNT != 0:
            _live(alive, obj)
    if whole:
        i = 0
        while i < load(i64, alive, V_N):
            _references(load(ptr, load(ptr, alive, V_DATA), i * 8), RESTORE, alive)
            i = i + 1
    else:
        for k in range(n):
            _references(load(ptr, data, k * 8), RESTORE, alive)
    free(load(ptr, alive, V_DATA))


@native
def _live(alive: ptr, obj: ptr) -> None:
    count = load(i64, obj, HEAP_COUNT)
    if not count & ALIVE:
        store(i64, obj, HEAP_COUNT, count | ALIVE)
        if count & SEEN:
            _append(alive, obj)


@native
def _reference(slot: ptr, action: i64, v: ptr) -> None:
    """One reference to an object, from ``slot``."""
    obj = load(ptr, slot)
    if obj == 0:
        return
    count = load(i64, obj, HEAP_COUNT)
    flags = load(i64, load(ptr, obj, HEAP_DESCRIPTOR), DESC_FLAGS)
    if count >= IMMORTAL or not flags & FLAG_CYCLIC:
        return
    if action == SUBTRACT:
        store(i64, obj, HEAP_COUNT, count - 1)
        _see(v, obj)
        if not load(i64, obj, HEAP_COUNT) & SEEN:
            store(i64, obj, HEAP_COUNT, count)  # no memory: it counts as something outside
    elif count & SEEN:
        if action == RESTORE:
            store(i64, obj, HEAP_COUNT, count + 1)
            _live(v, obj)
        else:
            store(ptr, slot, 0, ptr(0))


@native
def _references(obj: ptr, action: i64, v: ptr) -> None:
    """Every reference that an object holds."""
    descriptor = load(ptr, obj, HEAP_DESCRIPTOR)
    kind = load(i64, descriptor, DESC_KIND)
    if kind in (KIND_LIST, KIND_ARRAY_TUPLE, KIND_DEQUE):
        element = child(descriptor, 0)
        data = load(ptr, obj, LIST_DATA)
        size = load(i64, element, DESC_SIZE)
        for i in range(load(i64, obj, LIST_LENGTH)):
            _slot(data + i * size, element, action, v)
    elif kind == KIND_DICT:
        _entries(obj, descriptor, action, v)
    elif kind == KIND_CLASS:
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            _slot(obj + child_offset(descriptor, i), child(descriptor, i), action, v)
    elif kind == KIND_CELL:
        if load(i64, obj, CELL_BOUND) != 0:
            _slot(obj + CELL_VALUE, child(descriptor, 0), action, v)
    elif kind in (KIND_SET, KIND_FROZEN_SET):
        element = child(descriptor, 0)
        place = load(ptr, obj, SET_TABLE)
        for _ in range(load(i64, obj, SET_MASK) + 1):
            if load(i64, place, PLACE_STATE) == PLACE_USED:
                _slot(place + PLACE_KEY, element, action, v)
            place = place + place_size(element)
    elif kind == KIND_ITERATOR:
        _reference(obj + ITER_SOURCE, action, v)
    elif kind == KIND_FUTURE:
        pass  # what a task holds counts as held from outside
    else:
        _slot(obj + HEAP_PAYLOAD, descriptor, action, v)


@native
def _entries(obj: ptr, descriptor: ptr, action: i64, v: ptr) -> None:
    key = child(descriptor, 0)
    value = child(descriptor, 1)
    entry = load(ptr, obj, DICT_ENTRIES)
    for _ in range(load(i64, obj, DICT_USED)):
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            _slot(entry + ENTRY_KEY, key, action, v)
            _slot(entry + entry_value_offset(key), value, action, v)
        entry = entry + entry_size(descriptor)


@native
def _slot(slot: ptr, descriptor: ptr, action: i64, v: ptr) -> None:
    """Every reference in a slot."""
    flags = load(i64, descriptor, DESC_FLAGS)
    if not flags & FLAG_CYCLIC:
        return
    if flags & FLAG_OBJECT:
        _reference(slot, action, v)
        return
    kind = load(i64, descriptor, DESC_KIND)
    if kind == KIND_OPTIONAL_POINTER:
        if load(ptr, slot) != 0:
            _slot(slot, child(descriptor, 0), action, v)
    elif kind == KIND_OPTIONAL_VALUE:
        if load(i8, slot) != 0:
            _slot(slot + child_offset(descriptor, 0), child(descriptor, 0), action, v)
    elif kind == KIND_TUPLE:
        for i in range(load(i64, descriptor, DESC_N_CHILDREN)):
            _slot(slot + child_offset(descriptor, i), child(descriptor, i), action, v)
    elif kind == KIND_UNION:
        actual = load(ptr, slot)
        if actual != 0:
            if load(i64, actual, DESC_SIZE) > 8:
                _reference(slot + 8, action, v)
                if load(ptr, slot, 8) == 0:
                    store(ptr, slot, 0, ptr(0))  # nothing is left of it
            else:
                _slot(slot + 8, actual, action, v)
