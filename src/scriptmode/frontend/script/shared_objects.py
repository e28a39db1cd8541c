"""Python containers that functions of the program change: mutable defaults, memos of caches.

The entry gets such a container as a hidden parameter whose default is the Python object itself,
so that its contents go in and changes go back as those of any argument; functions that use it
take it as a further captured variable.  Which functions do is learnt, by starting the unit again.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterator
from typing import Any

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.source import FunctionNode
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import IRValue, Sugared
from scriptmode.ir import types as T
from scriptmode.support.markers import HIDDEN_PARAMETER


class SharedTable:
    """The shared objects of a program; it outlives the attempts to compile it."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.types: list[T.Type] = []
        self.users: dict[int, dict[str, int]] = {}  # by function: the objects that it needs
        self.memos: dict[Hashable, dict[Any, Any]] = {}  # by cached function and types
        self.results: dict[Hashable, T.Type] = {}

    def number(self, obj: Any, t: T.Type) -> int:
        """The number of an object."""
        for number, known in enumerate(self.objects):
            if known is obj:
                return number
        self.objects.append(obj)
        self.types.append(t)
        return len(self.objects) - 1


def shared(e: Emitter, obj: Any, t: T.Type) -> Sugared:
    """A Python container as a value that is the same object for all calls."""
    table: SharedTable = e.unit.shared
    number = table.number(obj, t)
    name = f"{HIDDEN_PARAMETER}{number}"
    found = e.scope.captured.get(name)
    if found is not None:
        return found
    if e.unit.stack[-1].target in e.unit.entries:
        own = e.unit.classes.adopt(table.types[number])  # learnt in an earlier attempt, perhaps
        param = e.graph.add_param(own, name)
        e.graph.defaults[name] = obj
        e.scope.captured[name] = IRValue(param)
        return e.scope.captured[name]
    if len(e.unit.stack) == 1:
        e.not_built("a mutable default in a function that containers call is")
    table.users.setdefault(id(e.scope.source.node), {})[name] = number
    e.unit.start_again()
    raise AssertionError("not reached")


def needed(e: Emitter, node: FunctionNode) -> dict[str, Sugared]:
    """The shared objects that a function which is called takes."""
    table: SharedTable = e.unit.shared
    users = table.users.get(id(node), {})
    return {name: shared(e, table.objects[n], table.types[n]) for name, n in users.items()}


def learn_type(e: Emitter, name: str, t: T.Type) -> None:
    """The contents of a shared object must be of another type."""
    number = int(name.removeprefix(HIDDEN_PARAMETER))
    e.unit.shared.types[number] = t
    e.unit.start_again()


def is_kept(node: FunctionNode, name: str) -> bool:
    """Whether a function may hand out or keep the container that a parameter holds."""
    return any(_hands_out(inner, name) for inner in walk(node))


def _hands_out(node: ast.AST, name: str) -> bool:
    match node:
        case ast.Return(value=value) | ast.Assign(value=value) | ast.AnnAssign(value=value):
            return value is not None and name in _passed_on(value)
        case ast.Yield(value=value):
            return value is not None and name in _passed_on(value)
        case ast.AugAssign(target=ast.Name(id=target)):
            return target == name
        case ast.Subscript(value=ast.Name(id=owner), ctx=(ast.Store() | ast.Del())):
            return owner == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr)):
            return owner == name and attr in _CHANGING
    return False


_CHANGING = frozenset(
    ["append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update",
     "setdefault", "popitem", "add", "discard"]
)  # fmt: skip


def _passed_on(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=items) | ast.List(elts=items):
            for item in items:
                yield from _passed_on(item)
        case ast.IfExp(body=a, orelse=b):
            yield from _passed_on(a)
            yield from _passed_on(b)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _passed_on(value)
