"""The native side of ``mirrors``: calls of programs that read containers of module state."""

from __future__ import annotations

from scriptmode.abi.objects import LIST_DATA, LIST_LENGTH
from scriptmode.codegen.native import i32, i64, load, native, ptr, stack, store
from scriptmode.runtime.frame import (
    FAILED,
    FITS,
    IN_DICT,
    IN_LIST,
    IN_OBJECT,
    MEMO_NATIVE,
    MEMO_PLAN,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    REASON_CAPTURED,
    REC_MIRRORS,
    STATE_ENTER,
    STATE_KEEP,
)
from scriptmode.runtime.host import new_snapshot, read_back_row
from scriptmode.runtime.memo import memo_row
from scriptmode.runtime.pyapi import (
    NONE,
    Py_DecRef,
    PyErr_Fetch,
    PyErr_NoMemory,
    PyErr_Print,
    PyErr_Restore,
    PyLong_FromVoidPtr,
    PyObject_CallFunctionObjArgs,
    sm_dict_copy,
    sm_list_from,
    state,
)
from scriptmode.runtime.unboxing import fill_unboxed, remember_object
from scriptmode.runtime.unboxing_parts import misfit


@native
def _tell(frame: ptr, record: ptr, helper: ptr) -> i64:
    """Call a helper of ``mirrors``; 0 with an exception when it fails."""
    call = PyLong_FromVoidPtr(frame)
    done = PyObject_CallFunctionObjArgs(helper, load(ptr, record, REC_MIRRORS), call, ptr(0))
    Py_DecRef(call)
    Py_DecRef(done)
    return i64(done != 0)


@native(noinline=True)
def enter_state(frame: ptr, record: ptr) -> i64:
    """The containers of the state that Python has are known to the call: FITS, FAILED or MISFIT."""
    call = PyLong_FromVoidPtr(frame)
    helper = state(STATE_ENTER)
    done = PyObject_CallFunctionObjArgs(helper, load(ptr, record, REC_MIRRORS), call, ptr(0))
    Py_DecRef(call)
    Py_DecRef(done)
    if done == 0:
        return FAILED
    return i64(FITS) if done == NONE else misfit(frame, REASON_CAPTURED)


@native(noinline=True)
def keep_state(frame: ptr, record: ptr) -> None:
    """What has crossed and belongs to the state stays the same object."""
    raised = stack(32)
    PyErr_Fetch(raised, raised + 8, raised + 16)
    if _tell(frame, record, state(STATE_KEEP)) == 0:
        PyErr_Print()
    PyErr_Restore(load(ptr, raised), load(ptr, raised, 8), load(ptr, raised, 16))


@native(noinline=True)
def sm_read_back_row(frame: ptr, number: i64) -> i64:
    """Bring a native container up to date with its Python object; 0 on failure."""
    return read_back_row(frame, number)


@native(noinline=True)
def sm_fill_rows(frame: ptr) -> i64:
    """Read the attributes of instances that have come in with the containers; 0 on failure."""
    return i64(fill_unboxed(frame) == FITS)


@native(noinline=True)
def sm_snapshot_row(frame: ptr, number: i64) -> i64:
    """Remember what a container of the memo is now, so that changes are written back."""
    row = memo_row(frame, number)
    plan = load(ptr, row, MEMO_PLAN)
    value = load(ptr, row, MEMO_NATIVE)
    kind = load(i64, plan, PLAN_KIND)
    place = stack(8)
    store(ptr, place, 0, ptr(0))
    failed: i32 = 0
    if kind == IN_LIST:
        descriptor = load(ptr, plan, PLAN_DESCRIPTOR)
        data = load(ptr, value, LIST_DATA)
        failed = sm_list_from(frame, descriptor, data, load(i64, value, LIST_LENGTH), place)
    elif kind == IN_DICT:
        failed = sm_dict_copy(frame, value, place)
    elif kind == IN_OBJECT:
        return remember_object(frame, number, value)
    else:
        return read_back_row(frame, number)
    if failed:
        PyErr_NoMemory()
        return 0
    new_snapshot(frame, number, load(ptr, place))
    return 1
