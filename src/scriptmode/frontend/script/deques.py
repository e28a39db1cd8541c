"""``collections.deque``: calls and methods."""

from __future__ import annotations

import collections
from collections.abc import Callable

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import as_built_list, index_value
from scriptmode.frontend.script.list_methods import by_library, element_value
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS, exactly
from scriptmode.frontend.script.operators import operator_of, widened
from scriptmode.frontend.script.turns import is_asked_in_turn
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, PythonObject, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


@OBJECT_CALLS(collections.deque)
def _deque(e: Emitter, given: Arguments) -> Sugared:
    named = [given.keywords[k] for k in ("maxlen",) if k in given.keywords]
    items = given.positional or [given.keywords[k] for k in ("iterable",) if k in given.keywords]
    parts = [*given.positional[1:], *named]
    limit = e.int_constant(-1)
    if parts and e.type_of(parts[0]) != T.NONE:
        limit = index_value(e, parts[0], "maxlen")
        negative = e.builder.op("int::lt", limit, e.int_constant(0))
        e.unit.raise_when(e, negative, ValueError, "maxlen must be non-negative")
    t = e.hinted(given.node, T.DequeType([T.NEVER]))
    schema = e.builder.resolve("deque::new")
    node = e.builder.node("deque::new", [limit], [t], schema=schema)
    if given.node is not None:
        e.sites[node] = given.node
    if items:
        _extend(e, node.output, items[0], "extend")
    return IRValue(node.output)


def _extend(e: Emitter, owner: Value, other: Sugared, name: str) -> None:
    if is_asked_in_turn(e, other):
        one = "deque::append" if name == "extend" else "deque::appendleft"
        e.unit.for_each(e, other, lambda item: _add_item(e, owner, item, one))
        return
    element = owner.type.contained[0]
    whole = e.value(as_built_list(e, other), T.ListType([element]))
    if whole.type.contained[0] == T.NEVER:
        return
    admit(e, owner, whole.type.contained[0])
    e.builder.op_node(f"deque::{name}", [owner, widened(e, whole, T.ListType([element]))])


def _extension(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        _extend(e, owner, exactly(e, given, 1, name)[0], name)
        return Constant(None)

    return run


def _addition(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        (item,) = exactly(e, given, 1, name)
        _add_item(e, owner, item, f"deque::{name}")
        return Constant(None)

    return run


def _add_item(e: Emitter, owner: Value, item: Sugared, op: str) -> None:
    built = e.value(item, owner.type.contained[0])
    admit(e, owner, built.type)
    e.builder.op_node(op, [owner, built])


def _removal(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        exactly(e, given, 0, name)
        return e.lift(e.builder.op(f"deque::{name}", owner))

    return run


def _change(name: str) -> Callable[..., Sugared]:
    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        exactly(e, given, 0, name)
        e.builder.op_node(f"deque::{name}", [owner])
        return Constant(None)

    return run


for _name in ("extend", "extendleft"):
    METHODS(("deque", _name))(_extension(_name))
for _name in ("append", "appendleft"):
    METHODS(("deque", _name))(_addition(_name))
for _name in ("pop", "popleft"):
    METHODS(("deque", _name))(_removal(_name))
for _name in ("clear", "reverse"):
    METHODS(("deque", _name))(_change(_name))


@METHODS(("deque", "rotate"))
def _rotate(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    by = given.positional[0] if given.positional else Constant(1)
    e.builder.op_node("deque::rotate", [owner, index_value(e, by, "the rotation")])
    return Constant(None)


@METHODS(("deque", "insert"))
def _insert(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    index, item = exactly(e, given, 2, "insert")
    built = e.value(item, owner.type.contained[0])
    admit(e, owner, built.type)
    e.builder.op_node("deque::insert", [owner, index_value(e, index, "the index"), built])
    return Constant(None)


@METHODS(("deque", "remove"))
def _remove(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    found = by_library(e, owner, given, script_library.remove_item)
    if found is not None:
        return found
    item = element_value(e, owner, exactly(e, given, 1, "remove")[0])
    e.builder.op_node("deque::remove", [owner, item])
    return Constant(None)


@METHODS(("deque", "copy"), ("deque", "__copy__"))
def _copy(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return e.op("deque::copy", owner)


def _as_list(name: str) -> Callable[..., Sugared]:
    """A method that a deque, read as a list, shares with lists."""

    def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        method = METHODS.get(("list", name))
        assert method is not None
        found: Sugared = method(e, e.builder.op("deque::as_list", owner), given)
        return found

    return run


for _name in ("index", "count"):
    METHODS(("deque", _name))(_as_list(_name))


@operator_of(("deque", "number"), ("number", "deque"))
def _repeated(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if not isinstance(e.type_of(a), T.DequeType):
        a, b = b, a
    if name != "mul" or e.type_of(b) not in (T.INT, T.BOOL):
        return None
    owner = e.value(a)
    made = IRValue(owner if in_place else e.builder.op("deque::copy", owner))
    times = IRValue(index_value(e, b, "the factor"))
    e.call_positional(PythonObject(script_library.repeat_deque), made, times)
    return made


@operator_of(("deque", "deque"))
def _operator(e: Emitter, name: str, a: Sugared, b: Sugared, in_place: bool) -> Sugared | None:
    if name != "add":
        return None
    x = e.value(a)
    made = x if in_place else e.builder.op("deque::copy", x)
    _extend(e, made, b, "extend")
    return IRValue(made)
