"""Locks that a forked child finds free.

``held_while_forking(lock)`` makes ``os.fork`` take the lock first, so that no other thread is then
inside what it guards.  Locks are taken in the reverse order of their registration: one that is held
while another is taken must be registered later, as the imports of the packages do by themselves.
"""

from __future__ import annotations

import os
from typing import Protocol, TypeVar


class Lock(Protocol):
    """A lock of ``threading``."""

    def acquire(self) -> object:
        """Wait for the lock."""

    def release(self) -> object:
        """Give the lock up."""


L = TypeVar("L", bound=Lock)


def held_while_forking(lock: L) -> L:
    """The lock itself, which every fork holds from now on; it must be reentrant."""
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
    return lock
