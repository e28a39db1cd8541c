"""Calls of Python's library that are programs of the language: bisect, heapq."""

from __future__ import annotations

import bisect
import functools
import heapq
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.values import Arguments, PythonObject, Sugared

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
    functools.cmp_to_key: script_library.comparing,
}


def _enter(stands_for: Callable[..., Any], function: Callable[..., Any]) -> None:
    def run(e: Emitter, given: Arguments) -> Sugared:
        settled = Arguments([e.settle(a) for a in given.positional], given.keywords, given.node)
        return e.call(PythonObject(function), settled)

    OBJECT_CALLS(stands_for)(run)


for _stands_for, _function in _FUNCTIONS.items():
    _enter(_stands_for, _function)
