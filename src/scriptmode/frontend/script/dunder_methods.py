"""Dunder methods of builtin containers by name: ``xs.__getitem__(i)``, ``key=xs.__len__``."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.frontend.script.comparisons import contains
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.iteration import length_of
from scriptmode.frontend.script.methods import METHODS, exactly
from scriptmode.frontend.script.stores import assign_subscript, delete_subscript
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, Sugared
from scriptmode.ir.graph import Value

_READ = ("list", "dict", "tuple", "deque", "str", "bytes")
_WRITTEN = ("list", "dict", "deque")


def _method(name: str, kinds: tuple[str, ...], count: int) -> Callable[..., None]:
    def enter(act: Callable[..., Sugared]) -> None:
        def run(e: Emitter, owner: Value, given: Arguments) -> Sugared:
            return act(e, IRValue(owner), *exactly(e, given, count, name))

        for kind in kinds:
            if METHODS.get((kind, name)) is None:
                METHODS((kind, name))(run)

    return enter


_method("__getitem__", _READ, 1)(lambda e, owner, index: e.subscript(owner, index))
_method("__len__", (*_READ, "set", "frozenset"), 0)(length_of)
_method("__contains__", _READ, 1)(contains)


def _set(e: Emitter, owner: Sugared, index: Sugared, value: Sugared) -> Sugared:
    assign_subscript(e, owner, index, value)
    return Constant(None)


def _delete(e: Emitter, owner: Sugared, index: Sugared) -> Sugared:
    delete_subscript(e, owner, index)
    return Constant(None)


_method("__setitem__", _WRITTEN, 2)(_set)
_method("__delitem__", _WRITTEN, 1)(_delete)
