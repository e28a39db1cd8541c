"""The GIL and the clock around a run, and the limit of the C stack.

A call whose earlier calls took less than ``SHORT_CALL`` keeps the GIL; others release it.
"""

from __future__ import annotations

from scriptmode.abi.convention import ctx_offset
from scriptmode.codegen.native import (
    atomic_add,
    atomic_load,
    extern,
    i8,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    unlikely,
)
from scriptmode.runtime.frame import (
    FRAME_RECORD,
    FRAME_SEQUENCE,
    FRAME_START,
    FRAME_STOP,
    REC_CALLS,
    REC_KEEP_GIL,
    REC_SHORT_CALLS,
    REC_TIME,
    REC_TIMED,
    SHORT_CALL,
    STACK_ROWS,
    STATE_MAIN_THREAD,
    STATE_STACKS,
)
from scriptmode.runtime.interrupt import (
    TICK_ACTIVITY,
    TICK_GIL_FLAG,
    TICK_MAIN_CALLS,
    TICK_MAIN_FLAG,
    TICK_NO_FLAG,
    TICK_SEQUENCE,
    TICK_STATE,
    TICKING,
    pthread_attr_destroy,
    sm_ticker,
    wake_ticker,
)
from scriptmode.runtime.pyapi import (
    PyEval_RestoreThread,
    PyEval_SaveThread,
    PyThreadState_Get,
    PyThreadState_GetID,
    sm_python,
)

CTX_POLL_FLAG = ctx_offset("poll_flag")
CTX_STACK_LIMIT = ctx_offset("stack_limit")
CTX_THREAD_STATE = ctx_offset("thread_state")

clock_gettime = extern("clock_gettime", i32, i32, ptr)
pthread_self = extern("pthread_self", i64)
pthread_getattr_np = extern("pthread_getattr_np", i32, i64, ptr)
pthread_attr_getstack = extern("pthread_attr_getstack", i32, ptr, ptr, ptr)
CLOCK_MONOTONIC = 1
UNMEASURED = 15  # of 16 calls that keep the GIL, this many are not timed
LEAST_ROOM = 128 * 1024  # of the C stack that libtorch's own code gets
MOST_ROOM = 1024 * 1024


@native
def stack_limit(thread: i64) -> i64:
    """The lowest stack address that native code may use in a thread, by its state's id."""
    row = sm_python + STATE_STACKS + (thread & (STACK_ROWS - 1)) * 16
    if load(i64, row) == thread:
        return load(i64, row, 8)
    return _measure_stack(thread, row)


@native(noinline=True)
def _measure_stack(thread: i64, row: ptr) -> i64:
    attributes = stack(128)
    where = stack(16)
    limit = 0
    if pthread_getattr_np(pthread_self(), attributes) == 0:
        if pthread_attr_getstack(attributes, where, where + 8) == 0:
            room = load(i64, where, 8) >> 3
            room = LEAST_ROOM if room < LEAST_ROOM else room
            limit = load(i64, where) + (MOST_ROOM if room > MOST_ROOM else room)
        pthread_attr_destroy(attributes)
    store(i64, row, 0, thread)
    store(i64, row, 8, limit)
    return limit


@native
def enter_run(frame: ptr) -> None:
    """Before native code runs: poll flag, stack limit, clock, and the GIL released or kept."""
    record = load(ptr, frame, FRAME_RECORD)
    thread = PyThreadState_GetID(PyThreadState_Get())
    store(i64, frame, CTX_STACK_LIMIT, stack_limit(thread))
    keeps = load(i64, record, REC_KEEP_GIL) > 0
    flag = sm_ticker + TICK_NO_FLAG
    if pthread_self() == load(i64, sm_python, STATE_MAIN_THREAD):
        calls = sm_ticker + TICK_MAIN_CALLS
        store(i64, calls, 0, load(i64, calls) + 1)
        flag = sm_ticker + TICK_MAIN_FLAG
    elif keeps:
        flag = sm_ticker + TICK_GIL_FLAG
    store(ptr, frame, CTX_POLL_FLAG, flag)
    atomic_add(i64, sm_ticker + TICK_ACTIVITY, 1)
    if unlikely(atomic_load(i64, sm_ticker + TICK_STATE) != TICKING):
        wake_ticker()
    number = load(i64, record, REC_CALLS)
    store(i64, record, REC_CALLS, number + 1)
    store(i64, frame, FRAME_SEQUENCE, 0)
    if keeps:
        sequence = (load(i64, sm_ticker, TICK_SEQUENCE) + 2) | 1
        store(i64, sm_ticker, TICK_SEQUENCE, sequence)
        store(i64, frame, FRAME_SEQUENCE, sequence)
        if number & UNMEASURED:
            store(i64, frame, FRAME_START, 0)
        else:
            clock_gettime(i32(CLOCK_MONOTONIC), frame + FRAME_START)
        return
    clock_gettime(i32(CLOCK_MONOTONIC), frame + FRAME_START)
    store(ptr, frame, CTX_THREAD_STATE, PyEval_SaveThread())


@native
def leave_run(frame: ptr) -> None:
    """After native code has run: the GIL taken back, the clock read."""
    record = load(ptr, frame, FRAME_RECORD)
    if load(i64, frame, FRAME_START) != 0:
        clock_gettime(i32(CLOCK_MONOTONIC), frame + FRAME_STOP)
    if load(ptr, frame, CTX_THREAD_STATE) != 0:
        PyEval_RestoreThread(load(ptr, frame, CTX_THREAD_STATE))
        store(ptr, frame, CTX_THREAD_STATE, ptr(0))
    _end_keeping(frame)
    if load(ptr, frame, CTX_POLL_FLAG) == sm_ticker + TICK_MAIN_FLAG:
        calls = sm_ticker + TICK_MAIN_CALLS
        store(i64, calls, 0, load(i64, calls) - 1)
    if load(i64, frame, FRAME_START) != 0:
        _learn(frame, record)


@native
def _learn(frame: ptr, record: ptr) -> None:
    """Keep the GIL after four short calls in a row, release it after a long one."""
    seconds = load(i64, frame, FRAME_STOP) - load(i64, frame, FRAME_START)
    elapsed = load(i64, frame, FRAME_STOP + 8) - load(i64, frame, FRAME_START + 8)
    elapsed = seconds * 1000000000 + elapsed
    store(i64, record, REC_TIMED, load(i64, record, REC_TIMED) + 1)
    store(i64, record, REC_TIME, load(i64, record, REC_TIME) + elapsed)
    if load(i64, record, REC_KEEP_GIL) < 0:
        return
    if elapsed >= SHORT_CALL:
        store(i64, record, REC_SHORT_CALLS, 0)
        store(i64, record, REC_KEEP_GIL, 0)
        return
    short = load(i64, record, REC_SHORT_CALLS) + 1
    store(i64, record, REC_SHORT_CALLS, short)
    if short >= 4:
        store(i64, record, REC_KEEP_GIL, 1)


@native
def _end_keeping(frame: ptr) -> None:
    sequence = load(i64, frame, FRAME_SEQUENCE)
    if sequence != 0:
        store(i64, sm_ticker, TICK_SEQUENCE, sequence + 1)
        store(i64, frame, FRAME_SEQUENCE, 0)


@native
def release_gil(frame: ptr) -> None:
    """Let a call go on without the GIL that it had kept or has taken for a while."""
    _end_keeping(frame)
    store(ptr, frame, CTX_THREAD_STATE, PyEval_SaveThread())


@native
def take_gil(frame: ptr) -> bool:
    """Take the GIL inside a run; whether the call was without it."""
    thread = load(ptr, frame, CTX_THREAD_STATE)
    if thread == 0:
        return False
    PyEval_RestoreThread(thread)
    store(ptr, frame, CTX_THREAD_STATE, ptr(0))
    return True


@native
def clear_flag(frame: ptr) -> None:
    """The poll that the ticker asked for is done."""
    flag = load(ptr, frame, CTX_POLL_FLAG)
    if flag != sm_ticker + TICK_NO_FLAG:
        store(i8, flag, 0, i8(0))
