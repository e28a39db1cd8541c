"""Futures and the tasks behind them: made, run in one thread or another, waited for.

A task runs where it is first taken up: in the thread that makes it, in the one that waits for it,
or in a thread of libtorch's pool, whose start carries the maker's thread-local state over.  A
thread that needs a task which another one is running sleeps; none can wait for itself, as a task
knows only futures that were made before it.

``ctx.tasks`` lists the tasks of a call that were not run at once.  They end with the call: those
that nobody can ask any more are dropped, others are run or waited for.
"""

from __future__ import annotations

from scriptmode.abi.convention import CTX_SIZE, ERROR_CPP, ERROR_NONE, HOST_FIELDS, WORD, ctx_offset
from scriptmode.abi.objects import DESC_SIZE, ERROR_OBJECT, ERROR_SCRIPT
from scriptmode.abi.tasks import (
    DONE,
    DROPPED,
    FAILED,
    FUTURE_SIZE,
    FUTURE_TASK,
    IN_POOL,
    NOW,
    QUEUED,
    RUNNING,
    TASK_AREA,
    TASK_COUNT,
    TASK_ERROR,
    TASK_GRAD_MODE,
    TASK_IN_POOL,
    TASK_N,
    TASK_NEXT,
    TASK_OFFSETS,
    TASK_RESULT,
    TASK_RESULT_TYPE,
    TASK_RUN,
    TASK_STATE,
    TASK_TENSORS,
    TASK_TRACE,
    TASK_TYPES,
)
from scriptmode.codegen.native import (
    address_of,
    atomic_add,
    atomic_load,
    atomic_store,
    call,
    cell,
    compare_and_swap,
    extern,
    i8,
    i32,
    i64,
    load,
    memset,
    native,
    ptr,
    stack,
    store,
    text,
)
from scriptmode.runtime.native.cycles import sm_enter, sm_leave
from scriptmode.runtime.native.errors import RUNTIME_ERROR, raise_from, sm_raise_memory_error
from scriptmode.runtime.native.memory import (
    free,
    malloc,
    sm_object_new,
    sm_release,
    sm_retain,
    sm_slot_copy,
    sm_slot_drop,
)

CTX_ERROR_KIND = ctx_offset("error_kind")
CTX_TRACE_LENGTH = ctx_offset("trace_length")
CTX_TRACE_DATA = ctx_offset("trace_data")
CTX_POLL_FLAG = ctx_offset("poll_flag")
CTX_HOST = ctx_offset("host")
CTX_TENSORS = ctx_offset("tensors")
CTX_STACK_LIMIT = ctx_offset("stack_limit")
CTX_TASKS = ctx_offset("tasks")
HOST_POLL = WORD * HOST_FIELDS.index("poll")
ERROR_WORDS = 3  # kind, type, value

usleep = extern("usleep", i32, i32)
pthread_self = extern("pthread_self", i64)
pthread_getattr_np = extern("pthread_getattr_np", i32, i64, ptr)
pthread_attr_getstack = extern("pthread_attr_getstack", i32, ptr, ptr, ptr)
pthread_attr_destroy = extern("pthread_attr_destroy", i32, ptr)
grad_mode = extern("aoti_torch_grad_mode_is_enabled", i8)
set_grad_mode = extern("aoti_torch_grad_mode_set_enabled", None, i8)
launch = extern("_ZN2at6launchESt8functionIFvvEE", None, ptr)
release_cpp_exception = extern("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv", None, ptr)

sm_pool_is_used = cell("sm_pool_is_used")
sm_pool_is_lost = cell("sm_pool_is_lost")

SHORTEST_SLEEP = 20  # microseconds
LONGEST_SLEEP = 2_000
SLEEPS_PER_POLL = 25
ROOM = 128 * 1024  # of a pool thread's stack that is left to libtorch

# std::function<void()> of libstdc++: 16 bytes of functor, then two functions
FUNCTION_MANAGER = 16
FUNCTION_INVOKER = 24
FUNCTION_SIZE = 32
MANAGE_CLONE = 2
MANAGE_DESTROY = 3


# ---- making ----


@native
def sm_future_new(
    ctx: ptr, descriptor: ptr, function: ptr, n: i64, types: ptr, offsets: ptr, area: i64,
    result_type: ptr, place: ptr
) -> i32:  # fmt: skip
    """A future of a task that calls ``function``; its ``area`` bytes of arguments are to fill."""
    area = (area + 15) & -16
    future = sm_object_new(FUTURE_SIZE, descriptor)
    task = malloc(TASK_AREA + area + load(i64, result_type, DESC_SIZE) + 16)
    if future == 0 or task == 0:
        return sm_raise_memory_error(ctx)
    memset(task, i8(0), TASK_AREA)
    store(i64, task, TASK_COUNT, 1)
    store(ptr, task, TASK_RUN, function)
    store(i64, task, TASK_N, n)
    store(ptr, task, TASK_TYPES, types)
    store(ptr, task, TASK_OFFSETS, offsets)
    store(ptr, task, TASK_RESULT_TYPE, result_type)
    store(ptr, task, TASK_RESULT, task + TASK_AREA + area)
    store(ptr, task, TASK_TENSORS, load(ptr, ctx, CTX_TENSORS))
    store(i64, task, TASK_GRAD_MODE, i64(grad_mode() != 0))
    store(ptr, task, TASK_ERROR + CTX_TRACE_DATA, task + TASK_TRACE)
    store(ptr, future, FUTURE_TASK, task)
    store(ptr, place, 0, future)
    return 0


@native
def sm_future_of(ctx: ptr, descriptor: ptr, slot: ptr, result_type: ptr, place: ptr) -> i32:
    """A future that has its result."""
    none = ptr(0)
    if sm_future_new(ctx, descriptor, none, 0, none, none, 0, result_type, place):
        return 1
    task = load(ptr, load(ptr, place), FUTURE_TASK)
    sm_slot_copy(load(ptr, task, TASK_RESULT), slot, result_type)
    store(i64, task, TASK_STATE, DONE)
    return 0


@native
def sm_tasks_after_fork() -> None:
    """In a forked child: the threads of the pool are the parent's."""
    store(i64, sm_pool_is_lost, 0, load(i64, sm_pool_is_lost) | load(i64, sm_pool_is_used))


@native
def sm_future_start(ctx: ptr, future: ptr, how: i64) -> None:
    """Start the task of a future whose arguments are filled in."""
    task = load(ptr, future, FUTURE_TASK)
    if how == NOW:
        store(i64, task, TASK_STATE, RUNNING)
        _run(ctx, task)
        return
    atomic_add(i64, task + TASK_COUNT, 1)
    store(ptr, task, TASK_NEXT, load(ptr, ctx, CTX_TASKS))
    store(ptr, ctx, CTX_TASKS, task)
    # a forked child has no thread of the pool, whose lock one may have held: who waits runs it
    if how == IN_POOL and load(i64, sm_pool_is_lost) == 0:
        store(i64, sm_pool_is_used, 0, 1)
        atomic_add(i64, task + TASK_COUNT, 1)
        store(i64, task, TASK_IN_POOL, 1)
        function = stack(FUNCTION_SIZE)
        store(ptr, function, 0, task)
        store(ptr, function, FUNCTION_MANAGER, address_of(sm_task_manage))
        store(ptr, function, FUNCTION_INVOKER, address_of(sm_task_invoke))
        launch(function)
        if load(ptr, function, FUNCTION_MANAGER) != 0:  # not moved from
            sm_task_release(task)


# ---- running ----


@native
def _run(ctx: ptr, task: ptr) -> None:
    """Run a task that this thread has taken."""
    atomic_store(i64, task + TASK_STATE, _outcome(ctx, task))


@native(noinline=True)
def _outcome(ctx: ptr, task: ptr) -> i64:
    """Call a task's function; its error goes from the context into the task."""
    traced = load(i64, ctx, CTX_TRACE_LENGTH)
    arguments = task + TASK_AREA
    status = call(i32, load(ptr, task, TASK_RUN), ctx, arguments, load(ptr, task, TASK_RESULT))
    _drop_arguments(task)
    if status == 0:
        return DONE
    error = task + TASK_ERROR
    for i in range(ERROR_WORDS):
        store(i64, error, i * WORD, load(i64, ctx, CTX_ERROR_KIND + i * WORD))
        store(i64, ctx, CTX_ERROR_KIND + i * WORD, 0)
    _copy_trace(ctx, traced, error)
    store(i64, ctx, CTX_TRACE_LENGTH, traced)
    return FAILED


@native
def _copy_trace(source: ptr, start: i64, target: ptr) -> None:
    """Append the places of ``source`` from ``start`` on to those of ``target``."""
    length = load(i64, target, CTX_TRACE_LENGTH)
    count = load(i64, source, CTX_TRACE_LENGTH) - start
    if length + count > 64:
        count = 64 - length
    for i in range(count):
        place = load(i64, load(ptr, source, CTX_TRACE_DATA), (start + i) * WORD)
        store(i64, load(ptr, target, CTX_TRACE_DATA), (length + i) * WORD, place)
    store(i64, target, CTX_TRACE_LENGTH, length + count)


@native
def _drop_arguments(task: ptr) -> None:
    types = load(ptr, task, TASK_TYPES)
    offsets = load(ptr, task, TASK_OFFSETS)
    for i in range(load(i64, task, TASK_N)):
        descriptor = load(ptr, types, i * WORD)
        if descriptor != 0:
            sm_slot_drop(task + TASK_AREA + load(i64, offsets, i * WORD), descriptor)


@native
def _take(task: ptr) -> bool:
    """Whether the task was queued, and is this thread's to run now."""
    _, mine = compare_and_swap(task + TASK_STATE, QUEUED, RUNNING)
    return mine


@native
def _take_and_run(ctx: ptr, task: ptr) -> None:
    """Run a task that is still queued here, under the grad mode of its maker."""
    if _take(task):
        before = grad_mode()
        wanted = i8(load(i64, task, TASK_GRAD_MODE))
        if before != wanted:
            set_grad_mode(wanted)
        _run(ctx, task)
        if before != wanted:
            set_grad_mode(before)


@native
def sm_task_invoke(function: ptr) -> None:
    """What a thread of the pool does with a task."""
    task = load(ptr, function)
    if _take(task):
        sm_enter()
        ctx = stack(CTX_SIZE)
        flag = stack(8)
        memset(ctx, i8(0), CTX_SIZE)
        store(i64, flag, 0, 0)
        store(ptr, ctx, CTX_TRACE_DATA, stack(512))
        store(ptr, ctx, CTX_POLL_FLAG, flag)
        store(ptr, ctx, CTX_TENSORS, load(ptr, task, TASK_TENSORS))
        store(i64, ctx, CTX_STACK_LIMIT, _stack_limit())
        state = _outcome(ctx, task)
        # the task's own tasks end before anyone sees that it has
        sm_tasks_join(ctx)
        sm_leave()
        atomic_store(i64, task + TASK_STATE, state)


@native
def _stack_limit() -> i64:
    attributes = stack(128)
    where = stack(16)
    limit = 0
    if pthread_getattr_np(pthread_self(), attributes) == 0:
        if pthread_attr_getstack(attributes, where, where + 8) == 0:
            limit = load(i64, where) + ROOM
        pthread_attr_destroy(attributes)
    return limit


@native
def sm_task_manage(target: ptr, source: ptr, what: i32) -> i8:
    """The manager of a ``std::function`` that holds a task."""
    if what == MANAGE_CLONE:
        task = load(ptr, source)
        atomic_add(i64, task + TASK_COUNT, 1)
        store(ptr, target, 0, task)
    if what == MANAGE_DESTROY:
        sm_task_release(load(ptr, target))
    return i8(0)


# ---- waiting ----


@native
def sm_future_wait(ctx: ptr, future: ptr, place: ptr) -> i32:
    """The result of a future, or the error of its task."""
    task = load(ptr, future, FUTURE_TASK)
    _take_and_run(ctx, task)
    if _sleep_while_running(ctx, task):
        return 1
    if atomic_load(i64, task + TASK_STATE) == DONE:
        sm_slot_copy(place, load(ptr, task, TASK_RESULT), load(ptr, task, TASK_RESULT_TYPE))
        return 0
    return _raise_again(ctx, task + TASK_ERROR)


@native(noinline=True)
def _raise_again(ctx: ptr, error: ptr) -> i32:
    kind = load(i64, error, CTX_ERROR_KIND)
    if kind == ERROR_NONE:
        message = text("the error of this task was raised by an earlier wait")
        return raise_from(ctx, RUNTIME_ERROR, message)
    for i in range(ERROR_WORDS):
        store(i64, ctx, CTX_ERROR_KIND + i * WORD, load(i64, error, i * WORD))
    _copy_trace(error, 0, ctx)
    if kind == ERROR_SCRIPT or kind == ERROR_OBJECT:  # noqa: SIM109
        sm_retain(load(ptr, error, 2 * WORD))
    else:  # what C++ or Python made has one owner
        store(i64, error, CTX_ERROR_KIND, ERROR_NONE)
    return 1


@native
def _sleep_while_running(ctx: ptr, task: ptr) -> i32:
    """Sleep until a task has ended; signals that arrive meanwhile may raise."""
    pause = SHORTEST_SLEEP
    slept = 0
    while atomic_load(i64, task + TASK_STATE) == RUNNING:
        # the first poll also lets other threads have the GIL
        if slept == 0 and load(ptr, ctx, CTX_HOST) != 0:
            poll = load(ptr, load(ptr, ctx, CTX_HOST), HOST_POLL)
            if call(i32, poll, ctx):
                return 1
        usleep(i32(pause))
        pause = pause + pause if pause < LONGEST_SLEEP else pause
        slept = slept + 1 if slept < SLEEPS_PER_POLL else 0
    return 0


@native
def sm_future_is_done(future: ptr) -> i8:
    """Whether a wait would return at once."""
    return i8(atomic_load(i64, load(ptr, future, FUTURE_TASK) + TASK_STATE) > RUNNING)


# ---- the end ----


@native
def sm_tasks_join(ctx: ptr) -> None:
    """End the tasks that a call has launched."""
    task = load(ptr, ctx, CTX_TASKS)
    while task != 0:
        following = load(ptr, task, TASK_NEXT)
        # someone but this list and the pool
        if atomic_load(i64, task + TASK_COUNT) > 1 + load(i64, task, TASK_IN_POOL):
            _take_and_run(ctx, task)
        _, _dropped = compare_and_swap(task + TASK_STATE, QUEUED, DROPPED)
        while atomic_load(i64, task + TASK_STATE) == RUNNING:
            _sleep_while_running(ctx, task)
        sm_task_release(task)
        task = following
    store(ptr, ctx, CTX_TASKS, ptr(0))


@native
def sm_task_release(task: ptr) -> None:
    """Count one owner less, and free the task with what it holds when it was the last."""
    if atomic_add(i64, task + TASK_COUNT, -1) == 1:
        state = load(i64, task, TASK_STATE)
        if state in (QUEUED, DROPPED):
            _drop_arguments(task)
        elif state == DONE:
            sm_slot_drop(load(ptr, task, TASK_RESULT), load(ptr, task, TASK_RESULT_TYPE))
        else:
            _drop_error(task + TASK_ERROR)
        free(task)


@native(noinline=True)
def _drop_error(error: ptr) -> None:
    kind = load(i64, error, CTX_ERROR_KIND)
    if kind == ERROR_SCRIPT or kind == ERROR_OBJECT:  # noqa: SIM109
        sm_release(load(ptr, error, 2 * WORD))
    elif kind == ERROR_CPP and load(ptr, error, 2 * WORD) != 0:
        release_cpp_exception(error + 2 * WORD)
