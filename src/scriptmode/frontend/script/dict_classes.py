"""``dict.fromkeys`` and the dict classes of ``collections``: OrderedDict, defaultdict, Counter."""

from __future__ import annotations

import ast
import collections
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.captured_objects import MADE
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose, discard_after
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS, dict_key
from scriptmode.frontend.script.operators import binary, operator_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    IRValue,
    LocalFunction,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_ZEROS: dict[T.Type, Any] = {
    T.INT: 0, T.FLOAT: 0.0, T.BOOL: False, T.STR: "", T.COMPLEX: 0j, T.BYTES: b"",
}  # fmt: skip


# making dicts


def new_dict(e: Emitter, t: T.Type, site: object) -> Value:
    """An empty dict of a class; what is learnt of its elements is kept under ``site``."""
    if site is not None:
        t = e.hinted(site, t)
    node = e.builder.node("prim::DictConstruct", [], [t])
    if site is not None:
        e.sites[node] = site
    return node.output


def empty_of(e: Emitter, t: T.Type) -> Value:
    """What a defaultdict's factory makes."""
    if t in _ZEROS:
        return e.builder.constant(_ZEROS[t], t)
    if isinstance(t, T.ListType):
        return e.builder.list([], t.element)
    if isinstance(t, T.DictType):
        return e.builder.node("prim::DictConstruct", [], [t]).output
    if isinstance(t, T.SetType):
        return e.builder.node("prim::SetConstruct", [], [t]).output
    assert isinstance(t, T.DequeType)
    schema = e.builder.resolve("deque::new")
    return e.builder.node("deque::new", [e.int_constant(-1)], [t], schema=schema).output


def _fill(e: Emitter, made: Value, given: list[Sugared], keywords: dict[str, Sugared]) -> None:
    """Store what the arguments of a dict's constructor hold."""
    update = METHODS.get(("dict", "update"))
    assert update is not None
    update(e, made, Arguments(given, keywords))


@OBJECT_CALLS(("builtins", "dict.fromkeys"), ("collections", "OrderedDict.fromkeys"))
def _fromkeys(e: Emitter, given: Arguments) -> Sugared:
    return fromkeys(e, T.DictType([T.NEVER, T.NEVER]), given)


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
    if not given.positional:
        e.not_built("a defaultdict without a factory is", help="use a dict")
    made = _made_by(e, given.positional[0])
    found = new_dict(e, T.DefaultDictType([T.NEVER, made, made]), given.node)
    _fill(e, found, given.positional[1:], given.keywords)
    return IRValue(found)


def _made_by(e: Emitter, factory: Sugared) -> T.Type:
    """The type of what a factory makes, which must be empty or zero."""
    if isinstance(factory, PythonObject) and factory.object in MADE:
        return MADE[factory.object]
    if isinstance(factory, (LocalFunction, PythonObject)):
        mark, block = e.builder.block.last, e.builder.block
        made = e.settle(_result_of(e, factory))
        t = e.type_of(made)
        is_zero = isinstance(made, Constant) and t in _ZEROS and made.value == _ZEROS[t]
        node = made.value.node if isinstance(made, IRValue) else None
        is_empty = node is not None and node.kind.endswith("Construct") and not node.inputs
        if e.builder.block is block:
            discard_after(e, mark)
            if t is not None and (is_zero or is_empty):
                return t
    e.not_built(
        "a defaultdict whose factory makes other than an empty or zero value is",
        help="use `d.setdefault(key, value)` or `d.get(key, value)`",
    )


def _result_of(e: Emitter, factory: Sugared) -> Sugared:
    """What a call without arguments gives."""
    if isinstance(factory, LocalFunction) and factory.scope is e.scope:
        node = factory.source.node
        if isinstance(node, ast.Lambda):
            return e.expression(node.body)
    return e.call_positional(factory)


def missing(e: Emitter, owner: Value, index: Sugared) -> Sugared:
    """``owner[index]`` of a defaultdict, which is entered when it is missing."""
    t = owner.type
    assert isinstance(t, T.DefaultDictType)
    key = e.value(index, t.key)
    admit(e, owner, key.type, T.NEVER)
    return e.lift(e.builder.op("dict::setdefault", owner, key, empty_of(e, t.made)))


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


@operator_of(("counter", "counter"))
def _arithmetic(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name not in _ARITHMETIC:
        return None
    if in_place:
        e.not_built("an augmented assignment of a Counter is", help="write `c = c + d`")
    return e.call_positional(PythonObject(_ARITHMETIC[name]), a, b)
