"""Reads of variables that may have no value here."""

from __future__ import annotations

from scriptmode.frontend.script import (
    comparisons,
    variables,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.values import (
    IRValue,
    Sugared,
    Unusable,
)
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import (
    ScriptNameError,
)


def usable(e: Emitter, name: str, found: Sugared) -> Sugared:
    """The value of a variable; an error when it has none here."""
    if not isinstance(found, Unusable):
        return found
    if found.cell is not None:
        return variables.read(e, name, found.cell)
    if found.value is not None:
        return _check_bound(e, name, found.value)
    if found.reason == "unbound":
        e.fail(
            "SM0207",
            f"`{name}` may be unbound here",
            error=ScriptNameError,
            label="used here",
            help=f"give `{name}` a value on every path that leads here",
        )
    e.fail_type(found.reason)


def _check_bound(e: Emitter, name: str, value: IRValue) -> Sugared:
    """A variable that only a loop binds: bound unless the loop did not run."""
    missing = e.value(comparisons.is_none(e, value))
    message = f"cannot access local variable '{name}' where it is not associated with a value"
    branch(e, missing, lambda: e.raise_error(UnboundLocalError, message), lambda: None)
    t = value.type
    assert isinstance(t, T.OptionalType)
    e.env.names[name] = e.lift(e.builder.cast(value.value, t.element))
    return e.env.names[name]
