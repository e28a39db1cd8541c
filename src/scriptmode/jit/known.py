"""Functions, classes and modules as arguments of compiled functions.

An instance of the program is compiled for each.  Most are told apart by their identity.  Functions
made at run time (lambdas, closures, partials) are others at each call: they count as the same where
their code is, and what they hold is; numbers, tensors and containers in closure variables are no
part of that, but read at run time.  A call passes what it was given *as* the object that was
compiled, whose closure variables get the values first, and give them back::

    for scale in (1.0, 2.0):
        f(x, lambda t: t * scale)     # one instance
"""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script import is_user_class
from scriptmode.frontend.script.known import KnownType, is_known_kind

_CONSTANTS = (
    bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.layout,
    torch.memory_format,
)  # fmt: skip
_VARIABLES = (int, float, complex, list, dict, set, collections.deque)
_CONTAINERS = (list, tuple, dict)


class Known:
    """The known arguments of one call."""

    def __init__(self) -> None:
        self._cells: dict[int, int] = {}
        self._functions: dict[int, int] = {}
        self.cells: list[tuple[types.CellType, str]] = []  # variables, each once

    def type_of(self, value: Any) -> KnownType | None:
        """The type of an argument that is known when compiled; None of other arguments."""
        if not holds_known(value):
            return None
        first = len(self.cells)
        key = self._key(value)
        return KnownType(value, key, self.cells[first:])

    def _key(self, value: Any) -> Hashable:
        if isinstance(value, types.FunctionType) and not _is_by_name(value):
            return self._function_key(value)
        if isinstance(value, types.MethodType):
            return ("method", self._key(value.__func__), id(value.__self__))
        if type(value) is functools.partial:
            arguments = [self._key(v) for v in (*value.args, *value.keywords.values())]
            return ("partial", self._key(value.func), *arguments, *value.keywords)
        if type(value) is dict:
            return (dict, *map(self._key, value), *map(self._key, value.values()))
        if type(value) in _CONTAINERS:
            return (type(value), *map(self._key, value))
        if type(value) in _CONSTANTS:
            return ("constant", type(value), repr(value))
        return ("object", id(value))

    def _function_key(self, function: types.FunctionType) -> Hashable:
        if id(function) in self._functions:
            return ("again", self._functions[id(function)])
        self._functions[id(function)] = len(self._functions)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        held = [
            function.__defaults__, function.__kwdefaults__, function.__dict__, function.__name__,
        ]  # fmt: skip
        return (
            "function", id(function.__code__), id(function.__globals__),
            *(self._cell_key(name, cell) for name, cell in cells),
            *(self._key(v) for v in held),
        )  # fmt: skip

    def _cell_key(self, name: str, cell: types.CellType) -> Hashable:
        if id(cell) in self._cells:
            return ("cell", self._cells[id(cell)])
        self._cells[id(cell)] = len(self._cells)
        try:
            value = cell.cell_contents
        except ValueError:
            return ("empty",)
        if _is_variable(value):
            self.cells.append((cell, name))
            return ("variable", self._cells[id(cell)])
        return self._key(value)


def _is_variable(value: Any) -> bool:
    """Whether what a closure variable holds is read at run time."""
    if type(value) in (torch.Tensor, nn.Parameter) or is_user_class(type(value)):
        return not is_known_kind(value)
    return type(value) in _VARIABLES and not holds_known(value)


def _is_by_name(function: types.FunctionType) -> bool:
    """Whether a function is what its module has under its name."""
    found: Any = function.__globals__
    for name in function.__qualname__.split("."):
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return found is function


def holds_known(value: Any) -> bool:
    """Whether a Python object is a function, class or module, or a container of some."""
    if type(value) in (list, tuple):
        return any(map(holds_known, value))
    if type(value) is dict:
        return any(map(holds_known, value.values()))
    return is_known_kind(value)


class _Copies:
    """Copies of functions with closure variables of their own."""

    def __init__(self) -> None:
        self._functions: dict[int, types.FunctionType] = {}
        self._cells: dict[int, types.CellType] = {}

    def copy(self, value: Any) -> Any:
        """``value``, with the functions that have closure variables inside of it copied."""
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self.copy(value.__func__), value.__self__)
        if type(value) is functools.partial:
            arguments = map(self.copy, value.args)
            keywords = {k: self.copy(v) for k, v in value.keywords.items()}
            return functools.partial(self.copy(value.func), *arguments, **keywords)
        if type(value) is dict:
            return {k: self.copy(v) for k, v in value.items()}
        if type(value) in _CONTAINERS:
            return type(value)(map(self.copy, value))
        return value

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        if _is_by_name(function) or not function.__closure__:
            return function
        known = self._functions.get(id(function))
        if known is not None:
            return known
        cells = [self._cells.setdefault(id(c), types.CellType()) for c in function.__closure__]
        made = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__,
            tuple(cells),
        )  # fmt: skip
        functools.update_wrapper(made, function, updated=("__dict__",))
        if "__wrapped__" not in function.__dict__:
            del made.__wrapped__  # type: ignore[attr-defined]
        made.__kwdefaults__ = function.__kwdefaults__
        self._functions[id(function)] = made
        for cell, own in zip(function.__closure__, cells, strict=True):
            try:
                held = cell.cell_contents
            except ValueError:
                continue
            own.cell_contents = held if _is_variable(held) else self.copy(held)
        return made


def prepared(types_: Mapping[str, Any]) -> dict[str, Any]:
    """Types for compiling an instance: known arguments with closure variables of their own."""
    copies, known = _Copies(), Known()
    found = dict(types_)
    for name, t in types_.items():
        if isinstance(t, KnownType):
            own = known.type_of(copies.copy(t.value))
            assert own is not None
            found[name] = KnownType(own.value, t.key, own.cells)
    return found


def variables(types_: Mapping[str, Any]) -> Iterator[types.CellType]:
    """The closure variables of the known arguments, in order."""
    for t in types_.values():
        if isinstance(t, KnownType):
            for cell, _ in t.cells:
                yield cell
