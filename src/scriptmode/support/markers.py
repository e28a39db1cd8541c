"""Markers that users put on functions, methods, classes and attributes of modules.

A marker changes nothing in eager mode; the script front end reads it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
V = TypeVar("V")

IGNORE = "ignore"
UNUSED = "unused"
EXPORT = "export"
INTERFACE = "_scriptmode_interface"
MODIFIER = "_scriptmode_modifier"
HIDDEN_PARAMETER = "hidden_object_"  # names of parameters for objects that a program shares
# what a function or class that watches a builtin during a trace stands in for
STANDS_FOR = "_scriptmode_stands_for"
# the attribute by which functions marked for the older compiler are known, and its values' words
_FOREIGN_MODIFIER = "_torchscript_modifier"
_FOREIGN_INTERFACE = "__torch_script_interface__"


def _mark(function: F, modifier: str) -> F:
    target = getattr(function, "fget", None) or function
    setattr(target, MODIFIER, modifier)
    return function


@overload
def ignore(function: F, *, drop: bool = ..., **options: Any) -> F: ...
@overload
def ignore(
    function: bool | None = ..., *, drop: bool = ..., **options: Any
) -> Callable[[F], F]: ...
def ignore(function: Any = None, *, drop: bool = False, **options: Any) -> Any:
    """Leave a function to Python: compiled code calls it back; with ``drop`` a call raises."""
    if not callable(function):
        return functools.partial(_mark, modifier=UNUSED if drop or function else IGNORE)
    return _mark(function, UNUSED if drop else IGNORE)


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


def script_method(function: F) -> F:
    """Compile a method of a ``ScriptModule`` subclass."""
    return _mark(function, EXPORT)


def _overload(function: F) -> F:
    """Declare a further signature; calls are compiled for their own types, so none is needed."""
    return function


def _overload_method(function: F) -> F:
    """``_overload`` of a method."""
    return function


def interface(cls: C) -> C:
    """Declare a class whose methods are signatures that several classes or modules implement."""
    setattr(cls, INTERFACE, cls)
    return cls


def is_interface(cls: type) -> bool:
    """Whether ``cls`` itself was declared an interface, here or for the older compiler."""
    return vars(cls).get(INTERFACE) is cls or _FOREIGN_INTERFACE in vars(cls)


def is_scripting() -> bool:
    """True in compiled code, False in eager mode."""
    return False


def annotate(the_type: Any, the_value: V) -> V:
    """``the_value``; compiled code takes ``the_type`` as its type."""
    return the_value


def _unwrap_optional(x: V | None) -> V:
    """``x``, which is not None."""
    assert x is not None, "Unwrapping null optional"
    return x


class strict_fusion(contextlib.nullcontext[None]):
    """A block that older executors had to fuse whole; it has no effect."""


class _IgnoreContextManager(contextlib.nullcontext[None]):
    """A block that is left to Python; its keywords say what goes in and comes out."""

    def __init__(self, **variables: str) -> None:
        super().__init__()


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
    "interface",
    "is_interface",
    "is_scripting",
    "modifier_of",
    "script_method",
    "strict_fusion",
    "unused",
]
