"""Exceptions of Python code that libtorch has called: saved-tensor hooks, backward functions.

They leave libtorch as C++ exceptions that only say that Python's error indicator is set.  Before
any Python code runs, the exception is taken from the indicator into the context.
"""

from __future__ import annotations

from scriptmode.abi.convention import ERROR_CPP, ERROR_PYTHON, ctx_offset
from scriptmode.abi.errors import RELEASE
from scriptmode.codegen.native import extern, i64, load, native, ptr, stack, store
from scriptmode.runtime.pyapi import (
    Py_DecRef,
    PyErr_Fetch,
    PyErr_NormalizeException,
    PyErr_Occurred,
    PyException_SetTraceback,
)

CTX_ERROR_KIND = ctx_offset("error_kind")
CTX_ERROR_VALUE = ctx_offset("error_value")

exception_release = extern(RELEASE, None, ptr)


@native(noinline=True)
def take_exception(ctx: ptr) -> None:
    """Move Python's current exception into the context."""
    place = stack(32)
    PyErr_Fetch(place, place + 8, place + 16)
    PyErr_NormalizeException(place, place + 8, place + 16)
    error = load(ptr, place, 8)
    if load(ptr, place, 16) != 0:
        PyException_SetTraceback(error, load(ptr, place, 16))
    Py_DecRef(load(ptr, place))
    Py_DecRef(load(ptr, place, 16))
    store(i64, ctx, CTX_ERROR_KIND, ERROR_PYTHON)
    store(ptr, ctx, CTX_ERROR_VALUE, error)


@native(noinline=True)
def take_pending(ctx: ptr) -> None:
    """Make the exception in Python's error indicator that of the context, with the GIL held."""
    if load(i64, ctx, CTX_ERROR_KIND) != ERROR_CPP or PyErr_Occurred() == 0:
        return
    exception_release(ctx + CTX_ERROR_VALUE)
    take_exception(ctx)
