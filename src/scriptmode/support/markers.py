"""Markers that users put on functions, methods and attributes of modules.

A marker changes nothing in eager mode; the script front end reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

IGNORE = "ignore"
UNUSED = "unused"
EXPORT = "export"
MODIFIER = "_scriptmode_modifier"
# what a function or class that watches a builtin during a trace stands in for
STANDS_FOR = "_scriptmode_stands_for"
# the attribute by which functions marked for the older compiler are known, and its values' words
_FOREIGN_MODIFIER = "_torchscript_modifier"


def _mark(function: F, modifier: str) -> F:
    target = getattr(function, "fget", None) or function
    setattr(target, MODIFIER, modifier)
    return function


@overload
def ignore(function: F) -> F: ...
@overload
def ignore(function: None = None, **options: Any) -> Callable[[F], F]: ...
def ignore(function: Any = None, **options: Any) -> Any:
    """Leave a function to Python: compiled code calls it back."""
    if callable(function):
        return _mark(function, IGNORE)
    return lambda inner: _mark(inner, IGNORE)


def unused(function: F) -> F:
    """Do not compile a function: a call of it in compiled code raises."""
    return _mark(function, UNUSED)


def export(function: F) -> F:
    """Compile a method although nothing that is compiled calls it."""
    return _mark(function, EXPORT)


def modifier_of(function: Any) -> str | None:
    """``IGNORE``, ``UNUSED``, ``EXPORT`` or None."""
    own = getattr(function, MODIFIER, None)
    if isinstance(own, str):
        return own
    foreign = getattr(function, _FOREIGN_MODIFIER, None)
    if isinstance(foreign, str):
        word = foreign.partition(" ")[0]
        return {"ignore": IGNORE, "unused": UNUSED, "export": EXPORT, "_drop": UNUSED}.get(word)
    return None


def is_scripting() -> bool:
    """True in compiled code, False in eager mode."""
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """``the_value``; compiled code takes ``the_type`` as its type."""
    return the_value


class Attribute(NamedTuple):
    """An attribute of a module with its type: ``self.x = Attribute({}, Dict[str, int])``."""

    value: Any
    type: Any


__all__ = [
    "EXPORT",
    "IGNORE",
    "UNUSED",
    "Attribute",
    "Final",
    "annotate",
    "export",
    "ignore",
    "is_scripting",
    "modifier_of",
    "unused",
]  # fmt: skip
