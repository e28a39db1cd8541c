"""Second derivatives: the reverse programs of a function as functions with gradients of their own.

There is one for each pattern of what requires a gradient and of which results have a cotangent.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.jit.background import background
from scriptmode.support import config

Pattern = tuple[bool, ...]
Function = TypeVar("Function")
Made = TypeVar("Made", covariant=True)


class Owner(Protocol[Made]):
    """The differentiated forms of one function."""

    def pullback(self, pattern: Pattern, given: Pattern) -> Made:
        """The reverse program as a function; raises NotDifferentiable."""


class Pullbacks(Generic[Function]):
    """Those of one function; ``reason`` says why one is missing."""

    def __init__(self) -> None:
        self.reason = ""
        self._lock = threading.RLock()
        self._asked: set[tuple[Pattern, Pattern]] = set()
        self._made: dict[tuple[Pattern, Pattern], Function | None] = {}

    def find(
        self, owner: Owner[Function], pattern: Pattern, given: Pattern, is_auto: bool
    ) -> Function | None:
        """The function; with ``is_auto``, the background makes it, and there is none until then."""
        key = (pattern, given)
        if is_auto and key not in self._made:
            if key not in self._asked:
                self._asked.add(key)
                background.submit(self._job(owner, key))
            return self._made.get(key)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(owner, key)
            return self._made[key]

    def all(self) -> list[Function]:
        """What has been made."""
        return [made for made in self._made.values() if made is not None]

    def free_lock(self) -> None:
        """In a forked process: the thread that made a function does not exist there."""
        self._lock = threading.RLock()
        self._asked.clear()

    def _job(self, owner: Owner[Function], key: tuple[Pattern, Pattern]) -> Callable[[], None]:
        found, me = weakref.ref(owner), weakref.ref(self)

        def job() -> None:
            alive, pullbacks = found(), me()
            if alive is not None and pullbacks is not None:
                pullbacks.find(alive, *key, False)

        return job

    def _make(self, owner: Owner[Function], key: tuple[Pattern, Pattern]) -> Function | None:
        try:
            return owner.pullback(*key)
        except NotDifferentiable as error:
            self.reason = str(error)
        except Exception as error:  # the tape can differentiate it: see Gradients
            if config.get("verify"):
                raise
            self.reason = f"the compiler failed: {error!r}"
        return None
