"""Warnings that libtorch issues inside a call.

During a call the thread's handler is the call's own: it notes warnings in the context, since the op
that warns may hold a lock.  When the op is done, code that sees the note calls the host table's
``op_warnings``, which issues them at the place of the op and may raise, as eager mode does.
"""

from __future__ import annotations

from scriptmode.abi import cxxwarnings
from scriptmode.abi.convention import ctx_offset
from scriptmode.codegen.native import (
    cell,
    extern,
    i8,
    i32,
    i64,
    load,
    memcpy,
    native,
    ptr,
    store,
    utf8,
)
from scriptmode.runtime.frame import (
    FRAME_HANDLER,
    FRAME_RECORD,
    HANDLER_BEFORE,
    HANDLER_CTX,
    HANDLER_TABLE,
    REC_OWNER,
    STATE_OP_WARNING,
    WARNING_FILE,
    WARNING_KIND,
    WARNING_LENGTH,
    WARNING_LINE,
    WARNING_NEXT,
    WARNING_TEXT,
    WARNING_VERBATIM,
)
from scriptmode.runtime.gil import take_gil
from scriptmode.runtime.host import finish
from scriptmode.runtime.pyapi import (
    NONE,
    OB_TYPE,
    Py_DecRef,
    Py_IncRef,
    PyErr_Print,
    PyErr_SetObject,
    PyLong_FromLongLong,
    PyObject_CallFunctionObjArgs,
    PyUnicode_DecodeFSDefault,
    PyUnicode_DecodeUTF8,
    free,
    malloc,
    state,
)

CTX_ERROR_KIND = ctx_offset("error_kind")
CTX_ERROR_TYPE = ctx_offset("error_type")
CTX_ERROR_VALUE = ctx_offset("error_value")
CTX_CALL = ctx_offset("call")
CTX_OP_WARNINGS = ctx_offset("op_warnings")
CTX_TRACE_DATA = ctx_offset("trace_data")
CTX_TRACE_LENGTH = ctx_offset("trace_length")
TABLE_FUNCTIONS = cxxwarnings.TABLE_FUNCTIONS
TABLE_SIZE = 8 * cxxwarnings.TABLE_WORDS
STRING_DATA = cxxwarnings.STRING_DATA
STRING_LENGTH = cxxwarnings.STRING_LENGTH
LOCATION_FILE = cxxwarnings.LOCATION_FILE
LOCATION_LINE = cxxwarnings.LOCATION_LINE
NO_LOCATION = -1

sm_warning_table = cell("sm_warning_table", TABLE_SIZE)
get_handler = extern(cxxwarnings.GET_HANDLER, ptr)
set_handler = extern(cxxwarnings.SET_HANDLER, None, ptr)
warning_type = extern(cxxwarnings.TYPE, i32, ptr)
warning_message = extern(cxxwarnings.MESSAGE, ptr, ptr)
warning_place = extern(cxxwarnings.SOURCE_LOCATION, ptr, ptr)
warning_verbatim = extern(cxxwarnings.VERBATIM, i8, ptr)


@native
def watch_warnings(frame: ptr) -> None:
    """The call begins: libtorch's warnings of this thread are its own."""
    handler = frame + FRAME_HANDLER
    store(ptr, handler, HANDLER_TABLE, sm_warning_table + TABLE_FUNCTIONS)
    store(ptr, handler, HANDLER_CTX, frame)
    store(ptr, handler, HANDLER_BEFORE, get_handler())
    set_handler(handler)


@native
def unwatch_warnings(frame: ptr) -> None:
    """The call has ended."""
    set_handler(load(ptr, frame + FRAME_HANDLER, HANDLER_BEFORE))


@native
def sm_note_warning(handler: ptr, warning: ptr) -> None:
    """``process(Warning const&)``: append a copy to the notes of the call."""
    message = warning_message(warning)
    length = load(i64, message, STRING_LENGTH)
    noted = malloc(WARNING_TEXT + length)
    if noted == 0:
        return
    place = warning_place(warning)
    store(ptr, noted, WARNING_NEXT, ptr(0))
    store(i64, noted, WARNING_KIND, (i64(warning_type(warning)) >> 8) & 1)
    store(ptr, noted, WARNING_FILE, load(ptr, place, LOCATION_FILE))
    store(i64, noted, WARNING_LINE, i64(load(i32, place, LOCATION_LINE)))
    store(i64, noted, WARNING_VERBATIM, i64(warning_verbatim(warning)) & 1)
    store(i64, noted, WARNING_LENGTH, length)
    memcpy(noted + WARNING_TEXT, load(ptr, message, STRING_DATA), length)
    last = load(ptr, handler, HANDLER_CTX) + CTX_OP_WARNINGS
    while load(ptr, last) != 0:
        last = load(ptr, last) + WARNING_NEXT
    store(ptr, last, 0, noted)


@native
def sm_host_op_warnings(ctx: ptr, location: i64) -> i32:
    """Issue the noted warnings as those of the op at a place; an error if one is an error."""
    was_without = take_gil(ctx)
    result = ptr(NONE)
    Py_IncRef(result)
    while load(ptr, ctx, CTX_OP_WARNINGS) != 0:
        noted = load(ptr, ctx, CTX_OP_WARNINGS)
        store(ptr, ctx, CTX_OP_WARNINGS, load(ptr, noted, WARNING_NEXT))
        # after the first error the others are dropped
        if result != 0:
            Py_DecRef(result)
            result = _issue(ctx, noted, location)
        free(noted)
    return finish(ctx, result, was_without)


@native
def _issue(ctx: ptr, noted: ptr, location: i64) -> ptr:
    file = load(ptr, noted, WARNING_FILE)
    source = ptr(NONE)
    if file != 0:
        source = PyUnicode_DecodeFSDefault(file)
    else:
        Py_IncRef(source)
    message = PyUnicode_DecodeUTF8(
        noted + WARNING_TEXT, load(i64, noted, WARNING_LENGTH), utf8("replace")
    )
    kind = PyLong_FromLongLong(load(i64, noted, WARNING_KIND))
    line = PyLong_FromLongLong(load(i64, noted, WARNING_LINE))
    verbatim = PyLong_FromLongLong(load(i64, noted, WARNING_VERBATIM))
    where = PyLong_FromLongLong(location)
    result = ptr(0)
    if source != 0 and message != 0 and kind != 0 and line != 0 and verbatim != 0 and where != 0:
        owner = load(ptr, load(ptr, load(ptr, ctx, CTX_CALL), FRAME_RECORD), REC_OWNER)
        result = PyObject_CallFunctionObjArgs(
            state(STATE_OP_WARNING), owner, kind, message, source, line, verbatim, where, ptr(0)
        )
    Py_DecRef(source)
    Py_DecRef(message)
    Py_DecRef(kind)
    Py_DecRef(line)
    Py_DecRef(verbatim)
    Py_DecRef(where)
    return result


@native(noinline=True)
def late_warnings(ctx: ptr, status: i32) -> i32:
    """Issue what is left at the end of a call; the new status.

    After an error that is the op that failed: its warnings cannot raise any more, but are printed.
    """
    if status == 0:
        return sm_host_op_warnings(ctx, NO_LOCATION)
    kind = load(i64, ctx, CTX_ERROR_KIND)
    type_ = load(ptr, ctx, CTX_ERROR_TYPE)
    value = load(ptr, ctx, CTX_ERROR_VALUE)
    location: i64 = NO_LOCATION
    if load(i64, ctx, CTX_TRACE_LENGTH) > 0:
        location = load(i64, load(ptr, ctx, CTX_TRACE_DATA))
    if sm_host_op_warnings(ctx, location) != 0:
        raised = load(ptr, ctx, CTX_ERROR_VALUE)
        PyErr_SetObject(load(ptr, raised, OB_TYPE), raised)
        Py_DecRef(raised)
        PyErr_Print()
    store(i64, ctx, CTX_ERROR_KIND, kind)
    store(ptr, ctx, CTX_ERROR_TYPE, type_)
    store(ptr, ctx, CTX_ERROR_VALUE, value)
    return status
