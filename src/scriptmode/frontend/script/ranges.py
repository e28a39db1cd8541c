"""``range`` and ``slice`` objects as values: attributes, items, membership."""

from __future__ import annotations

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import ATTRIBUTES, SUBSCRIPTS
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.stores import slice_bounds
from scriptmode.frontend.script.values import (
    BoundMethod,
    IRValue,
    IterableValue,
    PythonObject,
    SliceValue,
    Sugared,
)
from scriptmode.ir import types as T

_PARTS = ("start", "stop", "step")


@ATTRIBUTES(SliceValue)
def _slice_attribute(e: Emitter, value: SliceValue, name: str) -> Sugared | None:
    if name in _PARTS:
        return value.parts()[_PARTS.index(name)]
    if name == "indices":
        return BoundMethod(value, PythonObject(script_library.slice_indices))
    return None


@ATTRIBUTES(IterableValue)
def _range_attribute(e: Emitter, value: IterableValue, name: str) -> Sugared | None:
    if value.kind in ("keys", "items") and name == "isdisjoint":
        return e.attribute(e.unit.view_as_set(e, value), name)
    if value.kind != "range":
        return None
    if name in _PARTS:
        return IRValue(index_value(e, value.arguments[_PARTS.index(name)], "a part of range"))
    if name in ("index", "count"):
        functions = {"index": script_library.range_index, "count": script_library.range_count}
        return BoundMethod(value, PythonObject(functions[name]))
    return None


@SUBSCRIPTS(IterableValue)
def _subscript(e: Emitter, value: IterableValue, index: Sugared) -> Sugared:
    if value.kind != "range":
        e.fail_type(f"{value.describe()} cannot be subscripted", help="make a list of it")
    if not isinstance(index, SliceValue):
        place = IRValue(index_value(e, index, "a range's index"))
        return e.call_positional(PythonObject(script_library.range_item), value, place)
    bounds = [IRValue(b) if b.type != T.NONE else e.lift(b) for b in slice_bounds(e, index)]
    return e.call_positional(PythonObject(script_library.range_slice), value, *bounds)


def in_range(e: Emitter, value: IterableValue, item: Sugared) -> Sugared | None:
    """``item in value`` of an int; None for other items."""
    if e.type_of(item) not in (T.INT, T.BOOL):
        return None
    return e.call_positional(PythonObject(script_library.range_contains), value, item)
