"""``list.sort`` and ``sorted``."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.iteration import cursor_of
from scriptmode.frontend.script.loops import run_cursor
from scriptmode.frontend.script.values import Constant, IRValue, PythonObject, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


def sort(e: Emitter, owner: Value, options: Mapping[str, Sugared]) -> None:
    """``owner.sort(**options)``: stable; each element's key is made once, in order."""
    key = options.get("key", Constant(None))
    keys = owner
    if e.type_of(key) != T.NONE:
        keys = sort_keys(e, owner, key)
    reverse = e.unit.truth(e, options.get("reverse", Constant(False)))
    if any(_is_compared_by_program(t) for t in T.walk(keys.type)):
        if keys is owner:
            keys = e.builder.op("list::copy", owner)
        function = PythonObject(script_library.sort_by_comparison)
        e.call_positional(function, IRValue(owner), IRValue(keys), reverse)
    elif keys is owner:
        e.builder.op_node("list::sort", [owner, e.value(reverse)])
    else:
        e.builder.op_node("list::sort_by", [owner, keys, e.value(reverse)])


def _is_compared_by_program(t: T.Type) -> bool:
    """Whether the order of values is known to the program only."""
    if isinstance(t, T.EnumType):
        return isinstance(getattr(t.python_class, "__lt__", None), types.FunctionType)
    return t == T.TENSOR or isinstance(t, T.ClassType)


def sort_keys(e: Emitter, owner: Value, key: Sugared) -> Value:
    """The keys of a list's elements, each made once, in order."""
    cursor = cursor_of(e, IRValue(owner))

    def fill(append: Callable[[Sugared], None]) -> None:
        run_cursor(e, cursor, [], lambda item: append(e.call_positional(key, item)))

    return e.value(e.unit.collected(e, fill, None))
