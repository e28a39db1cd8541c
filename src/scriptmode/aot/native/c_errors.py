"""Errors as text for C, and the host table of a process without Python.

The text is that of Python's traceback: the places that the error has passed, outermost first, then
the name of the class and ``str(error)``.
"""

from __future__ import annotations

from scriptmode.abi.convention import ERROR_CPP, TEXT_NAME, TEXT_STR
from scriptmode.abi.objects import (
    CTX_ERROR_KIND,
    CTX_ERROR_TYPE,
    CTX_ERROR_VALUE,
    CTX_TRACE_DATA,
    CTX_TRACE_LENGTH,
    DESC_FLAGS,
    ERROR_OBJECT,
    ERROR_SCRIPT,
    EXC_ARGS,
    EXC_CLASS,
    EXC_TRACE,
    FLAG_OBJECT,
    HEAP_DESCRIPTOR,
    HEAP_PAYLOAD,
    LIST_DATA,
    LIST_LENGTH,
    STR_LENGTH,
)
from scriptmode.abi.python import TP_STR
from scriptmode.aot.layouts import CLASS_NAME
from scriptmode.codegen.native import (
    extern,
    external,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    text,
    utf8,
)
from scriptmode.runtime.native.builder import b_char, b_finish, b_init, b_text, unit
from scriptmode.runtime.native.errors import (
    INDEX_ERROR,
    MEMORY_ERROR,
    NOT_IMPLEMENTED_ERROR,
    RUNTIME_ERROR,
    TYPE_ERROR,
    VALUE_ERROR,
    sm_raise_memory_error,
)
from scriptmode.runtime.native.exceptions import (
    DESC_ARGS,
    EXCEPTION,
    single_argument,
    sm_exception_new,
    sm_memory_error,
)
from scriptmode.runtime.native.memory import free, sm_any_slot, sm_release
from scriptmode.runtime.native.reprs import sm_slot_repr
from scriptmode.runtime.native.utf8 import sm_str_from_utf8, sm_str_to_utf8

DESC_STR = external("desc.str")
PLACES = external("aot.places")  # a str for each location id
# of the flavour: the class by number (see _class_of) and text of a C++ exception, which is given up
aot_cpp_error = extern("aot_cpp_error", i64, ptr, ptr)
printf = extern("printf", i32, ptr, variadic=True)
putchar = extern("putchar", i32, i32)
dprintf = extern("dprintf", i32, i32, ptr, variadic=True)
strlen = extern("strlen", i64, ptr)


@native(noinline=True)
def aot_append_value(ctx: ptr, b: ptr, slot: ptr, descriptor: ptr) -> None:
    """Append ``repr`` of a value, as far as it has one."""
    result = stack(8)
    if sm_slot_repr(ctx, slot, descriptor, result) == 0:
        b_text(b, load(ptr, result))
        sm_release(load(ptr, result))
        return
    aot_drop_error(ctx)
    b_text(b, text("..."))


@native
def aot_drop_error(ctx: ptr) -> None:
    """Forget the error in the context."""
    kind = load(i64, ctx, CTX_ERROR_KIND)
    if kind in (ERROR_SCRIPT, ERROR_OBJECT):
        sm_release(load(ptr, ctx, CTX_ERROR_VALUE))
    elif kind == ERROR_CPP:
        words = stack(8)
        aot_cpp_error(load(ptr, ctx, CTX_ERROR_VALUE), words)
        free(load(ptr, words))
    store(i64, ctx, CTX_ERROR_KIND, 0)


@native
def is_plain(cls: ptr) -> bool:
    """Whether ``str`` of an exception with one argument is ``str`` of that."""
    return load(ptr, cls, TP_STR) == load(ptr, load(ptr, EXCEPTION), TP_STR)


@native
def append_arguments(ctx: ptr, b: ptr, cls: ptr, args: ptr) -> None:
    """Append ``str`` of an exception of a class, after a colon where there is anything."""
    n = load(i64, args, LIST_LENGTH) if args != 0 else 0
    if n == 0:
        return
    b_text(b, text(": "))
    item = load(ptr, args, LIST_DATA)
    if n == 1:
        if load(ptr, item) == DESC_STR and is_plain(cls):
            b_text(b, load(ptr, item, 8))
        else:
            aot_append_value(ctx, b, sm_any_slot(item), load(ptr, item))
        return
    words = stack(8)
    store(ptr, words, 0, args)
    aot_append_value(ctx, b, words, DESC_ARGS)


@native
def append_boxed(ctx: ptr, b: ptr, cls: ptr, value: ptr) -> None:
    """The same of the only argument, which is a heap object or null."""
    if value == 0:
        return
    descriptor = load(ptr, value, HEAP_DESCRIPTOR)
    if descriptor == DESC_STR and is_plain(cls):
        if load(i64, value, STR_LENGTH) != 0:
            b_text(b, text(": "))
            b_text(b, value)
        return
    words = stack(8)
    store(ptr, words, 0, value)
    slot = words if load(i64, descriptor, DESC_FLAGS) & FLAG_OBJECT != 0 else value + HEAP_PAYLOAD
    b_text(b, text(": "))
    aot_append_value(ctx, b, slot, descriptor)


@native
def append_places(b: ptr, data: ptr, n: i64) -> None:
    """Append the lines of places, of which the innermost is the first."""
    for i in range(n):
        b_text(b, load(ptr, PLACES, load(i64, data, (n - 1 - i) * 8) * 8))


@native
def class_of(number: i64) -> ptr:
    """The cell of the class that stands for a C++ exception."""
    if number == 1:
        return INDEX_ERROR
    if number == 2:
        return VALUE_ERROR
    if number == 3:
        return TYPE_ERROR
    if number == 4:
        return NOT_IMPLEMENTED_ERROR
    if number == 5:
        return MEMORY_ERROR
    return RUNTIME_ERROR


@native
def append_utf8(ctx: ptr, b: ptr, data: ptr) -> None:
    """Append a C string."""
    words = stack(8)
    if data != 0 and sm_str_from_utf8(ctx, data, strlen(data), words) == 0:
        b_text(b, load(ptr, words))
        sm_release(load(ptr, words))


@native(noinline=True)
def aot_error_text(ctx: ptr) -> ptr:
    """The error in the context, which is given up, as UTF-8 of malloc; null without memory."""
    b = stack(40)
    words = stack(8)
    b_init(b)
    kind = load(i64, ctx, CTX_ERROR_KIND)
    value = load(ptr, ctx, CTX_ERROR_VALUE)
    n = load(i64, ctx, CTX_TRACE_LENGTH)
    trace = ptr(0)
    if kind == ERROR_OBJECT:
        trace = load(ptr, value, EXC_TRACE)
    if n > 0 or trace != 0:
        b_text(b, text("Traceback (most recent call last):\n"))
    append_places(b, load(ptr, ctx, CTX_TRACE_DATA), n)
    if trace != 0:
        append_places(b, load(ptr, trace, LIST_DATA), load(i64, trace, LIST_LENGTH))
    store(i64, ctx, CTX_ERROR_KIND, 0)
    if kind == ERROR_OBJECT:
        cls = load(ptr, value, EXC_CLASS)
        b_text(b, load(ptr, cls, CLASS_NAME))
        append_arguments(ctx, b, cls, load(ptr, value, EXC_ARGS))
        sm_release(value)
    elif kind == ERROR_SCRIPT:
        cls = load(ptr, ctx, CTX_ERROR_TYPE)
        b_text(b, load(ptr, cls, CLASS_NAME))
        append_boxed(ctx, b, cls, value)
        sm_release(value)
    else:
        store(ptr, words, 0, ptr(0))
        cls = load(ptr, class_of(aot_cpp_error(value, words)))
        b_text(b, load(ptr, cls, CLASS_NAME))
        b_text(b, text(": "))
        append_utf8(ctx, b, load(ptr, words))
        free(load(ptr, words))
    found = b_finish(b)
    if found == 0:
        return found
    result = sm_str_to_utf8(found)
    sm_release(found)
    return result


# ---- the host table ----


@native
def aot_host_print(ctx: ptr, string: ptr) -> i32:
    """Write a str to the standard output of C."""
    data = sm_str_to_utf8(string)
    if data == 0:
        return sm_raise_memory_error(ctx)
    n = load(i64, string, STR_LENGTH)
    has_zero = False
    for i in range(n):
        if unit(string, i) == 0:
            has_zero = True
    if not has_zero:
        printf(utf8("%s"), data)
    else:
        place = data
        for i in range(n):
            if unit(string, i) == 0:
                putchar(0)
                place = place + 1
            else:
                length = strlen(place)
                if i == 0 or unit(string, i - 1) == 0:
                    printf(utf8("%s"), place)
                    place = place + length
    free(data)
    return 0


@native
def aot_host_warn(ctx: ptr, category: ptr, message: ptr, location: i64, stacklevel: i64) -> i32:
    """Write a warning to the standard error output."""
    b = stack(40)
    b_init(b)
    b_text(b, load(ptr, category, CLASS_NAME))
    b_text(b, text(": "))
    b_text(b, message)
    b_char(b, 10)
    b_text(b, load(ptr, PLACES, location * 8))
    built = b_finish(b)
    if built == 0:
        return sm_raise_memory_error(ctx)
    data = sm_str_to_utf8(built)
    sm_release(built)
    if data != 0:
        dprintf(i32(2), utf8("%s"), data)
        free(data)
    return 0


@native
def aot_host_python_call(ctx: ptr) -> i32:
    """Never called: a program that asks for Python is refused when it is exported."""
    return 1


@native
def aot_host_poll(ctx: ptr) -> i32:
    """Nobody asks for it."""
    return 0


@native
def aot_host_catch(ctx: ptr, descriptor: ptr) -> i32:
    """Make the C++ exception in the context an exception object."""
    words = stack(8)
    store(ptr, words, 0, ptr(0))
    number = aot_cpp_error(load(ptr, ctx, CTX_ERROR_VALUE), words)
    data = load(ptr, words)
    caught = sm_memory_error(descriptor)
    if data != 0 and sm_str_from_utf8(ctx, data, strlen(data), words) == 0:
        args = single_argument(load(ptr, words))
        if args != 0:
            made = sm_exception_new(descriptor, load(ptr, class_of(number)), args)
            if made != 0:
                caught = made
    free(data)
    store(ptr, ctx, CTX_ERROR_VALUE, caught)
    return 0


@native
def aot_host_exception_text(ctx: ptr, exception: ptr, which: i64, result: ptr) -> i32:
    """``str(e)``, ``repr(e)`` or the name of the class."""
    b = stack(40)
    b_init(b)
    cls = load(ptr, exception, EXC_CLASS)
    args = load(ptr, exception, EXC_ARGS)
    n = load(i64, args, LIST_LENGTH) if args != 0 else 0
    if which != TEXT_STR:
        b_text(b, load(ptr, cls, CLASS_NAME))
    if which != TEXT_NAME:
        words = stack(8)
        store(ptr, words, 0, args)
        item = load(ptr, args, LIST_DATA) if n > 0 else ptr(0)
        if n == 1 and which != TEXT_STR:
            b_char(b, 40)
        if n == 1 and which == TEXT_STR and load(ptr, item) == DESC_STR and is_plain(cls):
            b_text(b, load(ptr, item, 8))
        elif n == 1:
            aot_append_value(ctx, b, sm_any_slot(item), load(ptr, item))
        elif n > 1 or which != TEXT_STR:
            aot_append_value(ctx, b, words, DESC_ARGS)
        if n == 1 and which != TEXT_STR:
            b_char(b, 41)
    built = b_finish(b)
    if built == 0:
        return sm_raise_memory_error(ctx)
    store(ptr, result, 0, built)
    return 0
