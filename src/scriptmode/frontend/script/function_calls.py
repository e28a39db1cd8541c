"""``functools`` on functions of the program: ``wraps``, ``cache``."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from scriptmode.frontend.script import call_library
from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS, OBJECT_CALLS
from scriptmode.frontend.script.shared_objects import shared
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    LocalFunction,
    Sugared,
)
from scriptmode.ir import types as T

_METADATA = ("__module__", "__name__", "__qualname__", "__doc__")


@dataclass(eq=False)
class Wraps(Sugared):
    """``functools.wraps(function)``."""

    metadata: tuple[tuple[str, object], ...]

    def key(self) -> Hashable:
        return ("wraps", self.metadata)

    def describe(self) -> str:
        return "`functools.wraps(...)`"


@OBJECT_CALLS(functools.wraps)
def _wraps(e: Emitter, given: Arguments) -> Sugared:
    return Wraps(_metadata(e, given.positional[0]))


@CALLS(Wraps)
def _apply_wraps(e: Emitter, value: Wraps, given: Arguments) -> Sugared:
    return _renamed(one(e, given), value.metadata)


@OBJECT_CALLS(functools.update_wrapper)
def _update_wrapper(e: Emitter, given: Arguments) -> Sugared:
    wrapper, wrapped = given.positional[:2]
    return _renamed(wrapper, _metadata(e, wrapped))


def _renamed(wrapper: Sugared, metadata: tuple[tuple[str, object], ...]) -> Sugared:
    if isinstance(wrapper, LocalFunction):
        return dataclasses.replace(wrapper, metadata=metadata)
    return wrapper


def _metadata(e: Emitter, function: Sugared) -> tuple[tuple[str, object], ...]:
    found = []
    for name in _METADATA:
        value = e.find_attribute(function, name)
        if isinstance(value, Constant):
            found.append((name, value.value))
    return tuple(found)


@ATTRIBUTES(LocalFunction)
def _function_attribute(e: Emitter, value: LocalFunction, name: str) -> Sugared | None:
    for known, content in value.metadata:
        if known == name:
            return Constant(content)
    source = value.source
    match name:
        case "__name__":
            return Constant(source.qualname.rpartition(".")[2])
        case "__qualname__":
            return Constant(source.qualname)
        case "__module__":
            return Constant(source.module)
        case "__doc__":
            return Constant(_docstring(source.node))
    return None


def _docstring(node: ast.FunctionDef | ast.Lambda) -> str | None:
    match node:
        case ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str(text))), *_]):
            return text
    return None


@OBJECT_CALLS(functools.lru_cache, functools.cache)
def _cache(e: Emitter, given: Arguments) -> Sugared:
    e.not_built("functools.cache of a nested function is", help="define it at module level")


def call_cached(e: Emitter, obj: Any, given: Arguments) -> Sugared:
    """Call a Python function under ``functools.lru_cache``: results are kept for the program."""
    if given.keywords:
        e.not_built("keyword arguments of a cached function are", help="pass them by position")
    given = Arguments([e.settle(a) for a in given.positional], {}, given.node)
    function = e.unit.wrap(e, obj.__wrapped__, "cached")
    kinds = [e.type_of(a) for a in given.positional]
    known = [k for k in kinds if k is not None]
    if len(known) < len(kinds):
        return e.call(function, given)  # of functions and modules: nothing to find it by
    results = e.unit.shared.results
    key = (id(obj), tuple(known))
    if key not in results:
        result = e.call(function, given)
        t = e.type_of(result)
        if key in results or t is None:
            return result
        results[key] = t
        e.unit.start_again()
    memo = e.unit.shared.memos.setdefault(key, {})
    table = shared(e, memo, T.DictType([T.TupleType(known), results[key]]))
    found: Sugared = e.unit.call_python_source(
        e, call_library.call_cached, function, table, *given.positional
    )
    return found
