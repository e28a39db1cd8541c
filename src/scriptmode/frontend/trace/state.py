"""Which trace the current thread is in."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from scriptmode.ir.graph import Value
from scriptmode.support.source import Span


@dataclass(frozen=True)
class Frozen:
    """A Python value that the recorded program depends on and does not compute.

    ``kind`` says how it came about (``bool``, ``item``, ``comparison``, ``len``, ...); ``text`` is
    the remark about it, ``warned`` whether the user was given it as a warning.
    """

    kind: str
    value: Any
    span: Span
    text: str
    warned: bool = True


class Sink(Protocol):
    """What traced numbers need of the recorder."""

    def emit(self, kind: str, *inputs: Value) -> Value:
        """Append an op."""

    def constant(self, value: Any) -> Value:
        """Append a constant."""

    def select(self, kind: str, a: Value, b: Value) -> Value:
        """Append ``a if kind(a, b) else b``."""

    def freeze(self, kind: str, value: Any, text: str, *, warn: bool = True) -> None:
        """Note that Python has taken ``value``."""


class _ThreadState(threading.local):
    recorder: Any = None
    paused: bool = False


_STATE = _ThreadState()


def active_recorder() -> Any:
    """The recorder of this thread's trace; None outside and where recording is off."""
    return None if _STATE.paused else _STATE.recorder


def is_tracing() -> bool:
    """Whether this thread is recording a trace."""
    return active_recorder() is not None


@contextlib.contextmanager
def activated(recorder: Any) -> Iterator[None]:
    """Record into ``recorder`` within the ``with``."""
    saved = _STATE.recorder, _STATE.paused
    _STATE.recorder, _STATE.paused = recorder, False
    try:
        yield
    finally:
        _STATE.recorder, _STATE.paused = saved


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Run eagerly, recording nothing, within the ``with``."""
    saved, _STATE.paused = _STATE.paused, True
    try:
        yield
    finally:
        _STATE.paused = saved
