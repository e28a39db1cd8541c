"""Methods of dicts."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import plain
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.iteration import unpack
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.methods import METHODS
from scriptmode.frontend.script.operators import binary, convert_number
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


def _pairs_into(e: Emitter, owner: Value, pairs: Sugared) -> None:
    """Store what an iterable of pairs yields."""

    def store(item: Sugared) -> None:
        key, value = unpack(e, item, 2, None)
        e.unit.assign_subscript(e, IRValue(owner), key, value)

    e.unit.for_each(e, pairs, store)


def _view(kind: str) -> Callable[..., Sugared]:
    return lambda e, owner, given: IterableValue(kind, (IRValue(owner),))


for _kind_of_view in ("keys", "values", "items"):
    METHODS(("dict", _kind_of_view))(_view(_kind_of_view))


def dict_key(e: Emitter, owner: Value, key: Sugared) -> Value:
    """A key as it is looked for in a dict."""
    t = owner.type.contained[0]
    built = e.value(key, t)
    if t == T.NEVER:
        admit(e, owner, built.type, T.NEVER)
    if T.is_subtype(built.type, t):
        return built
    if isinstance(built.type, T.EnumType) and plain(e, key) is not key:
        return dict_key(e, owner, plain(e, key))
    if built.type in (T.INT, T.BOOL) and t in (T.INT, T.FLOAT):
        return convert_number(e, built, t)
    e.fail_type(f"the key must be {t}, not {built.type}")


@METHODS(("dict", "get"))
def _get(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    key = dict_key(e, owner, given.positional[0])
    default = given.positional[1] if len(given.positional) > 1 else Constant(None)
    return choose(
        e, e.builder.op("dict::contains", owner, key),
        lambda: e.lift(e.builder.op("dict::getitem", owner, key)), lambda: default,
    )  # fmt: skip


@METHODS(("dict", "pop"))
def _dict_pop(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    key = dict_key(e, owner, given.positional[0])
    if len(given.positional) == 1:
        return e.lift(e.builder.op("dict::pop", owner, key))
    return choose(
        e, e.builder.op("dict::contains", owner, key),
        lambda: e.lift(e.builder.op("dict::pop", owner, key)), lambda: given.positional[1],
    )  # fmt: skip


@METHODS(("dict", "popitem"))
def _popitem(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return TupleDisplay(tuple(map(e.lift, e.builder.op_node("dict::popitem", [owner]).outputs)))


@METHODS(("dict", "setdefault"))
def _setdefault(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    default = given.positional[1] if len(given.positional) > 1 else Constant(None)
    key, value = e.value(given.positional[0]), e.value(default, owner.type.contained[1])
    admit(e, owner, key.type, value.type)
    return e.lift(e.builder.op("dict::setdefault", owner, key, value))


@METHODS(("dict", "update"))
def _update(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    for other in given.positional:
        if isinstance(other, DictDisplay) or isinstance(e.type_of(other), T.DictType):
            binary(e, "or", IRValue(owner), other, in_place=True)
        else:
            _pairs_into(e, owner, other)
    if given.keywords:
        keys = tuple(Constant(k) for k in given.keywords)
        display = DictDisplay(keys, tuple(given.keywords.values()), site=(given.node, "update"))
        binary(e, "or", IRValue(owner), display, in_place=True)
    return Constant(None)


@METHODS(("dict", "clear"))
def _dict_clear(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    e.builder.op_node("dict::clear", [owner])
    return Constant(None)


@METHODS(("dict", "copy"))
def _dict_copy(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    schema = e.builder.resolve("dict::copy")
    return IRValue(e.builder.node("dict::copy", [owner], [owner.type], schema=schema).output)
