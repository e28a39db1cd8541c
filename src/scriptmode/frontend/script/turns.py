"""Whether the elements of an iterable are made by code of the user, one when each is asked for.

What consumes such elements in turn with effects of its own (``xs.extend(f(y) for y in ys)``) must
not run ahead: an element may read what the one before has changed, print, or raise.
"""

from __future__ import annotations

import ast

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.instances import instance_type
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import (
    Constant,
    GeneratorValue,
    IterableValue,
    PythonObject,
    Sugared,
    is_iterator,
)

_QUIET = (int, float, bool, str, len, abs, repr, type)
_LOUD = (ast.Call, ast.NamedExpr, ast.BinOp)


def runs_code(value: Sugared) -> bool:
    """Whether giving an element may have effects that a consumer could tell from running ahead."""
    if isinstance(value, GeneratorValue):
        parts = [value.node.elt, *(t for g in value.node.generators for t in g.ifs)]
        if any(isinstance(inner, _LOUD) for part in parts for inner in walk(part)):
            return True
        return runs_code(value.iterable)
    if isinstance(value, IterableValue):
        first = value.arguments[0] if value.arguments else None
        if value.kind in ("map", "filter"):
            if not (isinstance(first, PythonObject) and first.object in _QUIET):
                return not (isinstance(first, Constant) and first.value is None)
        return any(map(runs_code, value.arguments))
    return False


def is_asked_in_turn(e: Emitter, value: Sugared) -> bool:
    """Whether each element is made when it is asked for, by the user's code or an iterator."""
    return is_iterator(value) or runs_code(value) or instance_type(value) is not None
