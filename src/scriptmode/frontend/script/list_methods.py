"""Methods of lists, and ``index`` and ``count`` of tuples and sizes."""

from __future__ import annotations

from typing import Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.iteration import as_built_list, index_value
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS, display_method, exactly, tuple_index
from scriptmode.frontend.script.operators import as_list, convert_number, tuple_items, widened
from scriptmode.frontend.script.turns import is_asked_in_turn
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


@METHODS(("list", "append"))
def _append(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    (item,) = exactly(e, given, 1, "append")
    _append_item(e, owner, item)
    return Constant(None)


def _append_item(e: Emitter, owner: Value, item: Sugared) -> None:
    built = e.value(item, owner.type.contained[0])
    admit(e, owner, built.type)
    e.builder.op_node("list::append", [owner, built])


def extend_list(e: Emitter, owner: Value, other: Sugared) -> Sugared:
    """``owner.extend(other)``."""
    if is_asked_in_turn(e, other):
        e.unit.for_each(e, other, lambda item: _append_item(e, owner, item))
        return Constant(None)
    if isinstance(e.type_of(other), T.ListType):
        whole = e.value(other, owner.type)
    else:
        whole = e.value(as_built_list(e, other), owner.type)
    if whole.type != owner.type:
        admit(e, owner, whole.type.contained[0])
        whole = widened(e, whole, owner.type)
    e.builder.op_node("list::extend", [owner, whole])
    return Constant(None)


@METHODS(("list", "extend"))
def _extend(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    (other,) = exactly(e, given, 1, "extend")
    return extend_list(e, owner, other)


@METHODS(("list", "insert"))
def _insert(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    index, item = exactly(e, given, 2, "insert")
    place = index_value(e, index, "the index")
    built = e.value(item, owner.type.contained[0])
    admit(e, owner, built.type)
    e.builder.op_node("list::insert", [owner, place, built])
    return Constant(None)


@METHODS(("list", "pop"))
def _pop(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    index = given.positional[0] if given.positional else Constant(-1)
    return e.lift(e.builder.op("list::pop", owner, index_value(e, index, "the index")))


@METHODS(("list", "clear"))
def _clear(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    e.builder.op_node("list::clear", [owner])
    return Constant(None)


@METHODS(("list", "reverse"))
def _reverse(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    e.builder.op_node("list::reverse", [owner])
    return Constant(None)


@METHODS(("list", "copy"))
def _copy(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("list::copy", owner)


def by_library(e: Emitter, owner: Value, given: Arguments, function: Any) -> Sugared | None:
    """A method that compares items, of a list of tensors or with an item of another type.

    None for other lists, and for tuples of a known length.
    """
    if isinstance(owner.type, T.TupleType):
        return None
    element = T.INT if owner.type == T.SIZE else owner.type.contained[0]
    item = e.type_of(given.positional[0]) if given.positional else None
    fits = item is not None and T.is_subtype(item, element)
    if T.TENSOR not in T.walk(owner.type) and (fits or element == T.NEVER or item is None):
        return None
    return e.call_positional(PythonObject(function), IRValue(owner), *given.positional)


@METHODS(("list", "remove"))
def _remove(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    (item,) = exactly(e, given, 1, "remove")
    found = by_library(e, owner, given, script_library.remove_item)
    if found is not None:
        return found
    e.builder.op_node("list::remove", [owner, element_value(e, owner, item)])
    return Constant(None)


def element_value(e: Emitter, owner: Value, item: Sugared) -> Value:
    """``item`` as it is looked for in a list."""
    element = owner.type.contained[0]
    built = e.value(item, element)
    if T.is_subtype(built.type, element):
        return built
    if T.is_numeric(built.type) and element in (T.INT, T.FLOAT) and built.type != T.FLOAT:
        return convert_number(e, built, element)
    e.fail_type(f"a {built.type} cannot be looked for in a {owner.type}")


@METHODS(("list", "index"), ("Size", "index"), ("tuple", "index"))
def _index(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    found = by_library(e, owner, given, script_library.index_of_item)
    if found is not None:
        return found
    if isinstance(owner.type, T.TupleType):
        return tuple_index(e, tuple_items(e, IRValue(owner)) or (), given.positional[0], 0)
    owner = as_list(e, owner)
    item = element_value(e, owner, given.positional[0])
    bounds = [index_value(e, p, "a bound") for p in given.positional[1:]]
    while len(bounds) < 2:
        bounds.append(e.builder.constant(None))
    return e.op("list::index", owner, item, *bounds)


@METHODS(("list", "count"), ("Size", "count"), ("tuple", "count"))
def _count(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    (item,) = exactly(e, given, 1, "count")
    found = by_library(e, owner, given, script_library.count_items)
    if found is not None:
        return found
    if isinstance(owner.type, T.TupleType):
        display = TupleDisplay(tuple_items(e, IRValue(owner)) or ())
        return display_method(e, display, "count", given)
    owner = as_list(e, owner)
    return e.op("list::count", owner, element_value(e, owner, item))


@METHODS(("list", "sort"))
def _sort(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    if given.positional or set(given.keywords) - {"key", "reverse"}:
        e.fail_type("sort() takes `key` and `reverse` by name")
    e.unit.sort(e, owner, given.keywords)
    return Constant(None)


@METHODS(("Size", "numel"))
def _size_numel(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("size::numel", owner)
