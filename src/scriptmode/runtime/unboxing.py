"""Python values to native ones, driven by plans.

``unbox(frame, object, plan, slot)`` writes an owned value to ``slot`` and returns ``FITS``, or
leaves nothing behind and returns ``MISFIT`` (the object is not exactly of the plan's type; the
frame has the reason) or ``FAILED`` (a Python exception is set).  No Python code runs meanwhile, so
objects do not change under it.
"""

from __future__ import annotations

from scriptmode.abi.objects import DESC_OBJECT_SIZE, HEAP_PAYLOAD, LIST_DATA, LIST_LENGTH
from scriptmode.codegen.native import (
    extern,
    f64,
    i8,
    i16,
    i64,
    load,
    memset,
    native,
    ptr,
    stack,
    store,
    unlikely,
)
from scriptmode.runtime.frame import (
    FAILED,
    FIELD_IN_DICT,
    FIELD_MAY_LACK,
    FIRST_COLLECTION,
    FITS,
    FRAME_FILLED,
    FRAME_MEMO_CAPACITY,
    FRAME_MEMO_N,
    IN_BOOL,
    IN_CELL,
    IN_CODE,
    IN_COMPLEX,
    IN_DEVICE,
    IN_DICT,
    IN_ENUM,
    IN_EXCEPTION,
    IN_FLOAT,
    IN_GENERATOR,
    IN_INT,
    IN_KNOWN,
    IN_LIST,
    IN_NAMED_TUPLE,
    IN_NONE,
    IN_NUMBER,
    IN_OBJECT,
    IN_OPTIONAL_POINTER,
    IN_OPTIONAL_VALUE,
    IN_SIZE,
    IN_STR,
    IN_TENSOR,
    IN_TUPLE,
    IN_UNION,
    IN_VAR_TUPLE,
    LAST_COLLECTION,
    MEMO_NATIVE,
    MEMO_OBJECT,
    MEMO_PLAN,
    MEMO_SNAPSHOT,
    MEMO_STATE,
    MISFIT,
    PLAN_CLASS,
    PLAN_CLASSES,
    PLAN_CLASSES_N,
    PLAN_DESCRIPTOR,
    PLAN_FLAGS,
    PLAN_KIND,
    PLAN_N,
    PLAN_NATIVE,
    PLAN_SIZE,
    PLAN_TABLE,
    PLAN_TABLE_N,
    REASON_CLASS,
    REASON_SUBCLASS,
    REASON_TYPE,
    REASON_UNSUPPORTED,
    ROW_DONE,
    ROW_UNBOXED,
    STATE_SCRIPT_DICT,
    STATE_SCRIPT_LIST,
    STATE_TENSOR,
)
from scriptmode.runtime.handles import unbox_cell
from scriptmode.runtime.memo import memo_add, memo_find, memo_row, memo_truncate
from scriptmode.runtime.pyapi import (
    BOOL_TYPE,
    COMPLEX_TYPE,
    DEFAULT_FACTORY,
    DICT_TYPE,
    FLOAT_TYPE,
    LIST_ITEMS,
    LIST_TYPE,
    LONG_TYPE,
    NONE,
    OB_SIZE,
    OB_TYPE,
    THP_DEVICE,
    THP_GENERATOR,
    THP_TENSOR,
    TRUE,
    TUPLE_ITEMS,
    TUPLE_TYPE,
    Py_DecRef,
    Py_IncRef,
    PyComplex_ImagAsDouble,
    PyComplex_RealAsDouble,
    PyDict_GetItemWithError,
    PyDict_Next,
    PyErr_Clear,
    PyErr_NoMemory,
    PyObject_CallFunctionObjArgs,
    PyObject_GenericGetAttr,
    PyObject_GenericGetDict,
    PyType_IsSubtype,
    free,
    malloc,
    sm_any_new,
    sm_counted_retain,
    sm_dict_copy,
    sm_dict_new,
    sm_dict_setitem,
    sm_list_from,
    sm_list_new,
    sm_object_copy,
    sm_object_new,
    sm_release,
    sm_slot_drop,
    state,
    tensor_retain_wrapped,
)
from scriptmode.runtime.unboxing_parts import (
    NEW,
    is_plain_tensor,
    is_written_back,
    known_object,
    misfit,
    no_memory,
    plan_child,
    plan_offset,
    remember,
)
from scriptmode.runtime.unboxing_scalars import (
    float_of,
    unbox_exception,
    unbox_from_table,
    unbox_int,
    unbox_number,
    unbox_numbers,
    unbox_str,
)

unbox_collection = extern("unbox_collection", i64, ptr, ptr, ptr, ptr)
SMALL = 64  # bytes of scratch memory on the stack


@native(noinline=True)
def _not_a_tensor(frame: ptr, obj: ptr) -> i64:
    if PyType_IsSubtype(load(ptr, obj, OB_TYPE), state(STATE_TENSOR)):
        return misfit(frame, REASON_SUBCLASS)
    return misfit(frame, REASON_TYPE)


@native
def unbox(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """Write the native form of ``obj``."""
    kind = load(i64, plan, PLAN_KIND)
    t = load(ptr, obj, OB_TYPE)
    if kind == IN_TENSOR:
        if not is_plain_tensor(obj):
            return _not_a_tensor(frame, obj)
        impl = load(ptr, obj, THP_TENSOR)
        tensor_retain_wrapped(impl, obj)
        store(ptr, slot, 0, impl)
        return FITS
    if kind == IN_INT:
        if t != LONG_TYPE:
            return misfit(frame, REASON_TYPE)
        return unbox_int(frame, obj, slot)
    if kind == IN_FLOAT:
        if t != FLOAT_TYPE:
            return misfit(frame, REASON_TYPE)
        store(f64, slot, 0, float_of(obj))
        return FITS
    if kind == IN_BOOL:
        if t != BOOL_TYPE:
            return misfit(frame, REASON_TYPE)
        store(i8, slot, 0, i8(obj == TRUE))
        return FITS
    if kind == IN_OPTIONAL_POINTER:
        if obj == NONE:
            store(ptr, slot, 0, ptr(0))
            return FITS
        return unbox(frame, obj, plan_child(plan, 0), slot)
    if kind == IN_OPTIONAL_VALUE:
        memset(slot, i8(0), load(i64, plan, PLAN_SIZE))
        if obj == NONE:
            return FITS
        store(i8, slot, 0, i8(1))
        return unbox(frame, obj, plan_child(plan, 0), slot + plan_offset(plan, 0))
    if kind == IN_NONE:
        return FITS if obj == NONE else misfit(frame, REASON_TYPE)
    if kind == IN_KNOWN:
        return FITS if obj == load(ptr, plan, PLAN_CLASS) else misfit(frame, REASON_TYPE)
    if kind == IN_STR:
        return unbox_str(frame, obj, slot)
    if kind == IN_LIST:
        return unbox_list(frame, obj, plan, slot)
    if kind == IN_TUPLE:
        if t != TUPLE_TYPE:
            return misfit(frame, REASON_TYPE)
        return unbox_tuple(frame, obj, plan, slot)
    return unbox_rare(frame, obj, plan, slot)


@native(noinline=True)
def unbox_rare(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """``unbox`` of the types that are seldom arguments."""
    kind = load(i64, plan, PLAN_KIND)
    t = load(ptr, obj, OB_TYPE)
    if kind >= FIRST_COLLECTION and kind <= LAST_COLLECTION:
        return unbox_collection(frame, obj, plan, slot)
    if kind == IN_DICT:
        return unbox_dict(frame, obj, plan, slot)
    if kind == IN_NAMED_TUPLE:
        if t != load(ptr, plan, PLAN_CLASS):
            return misfit(frame, REASON_TYPE)
        return unbox_tuple(frame, obj, plan, slot)
    if kind == IN_VAR_TUPLE or kind == IN_SIZE:  # noqa: SIM109
        if t != load(ptr, plan, PLAN_CLASS):
            return misfit(frame, REASON_TYPE)
        return unbox_items(frame, obj + TUPLE_ITEMS, load(i64, obj, OB_SIZE), plan, slot)
    if kind == IN_NUMBER:
        return unbox_number(frame, obj, slot)
    if kind == IN_COMPLEX:
        if t != COMPLEX_TYPE:
            return misfit(frame, REASON_TYPE)
        store(f64, slot, 0, PyComplex_RealAsDouble(obj))
        store(f64, slot, 8, PyComplex_ImagAsDouble(obj))
        return FITS
    if kind == IN_UNION:
        return unbox_union(frame, obj, plan, slot)
    if kind == IN_OBJECT:
        return unbox_object(frame, obj, plan, slot)
    if kind == IN_DEVICE:
        if t != load(ptr, plan, PLAN_CLASS):
            return misfit(frame, REASON_TYPE)
        store(i16, slot, 0, load(i16, obj, THP_DEVICE))
        return FITS
    if kind == IN_CODE or kind == IN_ENUM:  # noqa: SIM109
        return unbox_from_table(frame, obj, plan, slot)
    if kind == IN_GENERATOR:
        if t != load(ptr, plan, PLAN_CLASS):
            return misfit(frame, REASON_TYPE)
        impl = load(ptr, obj, THP_GENERATOR)
        if memo_find(frame, obj, MEMO_OBJECT) == 0:
            if memo_add(frame, obj, impl, plan, ptr(0)) == 0:
                return no_memory()
        sm_counted_retain(impl)
        store(ptr, slot, 0, impl)
        return FITS
    if kind == IN_EXCEPTION and PyType_IsSubtype(t, load(ptr, plan, PLAN_CLASS)):
        return unbox_exception(frame, obj, plan, slot)
    if kind == IN_CELL and unbox_cell(obj, plan, slot) == FITS:
        return FITS
    return misfit(frame, REASON_UNSUPPORTED)


@native(noinline=True)
def unbox_list(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """A list, remembered in the memo with a copy of what it was."""
    t = load(ptr, obj, OB_TYPE)
    if unlikely(t != LIST_TYPE and t != state(STATE_SCRIPT_LIST)):
        return misfit(frame, REASON_TYPE)
    known = known_object(frame, obj, plan, slot)
    if known != NEW:
        return known
    n = load(i64, obj, OB_SIZE)
    fits = unbox_items(frame, load(ptr, obj, LIST_ITEMS), n, plan, slot)
    if fits != FITS:
        return fits
    made = load(ptr, slot)
    snapshot = stack(8)
    store(ptr, snapshot, 0, ptr(0))
    if is_written_back(frame):
        data = load(ptr, made, LIST_DATA)
        if sm_list_from(frame, load(ptr, plan, PLAN_DESCRIPTOR), data, n, snapshot):
            sm_release(made)
            return no_memory()
    return remember(frame, obj, made, plan, load(ptr, snapshot))


@native(noinline=True)
def unbox_items(frame: ptr, items: ptr, n: i64, plan: ptr, slot: ptr) -> i64:
    """A list (or a tuple of any length) of ``n`` objects."""
    made = sm_list_new(load(ptr, plan, PLAN_DESCRIPTOR), n)
    if made == 0:
        return no_memory()
    element = plan_child(plan, 0)
    size = load(i64, element, PLAN_SIZE)
    data = load(ptr, made, LIST_DATA)
    start = unbox_numbers(items, n, load(i64, element, PLAN_KIND), data)
    store(i64, made, LIST_LENGTH, start)
    for i in range(start, n):
        fits = unbox(frame, load(ptr, items, i * 8), element, data + i * size)
        if fits != FITS:
            sm_release(made)
            return fits
        store(i64, made, LIST_LENGTH, i + 1)
    store(ptr, slot, 0, made)
    return FITS


@native(noinline=True)
def unbox_dict(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """A dict, remembered in the memo with a copy of what it was."""
    t = load(ptr, obj, OB_TYPE)
    if unlikely(t != load(ptr, plan, PLAN_CLASS)):
        if load(ptr, plan, PLAN_CLASS) != DICT_TYPE or t != state(STATE_SCRIPT_DICT):
            return misfit(frame, REASON_TYPE)
    if load(i64, plan, PLAN_TABLE_N) > 0:
        # a defaultdict with another factory is of another type
        if load(ptr, obj, DEFAULT_FACTORY) != load(ptr, load(ptr, plan, PLAN_TABLE)):
            return misfit(frame, REASON_TYPE)
    known = known_object(frame, obj, plan, slot)
    if known != NEW:
        return known
    place = stack(8)
    fits = new_dict(frame, obj, plan, place)
    if fits != FITS:
        return fits
    made = load(ptr, place)
    store(ptr, slot, 0, made)
    store(ptr, place, 0, ptr(0))
    if is_written_back(frame):
        if sm_dict_copy(frame, made, place):
            sm_release(made)
            return no_memory()
    return remember(frame, obj, made, plan, load(ptr, place))


@native(noinline=True)
def new_dict(frame: ptr, obj: ptr, plan: ptr, place: ptr) -> i64:
    """A native dict with the entries of a Python one."""
    entries = obj
    if load(ptr, plan, PLAN_CLASS) != DICT_TYPE:
        # an OrderedDict keeps an order of its own
        entries = PyObject_CallFunctionObjArgs(DICT_TYPE, obj, ptr(0))
        if entries == 0:
            return FAILED
    else:
        Py_IncRef(entries)
    if sm_dict_new(frame, load(ptr, plan, PLAN_DESCRIPTOR), place):
        Py_DecRef(entries)
        return no_memory()
    fits = unbox_entries(frame, entries, plan, load(ptr, place))
    Py_DecRef(entries)
    if fits != FITS:
        sm_release(load(ptr, place))
    return fits


@native(noinline=True)
def unbox_entries(frame: ptr, obj: ptr, plan: ptr, made: ptr) -> i64:
    """Put the entries of a Python dict into a native one."""
    key_plan = plan_child(plan, 0)
    value_plan = plan_child(plan, 1)
    key_size = (load(i64, key_plan, PLAN_SIZE) + 15) & -16
    scratch = malloc(key_size + load(i64, value_plan, PLAN_SIZE) + 16)
    if scratch == 0:
        return no_memory()
    place = stack(32)
    store(i64, place, 0, 0)
    fits = FITS
    while fits == FITS and PyDict_Next(obj, place, place + 8, place + 16):
        fits = unbox(frame, load(ptr, place, 8), key_plan, scratch)
        if fits == FITS:
            if load(i64, key_plan, PLAN_KIND) in (IN_OBJECT, IN_TUPLE, IN_UNION):
                fits = fill_unboxed(frame)  # the hash of a key may ask for its attributes
            value = scratch + key_size
            if fits == FITS:
                fits = unbox(frame, load(ptr, place, 16), value_plan, value)
                if fits == FITS:
                    if sm_dict_setitem(frame, made, scratch, value):
                        fits = no_memory()
                    sm_slot_drop(value, load(ptr, value_plan, PLAN_DESCRIPTOR))
            sm_slot_drop(scratch, load(ptr, key_plan, PLAN_DESCRIPTOR))
    free(scratch)
    return fits


@native(noinline=True)
def unbox_object(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """An instance of a user class; ``fill_unboxed`` reads its attributes."""
    exact = _exact_plan(plan, load(ptr, obj, OB_TYPE))
    if exact == 0:
        return misfit(frame, REASON_CLASS)
    known = known_object(frame, obj, exact, slot)
    if known != NEW:
        return known
    made = new_object(load(ptr, exact, PLAN_DESCRIPTOR))
    if made == 0:
        return no_memory()
    fits = remember(frame, obj, made, exact, ptr(0))
    if fits == FITS:
        row = memo_row(frame, load(i64, frame, FRAME_MEMO_N) - 1)
        store(i64, row, MEMO_STATE, ROW_UNBOXED)
        store(ptr, slot, 0, made)
    return fits


@native
def _exact_plan(plan: ptr, cls: ptr) -> ptr:
    """The plan of a class that values of the plan's type may be of; null when it is none."""
    plans = load(ptr, plan, PLAN_CLASSES)
    for i in range(load(i64, plan, PLAN_CLASSES_N)):
        exact = load(ptr, plans, i * 8)
        if load(ptr, exact, PLAN_CLASS) == cls:
            return exact
    return ptr(0)


@native
def new_object(descriptor: ptr) -> ptr:
    """An instance without attributes; null when there is no memory."""
    size = load(i64, descriptor, DESC_OBJECT_SIZE)
    made = sm_object_new(size, descriptor)
    if made != 0:
        memset(made + HEAP_PAYLOAD, i8(0), size - HEAP_PAYLOAD)
    return made


@native(noinline=True)
def fill_unboxed(frame: ptr) -> i64:
    """Read the attributes of all instances that have been unboxed, one after the other."""
    while load(i64, frame, FRAME_FILLED) < load(i64, frame, FRAME_MEMO_N):
        number = load(i64, frame, FRAME_FILLED)
        store(i64, frame, FRAME_FILLED, number + 1)
        row = memo_row(frame, number)
        if load(i64, row, MEMO_STATE) == ROW_UNBOXED:
            store(i64, row, MEMO_STATE, ROW_DONE)
            value = load(ptr, row, MEMO_NATIVE)
            obj = load(ptr, row, MEMO_OBJECT)
            fits = unbox_attributes(frame, obj, load(ptr, row, MEMO_PLAN), value)
            if fits != FITS:
                return fits
            if is_written_back(frame) and remember_object(frame, number, value) == 0:
                return FAILED
    return FITS


@native
def remember_object(frame: ptr, number: i64, value: ptr) -> i64:
    """Keep a copy of an instance as it is now; 0 on failure."""
    snapshot = sm_object_copy(value)
    if snapshot == 0:
        PyErr_NoMemory()
        return 0
    row = memo_row(frame, number)  # the memo may have grown
    sm_release(load(ptr, row, MEMO_SNAPSHOT))
    store(ptr, row, MEMO_SNAPSHOT, snapshot)
    return 1


@native
def unbox_attributes(frame: ptr, obj: ptr, plan: ptr, value: ptr) -> i64:
    """Write the attributes of a Python object into an instance that has none."""
    own = PyObject_GenericGetDict(obj, ptr(0))
    if own == 0:
        PyErr_Clear()  # its class has slots only
    fits = FITS
    if own != 0:
        for i in range(load(i64, plan, PLAN_N), load(i64, plan, PLAN_TABLE_N)):
            if PyDict_GetItemWithError(own, load(ptr, load(ptr, plan, PLAN_TABLE), i * 8)) != 0:
                fits = misfit(frame, REASON_CLASS)
    for i in range(load(i64, plan, PLAN_N)):
        if fits == FITS:
            fits = _unbox_attribute(frame, obj, own, plan, i, value)
    Py_DecRef(own)
    return fits


@native
def _unbox_attribute(frame: ptr, obj: ptr, own: ptr, plan: ptr, i: i64, value: ptr) -> i64:
    name = load(ptr, load(ptr, plan, PLAN_TABLE), i * 8)
    flags = load(i64, load(ptr, plan, PLAN_FLAGS), i * 8)
    item = ptr(0)
    if flags & FIELD_IN_DICT:
        if own != 0:
            item = PyDict_GetItemWithError(own, name)
            Py_IncRef(item)
    else:
        item = PyObject_GenericGetAttr(obj, name)
    if item == 0:
        PyErr_Clear()
        return i64(FITS) if flags & FIELD_MAY_LACK else misfit(frame, REASON_CLASS)
    place = value + plan_offset(plan, i)
    fits = unbox(frame, item, plan_child(plan, i), place)
    if fits == FITS and flags & FIELD_MAY_LACK:
        store(i8, value, load(i64, load(ptr, plan, PLAN_NATIVE), i * 8), i8(1))
    Py_DecRef(item)
    return fits


@native
def unbox_whole(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """``unbox``, and the attributes of all instances inside."""
    fits = unbox(frame, obj, plan, slot)
    if fits == FITS and load(i64, frame, FRAME_MEMO_CAPACITY) != 0:
        fits = fill_unboxed(frame)
        if fits != FITS:
            sm_slot_drop(slot, load(ptr, plan, PLAN_DESCRIPTOR))
    return fits


@native(noinline=True)
def unbox_tuple(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """The elements of a tuple, into a struct."""
    n = load(i64, plan, PLAN_N)
    if load(i64, obj, OB_SIZE) != n:
        return misfit(frame, REASON_TYPE)
    memset(slot, i8(0), load(i64, plan, PLAN_SIZE))
    for i in range(n):
        item = load(ptr, obj, TUPLE_ITEMS + i * 8)
        fits = unbox(frame, item, plan_child(plan, i), slot + plan_offset(plan, i))
        if fits != FITS:
            for j in range(i):
                done = plan_child(plan, j)
                sm_slot_drop(slot + plan_offset(plan, j), load(ptr, done, PLAN_DESCRIPTOR))
            return fits
    return FITS


@native(noinline=True)
def unbox_union(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """The first member type that the object fits, as {descriptor, payload}."""
    small = stack(SMALL)
    before = load(i64, frame, FRAME_MEMO_N)
    for i in range(load(i64, plan, PLAN_N)):
        member = plan_child(plan, i)
        size = load(i64, member, PLAN_SIZE)
        scratch = small if size <= SMALL else malloc(size)
        if scratch == 0:
            return no_memory()
        fits = unbox(frame, obj, member, scratch)
        if fits == FITS:
            descriptor = load(ptr, member, PLAN_DESCRIPTOR)
            if sm_any_new(slot, scratch, descriptor) == 0:
                fits = no_memory()
            sm_slot_drop(scratch, descriptor)
        if size > SMALL:
            free(scratch)
        if fits != MISFIT:
            return fits
        if load(i64, frame, FRAME_MEMO_N) != before:
            memo_truncate(frame, before)
    if load(ptr, plan, PLAN_CLASS) != 0:
        return _unbox_known(frame, obj, slot)
    return misfit(frame, REASON_TYPE)


@native
def _unbox_known(frame: ptr, obj: ptr, slot: ptr) -> i64:
    """An `Any` that holds a container or instance which native code has already."""
    row = memo_find(frame, obj, MEMO_OBJECT)
    if row == 0:
        return misfit(frame, REASON_TYPE)
    known = load(ptr, row, MEMO_PLAN)
    if sm_any_new(slot, row + MEMO_NATIVE, load(ptr, known, PLAN_DESCRIPTOR)) == 0:
        return no_memory()
    return FITS
