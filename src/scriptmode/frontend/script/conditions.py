"""Truth values and what they show about types.

``condition`` compiles a test: its outcome, known at compile time or an IR bool, and the facts that
hold when it is true and when it is false.  ``test`` compiles a two-way choice on it; an arm that is
never taken is not compiled at all.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Callable, Sequence

from scriptmode.frontend.script import enums
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import (
    Arm,
    branch,
    choose,
    choose_value,
    discard_after,
    narrow,
)
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.shapes import root_of, same_value
from scriptmode.frontend.script.values import (
    NO_FACTS,
    BoundMethod,
    BuiltinMethod,
    CellVariable,
    Constant,
    DictDisplay,
    Fact,
    Facts,
    IRValue,
    IterableValue,
    ListDisplay,
    LocalFunction,
    ModuleValue,
    Place,
    PythonObject,
    Sugared,
    TupleDisplay,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import ScriptTypeError

Test = tuple["bool | Value", Facts]

_BOOL_OPS: dict[T.Type, str] = {
    T.INT: "int::bool", T.FLOAT: "float::bool", T.COMPLEX: "complex::bool", T.STR: "str::bool",
    T.TENSOR: "tensor::bool", T.NUMBER: "number::bool",
}  # fmt: skip
_LENGTHS: dict[type[T.Type], str] = {
    T.ListType: "list::len", T.DictType: "dict::len", T.OrderedDictType: "dict::len",
    T.DefaultDictType: "dict::len", T.CounterType: "dict::len", T.SetType: "set::len",
    T.FrozenSetType: "set::len",
}  # fmt: skip
_ALWAYS_TRUE = (T.DTYPE, T.DEVICE, T.LAYOUT, T.MEMORY_FORMAT, T.GENERATOR, T.QSCHEME)


def truth(e: Emitter, value: Sugared) -> bool | Value:
    """``bool(value)``."""
    match value:
        case IRValue():
            return truth_of(e, value.value)
        case Constant(value=enum.Enum()):
            return truth(e, enums.truth(e, value))
        case Constant(value=constant):
            return bool(constant)
        case TupleDisplay() | ListDisplay():
            return bool(value.items)
        case DictDisplay():
            return bool(value.keys)
        case LocalFunction() | BoundMethod() | BuiltinMethod():
            return True
        case PythonObject(object=obj):
            return bool(obj)
        case ModuleValue() | IterableValue():
            if isinstance(value, ModuleValue) and not hasattr(value.info.python, "__len__"):
                return True
            return truth(e, e.unit.length(e, value))
    e.fail_type(f"{value.describe()} has no truth value")


def truth_of(e: Emitter, value: Value) -> bool | Value:
    """``bool(value)`` of an IR value."""
    t = value.type
    if t == T.BOOL:
        return value
    if t in _BOOL_OPS:
        return e.builder.op(_BOOL_OPS[t], value)
    if t == T.NONE:
        return False
    if t in _ALWAYS_TRUE:
        return True
    if isinstance(t, T.TupleType):
        return bool(t.elements)
    if type(t) in _LENGTHS:
        length = e.builder.op(_LENGTHS[type(t)], value)
        return e.builder.op("int::bool", length)
    if t in (T.SIZE, T.BYTES) or isinstance(t, (T.VarTupleType, T.DequeType)):
        length = e.value(e.unit.length(e, IRValue(value)))
        return e.builder.op("int::bool", length)
    if isinstance(t, T.OptionalType):
        inner = t.element
        missing = e.builder.node("prim::is_none", [value], [T.BOOL]).output
        return choose_value(
            e, missing, lambda: Constant(False),
            lambda: truth_sugared(e, IRValue(e.builder.cast(value, inner))),
        )  # fmt: skip
    if isinstance(t, T.UnionType):
        return e.value(split(e, IRValue(value), lambda v: truth_sugared(e, v)))
    if T.is_instance_type(t):
        return truth(e, e.unit.dunders.truth(e, IRValue(value)))
    if isinstance(t, (T.ClassType, T.IteratorType)):
        return True
    if isinstance(t, T.EnumType):
        return truth(e, enums.truth(e, IRValue(value)))
    e.fail_type(f"a value of type {t} has no truth value")


def truth_sugared(e: Emitter, value: Sugared) -> Sugared:
    """``bool(value)`` as a symbolic value."""
    found = truth(e, value)
    return Constant(found) if isinstance(found, bool) else IRValue(found)


_NUMBER_MEMBERS = (T.INT, T.FLOAT, T.BOOL, T.COMPLEX)


def members(t: T.Type) -> Sequence[T.Type]:
    """The types that a value of type ``t`` may have at run time."""
    if isinstance(t, T.OptionalType):
        return (*members(t.element), T.NONE)
    if isinstance(t, T.UnionType):
        return t.contained
    if t == T.NUMBER:
        return _NUMBER_MEMBERS
    return (t,)


def is_type(e: Emitter, value: Value, types: Sequence[T.Type]) -> Value:
    """Whether the value is of one of ``types`` at run time."""
    if list(types) == [T.NONE]:
        return e.builder.node("prim::is_none", [value], [T.BOOL]).output
    return e.builder.node("prim::isinstance", [value], [T.BOOL], types=tuple(types)).output


def split(e: Emitter, value: IRValue, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on the value under each of its possible types, merged."""
    possible = members(value.type)
    if len(possible) == 1:
        return act(value)
    # arithmetic of a number widens it to complex, too; a class need not have every operator
    if T.is_subtype(value.type, T.NUMBER) or any(map(T.is_instance_type, possible)):
        act = _or_type_error(e, act)
    return _split(e, value, possible, act)


def _or_type_error(e: Emitter, act: Callable[[Sugared], Sugared]) -> Callable[[Sugared], Sugared]:
    """``act``, or a TypeError at run time for a type that it is not defined for."""

    def run(value: Sugared) -> Sugared:
        mark, env = e.builder.block.last, e.env.copy()
        try:
            return act(value)
        except ScriptTypeError as error:
            if error.diagnostics[0].chain:
                raise  # inside a function that it calls
            discard_after(e, mark)
            e.env = env
            e.raise_error(TypeError, error.diagnostics[0].message)

    return run


def _split(
    e: Emitter, value: IRValue, possible: Sequence[T.Type], act: Callable[[Sugared], Sugared]
) -> Sugared:
    first, rest = possible[0], possible[1:]
    remaining = T.union_of(rest)
    return choose(
        e,
        is_type(e, value.value, [first]),
        lambda: act(narrow(e, value, first)),
        lambda: (
            _split(e, _as_ir(narrow(e, value, remaining)), rest, act)
            if len(rest) > 1
            else act(narrow(e, value, remaining))
        ),
    )


def split_pair(
    e: Emitter, a: Sugared, b: Sugared, act: Callable[[Sugared, Sugared], Sugared]
) -> Sugared | None:
    """``act`` under each type of ``a``, or else of ``b``; None when neither has several."""
    if isinstance(a, IRValue) and len(members(a.type)) > 1:
        return split(e, a, lambda v: act(v, b))
    if isinstance(b, IRValue) and len(members(b.type)) > 1:
        return split(e, b, lambda v: act(a, v))
    return None


def _as_ir(value: Sugared) -> IRValue:
    assert isinstance(value, IRValue)
    return value


# places and facts


def place_of(node: ast.expr) -> Place | None:
    """The variable, attribute or element path that an expression reads."""
    match node:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=inner, attr=attr):
            outer = place_of(inner)
            return None if outer is None else (*outer, attr)
        case ast.Subscript(value=inner, slice=index):
            outer, key = place_of(inner), _index_of(index)
            return None if outer is None or key is None else (*outer, f"[{key}]")
        case ast.NamedExpr(target=ast.Name(id=name)):
            return (name,)
    return None


def tested(e: Emitter, node: ast.expr) -> Sugared | None:
    """What a condition or an assignment has shown of an attribute or element."""
    place = place_of(node) if e.env.attributes else None
    return None if place is None else e.env.attributes.get(place)


def _index_of(node: ast.expr) -> str | None:
    """The text of an index that is a variable or a number or string."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Constant(value=(int() | str())):
            return ast.unparse(node)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
            return ast.unparse(node)
    return None


def fact(e: Emitter, node: ast.expr | None, value: Sugared, t: T.Type) -> tuple[Fact, ...]:
    """``node``, which read ``value``, is of type ``t``."""
    place = place_of(node) if node is not None else None
    if place is None or t == T.NEVER:
        return ()
    return (Fact(place, root_of(value), t, e.epoch_of(place)),)


def assume(e: Emitter, facts: Sequence[Fact]) -> None:
    """Narrow what the environment says."""
    for item in facts:
        if len(item.place) == 1:
            name = item.place[0]
            current = e.env.names.get(name)
            if current is None and name not in e.scope.locals:
                current = e.scope.captured.get(name)
            if current is None or isinstance(current, CellVariable):
                if item.epoch == e.epoch:
                    e.env.attributes[item.place] = _narrower(e, e.lookup(name), item.type)
                continue
            if current is not None and same_value(root_of(current), item.subject):
                e.env.names[name] = _narrower(e, current, item.type)
        elif item.epoch == e.epoch_of(item.place):
            current = e.env.attributes.get(item.place)
            if current is None:
                current = _read(e, item.place)
            e.env.attributes[item.place] = _narrower(e, current, item.type)


def _narrower(e: Emitter, current: Sugared, t: T.Type) -> Sugared:
    known = e.type_of(current)
    if known is None or T.is_subtype(known, t):
        return current
    return narrow(e, current, t)


def _read(e: Emitter, place: Place) -> Sugared:
    value = e.lookup(place[0])
    for part in place[1:]:
        if part.startswith("["):
            value = e.subscript(value, _index(e, part[1:-1]))
        else:
            value = e.attribute(value, part)
    return value


def _index(e: Emitter, text: str) -> Sugared:
    return e.lookup(text) if text.isidentifier() else Constant(ast.literal_eval(text))


# tests


def condition(e: Emitter, node: ast.expr) -> Test:
    """Compile a test."""
    with e.at(node):
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return _all(e, values)
            case ast.BoolOp(op=ast.Or(), values=values):
                return _any(e, values)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                outcome, facts = condition(e, operand)
                if isinstance(outcome, bool):
                    return not outcome, NO_FACTS
                return e.builder.op("bool::not", outcome), facts.negated()
        value = e.expression(node)
        return outcome_of(e, node, value)


def outcome_of(e: Emitter, node: ast.expr, value: Sugared) -> Test:
    """The truth of an expression that has been compiled, and its facts."""
    outcome = truth(e, value)
    if isinstance(outcome, bool):
        return outcome, NO_FACTS
    if isinstance(value, IRValue):
        if value.facts is not None:
            return outcome, value.facts
        if isinstance(value.type, T.OptionalType):
            return outcome, Facts(when_true=fact(e, node, value, value.type.element))
    return outcome, NO_FACTS


def _all(e: Emitter, values: Sequence[ast.expr]) -> Test:
    outcome, facts = condition(e, values[0])
    if outcome is False or len(values) == 1:
        return outcome, facts
    if outcome is True:
        return _all(e, values[1:])
    rest = [NO_FACTS]  # of what follows; it may never return

    def then() -> Sugared:
        assume(e, facts.when_true)
        inner, inner_facts = _all(e, values[1:])
        rest.append(inner_facts)
        return Constant(inner) if isinstance(inner, bool) else IRValue(inner)

    result = truth(e, choose(e, outcome, then, lambda: Constant(False)))
    return result, Facts(
        facts.when_true + rest[-1].when_true, _common(facts.when_false, rest[-1].when_false)
    )


def _any(e: Emitter, values: Sequence[ast.expr]) -> Test:
    outcome, facts = condition(e, values[0])
    if outcome is True or len(values) == 1:
        return outcome, facts
    if outcome is False:
        return _any(e, values[1:])
    rest = [NO_FACTS]  # of what follows; it may never return

    def otherwise() -> Sugared:
        assume(e, facts.when_false)
        inner, inner_facts = _any(e, values[1:])
        rest.append(inner_facts)
        return Constant(inner) if isinstance(inner, bool) else IRValue(inner)

    result = truth(e, choose(e, outcome, lambda: Constant(True), otherwise))
    return result, Facts(
        _common(facts.when_true, rest[-1].when_true), facts.when_false + rest[-1].when_false
    )


def _common(a: Sequence[Fact], b: Sequence[Fact]) -> tuple[Fact, ...]:
    """What holds when one of two sets of facts holds."""
    found = []
    for x in a:
        for y in b:
            if x.place == y.place and same_value(x.subject, y.subject):
                joined = T.join(x.type, y.type)
                if joined is not None:
                    found.append(Fact(x.place, x.subject, joined, min(x.epoch, y.epoch)))
    return tuple(found)


def test(e: Emitter, node: ast.expr, then: Arm, otherwise: Arm) -> Sugared | None:
    """Compile ``then`` or ``otherwise``, or an If of both, by the test ``node``."""
    outcome, facts = condition(e, node)
    if isinstance(outcome, bool):
        return then() if outcome else otherwise()

    def arm(action: Arm, known: Sequence[Fact]) -> Arm:
        def run() -> Sugared | None:
            assume(e, known)
            return action()

        return run

    return branch(e, outcome, arm(then, facts.when_true), arm(otherwise, facts.when_false))


@EXPRESSIONS(ast.BoolOp)
def bool_op(e: Emitter, node: ast.BoolOp, expected: T.Type | None) -> Sugared:
    """``and`` and ``or`` return one of their operands."""
    return _bool_op(e, isinstance(node.op, ast.And), node.values, expected)


def _bool_op(
    e: Emitter, is_and: bool, values: Sequence[ast.expr], expected: T.Type | None
) -> Sugared:
    value = e.expression(values[0], expected)
    if len(values) == 1:
        return value
    outcome, facts = outcome_of(e, values[0], value)
    if isinstance(outcome, bool):
        return _bool_op(e, is_and, values[1:], expected) if outcome is is_and else value
    decided, known = (facts.when_false, facts.when_true) if is_and else (
        facts.when_true, facts.when_false
    )  # fmt: skip
    rest: list[Sugared] = []

    def more() -> Sugared:
        assume(e, known)
        rest.append(_bool_op(e, is_and, values[1:], expected))
        return rest[-1]

    def stop() -> Sugared:
        return _falsy(e, value) if is_and else _truthy(e, value)

    result = choose(e, outcome, more if is_and else stop, stop if is_and else more)
    last = rest[-1]
    if isinstance(result, IRValue) and result.type == T.BOOL and result.facts is None:
        last_facts = last.facts if isinstance(last, IRValue) and last.facts else NO_FACTS
        if is_and:
            result.facts = Facts(
                known + last_facts.when_true, _common(decided, last_facts.when_false)
            )
        else:
            result.facts = Facts(
                _common(decided, last_facts.when_true), known + last_facts.when_false
            )
    return result


def _truthy(e: Emitter, value: Sugared) -> Sugared:
    """``value`` where it is known to be true."""
    if isinstance(value, IRValue) and isinstance(value.type, T.OptionalType):
        return narrow(e, value, value.type.element)
    return value


def _falsy(e: Emitter, value: Sugared) -> Sugared:
    """``value`` where it is known to be false: None, if its type is always true otherwise."""
    if isinstance(value, IRValue) and value.type == T.BOOL:
        return Constant(False)
    if isinstance(value, IRValue) and isinstance(value.type, T.OptionalType):
        if value.type.element in _ALWAYS_TRUE:
            return narrow(e, value, T.NONE)
    return value


@EXPRESSIONS(ast.IfExp)
def conditional(e: Emitter, node: ast.IfExp, expected: T.Type | None) -> Sugared:
    """``a if c else b``."""

    def arm(value: ast.expr) -> Sugared:
        result = e.expression(value, expected)
        # a display that meets another value is built, of what the context expects
        return result if expected is None else e.settle(result, expected)

    result = test(e, node.test, lambda: arm(node.body), lambda: arm(node.orelse))
    assert result is not None
    if isinstance(result, Unusable):
        e.fail_type(result.reason, help="use an `if` statement around what is done with it")
    return result
