"""The native entry: what runs when Python calls a compiled function.

``sm_entry`` is the C function behind every builtin that ``boundary.make_entry`` returns; its self
object is the ctypes structure of the entry's record.  In order::

    bind keywords and defaults -> thread state unusual? -> unbox arguments -> read module tensors
    -> run (GIL) -> write changed containers and attributes back -> box the result or raise

Whatever does not fit goes to the record's ``slow(args, kwargs)``, counted by reason.
"""

from __future__ import annotations

from scriptmode.abi.convention import CTX_SIZE, ctx_offset
from scriptmode.abi.instances import TABLE_DIRTY, TABLE_ENTRY_SIZE
from scriptmode.codegen.native import call as native_call
from scriptmode.codegen.native import (
    i8,
    i32,
    i64,
    likely,
    load,
    memset,
    native,
    ptr,
    stack,
    store,
    unlikely,
)
from scriptmode.runtime.boxing import box_moved, write_back
from scriptmode.runtime.captured import captured_changed
from scriptmode.runtime.frame import (
    FAILED,
    FILL_DICT,
    FILL_INDEX,
    FILL_NAME,
    FILL_NULLABLE,
    FILL_SIZE,
    FITS,
    FRAME_FUNCTION,
    FRAME_MEMO_CAPACITY,
    FRAME_OBJECTS,
    FRAME_REASON,
    FRAME_RECORD,
    FRAME_SIZE,
    FRAME_TRACE,
    GUARD_DICT,
    GUARD_EXPECTED,
    GUARD_NAME,
    GUARD_SIZE,
    IN_TENSOR,
    MISFIT,
    PLAN_DESCRIPTOR,
    PLAN_KIND,
    PLAN_SIZE,
    REASON_ARITY,
    REASON_CAPTURED,
    REASON_DISPATCH_MODE,
    REASON_FUNCTION_MODE,
    REASON_FUNCTORCH,
    REASON_MODULE,
    REASON_SUBCLASS,
    REC_AREA_SIZE,
    REC_CAPTURED,
    REC_COUNTDOWN,
    REC_DEFAULTS,
    REC_FILL,
    REC_FUNCTION,
    REC_GUARDED,
    REC_GUARDS,
    REC_MIRRORED,
    REC_MIRRORS,
    REC_N_FILL,
    REC_N_GUARDS,
    REC_N_PARAMS,
    REC_N_POSITIONAL,
    REC_NAMES,
    REC_OBSERVE,
    REC_OFFSETS,
    REC_OUTER_TURN,
    REC_OWNER,
    REC_PLANS,
    REC_REASON_COUNTS,
    REC_RESULT_PLAN,
    REC_SELF,
    REC_SLOW,
    REC_TABLE_SIZE,
    REC_TRAMPOLINE,
    REC_TURN,
    STATE_DUAL_NAME,
    STATE_DUAL_NONE,
    STATE_DUAL_PLACE,
    STATE_ERROR,
    STATE_HOST,
)
from scriptmode.runtime.gil import enter_run, leave_run
from scriptmode.runtime.kept import enter_state, keep_state
from scriptmode.runtime.memo import memo_close
from scriptmode.runtime.pending import take_pending
from scriptmode.runtime.published import assign_tensor
from scriptmode.runtime.pyapi import (
    CDATA_POINTER,
    NONE,
    OB_SIZE,
    OB_TYPE,
    THP_TENSOR,
    TUPLE_ITEMS,
    Py_DecRef,
    Py_IncRef,
    PyDict_GetItemWithError,
    PyDict_New,
    PyDict_SetItem,
    PyErr_Clear,
    PyErr_NoMemory,
    PyErr_Occurred,
    PyErr_SetObject,
    PyLong_FromVoidPtr,
    PyObject_CallFunctionObjArgs,
    PyTuple_New,
    PyTuple_SetItem,
    PyUnicode_Compare,
    any_dispatch_mode,
    free,
    function_modes,
    functorch_stack,
    malloc,
    sm_enter,
    sm_leave,
    sm_slot_drop,
    sm_tasks_join,
    sm_tensor_release,
    state,
    tensor_release_wrapped,
    tensor_retain_wrapped,
)
from scriptmode.runtime.turns import sm_turn_give, sm_turn_take
from scriptmode.runtime.unboxing import fill_unboxed, unbox
from scriptmode.runtime.unboxing_parts import is_plain_tensor
from scriptmode.runtime.warned import late_warnings, unwatch_warnings, watch_warnings

CTX_TRACE_DATA = ctx_offset("trace_data")
CTX_OP_WARNINGS = ctx_offset("op_warnings")
CTX_HOST = ctx_offset("host")
CTX_TASKS = ctx_offset("tasks")
CTX_TENSORS = ctx_offset("tensors")
CTX_CALL = ctx_offset("call")
CTX_DUAL_LEVELS = ctx_offset("dual_levels")

MOST_PARAMS = 64  # parameters of a call with keywords; more go the slow way
AREA = 1024  # bytes for arguments on the C stack
FEW_TENSORS = 32  # module tensors on the C stack
TABLE_ROW = TABLE_ENTRY_SIZE + 8  # a table entry and the Python object


@native
def sm_entry(self: ptr, args: ptr, nargs: i64, kwnames: ptr) -> ptr:
    """``METH_FASTCALL | METH_KEYWORDS``; self is the record's ctypes structure."""
    record = load(ptr, self, CDATA_POINTER)
    values = args
    bound = stack(MOST_PARAMS * 8)
    most = load(i64, record, REC_N_POSITIONAL)
    if unlikely(nargs != load(i64, record, REC_N_PARAMS) or nargs > most or kwnames != 0):
        fits = bind(record, args, nargs, kwnames, bound)
        if fits == MISFIT:
            return slow(record, args, nargs, kwnames, REASON_ARITY)
        if fits == FAILED:
            return ptr(0)
        values = bound
    unusual = unusual_mode()
    if unlikely(unusual >= 0):
        return slow(record, args, nargs, kwnames, unusual)
    captured = load(ptr, record, REC_CAPTURED)
    if captured != 0 and captured_changed(captured) != 0:
        return slow(record, args, nargs, kwnames, REASON_CAPTURED)
    left = load(i64, record, REC_COUNTDOWN) - 1
    store(i64, record, REC_COUNTDOWN, left)
    if unlikely(left < 0) and observe(record, values) == 0:
        return ptr(0)
    frame = stack(FRAME_SIZE)
    memset(frame, i8(0), CTX_SIZE)
    memset(frame + FRAME_RECORD, i8(0), FRAME_SIZE - FRAME_RECORD)
    store(ptr, frame, FRAME_RECORD, record)
    # code that has guards is put in after the word that says so
    store(ptr, frame, FRAME_FUNCTION, load(ptr, record, REC_FUNCTION))
    if load(i64, record, REC_GUARDED) != 0:
        store(i64, frame, CTX_DUAL_LEVELS, has_dual_level())
    place = stack(8)
    store(ptr, place, 0, ptr(0))
    # the record must outlive the call even if the callable is dropped meanwhile
    Py_IncRef(self)
    outer = load(ptr, record, REC_OUTER_TURN)
    if outer != 0:
        sm_turn_take(outer)
    turn = load(ptr, record, REC_TURN)
    if turn != 0:
        sm_turn_take(turn)
    outcome = run(frame, record, values, place)
    if turn != 0:
        sm_turn_give(turn)
    if outer != 0:
        sm_turn_give(outer)
    if outcome == MISFIT:
        result = slow(record, args, nargs, kwnames, load(i64, frame, FRAME_REASON))
    else:
        result = load(ptr, place)
    Py_DecRef(self)
    return result


@native
def unusual_mode() -> i64:
    """The reason why native code may not run in this thread now, or -1."""
    if any_dispatch_mode(i8(0)) != 0:
        return REASON_DISPATCH_MODE
    if function_modes() != 0:
        return REASON_FUNCTION_MODE
    levels = functorch_stack()
    if load(ptr, levels) != load(ptr, levels, 8):
        return REASON_FUNCTORCH
    return -1


@native
def has_dual_level() -> i64:
    """Whether some thread differentiates in forward mode, which no guard sees of a tensor."""
    level = PyDict_GetItemWithError(state(STATE_DUAL_PLACE), state(STATE_DUAL_NAME))
    return 0 if level == state(STATE_DUAL_NONE) else 1


@native(noinline=True)
def observe(record: ptr, values: ptr) -> i64:
    """Show the arguments of a call to Python, which may compile for them; 0 when it has raised."""
    function = load(ptr, record, REC_OBSERVE)
    if function == 0:
        return 1
    n = load(i64, record, REC_N_PARAMS)
    given = PyTuple_New(n)
    if given == 0:
        return 0
    for i in range(n):
        value = load(ptr, values, i * 8)
        Py_IncRef(value)
        PyTuple_SetItem(given, i, value)
    result = PyObject_CallFunctionObjArgs(function, given, ptr(0))
    Py_DecRef(given)
    if result == 0:
        return 0
    Py_DecRef(result)
    return 1


# ---- arguments ----


@native(noinline=True)
def bind(record: ptr, args: ptr, nargs: i64, kwnames: ptr, bound: ptr) -> i64:
    """Place arguments by position and name, and defaults; borrowed references."""
    n = load(i64, record, REC_N_PARAMS)
    if n > MOST_PARAMS or nargs > load(i64, record, REC_N_POSITIONAL):
        return MISFIT
    for i in range(n):
        store(ptr, bound, i * 8, load(ptr, args, i * 8) if i < nargs else ptr(0))
    if kwnames != 0:
        for i in range(load(i64, kwnames, OB_SIZE)):
            index = _parameter(record, load(ptr, kwnames, TUPLE_ITEMS + i * 8))
            if index < 0 or load(ptr, bound, index * 8) != 0:
                return MISFIT
            store(ptr, bound, index * 8, load(ptr, args, (nargs + i) * 8))
    for i in range(n):
        if load(ptr, bound, i * 8) == 0:
            default = load(ptr, load(ptr, record, REC_DEFAULTS), i * 8)
            if default == 0:
                return MISFIT
            store(ptr, bound, i * 8, default)
    return FITS


@native
def _parameter(record: ptr, name: ptr) -> i64:
    """The number of the parameter called ``name``, or -1."""
    names = load(ptr, record, REC_NAMES)
    for i in range(load(i64, record, REC_N_PARAMS)):
        if load(ptr, names, i * 8) == name:
            return i
    for i in range(load(i64, record, REC_N_PARAMS)):
        if PyUnicode_Compare(load(ptr, names, i * 8), name) == 0:
            return i
    return -1


@native(noinline=True)
def slow(record: ptr, args: ptr, nargs: i64, kwnames: ptr, reason: i64) -> ptr:
    """Call ``slow(args, kwargs)``, counted."""
    counts = load(ptr, record, REC_REASON_COUNTS)
    store(i64, counts, reason * 8, load(i64, counts, reason * 8) + 1)
    positional = PyTuple_New(nargs)
    named = PyDict_New()
    if positional == 0 or named == 0:
        Py_DecRef(positional)
        Py_DecRef(named)
        return ptr(0)
    for i in range(nargs):
        value = load(ptr, args, i * 8)
        Py_IncRef(value)
        PyTuple_SetItem(positional, i, value)
    status: i32 = 0
    if kwnames != 0:
        for i in range(load(i64, kwnames, OB_SIZE)):
            name = load(ptr, kwnames, TUPLE_ITEMS + i * 8)
            status = status | PyDict_SetItem(named, name, load(ptr, args, (nargs + i) * 8))
    result = ptr(0)
    if status == 0:
        function = load(ptr, record, REC_SLOW)
        result = PyObject_CallFunctionObjArgs(function, positional, named, ptr(0))
    Py_DecRef(positional)
    Py_DecRef(named)
    return result


@native
def unbox_arguments(frame: ptr, record: ptr, values: ptr, area: ptr) -> i64:
    """Fill the argument area; on failure nothing is owned."""
    plans = load(ptr, record, REC_PLANS)
    offsets = load(ptr, record, REC_OFFSETS)
    if load(ptr, record, REC_SELF) != 0:
        store(ptr, area, 0, load(ptr, record, REC_SELF))
    for i in range(load(i64, record, REC_N_PARAMS)):
        place = area + load(i64, offsets, i * 8)
        fits = unbox(frame, load(ptr, values, i * 8), load(ptr, plans, i * 8), place)
        if unlikely(fits != FITS):
            drop_arguments(record, values, area, i)
            return fits
    return FITS


@native
def drop_arguments(record: ptr, values: ptr, area: ptr, n: i64) -> None:
    """Drop the first ``n`` arguments."""
    plans = load(ptr, record, REC_PLANS)
    offsets = load(ptr, record, REC_OFFSETS)
    for i in range(n):
        plan = load(ptr, plans, i * 8)
        place = area + load(i64, offsets, i * 8)
        if likely(load(i64, plan, PLAN_KIND) == IN_TENSOR):
            tensor_release_wrapped(load(ptr, place), load(ptr, values, i * 8))
        else:
            sm_slot_drop(place, load(ptr, plan, PLAN_DESCRIPTOR))


# ---- module tensors ----


@native
def fill_table(frame: ptr, record: ptr, table: ptr) -> i64:
    """Read the module tensors that the program uses, owning them."""
    guards = load(ptr, record, REC_GUARDS)
    for i in range(load(i64, record, REC_N_GUARDS)):
        guard = guards + i * GUARD_SIZE
        found = PyDict_GetItemWithError(load(ptr, guard, GUARD_DICT), load(ptr, guard, GUARD_NAME))
        if found != load(ptr, guard, GUARD_EXPECTED):
            return refuse_module(frame, REASON_MODULE)
    objects = load(ptr, frame, FRAME_OBJECTS)
    rows = load(ptr, record, REC_FILL)
    for i in range(load(i64, record, REC_N_FILL)):
        row = rows + i * FILL_SIZE
        entry = table + load(i64, row, FILL_INDEX) * TABLE_ENTRY_SIZE
        found = PyDict_GetItemWithError(load(ptr, row, FILL_DICT), load(ptr, row, FILL_NAME))
        impl = ptr(0)
        reason: i64 = -1
        if likely(found != 0 and is_plain_tensor(found)):
            impl = load(ptr, found, THP_TENSOR)
            tensor_retain_wrapped(impl, found)
        elif found == NONE:
            if load(i64, row, FILL_NULLABLE) != 1:
                reason = REASON_MODULE
        elif found == 0 and load(i64, row, FILL_NULLABLE) == 2:
            PyErr_Clear()
        else:
            reason = REASON_MODULE if found == 0 else REASON_SUBCLASS
        if unlikely(reason >= 0):
            release_table(frame, record, table, i)
            return refuse_module(frame, reason)
        store(ptr, entry, 0, impl)
        store(i64, entry, TABLE_DIRTY, 0)
        store(ptr, objects, i * 8, found)
    return FITS


@native(noinline=True)
def refuse_module(frame: ptr, reason: i64) -> i64:
    """The module is not as it was compiled."""
    PyErr_Clear()
    store(i64, frame, FRAME_REASON, reason)
    return MISFIT


@native
def release_table(frame: ptr, record: ptr, table: ptr, n: i64) -> None:
    """Give up the first ``n`` entries that the program did not assign."""
    objects = load(ptr, frame, FRAME_OBJECTS)
    rows = load(ptr, record, REC_FILL)
    for i in range(n):
        entry = table + load(i64, rows + i * FILL_SIZE, FILL_INDEX) * TABLE_ENTRY_SIZE
        impl = load(ptr, entry)
        if impl != 0 and load(i64, entry, TABLE_DIRTY) == 0:
            tensor_release_wrapped(impl, load(ptr, objects, i * 8))


@native(noinline=True)
def assign_attributes(record: ptr, table: ptr) -> i64:
    """Write assigned tensors back to their modules, giving them up; 0 on failure."""
    done = 1
    rows = load(ptr, record, REC_FILL)
    for i in range(load(i64, record, REC_N_FILL)):
        row = rows + i * FILL_SIZE
        entry = table + load(i64, row, FILL_INDEX) * TABLE_ENTRY_SIZE
        if load(i64, entry, TABLE_DIRTY):
            if done:
                done = assign_tensor(row, entry)
            if load(ptr, entry) != 0:
                sm_tensor_release(load(ptr, entry))
    return done


# ---- the run ----


@native
def run(frame: ptr, record: ptr, values: ptr, place: ptr) -> i64:
    """Unbox, run, write back; the result object (null with an exception) goes to ``place``."""
    near = stack(AREA)
    area = near
    size = load(i64, record, REC_AREA_SIZE)
    if unlikely(size > AREA):
        area = malloc(size)
        if area == 0:
            PyErr_NoMemory()
            return FAILED
    sm_enter()
    is_keeping = load(ptr, record, REC_MIRRORS) != 0
    fits = FITS
    if is_keeping and load(i64, load(ptr, record, REC_MIRRORED)) > 0:
        fits = enter_state(frame, record)
    if likely(fits == FITS):
        fits = unbox_arguments(frame, record, values, area)
    if fits == FITS and load(i64, frame, FRAME_MEMO_CAPACITY) != 0:
        fits = fill_unboxed(frame)
        if fits != FITS:
            drop_arguments(record, values, area, load(i64, record, REC_N_PARAMS))
    if likely(fits == FITS):
        fits = run_with_tensors(frame, record, area, place)
        drop_arguments(record, values, area, load(i64, record, REC_N_PARAMS))
    if load(i64, frame, FRAME_MEMO_CAPACITY) != 0:
        if is_keeping and fits == FITS:
            keep_state(frame, record)
        memo_close(frame)
    sm_leave()
    if unlikely(size > AREA):
        free(area)
    return fits


@native
def run_with_tensors(frame: ptr, record: ptr, area: ptr, place: ptr) -> i64:
    """``run`` around the module tensors."""
    n = load(i64, record, REC_N_FILL)
    if n == 0:
        return run_program(frame, record, area, place)
    near = stack(FEW_TENSORS * TABLE_ROW)
    table = near
    size = load(i64, record, REC_TABLE_SIZE)
    if size > FEW_TENSORS:
        table = malloc(size * TABLE_ROW)
        if table == 0:
            PyErr_NoMemory()
            return FAILED
    store(ptr, frame, CTX_TENSORS, table)
    store(ptr, frame, FRAME_OBJECTS, table + size * TABLE_ENTRY_SIZE)
    fits = fill_table(frame, record, table)
    if likely(fits == FITS):
        fits = run_program(frame, record, area, place)
    if size > FEW_TENSORS:
        free(table)
    return fits


@native
def run_program(frame: ptr, record: ptr, area: ptr, place: ptr) -> i64:
    """Run on a filled area and table, and deliver the outcome."""
    store(ptr, frame, CTX_TRACE_DATA, frame + FRAME_TRACE)
    store(ptr, frame, CTX_HOST, state(STATE_HOST))
    store(ptr, frame, CTX_CALL, frame)
    plan = load(ptr, record, REC_RESULT_PLAN)
    near = stack(256)
    result = near
    size = load(i64, plan, PLAN_SIZE)
    if unlikely(size > 256):
        result = malloc(size)
        if result == 0:
            PyErr_NoMemory()
            return FAILED
    enter_run(frame)
    watch_warnings(frame)
    status = native_call(
        i32,
        load(ptr, record, REC_TRAMPOLINE),
        frame,
        load(ptr, frame, FRAME_FUNCTION),
        area,
        result,
    )
    unwatch_warnings(frame)
    if unlikely(load(ptr, frame, CTX_TASKS) != 0):
        sm_tasks_join(frame)
    leave_run(frame)
    if unlikely(status != 0):
        take_pending(frame)
    if unlikely(load(ptr, frame, CTX_OP_WARNINGS) != 0):
        before = status
        status = late_warnings(frame, before)
        if before == 0 and status != 0:
            sm_slot_drop(result, load(ptr, plan, PLAN_DESCRIPTOR))
    done = bring_back(frame, record)
    if unlikely(status != 0):
        raise_error(frame, record, done)
    elif likely(done != 0):
        store(ptr, place, 0, box_moved(frame, result, plan))
    else:
        sm_slot_drop(result, load(ptr, plan, PLAN_DESCRIPTOR))
    if unlikely(size > 256):
        free(result)
    return FITS


@native
def bring_back(frame: ptr, record: ptr) -> i64:
    """Changed containers and assigned attributes go back to Python; 0 on failure."""
    done = 1
    if load(i64, frame, FRAME_MEMO_CAPACITY) != 0:
        done = write_back(frame)
    n = load(i64, record, REC_N_FILL)
    if n != 0:
        table = load(ptr, frame, CTX_TENSORS)
        release_table(frame, record, table, n)
        if assign_attributes(record, table) == 0:
            done = 0
    return done


@native(noinline=True)
def raise_error(frame: ptr, record: ptr, done: i64) -> None:
    """Raise the error in the context, unless writing back has raised already."""
    if done == 0 and PyErr_Occurred() != 0:
        PyErr_Clear()
    place = PyLong_FromVoidPtr(frame)
    owner = load(ptr, record, REC_OWNER)
    error = PyObject_CallFunctionObjArgs(state(STATE_ERROR), owner, place, ptr(0))
    Py_DecRef(place)
    if error != 0:
        PyErr_SetObject(load(ptr, error, OB_TYPE), error)
        Py_DecRef(error)
