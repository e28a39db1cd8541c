"""Single values across the boundary, outside of calls: module attributes, exception arguments."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from scriptmode.ir import types as T
from scriptmode.runtime import frame, library, nativelib, plans

_POINTER = ctypes.c_void_p


@cache
def _boundary(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)(library.address(name))


@cache
def _native(name: str, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(None, *arguments)(nativelib.address(name))


class Crossing:
    """A frame without a call; what crosses through one object shares its identities.

    ``with Crossing() as crossing`` frees the memo at the end.
    """

    def __init__(self) -> None:
        self._record = (ctypes.c_int64 * frame.REC_WORDS)()
        self._frame = ctypes.create_string_buffer(frame.FRAME_SIZE)
        self._address = ctypes.addressof(self._frame)
        where = ctypes.c_int64.from_address(self._address + frame.FRAME_RECORD)
        where.value = ctypes.addressof(self._record)

    @classmethod
    def of_call(cls, frame_address: int) -> Crossing:
        """Crossings in a running call, whose memo they share; not to be used with ``with``."""
        self = cls.__new__(cls)
        self._address = frame_address
        return self

    def __enter__(self) -> Crossing:
        return self

    def __exit__(self, *exception: object) -> None:
        _boundary("memo_close", None, _POINTER)(self._address)

    def to_native(self, value: object, t: T.Type, slot: int) -> None:
        """Write an owned value to ``slot``; TypeError when ``value`` is not of type ``t``."""
        unbox = _boundary(
            "unbox_whole", ctypes.c_int64, _POINTER, ctypes.py_object, _POINTER, _POINTER
        )
        if unbox(self._address, value, plans.plan(t), slot) != frame.FITS:
            raise TypeError(f"expected {t}, found {value!r} of type {type(value).__name__}")

    def to_python(self, slot: int, t: T.Type) -> Any:
        """The Python object of the value in ``slot``."""
        box = _boundary("box_whole", ctypes.py_object, _POINTER, _POINTER, _POINTER)
        return box(self._address, slot, plans.plan(t))


def drop_slot(slot: int, descriptor: int) -> None:
    """Drop the value in a slot."""
    _native("sm_slot_drop", _POINTER, _POINTER)(slot, descriptor)


def release_object(address: int) -> None:
    """Give up a native heap object."""
    _native("sm_release", _POINTER)(address)
