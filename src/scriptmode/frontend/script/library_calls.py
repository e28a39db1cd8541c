"""Calls of Python's library that are programs of the language: bisect, heapq, copy."""

from __future__ import annotations

import bisect
import copy
import heapq
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.values import Arguments, Constant, PythonObject, Sugared
from scriptmode.ir import types as T

_FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    bisect.bisect_left: script_library.bisect_left,
    bisect.bisect_right: script_library.bisect_right,
    bisect.insort_left: script_library.insort_left,
    bisect.insort_right: script_library.insort_right,
    heapq.heappush: script_library.heappush,
    heapq.heappop: script_library.heappop,
    heapq.heapreplace: script_library.heapreplace,
    heapq.heappushpop: script_library.heappushpop,
    heapq.heapify: script_library.heapify,
    heapq.nlargest: script_library.nlargest,
    heapq.nsmallest: script_library.nsmallest,
}


def _enter(stands_for: Callable[..., Any], function: Callable[..., Any]) -> None:
    def run(e: Emitter, given: Arguments) -> Sugared:
        settled = Arguments([e.settle(a) for a in given.positional], given.keywords, given.node)
        return e.call(PythonObject(function), settled)

    OBJECT_CALLS(stands_for)(run)


for _stands_for, _function in _FUNCTIONS.items():
    _enter(_stands_for, _function)


_IMMUTABLE = (
    T.INT, T.FLOAT, T.BOOL, T.STR, T.COMPLEX, T.NONE, T.BYTES, T.RANGE, T.SIZE, T.DTYPE, T.DEVICE,
    T.LAYOUT, T.MEMORY_FORMAT, T.NUMBER,
)  # fmt: skip


@OBJECT_CALLS(copy.copy)
def _copy(e: Emitter, given: Arguments) -> Sugared:
    value = e.settle(one(e, given))
    t = e.type_of(value)
    if t is None or t in _IMMUTABLE or isinstance(value, Constant):
        return value
    if isinstance(t, (T.TupleType, T.VarTupleType, T.EnumType, T.FrozenSetType)):
        return value
    if isinstance(t, T.CONTAINERS):
        return e.call_positional(e.attribute(value, "copy"))
    e.not_built(f"copy.copy of a {t} is")


@OBJECT_CALLS(copy.deepcopy)
def _deep_copy(e: Emitter, given: Arguments) -> Sugared:
    """Of containers whose elements cannot change, a copy is as deep as can be."""
    value = e.settle(one(e, given))
    t = e.type_of(value)
    if t is None and isinstance(value, Constant):
        return value
    if t is not None and (_is_immutable(t) or isinstance(value, Constant)):
        return value
    if isinstance(t, T.CONTAINERS) and all(map(_is_immutable, t.contained)):
        return e.call_positional(e.attribute(value, "copy"))
    e.not_built(
        f"copy.deepcopy of {value.describe()} is",
        help="copy the containers inside one by one; `x.clone()` copies a tensor",
    )


def _is_immutable(t: T.Type) -> bool:
    if isinstance(t, T.NamedTupleType):
        return False  # copied like an instance
    if isinstance(t, (T.TupleType, T.VarTupleType, T.FrozenSetType, T.OptionalType, T.UnionType)):
        return all(map(_is_immutable, t.contained))
    return t in _IMMUTABLE or isinstance(t, T.EnumType)
