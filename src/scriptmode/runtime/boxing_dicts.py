"""Native dicts to Python ones, and changed ones back into their objects."""

from __future__ import annotations

from scriptmode.abi.objects import (
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_USED,
    ENTRY_ERASED,
    ENTRY_HASH,
    ENTRY_KEY,
)
from scriptmode.codegen.native import (
    i32,
    i64,
    load,
    native,
    ptr,
    utf8,
)
from scriptmode.runtime.ascii import (
    box_str,
)
from scriptmode.runtime.boxing import (
    box,
    fill_boxed,
    new_reference,
)
from scriptmode.runtime.frame import (
    IN_INT,
    IN_OBJECT,
    IN_STR,
    IN_TUPLE,
    IN_UNION,
    MEMO_NATIVE,
    MEMO_OBJECT,
    PLAN_CLASS,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    PLAN_TABLE,
    PLAN_TABLE_N,
)
from scriptmode.runtime.memo import (
    memo_add,
    memo_find,
)
from scriptmode.runtime.pyapi import (
    DICT_TYPE,
    Py_DecRef,
    Py_IncRef,
    PyDict_Clear,
    PyDict_GetItemWithError,
    PyDict_New,
    PyDict_SetItem,
    PyDict_Update,
    PyErr_NoMemory,
    PyLong_FromLongLong,
    PyObject_CallFunctionObjArgs,
    PyObject_GetAttrString,
    PyObject_SetItem,
    entry_size,
    entry_value_offset,
    memcmp,
)
from scriptmode.runtime.unboxing_parts import (
    plan_child,
)


@native(noinline=True)
def box_dict(frame: ptr, value: ptr, plan: ptr) -> ptr:
    """A dict; the object that it came from or was boxed to before, if there is one."""
    row = memo_find(frame, value, MEMO_NATIVE)
    if row != 0:
        return new_reference(load(ptr, row, MEMO_OBJECT))
    made = _empty_dict(plan)
    if made == 0:
        return made
    if memo_add(frame, made, value, plan, ptr(0)) == 0:  # first: it may contain itself
        Py_DecRef(made)
        return PyErr_NoMemory()
    return _filled_dict(frame, made, value, plan, ptr(0), ptr(0))


@native
def _empty_dict(plan: ptr) -> ptr:
    cls = load(ptr, plan, PLAN_CLASS)
    if cls == DICT_TYPE:
        return PyDict_New()
    factory = ptr(0)
    if load(i64, plan, PLAN_TABLE_N) > 0:
        factory = load(ptr, load(ptr, plan, PLAN_TABLE))
    return PyObject_CallFunctionObjArgs(cls, factory, ptr(0))


@native
def new_dict_object(frame: ptr, value: ptr, plan: ptr, old: ptr, snapshot: ptr) -> ptr:
    """A new Python dict; entries that equal those of ``snapshot`` keep the values of ``old``."""
    made = _empty_dict(plan)
    return _filled_dict(frame, made, value, plan, old, snapshot) if made != 0 else made


@native(noinline=True)
def _filled_dict(frame: ptr, made: ptr, value: ptr, plan: ptr, old: ptr, snapshot: ptr) -> ptr:
    """An empty Python dict, with the entries of a native one; null when that fails."""
    size = entry_size(load(ptr, plan, PLAN_DESCRIPTOR))
    entry = load(ptr, value, DICT_ENTRIES)
    key_plan = plan_child(plan, 0)
    if snapshot == 0 and load(i64, key_plan, PLAN_KIND) == IN_STR:
        if load(ptr, plan, PLAN_CLASS) == DICT_TYPE:
            if _put_by_text(frame, made, value, plan, size) == 0:
                Py_DecRef(made)
                return ptr(0)
            return made
    before = ptr(0)
    n = 0
    if snapshot != 0:
        before = load(ptr, snapshot, DICT_ENTRIES)
        n = load(i64, snapshot, DICT_USED)
    for i in range(load(i64, value, DICT_USED)):
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            source = ptr(0)
            if i < n and memcmp(entry, before + i * size, size) == 0:
                source = old
            if _box_entry(frame, entry, plan, source, made) == 0:
                Py_DecRef(made)
                return ptr(0)
        entry = entry + size
    return made


@native(noinline=True)
def _put_by_text(frame: ptr, made: ptr, value: ptr, plan: ptr, size: i64) -> i64:
    """Put the entries of a dict with str keys into a plain Python one; 0 on failure."""
    own = plan_child(plan, 1)
    is_int = load(i64, own, PLAN_KIND) == IN_INT
    at = entry_value_offset(load(ptr, plan_child(plan, 0), PLAN_DESCRIPTOR))
    entry = load(ptr, value, DICT_ENTRIES)
    end = entry + load(i64, value, DICT_USED) * size
    while entry != end:
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            key = box_str(load(ptr, entry, ENTRY_KEY))
            if key == 0:
                return 0
            item = ptr(0)
            if is_int:
                item = PyLong_FromLongLong(load(i64, entry + at))
            else:
                item = box(frame, entry + at, own)
            status: i32 = -1
            if item != 0:
                status = PyDict_SetItem(made, key, item)
            Py_DecRef(item)
            Py_DecRef(key)
            if status != 0:
                return 0
        entry = entry + size
    return 1


@native
def _box_entry(frame: ptr, entry: ptr, plan: ptr, source: ptr, made: ptr) -> i64:
    """Put an entry into ``made``, with the value of ``source`` if there is one; 0 on failure."""
    key_plan = plan_child(plan, 0)
    value_offset = entry_value_offset(load(ptr, key_plan, PLAN_DESCRIPTOR))
    key = box(frame, entry + ENTRY_KEY, key_plan)
    if key == 0:
        return 0
    if load(i64, key_plan, PLAN_KIND) in (IN_OBJECT, IN_TUPLE, IN_UNION):
        if fill_boxed(frame) == 0:  # the hash of a key may ask for its attributes
            Py_DecRef(key)
            return 0
    item = ptr(0)
    if source != 0:
        item = PyDict_GetItemWithError(source, key)
    if item == 0:
        item = box(frame, entry + value_offset, plan_child(plan, 1))
    else:
        Py_IncRef(item)
    status: i32 = -1
    if item != 0:
        if load(ptr, plan, PLAN_CLASS) == DICT_TYPE:
            status = PyDict_SetItem(made, key, item)
        else:
            status = PyObject_SetItem(made, key, item)
    Py_DecRef(item)
    Py_DecRef(key)
    return i64(status == 0)


@native(noinline=True)
def write_back_dict(frame: ptr, obj: ptr, value: ptr, snapshot: ptr, plan: ptr) -> i64:
    """Update a Python dict in place when the native one differs from its snapshot."""
    used = load(i64, value, DICT_USED)
    same = used == load(i64, snapshot, DICT_USED)
    if same and load(i64, value, DICT_LENGTH) == load(i64, snapshot, DICT_LENGTH):
        size = used * entry_size(load(ptr, plan, PLAN_DESCRIPTOR))
        a = load(ptr, value, DICT_ENTRIES)
        if size == 0 or memcmp(a, load(ptr, snapshot, DICT_ENTRIES), size) == 0:
            return 1
    made = new_dict_object(frame, value, plan, obj, snapshot)
    if made == 0:
        return 0
    status = _refill(obj, made, plan)
    Py_DecRef(made)
    return status


@native
def _refill(obj: ptr, made: ptr, plan: ptr) -> i64:
    """Give a dict the entries of another one of its class; 0 on failure."""
    if load(ptr, plan, PLAN_CLASS) == DICT_TYPE:
        PyDict_Clear(obj)
        return i64(PyDict_Update(obj, made) == 0)
    # an OrderedDict must see each change
    clear = PyObject_GetAttrString(obj, utf8("clear"))
    Py_DecRef(PyObject_CallFunctionObjArgs(clear, ptr(0)))
    Py_DecRef(clear)
    update = PyObject_GetAttrString(obj, utf8("update"))
    done = PyObject_CallFunctionObjArgs(update, made, ptr(0))
    Py_DecRef(update)
    Py_DecRef(done)
    return i64(done != 0)
