"""Exception objects of programs as Python's exceptions, and the other way round.

An error that C++ or Python has raised is caught as an object that *stands for* the Python
exception: it holds it, and leaves native code as itself.  The program's own exceptions are made
anew when they leave, with their attributes, causes and contexts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from scriptmode.abi import objects
from scriptmode.abi.convention import TEXT_NAME, TEXT_REPR
from scriptmode.abi.instances import slot_offsets, value_offset
from scriptmode.ir import types as T
from scriptmode.ir.exceptions import make_exception
from scriptmode.runtime import descriptors, nativelib
from scriptmode.runtime.crossing import Crossing

_ARGS = T.VarTupleType([T.ANY])
_NATIVE_ATTRIBUTES = 7  # of every exception, described by EXC_...

Known = dict[int, BaseException]


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def object_at(address: int) -> Any:
    """The Python object at an address."""
    return ctypes.cast(address, ctypes.py_object).value


def to_python(address: int, known: Known | None = None) -> BaseException:
    """The Python exception of an exception object, which is borrowed."""
    known = {} if known is None else known
    if address in known:
        return known[address]
    origin = _word(address + objects.EXC_ORIGIN)
    error: BaseException = object_at(origin) if origin else _make(address)
    known[address] = error
    _link(error, address, known)
    return error


def _make(address: int) -> BaseException:
    cls = object_at(_word(address + objects.EXC_CLASS))
    with Crossing() as crossing:
        args = crossing.to_python(address + objects.EXC_ARGS, _ARGS)
        error = make_exception(cls, args)
        t = descriptors.type_of(_word(address + objects.HEAP_DESCRIPTOR))
        assert isinstance(t, T.ClassType)
        for name, slot in _own_slots(t, address):
            setattr(error, name, crossing.to_python(slot, t.attributes[name]))
    error.args = args
    return error


def _own_slots(t: T.ClassType, address: int) -> Iterator[tuple[str, int]]:
    """The attributes with a value that the program's classes have added, and their addresses."""
    for name, offset in list(slot_offsets(t).items())[_NATIVE_ATTRIBUTES:]:
        slot = address + offset
        if not t.may_lack(name):
            yield name, slot
        elif ctypes.c_int8.from_address(slot).value:
            yield name, slot + value_offset(t.attributes[name])


def _link(error: BaseException, address: int, known: Known) -> None:
    """Give an exception the cause and context that the program has given it."""
    cause = _word(address + objects.EXC_CAUSE)
    context = _word(address + objects.EXC_CONTEXT)
    suppresses = ctypes.c_int8.from_address(address + objects.EXC_SUPPRESS).value
    if cause or suppresses:
        error.__cause__ = to_python(cause, known) if cause else None
        error.__suppress_context__ = bool(suppresses)
    if context and error.__context__ is None:
        other = to_python(context, known)
        if other is not error:
            error.__context__ = other


def from_python(error: BaseException, descriptor: int) -> int:
    """An owned exception object that stands for ``error``."""
    args = ctypes.c_int64(0)
    with Crossing() as crossing:
        try:
            crossing.to_native(error.args, _ARGS, ctypes.addressof(args))
        except (TypeError, NotImplementedError):
            args.value = 0  # asking for them is an error
    unknown = args.value == 0
    made = _new(descriptor, id(type(error)), args.value)
    if not made:
        raise MemoryError
    if unknown:
        ctypes.c_int64.from_address(made + objects.EXC_ARGS).value = 0
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
    ctypes.c_int64.from_address(made + objects.EXC_ORIGIN).value = id(error)
    return made


def _new(descriptor: int, cls: int, args: int) -> int:
    new = ctypes.PYFUNCTYPE(ctypes.c_void_p, *[ctypes.c_void_p] * 3)
    return new(nativelib.address("sm_exception_new"))(descriptor, cls, args) or 0


def exception_text(address: int, which: int) -> str:
    """What ``sm_exception_text`` asks of Python."""
    if which == TEXT_NAME:
        name: str = object_at(_word(address + objects.EXC_CLASS)).__name__
        return name
    error = to_python(address)
    return repr(error) if which == TEXT_REPR else str(error)
