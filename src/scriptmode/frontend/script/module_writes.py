"""What the methods of a module's class write, found in their syntax.

``is_assigned`` tells attributes that some method other than ``__init__`` assigns or deletes,
``is_changed`` also those that hold a container which a method changes in place.
"""

from __future__ import annotations

import ast
import dis
import types
from functools import cache

from torch import nn

from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.trees import walk

_MUTATORS = frozenset(
    ("append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "add",
     "discard", "setdefault", "popitem", "appendleft", "popleft", "extendleft", "rotate")
)  # fmt: skip
_STORES = ("STORE_ATTR", "DELETE_ATTR")
_CHANGES = (*_STORES, "STORE_SUBSCR", "DELETE_SUBSCR", "LOAD_METHOD", "CALL_FUNCTION_EX")


def is_assigned(cls: type, name: str) -> bool:
    """Whether a method of the class other than ``__init__`` assigns ``self.name``."""
    return name in _assigned(cls)


def is_changed(cls: type, name: str) -> bool:
    """Whether a method other than ``__init__`` assigns ``self.name`` or changes what it holds."""
    return name in _changed(cls)


def _methods(cls: type) -> list[types.FunctionType]:
    bases = cls.__mro__[: cls.__mro__.index(nn.Module)]
    found = [m for base in bases for m in vars(base).values()]
    found += [m.fset for m in found if isinstance(m, property)]
    return [
        m for m in found if isinstance(m, types.FunctionType) and m.__name__ != "__init__"
    ]  # fmt: skip


def _uses(function: types.FunctionType, opnames: tuple[str, ...]) -> bool:
    return any(i.opname in opnames for i in dis.get_instructions(function.__code__))


@cache
def _assigned(cls: type) -> frozenset[str]:
    names: set[str] = set()
    for method in _methods(cls):
        if _uses(method, _STORES):
            names |= {
                n.attr
                for n in walk(source_of(method).node)
                if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)
            }
    return frozenset(names)


@cache
def _changed(cls: type) -> frozenset[str]:
    names = set(_assigned(cls))
    for method in _methods(cls):
        if _uses(method, _CHANGES):
            for node in walk(source_of(method).node):
                match node:
                    case ast.Subscript(value=ast.Attribute(attr=name), ctx=ast.Store() | ast.Del()):
                        names.add(name)
                    case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name), attr=called)):
                        if called in _MUTATORS:
                            names.add(name)
    return frozenset(names)
