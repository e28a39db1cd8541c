"""Exception objects: made from errors when they are caught, raised again, matched by class.

The error in a context becomes an object only when a handler asks for it.  An exception's class is
the Python class object, whatever class of the program the object is laid out as: errors of classes
that the program does not know are caught as ``BaseException``.

The *handled* exception of the context is what Python's ``sys.exc_info`` is: it becomes the
``__context__`` of an error that is made an object, and of an object that is raised.
"""

from __future__ import annotations

from scriptmode.abi.convention import HOST_FIELDS, TEXT_REPR, TEXT_STR
from scriptmode.abi.objects import (
    CTX_ERROR_KIND,
    CTX_ERROR_TYPE,
    CTX_ERROR_VALUE,
    CTX_HANDLED,
    CTX_HOST,
    CTX_TRACE_DATA,
    CTX_TRACE_LENGTH,
    DESC_FLAGS,
    DESC_KIND,
    DESC_OBJECT_SIZE,
    DESC_PYTHON_CLASS,
    DESC_SIZE,
    ERROR_OBJECT,
    ERROR_SCRIPT,
    EXC_ARGS,
    EXC_CAUSE,
    EXC_CLASS,
    EXC_CONTEXT,
    EXC_SUPPRESS,
    EXC_TRACE,
    FLAG_OBJECT,
    HEAP_COUNT,
    HEAP_DESCRIPTOR,
    HEAP_PAYLOAD,
    IMMORTAL,
    KIND_CLASS,
    KIND_STR,
    LIST_DATA,
    LIST_LENGTH,
)
from scriptmode.abi.python import (
    IS_EXCEPTION_CLASS,
    OB_SIZE,
    TP_FLAGS,
    TP_MRO,
    TP_STR,
    TUPLE_ITEMS,
)
from scriptmode.codegen.native import (
    call,
    cell,
    external,
    i8,
    i32,
    i64,
    load,
    memcpy,
    memset,
    native,
    ptr,
    store,
    text,
    unlikely,
)
from scriptmode.runtime.native.errors import (
    MEMORY_ERROR,
    RUNTIME_ERROR,
    TYPE_ERROR,
    raise_from,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.lists import DESC_LIST_INT, sm_list_new, sm_list_reserve
from scriptmode.runtime.native.memory import sm_object_new, sm_release, sm_retain, sm_slot_copy

DESC_ARGS = external("desc.Tuple[Any, ...]")
EXCEPTION = external("exc.Exception")
HOST_CATCH = HOST_FIELDS.index("catch") * 8
HOST_TEXT = HOST_FIELDS.index("exception_text") * 8
MOST_PLACES = 512  # an exception that is raised again and again does not grow further

sm_no_args = cell("sm_no_args", 48)  # the immortal empty tuple
sm_no_memory = cell("sm_no_memory", 128)  # an immortal MemoryError


@native
def no_args() -> ptr:
    """The empty tuple of arguments."""
    store(i64, sm_no_args, HEAP_COUNT, IMMORTAL)
    store(ptr, sm_no_args, HEAP_DESCRIPTOR, DESC_ARGS)
    return sm_no_args


@native
def sm_exception_new(descriptor: ptr, cls: ptr, args: ptr) -> ptr:
    """An exception, taking over ``args`` (null: none); null when there is no memory."""
    size = load(i64, descriptor, DESC_OBJECT_SIZE)
    made = sm_object_new(size, descriptor)
    if made == 0:
        sm_release(args)
        return made
    memset(made + HEAP_PAYLOAD, i8(0), size - HEAP_PAYLOAD)
    store(ptr, made, EXC_CLASS, cls)
    store(ptr, made, EXC_ARGS, args if args != 0 else no_args())
    return made


@native
def sm_memory_error(descriptor: ptr) -> ptr:
    """A MemoryError that needs no memory."""
    store(i64, sm_no_memory, HEAP_COUNT, IMMORTAL)
    store(ptr, sm_no_memory, HEAP_DESCRIPTOR, descriptor)
    store(ptr, sm_no_memory, EXC_CLASS, load(ptr, MEMORY_ERROR))
    store(ptr, sm_no_memory, EXC_ARGS, no_args())
    return sm_no_memory


@native
def single_argument(value: ptr) -> ptr:
    """The arguments of an error that has one, which is taken over; null when there is no memory."""
    args = sm_list_new(DESC_ARGS, 1)
    if args == 0:
        sm_release(value)
        return args
    item = load(ptr, args, LIST_DATA)
    descriptor = load(ptr, value, HEAP_DESCRIPTOR)
    store(i64, args, LIST_LENGTH, 1)
    store(ptr, item, 0, descriptor)
    store(ptr, item, 8, value)
    size = load(i64, descriptor, DESC_SIZE)
    if load(i64, descriptor, DESC_FLAGS) & FLAG_OBJECT == 0 and size <= 8:
        store(i64, item, 8, 0)
        sm_slot_copy(item + 8, value + HEAP_PAYLOAD, descriptor)
        sm_release(value)
    return args


@native
def from_script_error(ctx: ptr, descriptor: ptr) -> ptr:
    """The object of an error that native code has raised by class and argument."""
    value = load(ptr, ctx, CTX_ERROR_VALUE)
    args = ptr(0)
    if value != 0:
        args = single_argument(value)
        if args == 0:
            return sm_memory_error(descriptor)
    made = sm_exception_new(descriptor, load(ptr, ctx, CTX_ERROR_TYPE), args)
    return made if made != 0 else sm_memory_error(descriptor)


@native
def keep_trace(ctx: ptr, exception: ptr) -> None:
    """Move the places that an error has passed from the context to its object."""
    n = load(i64, ctx, CTX_TRACE_LENGTH)
    store(i64, ctx, CTX_TRACE_LENGTH, 0)
    if n == 0 or load(i64, exception, HEAP_COUNT) >= IMMORTAL:
        return
    trace = load(ptr, exception, EXC_TRACE)
    if trace == 0:
        trace = sm_list_new(DESC_LIST_INT, n)
        store(ptr, exception, EXC_TRACE, trace)
    if trace == 0:
        return
    length = load(i64, trace, LIST_LENGTH)
    if length > MOST_PLACES or sm_list_reserve(trace, length + n) == 0:
        return
    memcpy(load(ptr, trace, LIST_DATA) + length * 8, load(ptr, ctx, CTX_TRACE_DATA), n * 8)
    store(i64, trace, LIST_LENGTH, length + n)


@native(noinline=True)
def sm_catch(ctx: ptr, descriptor: ptr) -> ptr:
    """Take the error out of the context, as an owned exception object."""
    kind = load(i64, ctx, CTX_ERROR_KIND)
    if kind == ERROR_OBJECT:
        caught = load(ptr, ctx, CTX_ERROR_VALUE)
    else:
        if kind == ERROR_SCRIPT:
            caught = from_script_error(ctx, descriptor)
        else:
            call(i32, load(ptr, load(ptr, ctx, CTX_HOST), HOST_CATCH), ctx, descriptor)
            caught = load(ptr, ctx, CTX_ERROR_VALUE)
        if load(ptr, caught, EXC_CONTEXT) == 0 and caught != sm_no_memory:
            sm_retain(load(ptr, ctx, CTX_HANDLED))
            store(ptr, caught, EXC_CONTEXT, load(ptr, ctx, CTX_HANDLED))
    store(i64, ctx, CTX_ERROR_KIND, 0)
    keep_trace(ctx, caught)
    return caught


@native(noinline=True)
def sm_leave_handler(ctx: ptr, descriptor: ptr, before: ptr) -> None:
    """An error ends a handler: it knows its context now, and ``before`` is handled again."""
    error = sm_catch(ctx, descriptor)
    put(ctx, error)
    store(ptr, ctx, CTX_HANDLED, before)


@native
def put(ctx: ptr, exception: ptr) -> None:
    """Make an owned exception object the error of the context."""
    store(i64, ctx, CTX_ERROR_KIND, ERROR_OBJECT)
    store(ptr, ctx, CTX_ERROR_VALUE, exception)


@native(noinline=True)
def sm_raise_object(ctx: ptr, exception: ptr) -> i32:
    """Raise an exception object; what is being handled becomes its context."""
    sm_retain(exception)
    put(ctx, exception)
    handled = load(ptr, ctx, CTX_HANDLED)
    if handled != 0 and handled != exception and exception != sm_no_memory:
        cut_cycle(handled, exception)
        sm_retain(handled)
        before = load(ptr, exception, EXC_CONTEXT)
        store(ptr, exception, EXC_CONTEXT, handled)
        sm_release(before)
    return 1


@native
def cut_cycle(handled: ptr, exception: ptr) -> None:
    """Take ``exception`` out of the chain of contexts that it is about to head."""
    link = handled
    while load(ptr, link, EXC_CONTEXT) != 0:
        if load(ptr, link, EXC_CONTEXT) == exception:
            store(ptr, link, EXC_CONTEXT, ptr(0))
            sm_release(exception)
            return
        link = load(ptr, link, EXC_CONTEXT)


@native(noinline=True)
def sm_reraise(ctx: ptr) -> i32:
    """A bare ``raise``."""
    handled = load(ptr, ctx, CTX_HANDLED)
    if handled == 0:
        return raise_from(ctx, RUNTIME_ERROR, text("No active exception to reraise"))
    sm_retain(handled)
    put(ctx, handled)
    return 1


@native
def sm_exception_is(exception: ptr, cls: ptr) -> bool:
    """Whether an exception is an instance of a Python class."""
    actual = load(ptr, exception, EXC_CLASS)
    if actual == cls:
        return True
    mro = load(ptr, actual, TP_MRO)
    for i in range(load(i64, mro, OB_SIZE)):
        if load(ptr, mro + TUPLE_ITEMS, i * 8) == cls:
            return True
    return False


@native
def sm_any_is_exception(descriptor: ptr, exception: ptr, cls: ptr) -> bool:
    """Whether what an Any holds is an exception of a Python class."""
    if load(i64, descriptor, DESC_KIND) != KIND_CLASS:
        return False
    own = load(ptr, descriptor, DESC_PYTHON_CLASS)
    if own == 0 or load(i64, own, TP_FLAGS) & IS_EXCEPTION_CLASS == 0:
        return False
    return sm_exception_is(exception, cls)


@native
def sm_exception_args(ctx: ptr, exception: ptr, result: ptr) -> i32:
    """``e.args``, borrowed."""
    args = load(ptr, exception, EXC_ARGS)
    if args == 0:
        return raise_from(ctx, TYPE_ERROR, text("these exception arguments have no native form"))
    store(ptr, result, 0, args)
    return 0


@native
def sm_exception_set_cause(exception: ptr, cause: ptr) -> None:
    """``raise exception from cause`` (null: None), which is borrowed."""
    sm_retain(cause)
    before = load(ptr, exception, EXC_CAUSE)
    store(ptr, exception, EXC_CAUSE, cause)
    store(i8, exception, EXC_SUPPRESS, i8(1))
    sm_release(before)


@native
def sm_exception_text(ctx: ptr, exception: ptr, which: i64, result: ptr) -> i32:
    """``str(e)``, ``repr(e)`` or ``type(e).__name__``."""
    cls = load(ptr, exception, EXC_CLASS)
    args = load(ptr, exception, EXC_ARGS)
    plain = load(ptr, cls, TP_STR) == load(ptr, load(ptr, EXCEPTION), TP_STR)
    if which == TEXT_STR and plain and args != 0 and load(i64, args, LIST_LENGTH) == 1:
        item = load(ptr, args, LIST_DATA)
        if load(i64, load(ptr, item), DESC_KIND) == KIND_STR:
            sm_retain(load(ptr, item, 8))
            store(ptr, result, 0, load(ptr, item, 8))
            return 0
    host = load(ptr, ctx, CTX_HOST)
    return call(i32, load(ptr, host, HOST_TEXT), ctx, exception, which, result)


@native
def sm_exception_slot_repr(ctx: ptr, slot: ptr, descriptor: ptr, result: ptr) -> i32:
    """``repr(e)`` of what is in a slot."""
    return sm_exception_text(ctx, load(ptr, slot), TEXT_REPR, result)


@native
def sm_exception_make(ctx: ptr, descriptor: ptr, cls: ptr, args: ptr, result: ptr) -> i32:
    """An exception of a class with ``args``, which is borrowed."""
    sm_retain(args)
    made = sm_exception_new(descriptor, cls, args)
    if unlikely(made == 0):
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, made)
    return 0
