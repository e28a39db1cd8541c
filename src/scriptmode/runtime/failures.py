"""Errors that leave native code, as Python exceptions with the user's places.

The exception is what eager mode raises; every frame of the program that it passed is a note::

    ZeroDivisionError: division by zero
      File "model.py", line 12, in forward
        y = n // k
"""

from __future__ import annotations

import ctypes
from collections.abc import MutableMapping, Sequence
from typing import Any, Protocol

from scriptmode.abi import errors, objects
from scriptmode.abi.convention import (
    ERROR_CPP,
    ERROR_NONE,
    ERROR_OBJECT,
    ERROR_PYTHON,
    ERROR_SCRIPT,
    WORD,
    ctx_offset,
)
from scriptmode.abi.layouts import is_heap
from scriptmode.runtime import exceptions
from scriptmode.runtime.crossing import Crossing, release_object
from scriptmode.runtime.plans import type_of_descriptor
from scriptmode.support.futures import Future
from scriptmode.support.source import Span


class HasLocations(Protocol):
    """What knows the places of a program."""

    @property
    def locations(self) -> Sequence[Span]:
        """Spans by location id."""


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def make_error(owner: HasLocations, ctx: int) -> BaseException:
    """The exception for the error in a context, which gives its parts up."""
    earlier: Sequence[int] = ()
    if _word(ctx + ctx_offset("error_kind")) == ERROR_OBJECT:
        value = _word(ctx + ctx_offset("error_value"))
        earlier = _trace(value)
        error = exceptions.to_python(value)
        release_object(value)
    else:
        error = foreign_error(ctx)
    data, length = (_word(ctx + ctx_offset(f)) for f in ("trace_data", "trace_length"))
    spans = [owner.locations[i] for i in (*earlier, *_words(data, length))]
    places = [place for span in spans for place in span.chain]
    for place in reversed(places):
        if place.line:
            add_note(error, note_of(place))
    return error


def _words(address: int, n: int) -> list[int]:
    return [_word(address + WORD * i) for i in range(n)]


def _trace(exception: int) -> Sequence[int]:
    """Where an exception object has been before it was caught."""
    trace = _word(exception + objects.EXC_TRACE)
    if not trace:
        return ()
    return _words(_word(trace + objects.LIST_DATA), _word(trace + objects.LIST_LENGTH))


def catch_error(ctx: int, descriptor: int) -> int:
    """An owned exception object for the C++ or Python exception in a context."""
    return exceptions.from_python(foreign_error(ctx), descriptor)


def foreign_error(ctx: int) -> BaseException:
    """The exception for an error that is no exception object."""
    kind = _word(ctx + ctx_offset("error_kind"))
    value = _word(ctx + ctx_offset("error_value"))
    if kind == ERROR_PYTHON:
        error: BaseException = exceptions.object_at(value)
        ctypes.pythonapi.Py_DecRef(ctypes.c_void_p(value))
        return error
    try:
        if kind == ERROR_CPP:
            errors.raise_cpp_exception(value & (1 << 64) - 1)
        if kind == ERROR_SCRIPT:
            return _script_exception(
                exceptions.object_at(_word(ctx + ctx_offset("error_type"))), value
            )
    except BaseException as raised:  # the exception is the result
        # the frames of this module are not the user's
        return raised.with_traceback(None)
    return SystemError("native code failed without an error")


def _script_exception(cls: type[BaseException], value: int) -> BaseException:
    if value == 0:
        return cls()
    try:
        return cls(_argument(value))
    finally:
        release_object(value)


def _argument(value: int) -> Any:
    """The argument of an exception: a str, or what a box holds."""
    t = type_of_descriptor(_word(value + objects.HEAP_DESCRIPTOR))
    cell = ctypes.c_int64(value)
    is_object = is_heap(t)
    slot = ctypes.addressof(cell) if is_object else value + objects.HEAP_PAYLOAD
    with Crossing() as crossing:
        return crossing.to_python(slot, t)


def failed_future(owner: HasLocations, error: int) -> Future[Any]:
    """A future that raises the error in the error words of a task, which gives it up."""
    made = make_error(owner, error)
    ctypes.c_int64.from_address(error + ctx_offset("error_kind")).value = ERROR_NONE
    assert isinstance(made, Exception), "tasks keep ordinary exceptions"
    return Future.failed(made)


def note_of(span: Span) -> str:
    """A place as Python's tracebacks show it."""
    text = span.text_lines(span.line, span.line)[0].strip()
    where = f'  File "{span.file}", line {span.line}, in {span.function or "<unknown>"}'
    return f"{where}\n    {text}" if text else where


def add_note(error: BaseException, note: str) -> None:
    """``error.add_note``, which Python 3.10 lacks."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        error.__dict__.setdefault("__notes__", []).append(note)


def assign_attribute(module: Any, place: MutableMapping[str, Any], name: str, value: Any) -> None:
    """Bring an attribute that the program assigned back to its module."""
    if place is module.__dict__.get("_parameters"):
        # only the module may decide what can be a parameter
        setattr(module, name, value)
    else:
        place[name] = value
