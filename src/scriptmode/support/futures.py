"""``Future``: the result of a call that may not have been made yet.

``Future.run(call)`` makes the call now, ``Future(call)`` when it is first waited for.  Either way
an exception of the call is raised by every ``wait``.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Future(Generic[T]):
    """What ``fork`` returns; ``wait()`` gives the result."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call: Callable[[], T] | None = call
        self._lock = threading.RLock()
        self._result: Any = None
        self._error: Exception | None = None

    @classmethod
    def run(cls, call: Callable[[], T]) -> Future[T]:
        """A future whose call is made before it is returned."""
        made = cls(call)
        made._finish()
        return made

    @classmethod
    def of(cls, value: T) -> Future[T]:
        """A future that has its result."""
        return cls.run(lambda: value)

    @classmethod
    def failed(cls, error: Exception) -> Future[T]:
        """A future whose call has raised."""
        made = cls.__new__(cls)
        made._call, made._lock = None, threading.RLock()
        made._result, made._error = None, error
        return made

    def _finish(self) -> None:
        with self._lock:
            call, self._call = self._call, None
            if call is None:
                return
            try:
                self._result = call()
            except Exception as error:
                self._error = error

    def wait(self) -> T:
        """The result of the call; its exception is raised here."""
        self._finish()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[no-any-return]

    def value(self) -> T:
        """``wait()`` of a future that is done."""
        if not self.done():
            raise RuntimeError("the future is not done")
        return self.wait()

    def done(self) -> bool:
        """Whether the call has been made."""
        return self._call is None


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """Call ``func``, in compiled code possibly in another thread; ``wait`` gives the result.

    In eager mode the call is made at once.
    """
    return Future.run(functools.partial(func, *args, **kwargs))


def wait(future: Future[T]) -> T:
    """The result of a forked call; its exception is raised here."""
    return future.wait()


def awaitable(func: Callable[..., T], *args: Any, **kwargs: Any) -> Future[T]:
    """A call that is made when it is waited for."""
    return Future(functools.partial(func, *args, **kwargs))


def awaitable_wait(aw: Future[T]) -> T:
    """The result of a deferred call, made now if it was not made before."""
    return aw.wait()


def awaitable_nowait(o: T) -> Future[T]:
    """A deferred call that has its result already."""
    return Future.of(o)


__all__ = ["Future", "awaitable", "awaitable_nowait", "awaitable_wait", "fork", "wait"]
