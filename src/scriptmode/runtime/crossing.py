"""Single values across the boundary, outside of calls: module attributes, exception arguments."""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from functools import cache
from typing import Any, Protocol

from scriptmode.ir import types as T
from scriptmode.runtime import frame, library, nativelib, plans, turns

_POINTER = ctypes.c_void_p


@cache
def boundary_function(name: str, result: Any, *arguments: Any) -> Any:
    """A function of the boundary's native code."""
    return ctypes.PYFUNCTYPE(result, *arguments)(library.address(name))


@cache
def native_function(name: str, *arguments: Any) -> Any:
    """A function of the native library without a result."""
    return ctypes.PYFUNCTYPE(None, *arguments)(nativelib.address(name))


class Pairs(Protocol):
    """Python objects that are native ones, too."""

    def seed(self, call: int) -> None:
        """Let a crossing know the pairs."""

    def keep(self, call: int) -> None:
        """Take over what has become a pair in the crossing."""


class Turn:
    """The turn of a tree of modules (see ``turns``); ``with turn:`` takes it."""

    def __init__(self) -> None:
        self._words = (ctypes.c_int64 * turns.TURN_WORDS)()
        self.address = ctypes.addressof(self._words)
        _TURNS.add(self)

    def __enter__(self) -> None:
        boundary_function("sm_turn_take", None, _POINTER)(self.address)

    def __exit__(self, *exception: object) -> None:
        boundary_function("sm_turn_give", None, _POINTER)(self.address)

    def free(self) -> None:
        """In a forked process: nobody has the turn but the thread that lives on."""
        if self._words[0] != threading.get_ident():
            self._words[:] = [0] * turns.TURN_WORDS


_TURNS: weakref.WeakSet[Turn] = weakref.WeakSet()


OUTSIDE = Turn()  # of calls that use captured containers, objects and variables by reference


def _free_turns() -> None:
    for turn in list(_TURNS):
        turn.free()


os.register_at_fork(after_in_child=_free_turns)


class Crossing:
    """A frame without a call; what crosses through one object shares its identities.

    ``with Crossing() as crossing`` frees the memo at the end.  With ``mirrors``, containers of that
    state cross as the objects that they are mirrored by.
    """

    def __init__(self, mirrors: Pairs | None = None) -> None:
        self._mirrors = mirrors
        self._record = (ctypes.c_int64 * frame.REC_WORDS)()
        self._frame = ctypes.create_string_buffer(frame.FRAME_SIZE)
        self.address = ctypes.addressof(self._frame)
        where = ctypes.c_int64.from_address(self.address + frame.FRAME_RECORD)
        where.value = ctypes.addressof(self._record)

    @classmethod
    def of_call(cls, frame_address: int) -> Crossing:
        """Crossings in a running call, whose memo they share; not to be used with ``with``."""
        self = cls.__new__(cls)
        self.address = frame_address
        return self

    def __enter__(self) -> Crossing:
        if self._mirrors is not None:
            self._mirrors.seed(self.address)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._mirrors is not None:
            self._mirrors.keep(self.address)
        boundary_function("memo_close", None, _POINTER)(self.address)

    def to_native(self, value: object, t: T.Type, slot: int) -> None:
        """Write an owned value to ``slot``; TypeError when ``value`` is not of type ``t``."""
        unbox = boundary_function(
            "unbox_whole", ctypes.c_int64, _POINTER, ctypes.py_object, _POINTER, _POINTER
        )
        if unbox(self.address, value, plans.plan(t), slot) != frame.FITS:
            raise TypeError(f"expected {t}, found {value!r} of type {type(value).__name__}")

    def to_python(self, slot: int, t: T.Type) -> Any:
        """The Python object of the value in ``slot``."""
        box = boundary_function("box_whole", ctypes.py_object, _POINTER, _POINTER, _POINTER)
        return box(self.address, slot, plans.plan(t))


def drop_slot(slot: int, descriptor: int) -> None:
    """Drop the value in a slot."""
    native_function("sm_slot_drop", _POINTER, _POINTER)(slot, descriptor)


def release_object(address: int) -> None:
    """Give up a native heap object."""
    native_function("sm_release", _POINTER)(address)
