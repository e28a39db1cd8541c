"""How long machine code lives.

The code of a program goes with the ``CompiledProgram``.  Every entry's record holds it, a running
call holds its record, and module instances hold it too, since their strings may be constants of the
program.  The last of them closes the engine, unless the interpreter ends: threads may still be
inside then.
"""

from __future__ import annotations

import weakref

from scriptmode.codegen.engine import Engine
from scriptmode.codegen.module import CompiledProgram

_managed: weakref.WeakSet[CompiledProgram] = weakref.WeakSet()


def manage(compiled: CompiledProgram) -> None:
    """Close the program's engine when nothing refers to the program any more."""
    if compiled not in _managed:
        _managed.add(compiled)
        weakref.finalize(compiled, Engine.close, compiled._engine).atexit = False
