"""Raise script exceptions from native code.

``error_value`` of the context is an owned heap object: a str for a message, or a box whose
descriptor tells the type of the exception's only argument (the key of a KeyError).  The class is
read from the cell ``exc.<Name>``.
"""

from __future__ import annotations

from scriptmode.abi.objects import (
    CTX_ERROR_KIND,
    CTX_ERROR_TYPE,
    CTX_ERROR_VALUE,
    CTX_STACK_LIMIT,
    ERROR_SCRIPT,
)
from scriptmode.codegen.native import (
    external,
    i32,
    i64,
    load,
    native,
    ptr,
    stack,
    store,
    text,
    ult,
    unlikely,
)

ATTRIBUTE_ERROR = external("exc.AttributeError")
INDEX_ERROR = external("exc.IndexError")
KEY_ERROR = external("exc.KeyError")
MEMORY_ERROR = external("exc.MemoryError")
NOT_IMPLEMENTED_ERROR = external("exc.NotImplementedError")
OVERFLOW_ERROR = external("exc.OverflowError")
RECURSION_ERROR = external("exc.RecursionError")
RUNTIME_ERROR = external("exc.RuntimeError")
TYPE_ERROR = external("exc.TypeError")
VALUE_ERROR = external("exc.ValueError")
ZERO_DIVISION_ERROR = external("exc.ZeroDivisionError")


@native(noinline=True)
def sm_raise(ctx: ptr, exception: ptr, message: ptr) -> i32:
    """Put an exception into the context, taking over ``message`` (null: none); status 1."""
    store(i64, ctx, CTX_ERROR_KIND, ERROR_SCRIPT)
    store(ptr, ctx, CTX_ERROR_TYPE, exception)
    store(ptr, ctx, CTX_ERROR_VALUE, message)
    return 1


@native(noinline=True)
def raise_from(ctx: ptr, exception_cell: ptr, message: ptr) -> i32:
    """``sm_raise`` of the class in a cell ``exc.<Name>``."""
    return sm_raise(ctx, load(ptr, exception_cell), message)


@native(noinline=True)
def sm_raise_memory_error(ctx: ptr) -> i32:
    """An allocation failed."""
    return raise_from(ctx, MEMORY_ERROR, ptr(0))


@native(noinline=True)
def sm_raise_overflow(ctx: ptr) -> i32:
    """An int left 64 bits."""
    return raise_from(ctx, OVERFLOW_ERROR, text("int too large for 64 bits"))


@native
def check_stack(ctx: ptr) -> i32:
    """Status 1 with RecursionError when the stack is used up."""
    if unlikely(ult(i64(stack(16)), load(i64, ctx, CTX_STACK_LIMIT))):
        message = text("maximum recursion depth exceeded")
        return raise_from(ctx, RECURSION_ERROR, message)
    return 0
