"""Sets and frozensets: displays, comprehensions, calls, methods, operators."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from scriptmode.frontend.script.comparisons import contains
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.expressions import comprehend
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.handlers import EXPRESSIONS, OBJECT_CALLS
from scriptmode.frontend.script.iteration import as_built_list, items_of
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS, exactly
from scriptmode.frontend.script.operators import operator_of, widened
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.turns import is_asked_in_turn
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value

_FOLDED = 3  # a display of at least so many constants is one constant for CPython
_UNHASHABLE = (T.ListType, T.DictType, T.DequeType)


# making sets


def check_element(e: Emitter, t: T.Type) -> None:
    """Refuse what has no hash."""
    if isinstance(t, _UNHASHABLE) or type(t) is T.SetType:
        e.raise_error(TypeError, f"unhashable type: '{_python_name(t)}'")
    for part in T.walk(t):
        cls = part.python_class if isinstance(part, T.ClassType) else None
        if cls is not None and inspect.getattr_static(cls, "__hash__") is None:
            e.raise_error(TypeError, f"unhashable type: '{cls.__name__}'")
    if T.TENSOR in T.walk(t):
        e.fail_type("a set of tensors is not supported", help="keep them in a list")


def _python_name(t: T.Type) -> str:
    return (
        str(t).partition("[")[0].lower() if not isinstance(t, T.DequeType) else "collections.deque"
    )


def new_set(e: Emitter, element: T.Type, site: object, values: list[Value]) -> Node:
    """A set of values; what is learnt of its elements is kept under ``site``."""
    hint = e.hints.get(site) if site is not None else None
    if hint is not None:
        element = T.join(element, hint.contained[0]) or T.ANY
    node = e.builder.node("prim::SetConstruct", values, [T.SetType([element])])
    if site is not None:
        e.sites[node] = site
    return node


@EXPRESSIONS(ast.Set)
def _display(e: Emitter, node: ast.Set, expected: T.Type | None) -> Sugared:
    wanted = T.unwrap_optional(expected) if expected is not None else None
    inner = wanted.element if isinstance(wanted, T.SetType) else None
    if not any(isinstance(n, ast.Starred) for n in node.elts):
        items = [e.expression(n, inner) for n in node.elts]
        if _is_only_read(e, node):
            constant = constant_set(e, items)
            if constant is not None:
                return IRValue(constant)
        constant = constant_set(e, items) if len(items) >= _FOLDED else None
        if constant is not None and inner is None and node not in e.hints:
            return IRValue(e.builder.op("set::set", constant))
        return IRValue(_of_values(e, node, [e.value(i, inner) for i in items], inner))
    made = new_set(e, inner or T.NEVER, node, []).output
    for element in node.elts:
        if isinstance(element, ast.Starred):
            update(e, made, e.expression(element.value))
        else:
            add(e, made, e.expression(element))
    return IRValue(made)


def _is_only_read(e: Emitter, node: ast.Set) -> bool:
    """Whether CPython makes one frozenset of a display: it is iterated over or looked into."""
    for user in walk(e.scope.source.node):
        match user:
            case ast.For(iter=used) | ast.comprehension(iter=used):
                if used is node:
                    return True
            case ast.Compare(ops=ops, comparators=comparators):
                pairs = zip(ops, comparators, strict=True)
                if any(used is node and isinstance(op, (ast.In, ast.NotIn)) for op, used in pairs):
                    return True
    return False


def _of_values(e: Emitter, site: object, values: list[Value], inner: T.Type | None) -> Value:
    element: T.Type = T.NEVER
    for value in values:
        element = T.join(element, value.type) or T.ANY
    if inner is not None and T.is_subtype(element, inner):
        element = inner
    check_element(e, element)
    return new_set(e, element, site, values).output


def constant_set(e: Emitter, items: list[Sugared]) -> Value | None:
    """A display of constants as CPython's own frozenset, whose order depends on how it was made."""
    values = [i.value for i in items if isinstance(i, Constant)]
    if len(values) < len(items) or not all(isinstance(v, (int, float, str, bytes)) for v in values):
        return None
    kinds = {type(v) for v in values}
    if len(kinds) != 1:
        return None
    made = next((c for c in _frozensets(e) if _is_same(c, values)), frozenset(values))
    t = e.type_of(items[0])
    assert t is not None
    return e.builder.constant(made, T.FrozenSetType([t]))


def _is_same(found: frozenset[Any], values: list[Any]) -> bool:
    return found == set(values) and {type(v) for v in found} == {type(v) for v in values}


def _frozensets(e: Emitter) -> Iterator[frozenset[Any]]:
    """The frozensets among the constants of the function that is compiled."""
    function = e.scope.function or e.unit.stack[-1].target.function
    work: list[Any] = [function.__code__] if function is not None else []
    while work:
        for constant in work.pop().co_consts:
            if isinstance(constant, frozenset):
                yield constant
            elif isinstance(constant, CodeType):
                work.append(constant)


@EXPRESSIONS(ast.SetComp)
def _comprehension(e: Emitter, node: ast.SetComp, expected: T.Type | None) -> Sugared:
    return _collected(e, node, lambda put: comprehend(
        e, node.generators, lambda: put(e.expression(node.elt))
    ))  # fmt: skip


def _collected(
    e: Emitter, site: object, fill: Callable[[Callable[[Sugared], None]], None]
) -> Sugared:
    """A new set that ``fill`` adds to; its element type is known when that is done."""
    made = new_set(e, T.NEVER, site, [])
    seen: list[T.Type] = [made.output.type.contained[0]]

    def put(item: Sugared) -> None:
        built = e.value(item)
        seen.append(built.type)
        added = e.builder.node("set::add", [made.output, built], [])
        added.schema = e.builder.resolve("set::add")

    fill(put)
    element: T.Type = T.NEVER
    for t in seen:
        element = T.join(element, t) or T.ANY
    check_element(e, element)
    made.output.type = T.SetType([element])
    return IRValue(made.output)


def _is_dict(e: Emitter, value: Sugared) -> bool:
    if isinstance(value, DictDisplay):
        return bool(value.keys)
    return isinstance(e.type_of(value), T.DictType)


def _dict_of(e: Emitter, value: Sugared) -> Value:
    """A dict of which only the keys, and how many there are, will be read."""
    if isinstance(value, DictDisplay):
        value = DictDisplay(value.keys, tuple(Constant(True) for _ in value.keys))
    built = e.value(value)
    check_element(e, built.type.contained[0])
    return built


def from_iterable(e: Emitter, value: Sugared, site: object) -> Value:
    """``set(value)``."""
    t = e.type_of(value)
    if isinstance(t, T.SetType):
        return e.builder.op("set::set", e.value(value))
    if _is_dict(e, value):
        return e.builder.op("set::from_keys", _dict_of(e, value))
    if isinstance(value, (IterableValue, GeneratorValue)):
        items = items_of(e, value)
        if items is None:
            return e.value(_collected(e, site, lambda put: e.unit.for_each(e, value, put)))
        value = ListDisplay(tuple(items))
    whole = e.value(as_built_list(e, value))
    check_element(e, whole.type.contained[0])
    node = e.builder.op_node("set::from_list", [whole])
    return node.output


def _is_empty(given: Arguments) -> bool:
    """Whether a call makes an empty set, whose element type its uses tell."""
    displays = (ListDisplay, TupleDisplay)
    if len(given.positional) > 1:
        return False
    return all(isinstance(a, displays) and not a.items for a in given.positional)


@OBJECT_CALLS(set)
def _set(e: Emitter, given: Arguments) -> Sugared:
    if _is_empty(given):
        return IRValue(new_set(e, T.NEVER, given.node, []).output)
    (value,) = exactly(e, given, 1, "set")
    return IRValue(from_iterable(e, value, given.node))


@OBJECT_CALLS(frozenset)
def _frozenset(e: Emitter, given: Arguments) -> Sugared:
    if _is_empty(given):
        made = new_set(e, T.NEVER, given.node, []).output
        return e.op("set::frozenset", made)
    (value,) = exactly(e, given, 1, "frozenset")
    t = e.type_of(value)
    if isinstance(t, T.FrozenSetType):
        return value
    if isinstance(t, T.SetType):
        return e.op("set::frozenset", e.value(value))
    if _is_dict(e, value):
        return e.op("set::frozen_keys", _dict_of(e, value))
    whole = e.value(as_built_list(e, value))
    check_element(e, whole.type.contained[0])
    return e.op("set::frozen_from_list", whole)


# methods


def _element(owner: Value) -> T.Type:
    return owner.type.contained[0]


def add(e: Emitter, owner: Value, item: Sugared) -> None:
    """``owner.add(item)``."""
    built = e.value(item, _element(owner))
    check_element(e, built.type)
    admit(e, owner, built.type)
    e.builder.op_node("set::add", [owner, built])


def update(e: Emitter, owner: Value, other: Sugared) -> None:
    """``owner.update(other)``."""
    t = e.type_of(other)
    if isinstance(t, T.SetType):
        whole = e.value(other, owner.type)
        admit(e, owner, *whole.type.contained)
        e.builder.op_node("set::update", [owner, _as_set_of(e, whole, _element(owner))])
    elif _is_dict(e, other):
        keys = _dict_of(e, other)
        admit(e, owner, keys.type.contained[0])
        _unite(e, owner, keys)
    else:
        e.unit.for_each(e, other, lambda item: add(e, owner, item))


def _as_set_of(e: Emitter, value: Value, element: T.Type) -> Value:
    return widened(e, value, value.type.with_contained([element]))


def _sought(e: Emitter, owner: Value, item: Sugared) -> Value | None:
    """An element to be looked for; None when none of the set's can be equal."""
    built = e.value(item, _element(owner))
    check_element(e, built.type)
    if _element(owner) == T.NEVER:
        admit(e, owner, built.type)
    return built if T.is_subtype(built.type, _element(owner)) else None


@METHODS(("set", "add"))
def _add(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    add(e, owner, exactly(e, given, 1, "add")[0])
    return Constant(None)


def _discard_item(e: Emitter, owner: Value, item: Sugared) -> None:
    sought = _sought(e, owner, item)
    if sought is not None:
        e.builder.op_node("set::discard", [owner, sought])


def _removal(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        item = _sought(e, owner, exactly(e, given, 1, name)[0])
        if item is None:
            e.not_built(f"{name}() of a value of another type than the set's elements is")
        e.builder.op_node(f"set::{name}", [owner, item])
        return Constant(None)

    return run


METHODS(("set", "discard"))(_removal("discard"))
METHODS(("set", "remove"))(_removal("remove"))


@METHODS(("set", "__contains__"), ("frozenset", "__contains__"))
def _contains(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return contains(e, IRValue(owner), exactly(e, given, 1, "__contains__")[0])


@METHODS(("set", "pop"))
def _pop(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    exactly(e, given, 0, "pop")
    return e.lift(e.builder.op("set::pop", owner))


@METHODS(("set", "clear"))
def _clear(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    exactly(e, given, 0, "clear")
    e.builder.op_node("set::clear", [owner])
    return Constant(None)


@METHODS(("set", "copy"))
def _copy(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("set::set", owner)


@METHODS(("frozenset", "copy"))
def _frozen_copy(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return IRValue(owner)


@METHODS(("set", "update"))
def _update(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    for other in given.positional:
        update(e, owner, other)
    return Constant(None)


def _copied(e: Emitter, owner: Value) -> Value:
    kind = "set::frozenset" if isinstance(owner.type, T.FrozenSetType) else "set::set"
    return e.builder.op(kind, owner)


@METHODS(("set", "union"), ("frozenset", "union"))
def _union(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    """A copy that the others are added to; the owner, where it comes again, is passed over.

    Whether it is decides how large the table grows, and so the order of the elements.
    """
    others = [_operand_of(e, owner, other) for other in given.positional]
    if len(others) == 1 and isinstance(others[0].type, T.SetType):
        return IRValue(operation(e, "union", owner, others[0]))
    element = _element(owner)
    for other in others:
        element = T.join(element, other.type.contained[0]) or T.ANY
    made = e.builder.op("set::set", _as_set_of(e, owner, element))
    for other in others:
        if other.type == owner.type:
            same = e.builder.node("prim::is", [other, owner], [T.BOOL]).output
            branch(e, same, lambda: None, functools.partial(_unite, e, made, other))
        else:
            _unite(e, made, other)
    return IRValue(made if type(owner.type) is T.SetType else e.builder.op("set::freeze", made))


def _unite(e: Emitter, made: Value, other: Value) -> None:
    """Add a set, or the keys of a dict, or the elements of a list."""
    kind = "set::update" if isinstance(other.type, T.SetType) else "set::update_list"
    if isinstance(other.type, T.DictType):
        kind, other = "set::update_sized", e.builder.op("dict::keys", other)
    same = widened(e, other, other.type.with_contained([_element(made)]))
    e.builder.op_node(kind, [made, same])


def _operand_of(e: Emitter, owner: Value, other: Sugared) -> Value:
    """A set, a dict, or a list of what another iterable yields."""
    t = e.type_of(other)
    if _is_dict(e, other):
        return _dict_of(e, other)
    if isinstance(t, T.SetType):
        return e.value(other)
    whole = e.value(as_built_list(e, other), T.ListType(owner.type.contained))
    if _element(whole) == T.NEVER:
        admit(e, whole, _element(owner))
    check_element(e, _element(whole))
    return whole


def _set_of(e: Emitter, value: Sugared) -> Sugared:
    return (
        value if isinstance(e.type_of(value), T.SetType) else IRValue(from_iterable(e, value, None))
    )


def operation(e: Emitter, name: str, a: Value, b: Value) -> Value:
    """``union``, ``intersection``, ...: a new set of the class of ``a``."""
    element = T.join(_element(a), _element(b)) or T.ANY
    x, y = _as_set_of(e, a, element), _as_set_of(e, b, element)
    kind = f"set::{name}"
    made = e.builder.node(kind, [x, y], [x.type], schema=e.builder.resolve(kind))
    return made.output


def _method(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        made = owner
        for other in given.positional:
            t = e.type_of(other)
            if name == "difference" and made is not owner:
                _in_place(name)(e, made, Arguments([other], {}))
            elif isinstance(t, T.SetType) or name == "symmetric_difference":
                made = operation(e, name, made, e.value(_set_of(e, other)))
            elif isinstance(t, T.DictType) and name == "difference":
                made = operation(e, name, made, from_iterable(e, other, None))
            else:
                made = _with_list(e, name, made, other)
        return IRValue(made) if given.positional else IRValue(_copied(e, owner))

    return run


def _list_of(e: Emitter, owner: Value, other: Sugared) -> Value:
    """What an iterable that is no set gives, in a list."""
    whole = _operand_of(e, owner, other)
    return e.builder.op("dict::keys", whole) if isinstance(whole.type, T.DictType) else whole


def _with_list(e: Emitter, name: str, owner: Value, other: Sugared) -> Value:
    whole = _list_of(e, owner, other)
    element = T.join(_element(owner), _element(whole)) or T.ANY
    kind = f"set::{name}_list"
    x = _as_set_of(e, owner, element)
    y = widened(e, whole, T.ListType([element]))
    return e.builder.node(kind, [x, y], [x.type], schema=e.builder.resolve(kind)).output


for _name in ("intersection", "difference", "symmetric_difference"):
    METHODS(("set", _name), ("frozenset", _name))(_method(_name))


def _in_place(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        for other in given.positional:
            if name == "difference" and is_asked_in_turn(e, other):
                e.unit.for_each(e, other, lambda item: _discard_item(e, owner, item))
                continue
            if name == "difference" and not isinstance(e.type_of(other), T.SetType):
                whole = e.value(as_built_list(e, other), T.ListType(owner.type.contained))
                if whole.type.contained == owner.type.contained:
                    e.builder.op_node("set::difference_update_list", [owner, whole])
                    continue
            if name == "intersection" and not isinstance(e.type_of(other), T.SetType):
                whole = _list_of(e, owner, other)
                if T.is_subtype(_element(whole), _element(owner)):
                    same = widened(e, whole, T.ListType(owner.type.contained))
                    e.builder.op_node("set::intersection_update_list", [owner, same])
                    continue
            change(e, name, owner, e.value(_set_of(e, other)))
        return Constant(None)

    return run


def change(e: Emitter, name: str, owner: Value, other: Value) -> None:
    """``owner.<name>_update(other)``."""
    if _element(other) != _element(owner):
        if name == "symmetric_difference" or T.NEVER in (_element(other), _element(owner)):
            admit(e, owner, _element(other))
            other = _as_set_of(e, other, _element(owner))
        elif T.is_subtype(_element(other), _element(owner)):
            other = _as_set_of(e, other, _element(owner))
        else:
            e.not_built(f"{name}_update() of a {owner.type} with a {other.type} is")
    e.builder.op_node(f"set::{name}_update", [owner, other])


for _name in ("intersection", "difference", "symmetric_difference"):
    METHODS(("set", f"{_name}_update"))(_in_place(_name))


def _test(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        other = e.value(_set_of(e, exactly(e, given, 1, name)[0]))
        pair = (other, owner) if name == "issuperset" else (owner, other)
        kind = "set::isdisjoint" if name == "isdisjoint" else "set::issubset"
        return e.op(kind, *pair)

    return run


for _name in ("issubset", "issuperset", "isdisjoint"):
    METHODS(("set", _name), ("frozenset", _name))(_test(_name))


# operators

_OPERATIONS = {
    "or": "union",
    "and": "intersection",
    "sub": "difference",
    "xor": "symmetric_difference",
}


@operator_of(("set", "set"))
def _operator(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    x, y = e.value(a), e.value(b)
    if in_place and type(x.type) is T.SetType:
        if name == "or":
            update(e, x, b)
        elif name in _OPERATIONS:
            change(e, _OPERATIONS[name], x, y)
        else:
            return None
        return IRValue(x)
    return IRValue(operation(e, _OPERATIONS[name], x, y)) if name in _OPERATIONS else None
