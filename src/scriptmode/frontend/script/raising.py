"""``raise`` and ``assert``."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import NoReturn

from scriptmode.frontend.script.conditions import assume, condition, members, split
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.exceptions import (
    assign_exception_attribute,
    construct,
    initialises,
    is_exception_class,
    refuse_groups,
)
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.instances import refuse_special
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

_NO_EXCEPTION = "exceptions must derive from BaseException"
_NO_CAUSE = "exception causes must derive from BaseException"


@STATEMENTS(ast.Raise)
def _raise(e: Emitter, node: ast.Raise) -> None:
    if node.exc is None:
        e.builder.node("prim::reraise")
        e.die()
    if node.cause is None and isinstance(node.exc, ast.Call):
        function = e.expression(node.exc.func)
        if isinstance(function, PythonObject) and is_exception_class(function.object):
            raise_new(e, function.object, e.unit.arguments(e, node.exc))
        value = e.call(function, e.unit.arguments(e, node.exc))
    else:
        value = e.expression(node.exc)
        if isinstance(value, PythonObject) and is_exception_class(value.object):
            if node.cause is None:
                raise_new(e, value.object, Arguments([], {}))
    if node.cause is None:
        raise_value(e, value, None)
    raise_value(e, value, e.expression(node.cause))


def raise_new(e: Emitter, cls: type[BaseException], given: Arguments) -> NoReturn:
    """``raise cls(...)``; without an object where a message is all there is."""
    refuse_groups(e, cls)
    arguments = given.positional
    if not given.keywords and len(arguments) <= 1 and not initialises(cls):
        refuse_special(e, cls)
        if not arguments:
            e.raise_error(cls, None)
        if e.type_of(arguments[0]) == T.STR:
            e.raise_error(cls, e.value(arguments[0]))
    raise_value(e, construct(e, cls, given), None)


def instance_of(e: Emitter, value: Sugared, message: str) -> Sugared:
    """An exception for what stands behind ``raise``; TypeError for anything else."""
    if isinstance(value, PythonObject) and is_exception_class(value.object):
        return construct(e, value.object, Arguments([], {}))
    t = e.type_of(value)
    if t is None or not T.is_exception(t):
        e.raise_error(TypeError, message)
    return value


def raise_value(e: Emitter, value: Sugared, cause: Sugared | None) -> NoReturn:
    """``raise value from cause``."""
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        split(e, value, lambda v: _never(e, v, cause))
        e.die()
    exception = instance_of(e, value, _NO_EXCEPTION)
    assert isinstance(exception, IRValue)
    if cause is not None:
        is_none = isinstance(cause, Constant) and cause.value is None
        if isinstance(cause, IRValue) and len(members(cause.type)) > 1:
            split(e, cause, lambda v: _set_cause(e, exception, v))
        elif is_none:
            _set_cause(e, exception, cause)
        else:
            _set_cause(e, exception, instance_of(e, cause, _NO_CAUSE))
    cls = exception.type.python_class if isinstance(exception.type, T.ClassType) else None
    if cls is not None and issubclass(cls, StopIteration):
        e.unit.note_stop(e)
    e.builder.node("prim::raise_object", [exception.value])
    e.die()


def _never(e: Emitter, value: Sugared, cause: Sugared | None) -> Sugared:
    raise_value(e, value, cause)


def _set_cause(e: Emitter, exception: IRValue, cause: Sugared) -> Sugared:
    if not (isinstance(cause, Constant) and cause.value is None):
        cause = instance_of(e, cause, _NO_CAUSE)
    assign_exception_attribute(e, exception, "__cause__", cause)
    return Constant(None)


@STATEMENTS(ast.Assert)
def _assert(e: Emitter, node: ast.Assert) -> None:
    outcome, facts = condition(e, node.test)
    if outcome is True:
        return

    def failed() -> None:
        given: Sequence[Sugared] = [] if node.msg is None else [e.expression(node.msg)]
        raise_new(e, AssertionError, Arguments(list(given), {}))

    if outcome is False:
        failed()
        return
    assert not isinstance(outcome, bool)

    def held() -> None:
        assume(e, facts.when_true)

    branch(e, outcome, held, failed)
