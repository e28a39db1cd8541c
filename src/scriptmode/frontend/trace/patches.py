"""What Python and torch do not report by modes is watched by replacing functions during a trace.

Replaced are ``nn.Module.__call__`` (module scopes, compiled modules), ``autograd.Function.apply``,
the functions of ``math``, and ``min``, ``max`` and ``range``, which do not ask an int subclass.
Each replacement behaves as the original on threads that do not trace; the originals are put back
when the last trace ends.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import math
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch

from scriptmode.frontend.trace.numbers import (
    TracedFloat,
    TracedInt,
    call_extremum,
    call_math,
    is_live,
    plain,
)
from scriptmode.frontend.trace.places import is_torch_frame
from scriptmode.frontend.trace.python_calls import record_python_call
from scriptmode.frontend.trace.state import active_recorder, is_tracing
from scriptmode.support.locks import held_while_forking
from scriptmode.support.markers import STANDS_FOR

_LOCK = held_while_forking(threading.RLock())
_COUNT = 0
_UNDO: list[tuple[Any, str, Any]] = []


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Keep the replacements in place within the ``with``."""
    global _COUNT
    with _LOCK:
        _COUNT += 1
        if _COUNT == 1:
            _install()
    try:
        yield
    finally:
        with _LOCK:
            _COUNT -= 1
            if _COUNT == 0:
                _uninstall()


def _replace(owner: Any, name: str, replacement: Any) -> None:
    original = owner.__dict__[name]
    if isinstance(replacement, (types.FunctionType, type)):
        setattr(replacement, STANDS_FOR, original)
    _UNDO.append((owner, name, original))
    setattr(owner, name, replacement)


def _install() -> None:
    module_call = torch.nn.Module.__dict__["__call__"]
    _replace(torch.nn.Module, "__call__", _module_call(module_call))
    function_class = torch.autograd.function.Function
    _replace(function_class, "apply", _apply(function_class.__dict__["apply"]))
    for name, function in list(vars(math).items()):
        if callable(function) and not name.startswith("_"):
            _replace(math, name, _math(name, function))
    for name in ("min", "max"):
        _replace(builtins, name, _extremum(name, getattr(builtins, name)))
    _replace(builtins, "range", _Range)
    # code that asks torch whether it is traced keeps to tensors then
    _replace(torch._C, "_is_tracing", _is_traced(torch._C._is_tracing))


def _uninstall() -> None:
    while _UNDO:
        owner, name, original = _UNDO.pop()
        setattr(owner, name, original)


def _is_traced(original: Callable[[], bool]) -> Callable[[], bool]:
    def is_traced() -> bool:
        # torch's own code, other than its public function, runs as in eager mode
        caller = sys._getframe(1)
        if caller.f_code.co_name == "is_tracing" and caller.f_back is not None:
            caller = caller.f_back
        return (is_tracing() and not is_torch_frame(caller)) or original()

    return is_traced


def _module_call(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return original(module, *args, **kwargs)
        return recorder.call_module(original, module, args, kwargs)

    return call


def _apply(original: Any) -> Any:
    @functools.wraps(original.__func__)
    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return original.__func__(cls, *args, **kwargs)
        called = functools.partial(original.__func__, cls, **kwargs)
        return record_python_call(recorder, called, args, f"{cls.__name__}.apply")

    return classmethod(apply)


def _math(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if not kwargs and any(map(is_live, args)):
            return call_math(name, original, args)
        return original(*args, **kwargs)

    return function


def _extremum(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if kwargs or not args or active_recorder() is None:
            return original(*args, **kwargs)
        items = args[0] if len(args) == 1 else args
        if isinstance(items, (tuple, list)) and any(map(is_live, items)):
            if all(isinstance(i, (int, float)) for i in items):
                return call_extremum(name, original, args)
        return original(*args, **kwargs)

    return function


_RANGE = range


class _RangeClass(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RANGE)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _RANGE)


class _Range(metaclass=_RangeClass):
    """Stands in for ``range``, which takes the value of an int subclass without asking it."""

    def __new__(cls, *args: Any) -> Any:
        if any(isinstance(a, (TracedInt, TracedFloat)) for a in args):
            live = [a for a in args if is_live(a)]
            result = _RANGE(*map(plain, args))
            if live:
                live[0]._recorder.freeze("range", len(result), "iterating over the range of a size")
            return result
        return _RANGE(*args)
