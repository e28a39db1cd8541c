"""What compiled objects do when they are called inside a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scriptmode.frontend.trace.scripted import Callee
from scriptmode.frontend.trace.state import active_recorder


def call_compiled(compiled: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record a call of an object with the protocol ``__scriptmode_ir__`` in this thread's trace."""
    recorder = active_recorder()
    assert recorder is not None, "call_compiled outside a trace"
    return recorder.call_hooks.call_compiled(recorder, compiled, args, kwargs)


def call_program(callee: Callee, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Record a call of a function of a compiled program in this thread's trace."""
    recorder = active_recorder()
    assert recorder is not None, "call_program outside a trace"
    return recorder.call_hooks.call_program(recorder, callee, args, kwargs)
