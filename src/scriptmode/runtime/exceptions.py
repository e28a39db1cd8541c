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
from scriptmode.abi.instances import instance_size, slot_offsets, value_offset
from scriptmode.ir import types as T
from scriptmode.ir.exceptions import make_exception
from scriptmode.runtime import descriptors, nativelib
from scriptmode.runtime.crossing import Crossing, drop_slot

_ARGS = T.VarTupleType([T.ANY])
_NATIVE_ATTRIBUTES = 7  # of every exception, described by EXC_...

_ADDED = objects.EXC_SUPPRESS + 1  # where the attributes of the program's classes begin

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
    with Crossing() as crossing:
        for name, slot, t in _own_slots(address):
            value = crossing.to_python(slot, t)
            if not origin or not _is_same(vars(error).get(name, _word), value):
                setattr(error, name, value)
    known[address] = error
    _link(error, address, known)
    return error


def _make(address: int) -> BaseException:
    cls = object_at(_word(address + objects.EXC_CLASS))
    with Crossing() as crossing:
        args = crossing.to_python(address + objects.EXC_ARGS, _ARGS)
        error = make_exception(cls, args)
    error.args = args
    return error


def _own_slots(address: int) -> Iterator[tuple[str, int, T.Type]]:
    """The attributes with a value that the program's classes have added: addresses and types."""
    t = descriptors.type_of(_word(address + objects.HEAP_DESCRIPTOR))
    assert isinstance(t, T.ClassType)
    for name, flag, slot in _added(t, address):
        if flag is None or ctypes.c_int8.from_address(flag).value:
            yield name, slot, t.attributes[name]


def _added(t: T.ClassType, address: int) -> Iterator[tuple[str, int | None, int]]:
    """What the program's classes have added: addresses of the flag, if there is one, and value."""
    for name, offset in list(slot_offsets(t).items())[_NATIVE_ATTRIBUTES:]:
        place = address + offset
        if t.may_lack(name):
            yield name, place, place + value_offset(t.attributes[name])
        else:
            yield name, None, place


def _is_same(old: object, new: object) -> bool:
    """Whether an attribute need not be set anew."""
    if old is new:
        return True
    try:
        return type(old) is type(new) and bool(old == new)
    except (RuntimeError, TypeError, ValueError):  # tensors, arrays
        return False


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
    root = descriptors.type_of(descriptor)
    assert isinstance(root, T.ClassType)
    made = _laid_out(error, root, args.value)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(error))
    ctypes.c_int64.from_address(made + objects.EXC_ORIGIN).value = id(error)
    return made


def _laid_out(error: BaseException, root: T.ClassType, args: int) -> int:
    """An exception object of the nearest class that the program knows, with its attributes."""
    known = {t.python_class: t for t in (root, *root.subclasses)}
    made = _new(descriptors.descriptor(root), id(type(error)), args)
    if not made:
        raise MemoryError
    if not args:
        ctypes.c_int64.from_address(made + objects.EXC_ARGS).value = 0
    for t in (known[base] for base in type(error).__mro__ if base in known):
        if _fill(error, t, made):
            pointer = ctypes.c_int64.from_address(made + objects.HEAP_DESCRIPTOR)
            pointer.value = descriptors.descriptor(t)
            break
    return made


def _fill(error: BaseException, t: T.ClassType, address: int) -> bool:
    """Write the attributes of ``error``; False when they are not those of the class.

    All classes of exceptions of a program have the same size.
    """
    own = vars(error)
    written: list[tuple[int, T.Type]] = []
    with Crossing() as crossing:
        for name, flag, slot in _added(t, address):
            if name not in own and flag is not None:
                continue
            try:
                crossing.to_native(own[name], t.attributes[name], slot)
            except (KeyError, TypeError, NotImplementedError):
                for place, kind in written:
                    drop_slot(place, descriptors.descriptor(kind))
                ctypes.memset(address + _ADDED, 0, instance_size(t) - _ADDED)
                return False
            written.append((slot, t.attributes[name]))
            if flag is not None:
                ctypes.c_int8.from_address(flag).value = 1
    return True


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
