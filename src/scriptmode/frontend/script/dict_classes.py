"""``dict.fromkeys`` and the dict classes of ``collections``: OrderedDict, defaultdict, Counter."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import default_factories, script_library
from scriptmode.frontend.script.dict_methods import dict_key
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, when
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS
from scriptmode.frontend.script.operators import binary, operator_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    IRValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

# making dicts


def new_dict(e: Emitter, t: T.Type, site: object) -> Value:
    """An empty dict of a class; what is learnt of its elements is kept under ``site``."""
    if site is not None:
        t = e.hinted(site, t)
    node = e.builder.node("prim::DictConstruct", [], [t])
    if site is not None:
        e.sites[node] = site
    return node.output


def _fill(e: Emitter, made: Value, given: list[Sugared], keywords: dict[str, Sugared]) -> None:
    """Store what the arguments of a dict's constructor hold."""
    update = METHODS.get(("dict", "update"))
    assert update is not None
    update(e, made, Arguments(given, keywords))


@OBJECT_CALLS(("builtins", "dict.fromkeys"))
def _fromkeys(e: Emitter, given: Arguments) -> Sugared:
    return fromkeys(e, T.DictType([T.NEVER, T.NEVER]), given)


@OBJECT_CALLS(("collections", "OrderedDict.fromkeys"))
def _ordered_fromkeys(e: Emitter, given: Arguments) -> Sugared:
    return fromkeys(e, T.OrderedDictType([T.NEVER, T.NEVER]), given)


def fromkeys(e: Emitter, t: T.Type, given: Arguments) -> Sugared:
    """``dict.fromkeys(keys, value=None)``."""
    value = given.positional[1] if len(given.positional) > 1 else Constant(None)
    value = e.settle(value)
    made = new_dict(e, t, given.node)
    e.unit.for_each(
        e, given.positional[0], lambda key: e.unit.assign_subscript(e, IRValue(made), key, value)
    )
    return IRValue(made)


@METHODS(("dict", "fromkeys"))
def _fromkeys_method(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return fromkeys(e, T.DictType([T.NEVER, T.NEVER]), given)


# OrderedDict


@OBJECT_CALLS(collections.OrderedDict)
def _ordered_dict(e: Emitter, given: Arguments) -> Sugared:
    made = new_dict(e, T.OrderedDictType([T.NEVER, T.NEVER]), given.node)
    _fill(e, made, given.positional, given.keywords)
    return IRValue(made)


@METHODS(("OrderedDict", "move_to_end"))
def _move_to_end(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    last = given.keywords.get("last") or (given.positional[1:] or [Constant(True)])[0]
    key = dict_key(e, owner, given.positional[0])
    e.builder.op_node("dict::move_to_end", [owner, key, e.value(e.unit.truth(e, last))])
    return Constant(None)


@METHODS(("OrderedDict", "popitem"))
def _popitem(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    last = given.keywords.get("last") or (given.positional or [Constant(True)])[0]

    def take(kind: str) -> Callable[[], Sugared]:
        def run() -> Sugared:
            pair = e.builder.op_node(kind, [owner]).outputs
            return IRValue(e.builder.tuple(pair))

        return run

    where = e.unit.truth(e, last)
    if isinstance(where, Constant):
        return take("dict::popitem" if where.value else "dict::popitem_first")()
    return choose(e, e.value(where), take("dict::popitem"), take("dict::popitem_first"))


# defaultdict


@OBJECT_CALLS(collections.defaultdict)
def _defaultdict(e: Emitter, given: Arguments) -> Sugared:
    factory, rest = (given.positional or [Constant(None)])[0], given.positional[1:]
    value, made = default_factories.made_by(e, factory)
    found = new_dict(e, T.DefaultDictType([T.NEVER, value, made]), given.node)
    _fill(e, found, rest, given.keywords)
    return IRValue(found)


# Counter


@OBJECT_CALLS(collections.Counter)
def _counter(e: Emitter, given: Arguments) -> Sugared:
    made = new_dict(e, T.CounterType([T.NEVER]), given.node)
    _count(e, made, given, 1)
    return IRValue(made)


def _count(e: Emitter, owner: Value, given: Arguments, sign: int) -> None:
    """Add (or subtract) counts of a mapping's items, of an iterable's elements, of keywords."""
    name = "add" if sign > 0 else "sub"

    def change(key: Sugared, by: Sugared) -> None:
        old = counted(e, owner, key)
        e.unit.assign_subscript(e, IRValue(owner), key, binary(e, name, old, by))

    for value in given.positional:
        t = e.type_of(value)
        if isinstance(value, DictDisplay) or isinstance(t, T.DictType):
            items = e.call_positional(e.attribute(value, "items"))
            e.unit.for_each(e, items, lambda item: change(*_pair(e, item)))
        elif t != T.NONE:
            e.unit.for_each(e, value, lambda item: change(item, Constant(1)))
    for name_, value in given.keywords.items():
        change(Constant(name_), value)


def _pair(e: Emitter, item: Sugared) -> tuple[Sugared, Sugared]:
    pair = e.unit.tuple_items(e, item)
    assert pair is not None
    return pair[0], pair[1]


def counted(e: Emitter, owner: Value, index: Sugared) -> Sugared:
    """``owner[index]`` of a Counter: 0 when it is missing."""
    key = e.value(index, owner.type.contained[0])
    admit(e, owner, key.type, T.INT)
    return e.op("dict::get_default", owner, key, e.int_constant(0))


@METHODS(("Counter", "update"))
def _counter_update(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    _count(e, owner, given, 1)
    return Constant(None)


@METHODS(("Counter", "subtract"))
def _counter_subtract(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    _count(e, owner, given, -1)
    return Constant(None)


def _by_library(function: Callable[..., Any]) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        return e.call_positional(PythonObject(function), IRValue(owner), *given.positional)

    return run


METHODS(("Counter", "most_common"))(_by_library(script_library.most_common))
METHODS(("Counter", "elements"))(_by_library(script_library.elements))
METHODS(("Counter", "total"))(_by_library(script_library.total))

_ARITHMETIC = {
    "add": script_library.counter_add, "sub": script_library.counter_sub,
    "and": script_library.counter_and, "or": script_library.counter_or,
}  # fmt: skip
_IN_PLACE = {
    "add": script_library.counter_iadd, "sub": script_library.counter_isub,
    "and": script_library.counter_iand, "or": script_library.counter_ior,
}  # fmt: skip
_COMPARISONS = {
    "eq": script_library.counter_eq, "lt": script_library.counter_lt,
    "le": script_library.counter_le,
}  # fmt: skip


@operator_of(("counter", "counter"))
def _arithmetic(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name not in _ARITHMETIC:
        return None
    function = (_IN_PLACE if in_place else _ARITHMETIC)[name]
    result = e.call_positional(PythonObject(function), a, b)
    return a if in_place else result


def counter_unary(e: Emitter, name: str, value: Sugared) -> Sugared:
    """``+counter`` or ``-counter``."""
    function = script_library.counter_pos if name == "pos" else script_library.counter_neg
    return e.call_positional(PythonObject(function), value)


def counter_compare(e: Emitter, name: str, a: Sugared, b: Sugared) -> Sugared:
    """A comparison of two counters, in which what is missing counts 0."""
    if name in ("gt", "ge"):
        a, b, name = b, a, {"gt": "lt", "ge": "le"}[name]
    return e.call_positional(PythonObject(_COMPARISONS[name]), a, b)


def delete_count(e: Emitter, owner: Value, key: Value) -> None:
    """``del counter[key]``: nothing happens where the key is missing."""
    known = e.builder.op("dict::contains", owner, key)

    def delete() -> None:
        e.builder.op_node("dict::delitem", [owner, key])

    when(e, known, delete)
