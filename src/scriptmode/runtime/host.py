"""The host table in a Python process: what native code asks of Python.

Each function takes the GIL if the call is without it, and gives it back.  A Python exception goes
into the context (``ERROR_PYTHON``) with status 1.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from scriptmode.abi.convention import ctx_offset
from scriptmode.abi.objects import (
    DEQUE_SIZE,
    DEQUE_VERSION,
    DESC_OBJECT_SIZE,
    DICT_ENTRIES,
    DICT_LENGTH,
    DICT_SIZE,
    DICT_USED,
    DICT_VERSION,
    ENTRY_ERASED,
    ENTRY_HASH,
    HEAP_PAYLOAD,
    LIST_DATA,
    LIST_LENGTH,
    SET_SIZE,
    SET_USED,
)
from scriptmode.codegen.native import external, i8, i32, i64, load, native, ptr, stack, store
from scriptmode.runtime.ascii import box_str
from scriptmode.runtime.boxing import box_whole, plan_of, write_back
from scriptmode.runtime.boxing_collections import new_deque, new_set
from scriptmode.runtime.frame import (
    FITS,
    FRAME_MEMO_N,
    FRAME_RECORD,
    IN_DEQUE,
    IN_DICT,
    IN_LIST,
    IN_OBJECT,
    IN_SET,
    MEMO_CHANGES,
    MEMO_NATIVE,
    MEMO_OBJECT,
    MEMO_PLAN,
    MEMO_SNAPSHOT,
    MISFIT,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    REC_OUTER_TURN,
    REC_OWNER,
    REC_TURN,
    STATE_CATCH,
    STATE_MISFIT,
    STATE_PRINT,
    STATE_TAKE_BACK,
    STATE_TEXT,
    STATE_WARN,
)
from scriptmode.runtime.gil import clear_flag, release_gil, take_gil
from scriptmode.runtime.memo import memo_row
from scriptmode.runtime.pending import take_exception, take_pending
from scriptmode.runtime.published import publish_tensors, refresh_tensors
from scriptmode.runtime.pyapi import (
    LIST_ITEMS,
    OB_SIZE,
    PYDEQUE_STATE,
    Py_DecRef,
    PyErr_CheckSignals,
    PyErr_Clear,
    PyErr_Fetch,
    PyErr_NoMemory,
    PyErr_Restore,
    PyGILState_Ensure,
    PyGILState_Release,
    PyLong_AsVoidPtr,
    PyLong_FromLongLong,
    PyLong_FromVoidPtr,
    PyObject_Call,
    PyObject_CallFunctionObjArgs,
    PyTuple_New,
    PyTuple_SetItem,
    entry_size,
    entry_value_offset,
    same_order,
    set_clone,
    sm_deque_copy,
    sm_dict_copy,
    sm_list_from,
    sm_memory_error,
    sm_release,
    state,
)
from scriptmode.runtime.turns import give_whole_turn, take_whole_turn
from scriptmode.runtime.unboxing import (
    fill_unboxed,
    new_dict,
    new_object,
    remember_object,
    unbox_attributes,
    unbox_items,
    unbox_whole,
)
from scriptmode.runtime.unboxing_parts import plan_child

DESC_STR = external("desc.str")
_PACKAGE = str(Path(__file__).parent.parent)
CTX_ERROR_KIND = ctx_offset("error_kind")
CTX_ERROR_VALUE = ctx_offset("error_value")
CTX_CALL = ctx_offset("call")


@native
def finish(ctx: ptr, result: ptr, was_without: bool) -> i32:
    """The end of a host function: give ``result`` up (null: an exception is set) and the GIL."""
    status: i32 = 0
    if result == 0:
        take_exception(ctx)
        status = 1
    Py_DecRef(result)
    if was_without:
        release_gil(ctx)
    return status


@native
def sm_host_print(ctx: ptr, text: ptr) -> i32:
    """Write a str to ``sys.stdout``."""
    was_without = take_gil(ctx)
    result = ptr(0)
    boxed = box_str(text)
    if boxed != 0:
        result = PyObject_CallFunctionObjArgs(state(STATE_PRINT), boxed, ptr(0))
        Py_DecRef(boxed)
    return finish(ctx, result, was_without)


@native
def sm_host_warn(ctx: ptr, category: ptr, message: ptr, location: i64, stacklevel: i64) -> i32:
    """Issue a warning at a place of the user's source."""
    was_without = take_gil(ctx)
    result = ptr(0)
    boxed = box_str(message)
    where = PyLong_FromLongLong(location)
    level = PyLong_FromLongLong(stacklevel)
    if boxed != 0 and where != 0 and level != 0:
        owner = load(ptr, load(ptr, load(ptr, ctx, CTX_CALL), FRAME_RECORD), REC_OWNER)
        helper = state(STATE_WARN)
        result = PyObject_CallFunctionObjArgs(helper, owner, category, boxed, where, level, ptr(0))
    Py_DecRef(boxed)
    Py_DecRef(where)
    Py_DecRef(level)
    return finish(ctx, result, was_without)


@native
def sm_host_catch(ctx: ptr, descriptor: ptr) -> i32:
    """Make the C++ or Python exception in the context an exception object."""
    was_without = take_gil(ctx)
    take_pending(ctx)
    place = PyLong_FromVoidPtr(ctx)
    layout = PyLong_FromVoidPtr(descriptor)
    answer = PyObject_CallFunctionObjArgs(state(STATE_CATCH), place, layout, ptr(0))
    caught = sm_memory_error(descriptor)
    if answer != 0:
        caught = PyLong_AsVoidPtr(answer)
    PyErr_Clear()
    Py_DecRef(place)
    Py_DecRef(layout)
    Py_DecRef(answer)
    store(ptr, ctx, CTX_ERROR_VALUE, caught)
    if was_without:
        release_gil(ctx)
    return 0


@native
def sm_host_exception_text(ctx: ptr, exception: ptr, which: i64, result: ptr) -> i32:
    """``str(e)``, ``repr(e)`` or the name of the class, as Python writes them."""
    was_without = take_gil(ctx)
    place = PyLong_FromVoidPtr(exception)
    what = PyLong_FromLongLong(which)
    answer = PyObject_CallFunctionObjArgs(state(STATE_TEXT), place, what, ptr(0))
    Py_DecRef(place)
    Py_DecRef(what)
    if answer != 0 and _unbox_answer(load(ptr, ctx, CTX_CALL), answer, DESC_STR, result) == 0:
        Py_DecRef(answer)
        answer = ptr(0)
    return finish(ctx, answer, was_without)


@native
def sm_host_drop(obj: ptr) -> i32:
    """Give a Python object up, with or without the GIL."""
    token = PyGILState_Ensure()
    Py_DecRef(obj)
    PyGILState_Release(token)
    return 0


@native
def sm_host_poll(ctx: ptr) -> i32:
    """Handle signals, and let other threads have the GIL if the call has kept it."""
    take_gil(ctx)
    clear_flag(ctx)
    status = PyErr_CheckSignals()
    if status != 0:
        take_exception(ctx)
        status = 1
    release_gil(ctx)
    return status


@native
def sm_host_python_call(
    ctx: ptr, function: ptr, n: i64, descriptors: ptr, slots: ptr, result_type: ptr, result: ptr
) -> i32:
    """Call a Python function on native values; lists that it changes are changed natively too."""
    take_gil(ctx)
    frame = load(ptr, ctx, CTX_CALL)
    answer = ptr(0)
    if write_back(frame) and publish_tensors(frame):
        record = load(ptr, frame, FRAME_RECORD)
        outer = load(ptr, record, REC_OUTER_TURN)
        turn = load(ptr, record, REC_TURN)
        depth = give_whole_turn(turn)
        outer_depth = give_whole_turn(outer)
        answer = _call(frame, function, n, descriptors, slots)
        take_whole_turn(outer, outer_depth)
        take_whole_turn(turn, depth)
        if take_over(frame, answer != 0) == 0:
            Py_DecRef(answer)
            answer = ptr(0)
    if answer != 0 and _unbox_answer(frame, answer, result_type, result) == 0:
        Py_DecRef(answer)
        answer = ptr(0)
    return finish(ctx, answer, True)


@native
def take_over(frame: ptr, succeeded: bool) -> i64:
    """What Python has made of containers and modules; 0 on failure.

    The first exception stays: that of the call itself, or of a container that does not fit.
    """
    raised = stack(32)
    if not succeeded:
        PyErr_Fetch(raised, raised + 8, raised + 16)
    done = read_back(frame)
    misfit = succeeded and done == 0
    if misfit:
        PyErr_Fetch(raised, raised + 8, raised + 16)
    call = PyLong_FromVoidPtr(frame)
    taken = PyObject_CallFunctionObjArgs(state(STATE_TAKE_BACK), call, ptr(0))
    Py_DecRef(call)
    if taken == 0:
        done = 0
    Py_DecRef(taken)
    refresh_tensors(frame)
    if not succeeded or misfit:
        PyErr_Clear()
        PyErr_Restore(load(ptr, raised), load(ptr, raised, 8), load(ptr, raised, 16))
    return done


@native
def _unbox_answer(frame: ptr, answer: ptr, result_type: ptr, result: ptr) -> i64:
    plan = plan_of(result_type)
    if plan == 0:
        return 0
    fits = unbox_whole(frame, answer, plan, result)
    if fits == MISFIT:
        _refuse(answer, result_type)
    return i64(fits == FITS)


@native
def _call(frame: ptr, function: ptr, n: i64, descriptors: ptr, slots: ptr) -> ptr:
    arguments = PyTuple_New(n)
    if arguments == 0:
        return arguments
    for i in range(n):
        plan = plan_of(load(ptr, descriptors, i * 8))
        value = ptr(0)
        if plan != 0:
            value = box_whole(frame, load(ptr, slots, i * 8), plan)
        if value == 0:
            Py_DecRef(arguments)
            return value
        PyTuple_SetItem(arguments, i, value)
    answer = PyObject_Call(function, arguments, ptr(0))
    Py_DecRef(arguments)
    return answer


@native(noinline=True)
def _refuse(value: ptr, descriptor: ptr) -> None:
    """Raise TypeError: a Python function gave a value of another type."""
    wanted = PyLong_FromVoidPtr(descriptor)
    Py_DecRef(PyObject_CallFunctionObjArgs(state(STATE_MISFIT), value, wanted, ptr(0)))
    Py_DecRef(wanted)


@native(noinline=True)
def read_back(frame: ptr) -> i64:
    """Bring native containers up to date with the Python objects they belong to; 0 on failure."""
    for i in range(load(i64, frame, FRAME_MEMO_N)):
        if read_back_row(frame, i) == 0:
            return 0
    return i64(fill_unboxed(frame) == FITS)


@native
def read_back_row(frame: ptr, number: i64) -> i64:
    """``read_back`` of one row of the memo."""
    kind = load(i64, load(ptr, memo_row(frame, number), MEMO_PLAN), PLAN_KIND)
    if kind == IN_LIST:
        return _read_back_list(frame, number)
    if kind == IN_DICT:
        return _read_back_dict(frame, number)
    if kind == IN_OBJECT:
        return _read_back_object(frame, number)
    if kind == IN_SET:
        return _read_back_set(frame, number)
    if kind == IN_DEQUE:
        return _read_back_deque(frame, number)
    return 1


@native
def _read_back_list(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    obj = load(ptr, row, MEMO_OBJECT)
    plan = load(ptr, row, MEMO_PLAN)
    value = load(ptr, row, MEMO_NATIVE)
    place = stack(16)
    store(ptr, place, 8, ptr(0))
    fits = unbox_items(frame, load(ptr, obj, LIST_ITEMS), load(i64, obj, OB_SIZE), plan, place)
    if fits != FITS:
        if fits == MISFIT:
            _refuse(obj, load(ptr, plan, PLAN_DESCRIPTOR))
        return 0
    _swap(value, load(ptr, place), LIST_LENGTH, LIST_DATA + 8)
    data = load(ptr, value, LIST_DATA)
    descriptor = load(ptr, plan, PLAN_DESCRIPTOR)
    if sm_list_from(frame, descriptor, data, load(i64, value, LIST_LENGTH), place + 8):
        PyErr_NoMemory()
        return 0
    new_snapshot(frame, number, load(ptr, place, 8))
    return 1


@native
def _read_back_object(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    obj = load(ptr, row, MEMO_OBJECT)
    plan = load(ptr, row, MEMO_PLAN)
    value = load(ptr, row, MEMO_NATIVE)
    descriptor = load(ptr, plan, PLAN_DESCRIPTOR)
    fresh = new_object(descriptor)
    if fresh == 0:
        PyErr_NoMemory()
        return 0
    fits = unbox_attributes(frame, obj, plan, fresh)
    if fits != FITS:
        sm_release(fresh)
        if fits == MISFIT:
            _refuse(obj, descriptor)
        return 0
    _swap(value, fresh, HEAP_PAYLOAD, load(i64, descriptor, DESC_OBJECT_SIZE))
    return remember_object(frame, number, value)


@native
def _read_back_dict(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    plan = load(ptr, row, MEMO_PLAN)
    value = load(ptr, row, MEMO_NATIVE)
    place = stack(16)
    store(ptr, place, 8, ptr(0))
    fits = new_dict(frame, load(ptr, row, MEMO_OBJECT), plan, place)
    if fits != FITS:
        if fits == MISFIT:
            obj = load(ptr, memo_row(frame, number), MEMO_OBJECT)
            _refuse(obj, load(ptr, plan, PLAN_DESCRIPTOR))
        return 0
    if _has_same_keys(frame, value, load(ptr, place)):
        _exchange_values(value, load(ptr, place), plan)
        sm_release(load(ptr, place))
    else:
        version = load(i64, value, DICT_VERSION)
        _swap(value, load(ptr, place), DICT_LENGTH, DICT_SIZE)
        store(i64, value, DICT_VERSION, version + 1)
    if sm_dict_copy(frame, value, place + 8):
        PyErr_NoMemory()
        return 0
    new_snapshot(frame, number, load(ptr, place, 8))
    return 1


@native
def _has_same_keys(frame: ptr, value: ptr, fresh: ptr) -> bool:
    """Whether two dicts have equal keys in one order."""
    if load(i64, value, DICT_LENGTH) != load(i64, fresh, DICT_LENGTH):
        return False
    same = stack(8)
    store(i8, same, 0, 1)
    return same_order(frame, value, fresh, same) == 0 and load(i8, same) != 0


@native
def _exchange_values(value: ptr, fresh: ptr, plan: ptr) -> None:
    """Exchange the values of two dicts with the same keys; the entries of the first stay in place.

    An iterator over it knows its place by the number of an entry.
    """
    size = entry_size(load(ptr, plan, PLAN_DESCRIPTOR))
    begin = entry_value_offset(load(ptr, plan_child(plan, 0), PLAN_DESCRIPTOR))
    entry = load(ptr, value, DICT_ENTRIES)
    other = load(ptr, fresh, DICT_ENTRIES)
    for _ in range(load(i64, value, DICT_USED)):
        if load(i64, entry, ENTRY_HASH) != ENTRY_ERASED:
            _swap_words(entry, other, begin, size)
            other = other + size
        entry = entry + size


@native
def _read_back_set(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    value = load(ptr, row, MEMO_NATIVE)
    place = stack(8)
    fits = new_set(frame, load(ptr, row, MEMO_OBJECT), load(ptr, row, MEMO_PLAN), place)
    if fits != FITS:
        return _misfit_of(frame, number, fits)
    _swap(value, load(ptr, place), SET_USED, SET_SIZE)
    snapshot = set_clone(value)
    if snapshot == 0:
        PyErr_NoMemory()
        return 0
    new_snapshot(frame, number, snapshot)
    return 1


@native
def _read_back_deque(frame: ptr, number: i64) -> i64:
    row = memo_row(frame, number)
    value = load(ptr, row, MEMO_NATIVE)
    place = stack(8)
    fits = new_deque(frame, load(ptr, row, MEMO_OBJECT), load(ptr, row, MEMO_PLAN), place)
    if fits != FITS:
        return _misfit_of(frame, number, fits)
    version = load(i64, value, DEQUE_VERSION)
    obj = load(ptr, memo_row(frame, number), MEMO_OBJECT)
    if load(i64, obj, PYDEQUE_STATE) != load(i64, memo_row(frame, number), MEMO_CHANGES):
        version += 1
    _swap(value, load(ptr, place), LIST_LENGTH, DEQUE_SIZE)
    store(i64, value, DEQUE_VERSION, version)
    if sm_deque_copy(frame, value, place):
        PyErr_NoMemory()
        return 0
    new_snapshot(frame, number, load(ptr, place))
    return 1


@native
def _misfit_of(frame: ptr, number: i64, fits: i64) -> i64:
    """Raise what unboxing a container again has found."""
    if fits == MISFIT:
        row = memo_row(frame, number)
        plan = load(ptr, row, MEMO_PLAN)
        _refuse(load(ptr, row, MEMO_OBJECT), load(ptr, plan, PLAN_DESCRIPTOR))
    return 0


@native
def _swap(value: ptr, fresh: ptr, start: i64, stop: i64) -> None:
    """Exchange the contents of two containers and release the second."""
    _swap_words(value, fresh, start, stop)
    sm_release(fresh)


@native
def _swap_words(a: ptr, b: ptr, start: i64, stop: i64) -> None:
    for i in range((stop - start) >> 3):
        offset = start + i * 8
        word = load(i64, a, offset)
        store(i64, a, offset, load(i64, b, offset))
        store(i64, b, offset, word)


@native
def new_snapshot(frame: ptr, number: i64, snapshot: ptr) -> None:
    """Replace the snapshot of a row."""
    # the memo may have grown since the row was found
    row = memo_row(frame, number)
    sm_release(load(ptr, row, MEMO_SNAPSHOT))
    store(ptr, row, MEMO_SNAPSHOT, snapshot)


# ---- the Python side ----


def write_text(text: str) -> None:
    """What ``print`` does with its text."""
    if sys.stdout is not None:
        sys.stdout.write(text)


def issue_warning(
    owner: Any, category: type[Warning], message: str, location: int, stacklevel: int
) -> None:
    """``warnings.warn`` as if called at the place of the user's source."""
    chain = list(owner.locations[location].chain)
    if stacklevel > len(chain):
        _warn_above(category, message, stacklevel - len(chain))
        return
    span = chain[max(stacklevel, 1) - 1]
    names = _globals_of(span.file)
    registry = owner.warnings if names is None else names.setdefault("__warningregistry__", {})
    name = Path(span.file).stem if names is None else names.get("__name__")
    warnings.warn_explicit(message, category, span.file, span.line, name, registry)


def _warn_above(category: type[Warning], message: str, level: int) -> None:
    """A warning at the place ``level`` frames above the compiled function."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and level > 0:
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            level -= 1
        if level:
            frame = frame.f_back
    if frame is None:
        warnings.warn_explicit(message, category, "sys", 1)
        return
    names = frame.f_globals
    registry = names.setdefault("__warningregistry__", {})
    file, module = frame.f_code.co_filename, names.get("__name__")
    warnings.warn_explicit(message, category, file, frame.f_lineno, module, registry)


def issue_op_warning(
    owner: Any,
    kind: int,
    text: str,
    file: str | None,
    line: int,
    is_verbatim: int,
    location: int,
) -> None:
    """A warning of libtorch, as torch's Python bindings issue it, at a place of the user's source.

    ``file`` and ``line`` are those of the C++ source; without a ``location`` the place is the call.
    """
    category = DeprecationWarning if kind else UserWarning
    if file is not None and is_verbatim:
        warnings.warn_explicit(text, category, file, line)
        return
    if file is not None:
        text = f"{text} (Triggered internally at {file}:{line}.)"
    issue_warning(owner, category, text, location, 1 if location >= 0 else 2)


def _globals_of(file: str) -> dict[str, Any] | None:
    """The names of the module in a file; read without running any module's ``__getattr__``."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            names = ModuleType.__getattribute__(module, "__dict__")
            if names.get("__file__") == file:
                return names  # type: ignore[no-any-return]
    return None
