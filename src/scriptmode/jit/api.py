"""The public functions that compile: ``script``, ``script_if_tracing``, ``specialize``."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from scriptmode.frontend.trace import is_tracing
from scriptmode.jit.function import Compiled, ScriptFunction, script_function
from scriptmode.jit.module import ScriptModule, script_method_of, script_module
from scriptmode.jit.values import script_dict, script_list
from scriptmode.support import config
from scriptmode.support.containers import ScriptDict, ScriptList
from scriptmode.support.diagnostics import ArgumentError, Diagnostic, ScriptTypeError
from scriptmode.support.markers import IGNORE, UNUSED, is_scripting, modifier_of

Examples = Sequence[tuple[Any, ...]] | Mapping[Any, Sequence[tuple[Any, ...]]]


def script(
    obj: Any,
    optimize: None = None,
    _frames_up: int = 0,
    _rcb: Callable[[str], Any] | None = None,
    example_inputs: Examples | None = None,
) -> Any:
    """Compile a function, a method or a module from its Python source.

    Parameters
    ----------
    obj
        A function, an ``nn.Module`` (compiled with its submodules; ``forward`` and methods marked
        with ``export``), or a module's bound method.  What is compiled already, and a class, whose
        methods are compiled where they are called, is returned as it is.  A list or dict becomes
        one that goes on holding elements of its types.
    optimize, _frames_up, _rcb
        Accepted for torch.jit's callers; names are those of the object's own source.
    example_inputs
        Argument tuples from which types of unannotated parameters are taken; for a module a dict
        of such lists by method, or by the name of a method.

    Returns
    -------
    ``ScriptFunction`` or ``ScriptModule``.  With ``SCRIPTMODE=0`` it is ``obj`` itself.

    Raises
    ------
    CompileError
        Names the file, line and column of what cannot be compiled, and a way out.
    """
    if optimize is not None:
        warnings.warn(
            "`optimize` has no effect and goes away: use `with optimized_execution(...)`",
            FutureWarning,
            stacklevel=2,
        )
    prepare = getattr(obj, "__prepare_scriptable__", None)
    if prepare is not None and not inspect.isclass(obj):
        obj = prepare()
    if not config.get("enabled") or isinstance(obj, (Compiled, ScriptModule)):
        return obj
    if isinstance(obj, torch.nn.Module):
        return script_module(obj, examples=_module_examples(obj, example_inputs))
    if inspect.isclass(obj):
        return _script_class(obj)
    if isinstance(obj, (ScriptList, ScriptDict)):
        return obj
    if type(obj) is list:
        return script_list(obj)
    if type(obj) is dict:
        return script_dict(obj)
    if inspect.ismethod(obj) and isinstance(obj.__self__, torch.nn.Module):
        return script_method_of(obj.__self__, obj.__name__, _positional(example_inputs))
    if inspect.ismethod(obj) or not callable(obj):
        raise ArgumentError(
            Diagnostic(
                "SM0404",
                f"script takes a function or a module, not a {type(obj).__name__}",
                help="script the module that owns a method",
            )
        )
    if modifier_of(obj) in (IGNORE, UNUSED):
        return obj
    return script_function(obj, _positional(example_inputs))


def _script_class(cls: type) -> type:
    """A class is compiled with the programs that use it; a module's class is a mistake."""
    if issubclass(cls, torch.nn.Module):
        raise ScriptTypeError(
            Diagnostic(
                "SM0404",
                f"`{cls.__name__}` is a class of modules, not a module",
                help=f"make an instance first: script({cls.__name__}(...))",
            )
        )
    return cls


def _positional(examples: Examples | None) -> list[tuple[Any, ...]] | None:
    if isinstance(examples, Mapping):
        examples = [e for listed in examples.values() for e in listed]
    return [tuple(e) for e in examples] if examples else None


def _module_examples(
    module: torch.nn.Module, examples: Examples | None
) -> dict[str, list[tuple[Any, ...]]]:
    """Examples by method name; a list, or the module itself as key, is for ``forward``."""
    if not examples:
        return {}
    if not isinstance(examples, Mapping):
        return {"forward": [tuple(e) for e in examples]}
    found: dict[str, list[tuple[Any, ...]]] = {}
    for method, given in examples.items():
        name = "forward" if method is module else method
        name = name if isinstance(name, str) else name.__name__
        found[name] = [tuple(e) for e in given]
    return found


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


def specialize(f: Any, inputs: Any, *, gradients: bool = False) -> Any:
    """Compile special code for calls like these, and wait for it.

    Parameters
    ----------
    f
        What ``script`` or ``trace`` returned.
    inputs
        The arguments of a call as a tuple, or a single one, as for ``trace``; a list of tuples for
        several calls.
    gradients
        Compile the forward and reverse programs that such calls run when gradients are recorded,
        instead of what they run without.

    Returns
    -------
    ``f``.  Calls that are not like these run as before; ``f.versions`` and
    ``f.gradient_versions`` show what there is.

    Raises
    ------
    ArgumentError
        ``f`` is not compiled, does not take the arguments, or cannot be specialised for them.
    """
    if not isinstance(f, Compiled):
        if not config.get("enabled"):
            return f
        raise ArgumentError(
            Diagnostic("SM0404", f"specialize takes what script or trace returned, not {f!r:.60}")
        )
    is_several = isinstance(inputs, list) and all(isinstance(i, tuple) for i in inputs)
    for call in inputs if is_several else [inputs]:
        f._dispatcher.specialize(call if isinstance(call, tuple) else (call,), {}, gradients)
    return f


__all__ = ["is_scripting", "is_tracing", "script", "script_if_tracing", "specialize"]
