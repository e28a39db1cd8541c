"""The public functions: ``script``, ``trace``, ``trace_module``, ``script_if_tracing``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.frontend.trace import is_tracing
from scriptmode.jit.function import Compiled, ScriptFunction, script_function
from scriptmode.jit.module import script_module
from scriptmode.support import config
from scriptmode.support.diagnostics import ArgumentError, Diagnostic, NotBuiltError


def script(
    obj: Any,
    optimize: None = None,
    *,
    example_inputs: Sequence[tuple[Any, ...]] | None = None,
) -> Any:
    """Compile a function or a module from its Python source.

    Parameters
    ----------
    obj
        A function, or an ``nn.Module`` (compiled with its submodules; ``forward`` and methods
        marked with ``export``).  What is compiled already is returned as it is.
    example_inputs
        Argument tuples from which types of unannotated parameters are taken.

    Returns
    -------
    ``ScriptFunction`` or ``ScriptModule``.  With ``SCRIPTMODE=0`` it is ``obj`` itself.

    Raises
    ------
    CompileError
        Names the file, line and column of what cannot be compiled, and a way out.
    """
    if not config.get("enabled") or isinstance(obj, Compiled):
        return obj
    if isinstance(obj, torch.nn.Module):
        return script_module(obj)
    if inspect.isclass(obj):
        raise _not_built(f"script of a class ({obj.__name__})")
    if isinstance(obj, (list, dict)):
        raise _not_built(f"script of a {type(obj).__name__}")
    if inspect.ismethod(obj) or not callable(obj):
        raise ArgumentError(
            Diagnostic(
                "SM0404",
                f"script takes a function or a module, not a {type(obj).__name__}",
                help="script the module that owns a method",
            )
        )
    return script_function(obj, [tuple(e) for e in example_inputs] if example_inputs else None)


def _not_built(what: str) -> NotBuiltError:
    return NotBuiltError(Diagnostic("SM0001", f"{what} is not built yet"))


def script_if_tracing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile ``function`` when it is first called while tracing; outside of it, run it eagerly."""
    compiled: list[ScriptFunction] = []

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not is_tracing():
            return function(*args, **kwargs)
        if not compiled:
            compiled.append(script_function(function))
        return compiled[0](*args, **kwargs)

    wrapper.__script_if_tracing_wrapper = True  # type: ignore[attr-defined]
    return wrapper


def is_scripting() -> bool:
    """True in a compiled program, False in eager Python."""
    return False


__all__ = ["is_scripting", "is_tracing", "script", "script_if_tracing"]
