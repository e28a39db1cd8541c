"""Cells with the addresses of exception classes, named ``exc.<Name>`` for native code.

``exception_symbol(ValueError)`` is ``"exc.ValueError"``; the symbol's eight bytes hold the class
object's address.  Classes of programs get their module's name too.  Cells live for the process, and
keep their class alive.
"""

from __future__ import annotations

import builtins
import ctypes
import threading

import llvmlite.binding as llvm

from scriptmode.support.locks import held_while_forking

_lock = held_while_forking(threading.RLock())
_cells: dict[str, tuple[type[BaseException], ctypes.c_void_p]] = {}


def exception_symbol(cls: type[BaseException]) -> str:
    """The symbol of the cell that holds ``cls``, registered on first use."""
    is_builtin = getattr(builtins, cls.__name__, None) is cls
    name = f"exc.{cls.__name__}" if is_builtin else f"exc.{cls.__module__}.{cls.__qualname__}"
    with _lock:
        held = _cells.get(name)
        if held is not None and held[0] is not cls:
            # another class of the same name, such as a second local class of one function
            name = f"{name}@{id(cls):x}"
            held = _cells.get(name)
        if held is None:
            cell = ctypes.c_void_p(id(cls))
            _cells[name] = (cls, cell)
            llvm.add_symbol(name, ctypes.addressof(cell))
    return name


def exception_class(address: int) -> type[BaseException]:
    """The class at an address read from a context."""
    with _lock:
        for cls, cell in _cells.values():
            if cell.value == address:
                return cls
    raise LookupError(f"no registered exception class is at {address:#x}")


def class_of_symbol(symbol: str) -> type[BaseException]:
    """The class in a registered cell."""
    with _lock:
        return _cells[symbol][0]


def register_builtin_exceptions() -> None:
    """Register every exception class of ``builtins``."""
    for found in list(vars(builtins).values()):
        if isinstance(found, type) and issubclass(found, BaseException):
            # aliases such as IOError are reached by the class's own name
            exception_symbol(found)
