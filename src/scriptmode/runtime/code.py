"""How long machine code lives.

The code of a program goes with the ``CompiledProgram``.  Every entry's record holds it, a running
call holds its record, and module instances hold it too, since their strings may be constants of the
program.  The last of them closes the engine, unless the interpreter ends: threads may still be
inside then.  Who dies first is not known where they are garbage together, so each has a ``Lease``.
"""

from __future__ import annotations

import weakref

from scriptmode.codegen.engine import Engine
from scriptmode.codegen.module import CompiledProgram


class Lease:
    """An engine that is closed when the last of its holders releases it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._holders = 0

    def hold(self) -> Lease:
        """Count one more holder."""
        self._holders += 1
        return self

    def release(self) -> None:
        """Count one holder less."""
        self._holders -= 1
        if self._holders == 0:
            self._engine.close()


_leases: weakref.WeakKeyDictionary[CompiledProgram, Lease] = weakref.WeakKeyDictionary()


def manage(compiled: CompiledProgram) -> Lease:
    """The lease on the program's engine, which the program itself holds while it lives."""
    found = _leases.get(compiled)
    if found is None:
        found = _leases[compiled] = Lease(compiled._engine).hold()
        weakref.finalize(compiled, found.release).atexit = False
    return found
