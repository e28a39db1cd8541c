"""From a callable that a function mode has seen to the resolver of torch's calls."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Any

from scriptmode.frontend import calls
from scriptmode.frontend.operands import Operand
from scriptmode.frontend.trace.recorder import Recorder
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import ScriptError


def accessor_name(function: Any, kind: str) -> str | None:
    """The attribute that ``Tensor.name.__get__`` or ``__set__`` is for; None for others."""
    if isinstance(function, types.MethodWrapperType) and function.__name__ == kind:
        owner: Any = function.__self__
        name = getattr(owner, "__name__", None)
        return name if isinstance(name, str) else str(owner.fget.__name__)
    return None


def resolve(
    recorder: Recorder, function: Any, args: Sequence[Operand], kwargs: Mapping[str, Operand]
) -> Value | None:
    """Append the nodes of a call of a builtin; None when no resolver knows it."""
    if not calls.is_torch_callable(function):
        return None
    builder = recorder.builder
    try:
        with recorder.attempt():
            return calls.call_torch(builder, function, args, kwargs, builder.span)
    except ScriptError:
        return None
