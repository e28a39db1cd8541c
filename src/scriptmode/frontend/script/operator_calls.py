"""Calls of the functions of ``operator``, and of ``functools.reduce``."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.builtin_calls import reduced
from scriptmode.frontend.script.comparisons import compare, contains, identical
from scriptmode.frontend.script.conditions import truth_sugared
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import CALLS, OBJECT_CALLS
from scriptmode.frontend.script.operators import binary, unary
from scriptmode.frontend.script.stores import assign_subscript, delete_subscript
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    Getter,
    PythonObject,
    Sugared,
    TupleDisplay,
)

_BINARY = {
    operator.add: "add", operator.sub: "sub", operator.mul: "mul", operator.truediv: "truediv",
    operator.floordiv: "floordiv", operator.mod: "mod", operator.pow: "pow",
    operator.matmul: "matmul", operator.and_: "and", operator.or_: "or", operator.xor: "xor",
    operator.lshift: "lshift", operator.rshift: "rshift", operator.concat: "add",
}  # fmt: skip
_IN_PLACE = {
    operator.iadd: "add", operator.isub: "sub", operator.imul: "mul",
    operator.itruediv: "truediv", operator.ifloordiv: "floordiv", operator.imod: "mod",
    operator.ipow: "pow", operator.imatmul: "matmul", operator.iand: "and", operator.ior: "or",
    operator.ixor: "xor", operator.ilshift: "lshift", operator.irshift: "rshift",
    operator.iconcat: "add",
}  # fmt: skip
_COMPARE = {
    operator.eq: "eq", operator.ne: "ne", operator.lt: "lt", operator.le: "le",
    operator.gt: "gt", operator.ge: "ge",
}  # fmt: skip
_UNARY = {
    operator.neg: "neg", operator.pos: "pos", operator.invert: "invert", operator.not_: "not",
}  # fmt: skip


def _two(e: Emitter, given: Arguments) -> tuple[Sugared, Sugared]:
    if given.keywords or len(given.positional) != 2:
        e.fail_type("exactly two arguments are expected")
    return given.positional[0], given.positional[1]


def _enter() -> None:
    for function, name in _BINARY.items():
        OBJECT_CALLS(function)(_binary(name, in_place=False))
    for function, name in _IN_PLACE.items():
        OBJECT_CALLS(function)(_binary(name, in_place=True))
    for function, name in _COMPARE.items():
        OBJECT_CALLS(function)(_compare(name))
    for unary_function, name in _UNARY.items():
        OBJECT_CALLS(unary_function)(_unary(name))


def _binary(name: str, *, in_place: bool) -> Callable[[Emitter, Arguments], Sugared]:
    return lambda e, given: binary(e, name, *_two(e, given), in_place=in_place)


def _compare(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    return lambda e, given: compare(e, name, *_two(e, given))


def _unary(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    return lambda e, given: unary(e, name, one(e, given))


_enter()


@OBJECT_CALLS(operator.is_)
def _is(e: Emitter, given: Arguments) -> Sugared:
    return identical(e, *_two(e, given))


@OBJECT_CALLS(operator.is_not)
def _is_not(e: Emitter, given: Arguments) -> Sugared:
    return unary(e, "not", identical(e, *_two(e, given)))


@OBJECT_CALLS(operator.truth)
def _truth(e: Emitter, given: Arguments) -> Sugared:
    return truth_sugared(e, one(e, given))


@OBJECT_CALLS(operator.contains)
def _contains(e: Emitter, given: Arguments) -> Sugared:
    return contains(e, *_two(e, given))


@OBJECT_CALLS(operator.getitem)
def _getitem(e: Emitter, given: Arguments) -> Sugared:
    return e.subscript(*_two(e, given))


@OBJECT_CALLS(operator.setitem)
def _setitem(e: Emitter, given: Arguments) -> Sugared:
    container, index, value = given.positional
    assign_subscript(e, container, index, value)
    return Constant(None)


@OBJECT_CALLS(operator.delitem)
def _delitem(e: Emitter, given: Arguments) -> Sugared:
    delete_subscript(e, *_two(e, given))
    return Constant(None)


@OBJECT_CALLS(operator.index)
def _index(e: Emitter, given: Arguments) -> Sugared:
    return e.call_positional(PythonObject(int), one(e, given))


@OBJECT_CALLS(operator.abs)
def _abs(e: Emitter, given: Arguments) -> Sugared:
    return e.call_positional(PythonObject(abs), one(e, given))


def _make_getter(kind: Callable[..., object]) -> Callable[[Emitter, Arguments], Sugared]:
    def make(e: Emitter, given: Arguments) -> Sugared:
        known = [a.value for a in given.positional if isinstance(a, Constant)]
        if len(known) < len(given.positional) or given.keywords:
            e.not_built("a getter of variables is", help="write a lambda")
        return Getter(kind(*known))

    return make


for _kind in (operator.itemgetter, operator.attrgetter, operator.methodcaller):
    OBJECT_CALLS(_kind)(_make_getter(_kind))


@CALLS(Getter)
def call_getter(e: Emitter, value: Getter, given: Arguments) -> Sugared:
    """Call an ``itemgetter``, ``attrgetter`` or ``methodcaller``."""
    subject = one(e, given)
    _, arguments, *_ = value.object.__reduce__()
    if isinstance(value.object, operator.methodcaller):
        rest = [e.unit.wrap(e, a, "argument") for a in arguments[1:]]
        return e.call(e.attribute(subject, arguments[0]), Arguments(rest, {}, given.node))
    if isinstance(value.object, operator.itemgetter):
        found = [e.subscript(subject, e.unit.wrap(e, a, "item")) for a in arguments]
    else:
        found = [functools.reduce(e.attribute, str(p).split("."), subject) for p in arguments]
    return found[0] if len(found) == 1 else TupleDisplay(tuple(found))


@OBJECT_CALLS(functools.reduce)
def _reduce(e: Emitter, given: Arguments) -> Sugared:
    function, iterable, start = take(e, given, "function", "iterable", "initial", required=2)
    assert function is not None and iterable is not None
    return reduced(e, iterable, start, lambda a, b: e.call_positional(function, a, b))
