"""Native values to Python ones, driven by plans, and changed containers back into their objects.

``box(frame, slot, plan)`` returns a new reference, or null with a Python exception set; the slot
keeps its value.  ``box_moved`` takes the slot's value over.  Containers that the memo knows are the
same Python objects again.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    DESC_RESERVED,
    HEAP_DESCRIPTOR,
    LIST_DATA,
    LIST_LENGTH,
    TAG_BOOL,
    TAG_FLOAT,
    TAG_INT,
)
from scriptmode.abi.tasks import DONE, FUTURE_TASK, TASK_ERROR, TASK_RESULT, TASK_STATE
from scriptmode.codegen.native import (
    extern,
    f64,
    i8,
    i64,
    load,
    native,
    ptr,
    store,
)
from scriptmode.runtime.ascii import box_str
from scriptmode.runtime.frame import (
    FIELD_MAY_LACK,
    FIRST_COLLECTION,
    FRAME_BOXED,
    FRAME_MEMO_CAPACITY,
    FRAME_MEMO_N,
    FRAME_RECORD,
    IN_BOOL,
    IN_CELL,
    IN_CODE,
    IN_COMPLEX,
    IN_DEVICE,
    IN_DICT,
    IN_ENUM,
    IN_EXCEPTION,
    IN_FLOAT,
    IN_FUTURE,
    IN_GENERATOR,
    IN_INT,
    IN_LIST,
    IN_MODULE,
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
    PLAN_CHILDREN,
    PLAN_CLASS,
    PLAN_DESCRIPTOR,
    PLAN_FLAGS,
    PLAN_KIND,
    PLAN_MAKER,
    PLAN_N,
    PLAN_NATIVE,
    PLAN_SIZE,
    PLAN_TABLE,
    PLAN_TABLE_N,
    REC_OWNER,
    ROW_BOXED,
    ROW_DONE,
    STATE_EXCEPTION_OUT,
    STATE_FAILED_FUTURE,
    STATE_LEND,
    STATE_PLAN,
)
from scriptmode.runtime.handles import box_cell
from scriptmode.runtime.memo import memo_add, memo_find, memo_row
from scriptmode.runtime.native.parsing import plain_float
from scriptmode.runtime.pyapi import (
    FALSE,
    LIST_ITEMS,
    NONE,
    OB_SIZE,
    TRUE,
    UNDEFINED,
    Py_DecRef,
    Py_IncRef,
    PyComplex_FromDoubles,
    PyErr_NoMemory,
    PyFloat_FromDouble,
    PyList_New,
    PyList_SetItem,
    PyList_SetSlice,
    PyLong_AsVoidPtr,
    PyLong_FromLongLong,
    PyLong_FromVoidPtr,
    PyObject_CallFunctionObjArgs,
    PyObject_GenericSetAttr,
    PyTuple_New,
    PyTuple_SetItem,
    THPDevice_New,
    THPGenerator_Wrap,
    THPVariable_Wrap,
    THPVariable_Wrap_move,
    count_tensor,
    memcmp,
    sm_any_slot,
    sm_slot_drop,
    sm_tensor_release,
    state,
)
from scriptmode.runtime.unboxing_parts import plan_child, plan_offset

box_collection = extern("box_collection", ptr, ptr, ptr, ptr)
box_dict = extern("box_dict", ptr, ptr, ptr, ptr)
write_back_dict = extern("write_back_dict", i64, ptr, ptr, ptr, ptr, ptr)
write_back_collection = extern("write_back_collection", i64, ptr, i64)


@native
def new_reference(obj: ptr) -> ptr:
    """The object, with one more reference."""
    Py_IncRef(obj)
    return obj


@native
def box(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """A Python object for a borrowed value."""
    kind = load(i64, plan, PLAN_KIND)
    if kind == IN_TENSOR:
        return THPVariable_Wrap(slot)
    if kind == IN_INT:
        return PyLong_FromLongLong(load(i64, slot))
    if kind == IN_FLOAT:
        return PyFloat_FromDouble(plain_float(load(f64, slot)))
    if kind == IN_BOOL:
        return new_reference(TRUE if load(i8, slot) else FALSE)
    if kind == IN_NONE:
        return new_reference(NONE)
    if kind == IN_STR:
        return box_str(load(ptr, slot))
    if kind == IN_LIST:
        return box_list(frame, load(ptr, slot), plan)
    if kind == IN_TUPLE:
        return box_tuple(frame, slot, plan)
    if kind == IN_OPTIONAL_POINTER:
        if load(ptr, slot) == 0:
            return new_reference(NONE)
        return box(frame, slot, plan_child(plan, 0))
    if kind == IN_OPTIONAL_VALUE:
        if load(i8, slot) == 0:
            return new_reference(NONE)
        return box(frame, slot + plan_offset(plan, 0), plan_child(plan, 0))
    return box_rare(frame, slot, plan)


@native(noinline=True)
def box_rare(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """``box`` of the types that are seldom results."""
    kind = load(i64, plan, PLAN_KIND)
    if kind >= FIRST_COLLECTION and kind <= LAST_COLLECTION:
        return box_collection(frame, slot, plan)
    if kind == IN_DICT:
        return box_dict(frame, load(ptr, slot), plan)
    if kind == IN_NAMED_TUPLE:
        return _made(load(ptr, load(ptr, plan, PLAN_TABLE)), box_tuple(frame, slot, plan))
    if kind == IN_VAR_TUPLE:
        return box_items(frame, load(ptr, slot), plan)
    if kind == IN_SIZE:
        return _made(load(ptr, plan, PLAN_CLASS), box_items(frame, load(ptr, slot), plan))
    if kind == IN_NUMBER:
        return box_number(slot)
    if kind == IN_COMPLEX:
        return PyComplex_FromDoubles(load(f64, slot), load(f64, slot, 8))
    if kind == IN_UNION:
        return box_any(frame, slot)
    if kind == IN_DEVICE:
        return THPDevice_New(slot)
    if kind == IN_CODE:
        number = i64(load(i8, slot))
        if number >= 0 and number < load(i64, plan, PLAN_TABLE_N):
            return new_reference(load(ptr, load(ptr, plan, PLAN_TABLE), number * 8))
    if kind == IN_FUTURE:
        return box_future(frame, load(ptr, slot), plan)
    if kind == IN_ENUM:
        return box_enum(load(ptr, slot), plan)
    if kind == IN_GENERATOR:
        row = memo_find(frame, load(ptr, slot), MEMO_NATIVE)
        return THPGenerator_Wrap(slot) if row == 0 else new_reference(load(ptr, row, MEMO_OBJECT))
    if kind == IN_OBJECT:
        return box_object(frame, load(ptr, slot))
    if kind == IN_MODULE:
        return box_module(frame, load(ptr, slot))
    if kind == IN_EXCEPTION:
        return box_exception(frame, load(ptr, slot), plan)
    if kind == IN_CELL:
        return box_cell(load(ptr, slot))
    return PyObject_CallFunctionObjArgs(state(STATE_PLAN), NONE, ptr(0))  # raises


@native(noinline=True)
def box_module(frame: ptr, value: ptr) -> ptr:
    """The eager module of a native instance."""
    call = PyLong_FromVoidPtr(frame)
    address = PyLong_FromVoidPtr(value)
    module = PyObject_CallFunctionObjArgs(state(STATE_LEND), call, address, ptr(0))
    Py_DecRef(call)
    Py_DecRef(address)
    return module


@native(noinline=True)
def box_future(frame: ptr, future: ptr, plan: ptr) -> ptr:
    """A Python future with the result of a native one, whose task has ended with the call."""
    task = load(ptr, future, FUTURE_TASK)
    if load(i64, task, TASK_STATE) == DONE:
        value = box(frame, load(ptr, task, TASK_RESULT), load(ptr, load(ptr, plan, PLAN_CHILDREN)))
        return _made(load(ptr, load(ptr, plan, PLAN_TABLE)), value)
    owner = load(ptr, load(ptr, frame, FRAME_RECORD), REC_OWNER)
    error = PyLong_FromVoidPtr(task + TASK_ERROR)
    made = PyObject_CallFunctionObjArgs(state(STATE_FAILED_FUTURE), owner, error, ptr(0))
    Py_DecRef(error)
    return made


@native(noinline=True)
def box_object(frame: ptr, value: ptr) -> ptr:
    """An instance of a user class: the object it came from, or one whose attributes come later."""
    row = memo_find(frame, value, MEMO_NATIVE)
    if row != 0:
        return new_reference(load(ptr, row, MEMO_OBJECT))
    plan = plan_of(load(ptr, value, HEAP_DESCRIPTOR))
    if plan == 0:
        return plan
    cls = load(ptr, plan, PLAN_CLASS)
    made = PyObject_CallFunctionObjArgs(load(ptr, plan, PLAN_MAKER), cls, ptr(0))
    if made != 0:
        if memo_add(frame, made, value, plan, ptr(0)) == 0:
            Py_DecRef(made)
            return PyErr_NoMemory()
        added = memo_row(frame, load(i64, frame, FRAME_MEMO_N) - 1)
        store(i64, added, MEMO_STATE, ROW_BOXED)
    return made


@native(noinline=True)
def fill_boxed(frame: ptr) -> i64:
    """Set the attributes of all instances that were made in Python; 0 on failure."""
    while load(i64, frame, FRAME_BOXED) < load(i64, frame, FRAME_MEMO_N):
        row = memo_row(frame, load(i64, frame, FRAME_BOXED))
        store(i64, frame, FRAME_BOXED, load(i64, frame, FRAME_BOXED) + 1)
        if load(i64, row, MEMO_STATE) == ROW_BOXED:
            store(i64, row, MEMO_STATE, ROW_DONE)
            value = load(ptr, row, MEMO_NATIVE)
            plan = load(ptr, row, MEMO_PLAN)
            obj = load(ptr, row, MEMO_OBJECT)
            for i in range(load(i64, plan, PLAN_N)):
                if (
                    _has_attribute(plan, i, value)
                    and set_attribute(frame, obj, plan, i, value) == 0
                ):
                    return 0
    return 1


@native
def _has_attribute(plan: ptr, i: i64, value: ptr) -> bool:
    flags = load(i64, load(ptr, plan, PLAN_FLAGS), i * 8)
    if flags & FIELD_MAY_LACK:
        return load(i8, value, load(i64, load(ptr, plan, PLAN_NATIVE), i * 8)) != 0
    return True


@native
def set_attribute(frame: ptr, obj: ptr, plan: ptr, i: i64, value: ptr) -> i64:
    """Set an attribute of a Python object to that of a native instance; 0 on failure."""
    item = box(frame, value + plan_offset(plan, i), plan_child(plan, i))
    if item == 0:
        return 0
    status = PyObject_GenericSetAttr(obj, load(ptr, load(ptr, plan, PLAN_TABLE), i * 8), item)
    Py_DecRef(item)
    return i64(status == 0)


@native
def box_whole(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """``box``, and the attributes of all instances inside."""
    made = box(frame, slot, plan)
    if made != 0 and load(i64, frame, FRAME_MEMO_CAPACITY) != 0 and fill_boxed(frame) == 0:
        Py_DecRef(made)
        return ptr(0)
    return made


@native(noinline=True)
def box_exception(frame: ptr, value: ptr, plan: ptr) -> ptr:
    """The Python exception of an exception object, the same one each time."""
    row = memo_find(frame, value, MEMO_NATIVE)
    if row != 0:
        return new_reference(load(ptr, row, MEMO_OBJECT))
    address = PyLong_FromVoidPtr(value)
    made = PyObject_CallFunctionObjArgs(state(STATE_EXCEPTION_OUT), address, ptr(0))
    Py_DecRef(address)
    if made != 0 and memo_add(frame, made, value, plan, ptr(0)) == 0:
        Py_DecRef(made)
        return PyErr_NoMemory()
    return made


@native
def _made(maker: ptr, items: ptr) -> ptr:
    """``maker(items)``; takes ``items`` over and passes a null on."""
    if items == 0:
        return items
    made = PyObject_CallFunctionObjArgs(maker, items, ptr(0))
    Py_DecRef(items)
    return made


@native(noinline=True)
def box_number(slot: ptr) -> ptr:
    """The int, float, bool or complex of a {tag, lo, hi}."""
    tag = load(i64, slot)
    if tag == TAG_INT:
        return PyLong_FromLongLong(load(i64, slot, 8))
    if tag == TAG_FLOAT:
        return PyFloat_FromDouble(plain_float(load(f64, slot, 8)))
    if tag == TAG_BOOL:
        return new_reference(TRUE if load(i64, slot, 8) else FALSE)
    return PyComplex_FromDoubles(load(f64, slot, 8), load(f64, slot, 16))


@native(noinline=True)
def box_list(frame: ptr, value: ptr, plan: ptr) -> ptr:
    """A list; the object that it came from or was boxed to before, if there is one."""
    row = memo_find(frame, value, MEMO_NATIVE)
    if row != 0:
        return new_reference(load(ptr, row, MEMO_OBJECT))
    made = PyList_New(load(i64, value, LIST_LENGTH))
    if made == 0:
        return made
    if memo_add(frame, made, value, plan, ptr(0)) == 0:  # first: it may contain itself
        Py_DecRef(made)
        return PyErr_NoMemory()
    return _filled(frame, made, value, plan)


@native
def new_list(frame: ptr, value: ptr, plan: ptr) -> ptr:
    """A new Python list with the elements of a native one."""
    made = PyList_New(load(i64, value, LIST_LENGTH))
    return _filled(frame, made, value, plan) if made != 0 else made


@native(noinline=True)
def _filled(frame: ptr, made: ptr, value: ptr, plan: ptr) -> ptr:
    """A Python list as long as a native one, with its elements; null when that fails."""
    element = plan_child(plan, 0)
    size = load(i64, element, PLAN_SIZE)
    data = load(ptr, value, LIST_DATA)
    for i in range(load(i64, value, LIST_LENGTH)):
        item = box(frame, data + i * size, element)
        if item == 0:
            Py_DecRef(made)
            return item
        PyList_SetItem(made, i, item)
    return made


@native(noinline=True)
def box_items(frame: ptr, value: ptr, plan: ptr) -> ptr:
    """A tuple of the elements of a native list."""
    n = load(i64, value, LIST_LENGTH)
    made = PyTuple_New(n)
    if made == 0:
        return made
    element = plan_child(plan, 0)
    size = load(i64, element, PLAN_SIZE)
    data = load(ptr, value, LIST_DATA)
    for i in range(n):
        item = box(frame, data + i * size, element)
        if item == 0:
            Py_DecRef(made)
            return item
        PyTuple_SetItem(made, i, item)
    return made


@native(noinline=True)
def box_tuple(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """A tuple of a struct's elements."""
    n = load(i64, plan, PLAN_N)
    made = PyTuple_New(n)
    if made == 0:
        return made
    for i in range(n):
        item = box(frame, slot + plan_offset(plan, i), plan_child(plan, i))
        if item == 0:
            Py_DecRef(made)
            return item
        PyTuple_SetItem(made, i, item)
    return made


@native(noinline=True)
def plan_of(descriptor: ptr) -> ptr:
    """The plan of a descriptor met at run time; null with an exception when there is none."""
    known = load(ptr, descriptor, DESC_RESERVED)
    if known != 0:
        return known
    key = PyLong_FromVoidPtr(descriptor)
    found = PyObject_CallFunctionObjArgs(state(STATE_PLAN), key, ptr(0))
    Py_DecRef(key)
    if found == 0:
        return found
    known = PyLong_AsVoidPtr(found)
    Py_DecRef(found)
    store(ptr, descriptor, DESC_RESERVED, known)
    return known


@native(noinline=True)
def box_any(frame: ptr, slot: ptr) -> ptr:
    """The value of a {descriptor, payload}."""
    descriptor = load(ptr, slot)
    if descriptor == 0:
        return new_reference(NONE)
    plan = plan_of(descriptor)
    if plan == 0:
        return plan
    return box(frame, sm_any_slot(slot), plan)


@native(noinline=True)
def box_enum(member: ptr, plan: ptr) -> ptr:
    """The Python member of a native one."""
    members = load(ptr, plan, PLAN_NATIVE)
    for i in range(load(i64, plan, PLAN_TABLE_N)):
        if load(ptr, members, i * 8) == member:
            return new_reference(load(ptr, load(ptr, plan, PLAN_TABLE), i * 8))
    return PyObject_CallFunctionObjArgs(state(STATE_PLAN), NONE, ptr(0))  # raises


@native
def box_moved(frame: ptr, slot: ptr, plan: ptr) -> ptr:
    """A Python object for a value that is taken over."""
    if load(i64, plan, PLAN_KIND) == IN_TENSOR:
        return _box_moved_tensor(slot)
    made = box_whole(frame, slot, plan)
    sm_slot_drop(slot, load(ptr, plan, PLAN_DESCRIPTOR))
    return made


@native
def _box_moved_tensor(slot: ptr) -> ptr:
    made = THPVariable_Wrap_move(slot)
    rest = load(ptr, slot)
    if rest == UNDEFINED:
        if made != NONE:
            count_tensor(-1)
    elif rest != 0:
        sm_tensor_release(rest)
    return made


# ---- changed containers ----


@native(noinline=True)
def write_back(frame: ptr) -> i64:
    """Bring every argument container up to date with what the program made of it; 0 on failure."""
    # boxing new elements may add rows, which need no writing back themselves
    for i in range(load(i64, frame, FRAME_MEMO_N)):
        row = memo_row(frame, i)
        if load(ptr, row, MEMO_SNAPSHOT) != 0 and write_back_row(frame, i) == 0:
            return 0
    return fill_boxed(frame)


@native
def write_back_row(frame: ptr, number: i64) -> i64:
    """``write_back`` of one row of the memo."""
    row = memo_row(frame, number)
    obj = load(ptr, row, MEMO_OBJECT)
    value = load(ptr, row, MEMO_NATIVE)
    plan = load(ptr, row, MEMO_PLAN)
    snapshot = load(ptr, row, MEMO_SNAPSHOT)
    kind = load(i64, plan, PLAN_KIND)
    if kind == IN_OBJECT:
        return write_back_object(frame, obj, value, snapshot, plan)
    if kind >= FIRST_COLLECTION and kind <= LAST_COLLECTION:
        return write_back_collection(frame, number)
    if load(i64, plan, PLAN_KIND) == IN_DICT:
        return write_back_dict(frame, obj, value, snapshot, plan)
    return write_back_list(frame, obj, value, snapshot, plan)


@native(noinline=True)
def write_back_object(frame: ptr, obj: ptr, value: ptr, snapshot: ptr, plan: ptr) -> i64:
    """Set the attributes of a Python object that differ from those of the snapshot."""
    for i in range(load(i64, plan, PLAN_N)):
        place = plan_offset(plan, i)
        has = _has_attribute(plan, i, value)
        had = _has_attribute(plan, i, snapshot)
        size = load(i64, plan_child(plan, i), PLAN_SIZE)
        if has:
            same = had and memcmp(value + place, snapshot + place, size) == 0
            if not same and set_attribute(frame, obj, plan, i, value) == 0:
                return 0
        elif had:
            name = load(ptr, load(ptr, plan, PLAN_TABLE), i * 8)
            if PyObject_GenericSetAttr(obj, name, ptr(0)) != 0:
                return 0
    return 1


@native(noinline=True)
def write_back_list(frame: ptr, obj: ptr, value: ptr, snapshot: ptr, plan: ptr) -> i64:
    """Update a Python list in place when the native one differs from its snapshot."""
    n = load(i64, value, LIST_LENGTH)
    before = load(i64, snapshot, LIST_LENGTH)
    element = plan_child(plan, 0)
    size = load(i64, element, PLAN_SIZE)
    data = load(ptr, value, LIST_DATA)
    old = load(ptr, snapshot, LIST_DATA)
    if n == before and (n == 0 or memcmp(data, old, n * size) == 0):
        return 1
    made = PyList_New(n)
    if made == 0:
        return 0
    for i in range(n):
        item = ptr(0)
        # unchanged elements stay the same objects
        if i < before and i < load(i64, obj, OB_SIZE):
            if memcmp(data + i * size, old + i * size, size) == 0:
                item = new_reference(load(ptr, load(ptr, obj, LIST_ITEMS), i * 8))
        if item == 0:
            item = box(frame, data + i * size, element)
            if item == 0:
                Py_DecRef(made)
                return 0
        PyList_SetItem(made, i, item)
    status = PyList_SetSlice(obj, 0, load(i64, obj, OB_SIZE), made)
    Py_DecRef(made)
    return i64(status == 0)
