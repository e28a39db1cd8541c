"""Dicts: insertion-ordered entries and an index with open addressing.

An entry is ``{i64 hash, key, value}``; the index holds entry numbers and is at most two thirds
full.  Erased entries stay until the table is rebuilt, so positions are stable while nothing is
added.  Sizes and times of rebuilding are CPython's, as a loop over a dict that it changes shows.
Keys and values pass by slot pointer and are borrowed; ``result`` slots get owned values.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_FLAVOR,
    DESC_KIND,
    DESC_SIZE,
    DICT_CAPACITY,
    DICT_ENTRIES,
    DICT_FILLED,
    DICT_FIRST,
    DICT_INDEX,
    DICT_LENGTH,
    DICT_MASK,
    DICT_SIZE,
    DICT_USED,
    DICT_VERSION,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
    FLAVOR_ORDERED,
    HEAP_DESCRIPTOR,
    INDEX_ERASED,
    INDEX_FREE,
    KIND_OPTIONAL_VALUE,
    KIND_UNION,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.codegen.native import (
    external,
    i8,
    i32,
    i64,
    load,
    lshr,
    memcpy,
    memmove,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
    udiv,
)
from scriptmode.runtime.native.allocation import allocate, deallocate
from scriptmode.runtime.native.equality import dict_find
from scriptmode.runtime.native.errors import (
    KEY_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.lists import sm_list_new
from scriptmode.runtime.native.memory import (
    child,
    child_offset,
    entry_size,
    entry_value_offset,
    free,
    malloc,
    sm_box,
    sm_object_free,
    sm_object_new,
    sm_release,
    sm_slot_copy,
    sm_slot_drop,
)
from scriptmode.runtime.native.value_hashes import key_hash

DESC_NONE = external("desc.None")
SMALLEST_INDEX = 8
MAX_INDEX = 1 << 48


@native
def _key_type(d: ptr) -> ptr:
    return child(load(ptr, d, HEAP_DESCRIPTOR), 0)


@native
def _value_type(d: ptr) -> ptr:
    return child(load(ptr, d, HEAP_DESCRIPTOR), 1)


@native
def _entry(d: ptr, number: i64) -> ptr:
    return load(ptr, d, DICT_ENTRIES) + number * entry_size(load(ptr, d, HEAP_DESCRIPTOR))


@native
def _value_of(d: ptr, number: i64) -> ptr:
    """The value's slot of an entry."""
    return _entry(d, number) + entry_value_offset(_key_type(d))


@native
def sm_dict_new(ctx: ptr, descriptor: ptr, result: ptr) -> i32:
    """``{}``."""
    d = sm_object_new(DICT_SIZE, descriptor)
    if d == 0:
        return sm_raise_memory_error(ctx)
    memset(d + DICT_LENGTH, 0, DICT_SIZE - DICT_LENGTH)
    index = allocate(SMALLEST_INDEX * 8)
    if index == 0:
        sm_object_free(d)
        return sm_raise_memory_error(ctx)
    memset(index, -1, SMALLEST_INDEX * 8)
    store(ptr, d, DICT_INDEX, index)
    store(i64, d, DICT_MASK, SMALLEST_INDEX - 1)
    store(ptr, result, 0, d)
    return 0


@native
def _place(index: ptr, mask: i64, hashed: i64, number: i64) -> None:
    """Put an entry number into the first free place of the index."""
    at = hashed & mask
    perturb = hashed
    while load(i64, index, at * 8) != INDEX_FREE:
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask
    store(i64, index, at * 8, number)


@native
def _capacity(size: i64) -> i64:
    """How many entries an index of a size admits."""
    return udiv(size << 1, 3)


@native
def _size_for(least: i64) -> i64:
    """CPython's size of an index that is to have ``least`` places."""
    last = (least | SMALLEST_INDEX) - 1
    size = i64(SMALLEST_INDEX)
    while size <= last:
        size = size << 1
    return size


@native
def _size_of(entries: i64) -> i64:
    """The size of the index of a dict that is to have so many entries."""
    return _size_for(lshr(entries * 3 + 1, 1))


@native(noinline=True)
def _rebuild(d: ptr, size: i64) -> i64:
    """Drop erased entries; the index gets ``size`` places.  0 without memory."""
    if size > MAX_INDEX:
        return 0
    capacity = _capacity(size)
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    index = allocate(size * 8)
    entries = allocate(capacity * step)
    if index == 0 or entries == 0:
        free(index)
        free(entries)
        return 0
    memset(index, -1, size * 8)
    old = load(ptr, d, DICT_ENTRIES)
    used = load(i64, d, DICT_USED)
    count = used
    if used == load(i64, d, DICT_LENGTH):
        memcpy(entries, old, used * step)
    else:
        count = 0
        for i in range(used):
            entry = old + i * step
            if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
                memcpy(entries + count * step, entry, step)
                count += 1
    for i in range(count):
        _place(index, size - 1, load(i64, entries + i * step, ENTRY_HASH), i)
    deallocate(load(ptr, d, DICT_INDEX))
    deallocate(old)
    store(ptr, d, DICT_INDEX, index)
    store(ptr, d, DICT_ENTRIES, entries)
    store(i64, d, DICT_MASK, size - 1)
    store(i64, d, DICT_CAPACITY, capacity)
    store(i64, d, DICT_USED, count)
    store(i64, d, DICT_FILLED, count)
    store(i64, d, DICT_FIRST, 0)
    return 1


@native(fast=True)
def _add(ctx: ptr, d: ptr, key: ptr, value: ptr, hashed: i64) -> i32:
    """Append an entry for a key that is not there."""
    # erased places count: a search ends only at a free one
    if load(i64, d, DICT_FILLED) >= load(i64, d, DICT_CAPACITY):
        if _rebuild(d, _size_for(load(i64, d, DICT_LENGTH) * 3)) == 0:
            return sm_raise_memory_error(ctx)
    used = load(i64, d, DICT_USED)
    entry = _entry(d, used)
    store(i64, entry, ENTRY_HASH, hashed)
    sm_slot_copy(entry + ENTRY_KEY, key, _key_type(d))
    sm_slot_copy(entry + entry_value_offset(_key_type(d)), value, _value_type(d))
    _place(load(ptr, d, DICT_INDEX), load(i64, d, DICT_MASK), hashed, used)
    store(i64, d, DICT_USED, used + 1)
    store(i64, d, DICT_FILLED, load(i64, d, DICT_FILLED) + 1)
    store(i64, d, DICT_LENGTH, load(i64, d, DICT_LENGTH) + 1)
    store(i64, d, DICT_VERSION, load(i64, d, DICT_VERSION) + 1)
    return 0


@native(fast=True)
def _find(ctx: ptr, d: ptr, key: ptr, hashed: ptr, found: ptr) -> i32:
    """Write the key's hash and its entry number or -1."""
    if key_hash(ctx, key, _key_type(d), hashed):
        return 1
    return dict_find(ctx, d, key, _key_type(d), load(i64, hashed), found)


@native
def _find_present(ctx: ptr, d: ptr, key: ptr, hashed: ptr, found: ptr) -> i32:
    """``_find`` of a key that must be there: KeyError when it is not."""
    if _find(ctx, d, key, hashed, found):
        return 1
    if load(i64, found) < 0:
        return sm_key_error(ctx, d, key)
    return 0


@native
def _erase(d: ptr, number: i64) -> None:
    """Forget an entry whose key and value have been taken care of."""
    entry = _entry(d, number)
    mask = load(i64, d, DICT_MASK)
    hashed = load(i64, entry, ENTRY_HASH)
    index = load(ptr, d, DICT_INDEX)
    at = hashed & mask
    perturb = hashed
    while load(i64, index, at * 8) != number:
        perturb = lshr(perturb, 5)
        at = (at * 5 + perturb + 1) & mask
    store(i64, index, at * 8, INDEX_ERASED)
    store(i64, entry, ENTRY_HASH, ENTRY_ERASED)
    store(i64, d, DICT_LENGTH, load(i64, d, DICT_LENGTH) - 1)
    store(i64, d, DICT_VERSION, load(i64, d, DICT_VERSION) + 1)


@native(noinline=True)
def sm_key_error(ctx: ptr, d: ptr, key: ptr) -> i32:
    """KeyError whose argument is the key itself."""
    return raise_from(ctx, KEY_ERROR, sm_box(key, _key_type(d)))


@native
def sm_dict_len(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``len(d)``."""
    store(i64, result, 0, load(i64, d, DICT_LENGTH))
    return 0


@native(fast=True)
def sm_dict_setitem(ctx: ptr, d: ptr, key: ptr, value: ptr) -> i32:
    """``d[key] = value``."""
    hashed = stack(8)
    found = stack(8)
    if _find(ctx, d, key, hashed, found):
        return 1
    number = load(i64, found)
    if number < 0:
        return _add(ctx, d, key, value, load(i64, hashed))
    _set_value(d, number, value)
    return 0


@native(fast=True)
def sm_dict_add(ctx: ptr, d: ptr, key: ptr, value: ptr) -> i32:
    """``d[key] = value`` of a key that is not there."""
    hashed = stack(8)
    if key_hash(ctx, key, _key_type(d), hashed):
        return 1
    return _add(ctx, d, key, value, load(i64, hashed))


@native
def _set_value(d: ptr, number: i64, value: ptr) -> None:
    """Replace a value; the old one goes last."""
    kind = _value_type(d)
    size = load(i64, kind, DESC_SIZE)
    small = stack(64)
    old = small if size <= 64 else malloc(size)
    slot = _value_of(d, number)
    memcpy(old, slot, size)
    sm_slot_copy(slot, value, kind)
    sm_slot_drop(old, kind)
    if size > 64:
        free(old)


@native
def sm_dict_getitem(ctx: ptr, d: ptr, key: ptr, result: ptr) -> i32:
    """``d[key]``."""
    hashed = stack(8)
    found = stack(8)
    if _find_present(ctx, d, key, hashed, found):
        return 1
    sm_slot_copy(result, _value_of(d, load(i64, found)), _value_type(d))
    return 0


@native
def sm_dict_contains(ctx: ptr, d: ptr, key: ptr, result: ptr) -> i32:
    """``key in d``."""
    return sm_dict_contains_any(ctx, d, key, _key_type(d), result)


@native
def sm_dict_contains_any(ctx: ptr, d: ptr, key: ptr, kind: ptr, result: ptr) -> i32:
    """``key in d`` of a key that ``kind`` describes."""
    hashed = stack(8)
    found = stack(8)
    if key_hash(ctx, key, kind, hashed):
        return 1
    if dict_find(ctx, d, key, kind, load(i64, hashed), found):
        return 1
    store(i8, result, 0, i8(load(i64, found) >= 0))
    return 0


@native
def sm_dict_get(ctx: ptr, d: ptr, key: ptr, optional: ptr, result: ptr) -> i32:
    """``d.get(key)``; ``optional`` is the descriptor of the result."""
    hashed = stack(8)
    found = stack(8)
    if _find(ctx, d, key, hashed, found):
        return 1
    memset(result, 0, load(i64, optional, DESC_SIZE))
    kind = load(i64, optional, DESC_KIND)
    if load(i64, found) < 0:
        if kind == KIND_UNION:
            store(ptr, result, 0, DESC_NONE)
        return 0
    value = _value_of(d, load(i64, found))
    if kind == KIND_OPTIONAL_VALUE and optional != _value_type(d):
        store(i8, result, 0, 1)
        result = result + child_offset(optional, 0)
    sm_slot_copy(result, value, _value_type(d))
    return 0


@native
def sm_dict_get_default(ctx: ptr, d: ptr, key: ptr, default: ptr, result: ptr) -> i32:
    """``d.get(key, default)``."""
    hashed = stack(8)
    found = stack(8)
    if _find(ctx, d, key, hashed, found):
        return 1
    if load(i64, found) >= 0:
        default = _value_of(d, load(i64, found))
    sm_slot_copy(result, default, _value_type(d))
    return 0


@native
def sm_dict_setdefault(ctx: ptr, d: ptr, key: ptr, default: ptr, result: ptr) -> i32:
    """``d.setdefault(key, default)``."""
    hashed = stack(8)
    found = stack(8)
    if _find(ctx, d, key, hashed, found):
        return 1
    number = load(i64, found)
    if number < 0:
        if _add(ctx, d, key, default, load(i64, hashed)):
            return 1
        number = load(i64, d, DICT_USED) - 1
    sm_slot_copy(result, _value_of(d, number), _value_type(d))
    return 0


@native
def _take(d: ptr, number: i64, result: ptr) -> None:
    """Move a value out of its entry and erase it."""
    memcpy(result, _value_of(d, number), load(i64, _value_type(d), DESC_SIZE))
    key = _entry(d, number) + ENTRY_KEY
    _erase(d, number)
    sm_slot_drop(key, _key_type(d))


@native
def sm_dict_pop(ctx: ptr, d: ptr, key: ptr, result: ptr) -> i32:
    """``d.pop(key)``."""
    hashed = stack(8)
    found = stack(8)
    if _find_present(ctx, d, key, hashed, found):
        return 1
    _take(d, load(i64, found), result)
    return 0


@native
def sm_dict_pop_default(ctx: ptr, d: ptr, key: ptr, default: ptr, result: ptr) -> i32:
    """``d.pop(key, default)``."""
    hashed = stack(8)
    found = stack(8)
    if _find(ctx, d, key, hashed, found):
        return 1
    if load(i64, found) < 0:
        sm_slot_copy(result, default, _value_type(d))
    else:
        _take(d, load(i64, found), result)
    return 0


@native
def sm_dict_delitem(ctx: ptr, d: ptr, key: ptr) -> i32:
    """``del d[key]``."""
    hashed = stack(8)
    found = stack(8)
    if _find_present(ctx, d, key, hashed, found):
        return 1
    number = load(i64, found)
    _erase(d, number)
    entry = _entry(d, number)
    sm_slot_drop(entry + ENTRY_KEY, _key_type(d))
    sm_slot_drop(entry + entry_value_offset(_key_type(d)), _value_type(d))
    return 0


@native
def _first(d: ptr) -> i64:
    """The number of the first entry of a dict that is not empty."""
    number = load(i64, d, DICT_FIRST)
    while load(i64, _entry(d, number), ENTRY_HASH) == ENTRY_ERASED:
        number += 1
    store(i64, d, DICT_FIRST, number)
    return number


@native
def sm_dict_popitem_first(ctx: ptr, d: ptr, pair: ptr, result: ptr) -> i32:
    """``d.popitem(last=False)`` of an OrderedDict."""
    if load(i64, d, DICT_LENGTH) == 0:
        return raise_from(ctx, KEY_ERROR, text("dictionary is empty"))
    _take_pair(d, _first(d), pair, result)
    return 0


@native
def _take_pair(d: ptr, number: i64, pair: ptr, result: ptr) -> None:
    """Move an entry out."""
    key = _entry(d, number) + ENTRY_KEY
    memcpy(result + child_offset(pair, 0), key, load(i64, _key_type(d), DESC_SIZE))
    value = _value_of(d, number)
    memcpy(result + child_offset(pair, 1), value, load(i64, _value_type(d), DESC_SIZE))
    _erase(d, number)


@native
def _last_entry(d: ptr) -> i64:
    """The number of the last entry of a dict that is not empty."""
    number = load(i64, d, DICT_USED) - 1
    while load(i64, _entry(d, number), ENTRY_HASH) == ENTRY_ERASED:
        number -= 1
    return number


@native
def sm_dict_move_to_end(ctx: ptr, d: ptr, key: ptr, last: i8) -> i32:
    """``d.move_to_end(key, last)`` of an OrderedDict."""
    hashed = stack(8)
    found = stack(8)
    if _find_present(ctx, d, key, hashed, found):
        return 1
    number = load(i64, found)
    if last == 0:
        return _move_to_start(ctx, d, number)
    if number == _last_entry(d):
        return 0
    # a second entry for the key, then the first is forgotten
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    keep = malloc(step)
    if keep == 0:
        return sm_raise_memory_error(ctx)
    memcpy(keep, _entry(d, number), step)
    _erase(d, number)
    value = keep + entry_value_offset(_key_type(d))
    status = _add(ctx, d, keep + ENTRY_KEY, value, load(i64, hashed))
    sm_slot_drop(keep + ENTRY_KEY, _key_type(d))
    sm_slot_drop(value, _value_type(d))
    free(keep)
    return status


@native
def _move_to_start(ctx: ptr, d: ptr, number: i64) -> i32:
    """Rotate the entries before one, and index them anew."""
    first = 0
    while load(i64, _entry(d, first), ENTRY_HASH) == ENTRY_ERASED:
        first += 1
    if number == first:
        return 0
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    keep = malloc(step)
    if keep == 0:
        return sm_raise_memory_error(ctx)
    entries = load(ptr, d, DICT_ENTRIES)
    memcpy(keep, entries + number * step, step)
    memmove(entries + step, entries, number * step)
    memcpy(entries, keep, step)
    free(keep)
    store(i64, d, DICT_VERSION, load(i64, d, DICT_VERSION) + 1)
    if _rebuild(d, load(i64, d, DICT_MASK) + 1) == 0:
        return sm_raise_memory_error(ctx)
    return 0


@native
def sm_dict_popitem(ctx: ptr, d: ptr, pair: ptr, result: ptr) -> i32:
    """``d.popitem()``; ``pair`` is the descriptor of the result tuple."""
    if load(i64, d, DICT_LENGTH) == 0:
        if load(i64, load(ptr, d, HEAP_DESCRIPTOR), DESC_FLAVOR) == FLAVOR_ORDERED:
            return raise_from(ctx, KEY_ERROR, text("dictionary is empty"))
        return raise_from(ctx, KEY_ERROR, text("popitem(): dictionary is empty"))
    number = _last_entry(d)
    key = _entry(d, number) + ENTRY_KEY
    memcpy(result + child_offset(pair, 0), key, load(i64, _key_type(d), DESC_SIZE))
    value = _value_of(d, number)
    memcpy(result + child_offset(pair, 1), value, load(i64, _value_type(d), DESC_SIZE))
    _erase(d, number)
    store(i64, d, DICT_USED, number)
    store(i64, d, DICT_FIRST, 0)
    return 0


@native
def sm_dict_clear(ctx: ptr, d: ptr) -> i32:
    """``d.clear()``."""
    fresh = stack(8)
    if sm_dict_new(ctx, load(ptr, d, HEAP_DESCRIPTOR), fresh):
        return 1
    # the contents move to a second dict, whose release drops them
    other = load(ptr, fresh)
    version = load(i64, d, DICT_VERSION)  # CPython counts other changes only
    keep = stack(DICT_SIZE)
    memcpy(keep, d + DICT_LENGTH, DICT_SIZE - DICT_LENGTH)
    memcpy(d + DICT_LENGTH, other + DICT_LENGTH, DICT_SIZE - DICT_LENGTH)
    memcpy(other + DICT_LENGTH, keep, DICT_SIZE - DICT_LENGTH)
    store(i64, d, DICT_VERSION, version)
    sm_release(other)
    return 0


@native
def sm_dict_update(ctx: ptr, d: ptr, other: ptr) -> i32:
    """``d.update(other)``."""
    n = load(i64, other, DICT_LENGTH)
    if d == other or n == 0:
        return 0
    if load(i64, d, DICT_LENGTH) == 0 and _is_dense(other):
        if _clone_table(d, other) == 0:
            return sm_raise_memory_error(ctx)
        return 0
    if load(i64, d, DICT_CAPACITY) < n:
        if _rebuild(d, _size_of(load(i64, d, DICT_LENGTH) + n)) == 0:
            return sm_raise_memory_error(ctx)
    i = 0
    while i < load(i64, other, DICT_USED):
        entry = _entry(other, i)
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            if sm_dict_setitem(ctx, d, entry + ENTRY_KEY, _value_of(other, i)):
                return 1
        i += 1
    return 0


@native
def _is_dense(d: ptr) -> i8:
    """Whether nothing was erased and half the index would not do."""
    n = load(i64, d, DICT_LENGTH)
    size = load(i64, d, DICT_MASK) + 1
    fits = size == SMALLEST_INDEX or _capacity(lshr(size, 1)) < n
    return i8(load(i64, d, DICT_USED) == n and fits)


@native
def _clone_table(d: ptr, other: ptr) -> i64:
    """Give the empty ``d`` the entries of another, erased ones included; 0 without memory."""
    step = entry_size(load(ptr, d, HEAP_DESCRIPTOR))
    capacity = load(i64, other, DICT_CAPACITY)
    size = load(i64, other, DICT_MASK) + 1
    index = allocate(size * 8)
    entries = allocate(capacity * step)
    if index == 0 or entries == 0:
        free(index)
        free(entries)
        return 0
    deallocate(load(ptr, d, DICT_INDEX))
    deallocate(load(ptr, d, DICT_ENTRIES))
    version = load(i64, d, DICT_VERSION)
    used = load(i64, other, DICT_USED)
    memcpy(d + DICT_LENGTH, other + DICT_LENGTH, DICT_SIZE - DICT_LENGTH)
    store(i64, d, DICT_VERSION, version + 1)
    memcpy(index, load(ptr, other, DICT_INDEX), size * 8)
    memcpy(entries, load(ptr, other, DICT_ENTRIES), used * step)
    store(ptr, d, DICT_INDEX, index)
    store(ptr, d, DICT_ENTRIES, entries)
    for i in range(used):
        entry = entries + i * step
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            sm_slot_copy(entry + ENTRY_KEY, _entry(other, i) + ENTRY_KEY, _key_type(d))
            sm_slot_copy(_value_of(d, i), _value_of(other, i), _value_type(d))
    return 1


@native
def sm_dict_copy(ctx: ptr, d: ptr, result: ptr) -> i32:
    """``d.copy()``."""
    if sm_dict_new(ctx, load(ptr, d, HEAP_DESCRIPTOR), result):
        return 1
    made = load(ptr, result)
    n = load(i64, d, DICT_LENGTH)
    if n == 0:
        return 0
    if n >= udiv(load(i64, d, DICT_USED) * 2, 3):
        if _clone_table(made, d) == 0:
            sm_release(made)
            return sm_raise_memory_error(ctx)
    elif sm_dict_update(ctx, made, d):
        sm_release(made)
        return 1
    return 0


@native
def _collect(ctx: ptr, d: ptr, what: i64, descriptor: ptr, result: ptr) -> i32:
    """A list of keys (0), values (1) or pairs (2)."""
    a = sm_list_new(descriptor, load(i64, d, DICT_LENGTH))
    if a == 0:
        return sm_raise_memory_error(ctx)
    item = child(descriptor, 0)
    target = load(ptr, a, LIST_DATA)
    for i in range(load(i64, d, DICT_USED)):
        entry = _entry(d, i)
        if load(i64, entry, ENTRY_HASH) == ENTRY_ERASED:
            continue
        if what == 0:
            sm_slot_copy(target, entry + ENTRY_KEY, item)
        elif what == 1:
            sm_slot_copy(target, _value_of(d, i), item)
        else:
            sm_slot_copy(target + child_offset(item, 0), entry + ENTRY_KEY, child(item, 0))
            sm_slot_copy(target + child_offset(item, 1), _value_of(d, i), child(item, 1))
        target = target + load(i64, item, DESC_SIZE)
    store(i64, a, LIST_LENGTH, load(i64, d, DICT_LENGTH))
    store(ptr, result, 0, a)
    return 0


@native
def sm_dict_keys(ctx: ptr, d: ptr, descriptor: ptr, result: ptr) -> i32:
    """``list(d)``; ``descriptor`` is that of the result."""
    return _collect(ctx, d, 0, descriptor, result)


@native
def sm_dict_values(ctx: ptr, d: ptr, descriptor: ptr, result: ptr) -> i32:
    """``list(d.values())``; ``descriptor`` is that of the result."""
    return _collect(ctx, d, 1, descriptor, result)


@native
def sm_dict_items(ctx: ptr, d: ptr, descriptor: ptr, result: ptr) -> i32:
    """``list(d.items())``; ``descriptor`` is that of the result."""
    return _collect(ctx, d, 2, descriptor, result)
