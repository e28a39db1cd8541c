"""Sets, deques, bytes and ranges across the boundary, both ways.

A set keeps its table: the same places, dummies and finger on both sides, so that the elements come
out in the same order and ``pop`` takes the same one.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DEQUE_LIMIT,
    DUMMY_HASH,
    LIST_DATA,
    LIST_LENGTH,
    PLACE_DUMMY,
    PLACE_FREE,
    PLACE_HASH,
    PLACE_KEY,
    PLACE_STATE,
    PLACE_USED,
    SET_FILLED,
    SET_FINGER,
    SET_MASK,
    SET_TABLE,
    SET_USED,
    STR_DATA,
    STR_HASH,
    STR_LENGTH,
    STR_WIDTH,
)
from scriptmode.codegen.native import (
    i8,
    i64,
    load,
    memcpy,
    memset,
    native,
    ptr,
    stack,
    store,
    utf8,
)
from scriptmode.runtime.boxing import box, new_list
from scriptmode.runtime.frame import (
    FAILED,
    FITS,
    IN_BYTES,
    IN_DEQUE,
    IN_RANGE,
    IN_SET,
    MEMO_CHANGES,
    MEMO_NATIVE,
    MEMO_OBJECT,
    MEMO_PLAN,
    MEMO_SNAPSHOT,
    PLAN_CLASS,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    PLAN_SIZE,
    PLAN_TABLE,
    REASON_TYPE,
)
from scriptmode.runtime.memo import memo_add, memo_find, memo_row
from scriptmode.runtime.pyapi import (
    BYTES_DESCRIPTOR,
    LIST_ITEMS,
    NONE,
    OB_SIZE,
    OB_TYPE,
    PYDEQUE_STATE,
    PYSET_ENTRY,
    PYSET_ENTRY_HASH,
    PYSET_FILL,
    PYSET_FINGER,
    PYSET_MASK,
    PYSET_TABLE,
    PYSET_USED,
    RANGE_TYPE,
    SET_DUMMY,
    Py_DecRef,
    Py_IncRef,
    PyBytes_AsString,
    PyBytes_FromStringAndSize,
    PyErr_NoMemory,
    PyFrozenSet_New,
    PyList_New,
    PyLong_FromLongLong,
    PyMem_Malloc,
    PyObject_CallFunctionObjArgs,
    PyObject_GetAttrString,
    PySequence_List,
    PySet_Clear,
    PySet_New,
    free,
    malloc,
    memcmp,
    place_size,
    set_clone,
    set_sized,
    sm_deque_append,
    sm_deque_copy,
    sm_deque_new,
    sm_object_new,
    sm_release,
    sm_slot_drop,
)
from scriptmode.runtime.unboxing import unbox
from scriptmode.runtime.unboxing_parts import (
    NEW,
    is_written_back,
    known_object,
    misfit,
    no_memory,
    plan_child,
    remember,
)
from scriptmode.runtime.unboxing_scalars import unbox_int


@native(noinline=True)
def unbox_collection(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """``unbox`` of the kinds of this file."""
    kind = load(i64, plan, PLAN_KIND)
    if load(ptr, obj, OB_TYPE) != load(ptr, plan, PLAN_CLASS):
        return misfit(frame, REASON_TYPE)
    if kind == IN_BYTES:
        return _unbox_bytes(obj, slot)
    if kind == IN_RANGE:
        return _unbox_range(frame, obj, slot)
    known = known_object(frame, obj, plan, slot)
    if known != NEW:
        return known
    if kind == IN_DEQUE:
        return _unbox_deque(frame, obj, plan, slot)
    return _unbox_set(frame, obj, plan, slot)


@native(noinline=True)
def box_collection(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """``box`` of the kinds of this file."""
    kind = load(i64, plan, PLAN_KIND)
    if kind == IN_BYTES:
        text = load(ptr, slot)
        return PyBytes_FromStringAndSize(text + STR_DATA, load(i64, text, STR_LENGTH))
    if kind == IN_RANGE:
        return _box_range(slot)
    value = load(ptr, slot)
    row = memo_find(frame, value, MEMO_NATIVE)
    if row != 0:
        known = load(ptr, row, MEMO_OBJECT)
        Py_IncRef(known)
        return known
    if kind == IN_DEQUE:
        return _box_deque(frame, value, plan)
    made = PySet_New(ptr(0)) if kind == IN_SET else PyFrozenSet_New(ptr(0))
    if made != 0 and _fill_set(frame, made, value, plan) == 0:
        Py_DecRef(made)
        return ptr(0)
    if made != 0 and memo_add(frame, made, value, plan, ptr(0)) == 0:
        Py_DecRef(made)
        return PyErr_NoMemory()
    return made


@native(noinline=True)
def write_back_collection(frame: ptr, number: i64) -> i64:
    """Bring a set or deque up to date; 0 on failure."""
    row = memo_row(frame, number)
    if load(i64, load(ptr, row, MEMO_PLAN), PLAN_KIND) == IN_DEQUE:
        return _write_back_deque(frame, number)
    obj = load(ptr, row, MEMO_OBJECT)
    value = load(ptr, row, MEMO_NATIVE)
    plan = load(ptr, row, MEMO_PLAN)
    if _same_table(value, load(ptr, row, MEMO_SNAPSHOT), plan):
        store(i64, obj, PYSET_FINGER, load(i64, value, SET_FINGER))
        return 1
    PySet_Clear(obj)
    return _fill_set(frame, obj, value, plan)


# ---- sets ----


@native
def _unbox_set(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    made = new_set(frame, obj, plan, slot)
    if made != FITS:
        return made
    value = load(ptr, slot)
    snapshot = ptr(0)
    if load(i64, plan, PLAN_KIND) == IN_SET and is_written_back(frame):
        snapshot = set_clone(value)
        if snapshot == 0:
            sm_release(value)
            return no_memory()
    return remember(frame, obj, value, plan, snapshot)


@native(noinline=True)
def new_set(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """A native set with the table of a Python one."""
    mask = load(i64, obj, PYSET_MASK)
    value = set_sized(load(ptr, plan, PLAN_DESCRIPTOR), mask)
    if value == 0:
        return no_memory()
    element = plan_child(plan, 0)
    step = place_size(load(ptr, element, PLAN_DESCRIPTOR))
    dummy = load(ptr, SET_DUMMY)
    for i in range(mask + 1):
        entry = load(ptr, obj, PYSET_TABLE) + i * PYSET_ENTRY
        place = load(ptr, value, SET_TABLE) + i * step
        key = load(ptr, entry)
        if key == 0:
            continue
        store(i64, place, PLACE_HASH, load(i64, entry, PYSET_ENTRY_HASH))
        if key == dummy:
            store(i64, place, PLACE_STATE, PLACE_DUMMY)
            continue
        fits = unbox(frame, key, element, place + PLACE_KEY)
        if fits != FITS:
            sm_release(value)
            return fits
        store(i64, place, PLACE_STATE, PLACE_USED)
    store(i64, value, SET_FILLED, load(i64, obj, PYSET_FILL))
    store(i64, value, SET_USED, load(i64, obj, PYSET_USED))
    store(i64, value, SET_FINGER, load(i64, obj, PYSET_FINGER))
    store(ptr, slot, 0, value)
    return FITS


@native
def _same_table(value: ptr, snapshot: ptr, plan: ptr) -> bool:
    mask = load(i64, value, SET_MASK)
    if mask != load(i64, snapshot, SET_MASK):
        return False
    step = place_size(load(ptr, plan_child(plan, 0), PLAN_DESCRIPTOR))
    a = load(ptr, value, SET_TABLE)
    return memcmp(a, load(ptr, snapshot, SET_TABLE), (mask + 1) * step) == 0


@native(noinline=True)
def _fill_set(frame: ptr, obj: ptr, value: ptr, plan: ptr) -> i64:
    """Give an empty Python set the table of a native one; 0 on failure."""
    mask = load(i64, value, SET_MASK)
    nbytes = (mask + 1) * PYSET_ENTRY
    table = malloc(nbytes)
    if table == 0:
        PyErr_NoMemory()
        return 0
    memset(table, i8(0), nbytes)
    if _box_places(frame, table, value, plan) == 0:
        for i in range(mask + 1):
            Py_DecRef(load(ptr, table, i * PYSET_ENTRY))
        free(table)
        return 0
    own = load(ptr, obj, PYSET_TABLE)
    if mask > load(i64, obj, PYSET_MASK):
        own = PyMem_Malloc(nbytes)
        if own == 0:
            free(table)
            PyErr_NoMemory()
            return 0
    memcpy(own, table, nbytes)
    free(table)
    store(ptr, obj, PYSET_TABLE, own)
    store(i64, obj, PYSET_MASK, mask)
    store(i64, obj, PYSET_FILL, load(i64, value, SET_FILLED))
    store(i64, obj, PYSET_USED, load(i64, value, SET_USED))
    store(i64, obj, PYSET_FINGER, load(i64, value, SET_FINGER))
    return 1


@native
def _box_places(frame: ptr, table: ptr, value: ptr, plan: ptr) -> i64:
    element = plan_child(plan, 0)
    step = place_size(load(ptr, element, PLAN_DESCRIPTOR))
    dummy = load(ptr, SET_DUMMY)
    for i in range(load(i64, value, SET_MASK) + 1):
        place = load(ptr, value, SET_TABLE) + i * step
        state = load(i64, place, PLACE_STATE)
        if state == PLACE_FREE:
            continue
        key = dummy
        if state == PLACE_USED:
            key = box(frame, place + PLACE_KEY, element)
            if key == 0:
                return 0
            store(i64, table, i * PYSET_ENTRY + PYSET_ENTRY_HASH, load(i64, place, PLACE_HASH))
        else:
            Py_IncRef(dummy)
            store(i64, table, i * PYSET_ENTRY + PYSET_ENTRY_HASH, DUMMY_HASH)
        store(ptr, table, i * PYSET_ENTRY, key)
    return 1


# ---- deques ----


@native
def _unbox_deque(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    fits = new_deque(frame, obj, plan, slot)
    if fits != FITS:
        return fits
    snapshot = stack(8)
    store(ptr, snapshot, 0, ptr(0))
    if is_written_back(frame) and sm_deque_copy(frame, load(ptr, slot), snapshot):
        sm_release(load(ptr, slot))
        return no_memory()
    return remember(frame, obj, load(ptr, slot), plan, load(ptr, snapshot))


@native(noinline=True)
def new_deque(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """A native deque with the elements and the limit of a Python one."""
    maxlen = PyObject_GetAttrString(obj, utf8("maxlen"))
    items = PySequence_List(obj)
    limit = stack(8)
    store(i64, limit, 0, -1)
    fits = FAILED if items == 0 else FITS
    if fits == FITS and maxlen != NONE:
        fits = unbox_int(frame, maxlen, limit)
    if fits == FITS and sm_deque_new(
        frame, load(i64, limit), load(ptr, plan, PLAN_DESCRIPTOR), slot
    ):
        fits = no_memory()
    elif fits == FITS:
        fits = _append_all(frame, items, plan, load(ptr, slot))
    Py_DecRef(maxlen)
    Py_DecRef(items)
    return fits


@native
def _append_all(frame: ptr, items: ptr, plan: ptr, made: ptr) -> i64:
    element = plan_child(plan, 0)
    scratch = malloc(load(i64, element, PLAN_SIZE) + 16)
    if scratch == 0:
        sm_release(made)
        return no_memory()
    fits = FITS
    for i in range(load(i64, items, OB_SIZE)):
        fits = unbox(frame, load(ptr, load(ptr, items, LIST_ITEMS), i * 8), element, scratch)
        if fits == FITS:
            if sm_deque_append(frame, made, scratch):
                fits = no_memory()
            sm_slot_drop(scratch, load(ptr, element, PLAN_DESCRIPTOR))
        if fits != FITS:
            sm_release(made)
            break
    free(scratch)
    return fits


@native
def _box_deque(frame: ptr, value: ptr, plan: ptr) -> ptr:
    items = PyList_New(0)
    if items == 0:
        return items
    limit = NONE
    if load(i64, value, DEQUE_LIMIT) >= 0:
        limit = PyLong_FromLongLong(load(i64, value, DEQUE_LIMIT))
    else:
        Py_IncRef(NONE)
    made = PyObject_CallFunctionObjArgs(load(ptr, plan, PLAN_CLASS), items, limit, ptr(0))
    Py_DecRef(items)
    Py_DecRef(limit)
    if made == 0:
        return made
    if memo_add(frame, made, value, plan, ptr(0)) == 0:  # first: it may contain itself
        Py_DecRef(made)
        return PyErr_NoMemory()
    if _refill(frame, made, value, plan) == 0:
        Py_DecRef(made)
        return ptr(0)
    _note_changes(memo_find(frame, value, MEMO_NATIVE))
    return made


@native
def _note_changes(row: ptr) -> None:
    """A deque and its Python object are alike now."""
    store(i64, row, MEMO_CHANGES, load(i64, load(ptr, row, MEMO_OBJECT), PYDEQUE_STATE))


@native
def _refill(frame: ptr, obj: ptr, value: ptr, plan: ptr) -> i64:
    """Give a Python deque the elements of a native one; 0 on failure."""
    items = new_list(frame, value, plan)
    if items == 0:
        return 0
    methods = load(ptr, plan, PLAN_TABLE)
    Py_DecRef(PyObject_CallFunctionObjArgs(load(ptr, methods), obj, ptr(0)))
    done = PyObject_CallFunctionObjArgs(load(ptr, methods, 8), obj, items, ptr(0))
    Py_DecRef(items)
    Py_DecRef(done)
    return i64(done != 0)


@native
def _write_back_deque(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    value = load(ptr, row, MEMO_NATIVE)
    snapshot = load(ptr, row, MEMO_SNAPSHOT)
    obj = load(ptr, row, MEMO_OBJECT)
    plan = load(ptr, row, MEMO_PLAN)
    n = load(i64, value, LIST_LENGTH)
    if n == load(i64, snapshot, LIST_LENGTH):
        size = n * load(i64, plan_child(plan, 0), PLAN_SIZE)
        a = load(ptr, value, LIST_DATA)
        if n == 0 or memcmp(a, load(ptr, snapshot, LIST_DATA), size) == 0:
            _note_changes(row)
            return 1
    done = _refill(frame, obj, value, plan)
    _note_changes(memo_row(frame, number))  # the memo may have grown
    return done


# ---- bytes and ranges ----


@native
def _unbox_bytes(obj: ptr, slot: ptr) -> i64:
    n = load(i64, obj, OB_SIZE)
    made = sm_object_new(STR_DATA + n + 1, BYTES_DESCRIPTOR)
    if made == 0:
        return no_memory()
    store(i64, made, STR_LENGTH, n)
    store(i64, made, STR_HASH, 0)
    store(i64, made, STR_WIDTH, 1)
    memcpy(made + STR_DATA, PyBytes_AsString(obj), n + 1)
    store(ptr, slot, 0, made)
    return FITS


@native
def _range_part(frame: ptr, obj: ptr, name: ptr, slot: ptr) -> i64:
    part = PyObject_GetAttrString(obj, name)
    if part == 0:
        return FAILED
    fits = unbox_int(frame, part, slot)
    Py_DecRef(part)
    return fits


@native
def _unbox_range(frame: ptr, obj: ptr, slot: ptr) -> i64:
    fits = _range_part(frame, obj, utf8("start"), slot)
    if fits == FITS:
        fits = _range_part(frame, obj, utf8("stop"), slot + 8)
    if fits == FITS:
        fits = _range_part(frame, obj, utf8("step"), slot + 16)
    return fits


@native
def _box_range(slot: ptr) -> ptr:
    start = PyLong_FromLongLong(load(i64, slot))
    stop = PyLong_FromLongLong(load(i64, slot, 8))
    step = PyLong_FromLongLong(load(i64, slot, 16))
    made = PyObject_CallFunctionObjArgs(RANGE_TYPE, start, stop, step, ptr(0))
    Py_DecRef(start)
    Py_DecRef(stop)
    Py_DecRef(step)
    return made
