"""Iterators over containers: where an iteration stands.

``advance`` moves to the next element and says whether there is one; ``current`` copies it.  They
see what happens to the container meanwhile as CPython's iterators do: a list that grows goes on, a
dict or set that changes its size raises RuntimeError.  An iterator over an OrderedDict looks one
key ahead: any key that is added, removed or moved raises, unless its last element was given out.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DEQUE_VERSION,
    DESC_FLAVOR,
    DESC_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    DICT_VERSION,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    FLAVOR_ORDERED,
    HEAP_DESCRIPTOR,
    ITER_EXPECTED,
    ITER_KIND,
    ITER_LEFT,
    ITER_POSITION,
    ITER_SIZE,
    ITER_SOURCE,
    LIST_DATA,
    LIST_LENGTH,
    OVER_BYTES,
    OVER_DEQUE,
    OVER_ITEMS,
    OVER_KEYS,
    OVER_ORDERED,
    OVER_REVERSED_LIST,
    OVER_SET,
    OVER_VALUES,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    REVERSED,
    SET_MASK,
    SET_TABLE,
    SET_USED,
    STR_DATA,
    STR_LENGTH,
)
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    store,
    text,
    zext,
)
from scriptmode.runtime.native.errors import RUNTIME_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    place_size,
    sm_object_new,
    sm_release,
    sm_retain,
    sm_slot_copy,
)

AT_END = -2  # what an iterator expects that has given out the last element


@native
def sm_iterator_new(ctx: ptr, source: ptr, kind: i64, descriptor: ptr, result: ptr) -> i32:
    """An iterator over a container; ``kind`` is one of ``OVER_...``."""
    it = sm_object_new(ITER_SIZE, descriptor)
    if it == 0:
        return sm_raise_memory_error(ctx)
    sm_retain(source)
    expected = 0
    left = i64(-1)
    position = i64(-1)
    over = kind & (REVERSED - 1)
    if over >= OVER_KEYS and over <= OVER_ITEMS:
        expected = load(i64, source, DICT_LENGTH)
        if kind & REVERSED:
            position = load(i64, source, DICT_USED)
        if load(i64, load(ptr, source, HEAP_DESCRIPTOR), DESC_FLAVOR) == FLAVOR_ORDERED:
            kind += OVER_ORDERED
            left = expected
            expected = load(i64, source, DICT_VERSION) if expected > 0 else i64(AT_END)
    elif over == OVER_SET:
        expected = load(i64, source, SET_USED)
    elif over == OVER_DEQUE:
        expected = load(i64, source, DEQUE_VERSION)
        left = load(i64, source, LIST_LENGTH)
    elif over == OVER_REVERSED_LIST:
        position = load(i64, source, LIST_LENGTH)
    store(ptr, it, ITER_SOURCE, source)
    store(i64, it, ITER_POSITION, position)
    store(i64, it, ITER_EXPECTED, expected)
    store(i64, it, ITER_KIND, kind)
    store(i64, it, ITER_LEFT, left if left >= 0 else expected)
    store(ptr, result, 0, it)
    return 0


@native
def sm_iterator_advance(ctx: ptr, it: ptr, result: ptr) -> i32:
    """Move to the next element; whether there is one."""
    kind = load(i64, it, ITER_KIND)
    source = load(ptr, it, ITER_SOURCE)
    store(i8, result, 0, 0)
    if source == 0:
        return 0
    at = i64(-1)
    # backwards, a deque is not looked at again after its last element
    is_over = kind == OVER_DEQUE + REVERSED and load(i64, it, ITER_LEFT) == 0
    if load(i64, it, ITER_EXPECTED) != AT_END and not is_over:
        if _check_unchanged(ctx, it, source, kind):
            return 1
        at = _following(it, source, kind)
    if at < 0:
        # exhausted for good
        store(ptr, it, ITER_SOURCE, ptr(0))
        sm_release(source)
        return 0
    if kind & OVER_ORDERED:
        if _next_entry(source, at + 1, kind) < 0:
            store(i64, it, ITER_EXPECTED, AT_END)
    elif kind & (REVERSED - 1) == OVER_DEQUE:
        store(i64, it, ITER_LEFT, load(i64, it, ITER_LEFT) - 1)
    elif kind >= OVER_KEYS and kind <= OVER_ITEMS:
        left = load(i64, it, ITER_LEFT)
        if left == 0:
            store(ptr, it, ITER_SOURCE, ptr(0))  # it is over for good
            sm_release(source)
            message = text("dictionary keys changed during iteration")
            return raise_from(ctx, RUNTIME_ERROR, message)
        store(i64, it, ITER_LEFT, left - 1)
    store(i64, it, ITER_POSITION, at)
    store(i8, result, 0, 1)
    return 0


@native
def _check_unchanged(ctx: ptr, it: ptr, source: ptr, kind: i64) -> i32:
    expected = load(i64, it, ITER_EXPECTED)
    over = kind & (REVERSED - 1)
    if kind & OVER_ORDERED:
        if load(i64, source, DICT_VERSION) != expected:
            store(i64, it, ITER_EXPECTED, AT_END)
            return raise_from(ctx, RUNTIME_ERROR, text("OrderedDict mutated during iteration"))
        if load(i64, source, DICT_LENGTH) != load(i64, it, ITER_LEFT):
            store(i64, it, ITER_LEFT, -1)
            message = text("OrderedDict changed size during iteration")
            return raise_from(ctx, RUNTIME_ERROR, message)
    elif over >= OVER_KEYS and over <= OVER_ITEMS:
        if load(i64, source, DICT_LENGTH) != expected:
            store(i64, it, ITER_EXPECTED, -1)
            return raise_from(ctx, RUNTIME_ERROR, text("dictionary changed size during iteration"))
    elif over == OVER_SET:
        if load(i64, source, SET_USED) != expected:
            store(i64, it, ITER_EXPECTED, -1)
            return raise_from(ctx, RUNTIME_ERROR, text("Set changed size during iteration"))
    elif over == OVER_DEQUE:
        if load(i64, source, DEQUE_VERSION) != expected:
            store(i64, it, ITER_EXPECTED, -1)
            store(i64, it, ITER_LEFT, 0)
            return raise_from(ctx, RUNTIME_ERROR, text("deque mutated during iteration"))
    return 0


@native
def _following(it: ptr, source: ptr, kind: i64) -> i64:
    """The position after the current one; -1 at the end."""
    at = load(i64, it, ITER_POSITION) + 1
    over = kind & (REVERSED - 1)
    if over == OVER_REVERSED_LIST:
        before = at - 2
        return before if before < load(i64, source, LIST_LENGTH) else i64(-1)
    if over == OVER_BYTES:
        return at if at < load(i64, source, STR_LENGTH) else i64(-1)
    if over == OVER_DEQUE:
        return at if at < load(i64, source, LIST_LENGTH) else i64(-1)
    if over == OVER_SET:
        return _next_place(source, at)
    return _next_entry(source, at, kind)


@native
def _next_place(s: ptr, at: i64) -> i64:
    step = place_size(child(load(ptr, s, HEAP_DESCRIPTOR), 0))
    table = load(ptr, s, SET_TABLE)
    mask = load(i64, s, SET_MASK)
    while at <= mask and load(i64, table, at * step + PLACE_STATE) != PLACE_USED:
        at += 1
    return at if at <= mask else i64(-1)


@native
def _next_entry(d: ptr, at: i64, kind: i64) -> i64:
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    entries = load(ptr, d, DICT_ENTRIES)
    if kind & REVERSED:
        at -= 2
        while at >= 0 and load(i64, entries, at * step + ENTRY_HASH) == ENTRY_ERASED:
            at -= 1
        return at
    used = load(i64, d, DICT_USED)
    while at < used and load(i64, entries, at * step + ENTRY_HASH) == ENTRY_ERASED:
        at += 1
    return at if at < used else i64(-1)


@native
def sm_iterator_current(ctx: ptr, it: ptr, result: ptr) -> i32:
    """A copy of the element that the last ``advance`` found."""
    source = load(ptr, it, ITER_SOURCE)
    at = load(i64, it, ITER_POSITION)
    kind = load(i64, it, ITER_KIND)
    over = kind & (REVERSED - 1)
    item = child(load(ptr, it, HEAP_DESCRIPTOR), 0)
    if over == OVER_REVERSED_LIST:
        sm_slot_copy(result, load(ptr, source, LIST_DATA) + at * load(i64, item, DESC_SIZE), item)
    elif over == OVER_BYTES:
        store(i64, result, 0, zext(i64, load(i8, source, STR_DATA + at)))
    elif over == OVER_DEQUE:
        place = at
        if kind & REVERSED:
            place = load(i64, source, LIST_LENGTH) - 1 - at
        slot = load(ptr, source, LIST_DATA) + place * load(i64, item, DESC_SIZE)
        sm_slot_copy(result, slot, item)
    elif over == OVER_SET:
        slot = load(ptr, source, SET_TABLE) + at * place_size(item) + PLACE_KEY
        sm_slot_copy(result, slot, item)
    else:
        _copy_entry(source, at, over, item, result)
    return 0


@native
def _copy_entry(d: ptr, at: i64, over: i64, item: ptr, result: ptr) -> None:
    own = load(ptr, d, HEAP_DESCRIPTOR)
    entry = load(ptr, d, DICT_ENTRIES) + at * entry_size(own)
    value = entry + entry_value_offset(child(own, 0))
    if over == OVER_KEYS:
        sm_slot_copy(result, entry + ENTRY_KEY, item)
    elif over == OVER_VALUES:
        sm_slot_copy(result, value, item)
    else:
        sm_slot_copy(result + child_offset(item, 0), entry + ENTRY_KEY, child(item, 0))
        sm_slot_copy(result + child_offset(item, 1), value, child(item, 1))
