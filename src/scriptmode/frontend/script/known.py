"""Arguments of entries that are known when the program is compiled: functions, classes, modules.

Such an argument has no run-time value: an instance of the program is compiled for it, and its type
is the object itself::

    f(x, torch.relu)      # compiled for (Tensor, the function relu)

An entry whose parameter takes one, and of which no value is known yet, raises; the first call
compiles an instance for what it passes.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from scriptmode.frontend.script.source import FunctionNode
from scriptmode.frontend.script.trees import walk
from scriptmode.ir import types as T
from scriptmode.support.outside import add_variable

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda self: "a function"})()


class KnownType(T.Type):
    """The type of an argument that is known; equal where programs for the arguments are.

    ``cells`` are closure variables inside of it that are read at run time.
    """

    __slots__ = ("cells", "key", "value")

    def __init__(
        self,
        value: Any,
        key: Hashable,
        cells: Sequence[tuple[types.CellType, str]] = (),
    ) -> None:
        self._text = f"function {name_of(value)}".strip()
        self.value, self.key, self.cells = value, key, tuple(cells)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KnownType) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def known_values(types_: Mapping[str, T.Type]) -> dict[str, Any]:
    """The objects that known arguments must be, by parameter."""
    return {name: t.value for name, t in types_.items() if isinstance(t, KnownType)}


def name_of(value: Any) -> str:
    """What a function, class or module is called in messages."""
    name = getattr(value, "__name__", None)
    if isinstance(name, str):
        return f"`{name}`"
    return "" if value is UNKNOWN else f"in a {type(value).__name__}"


UNKNOWN_TYPE = KnownType(UNKNOWN, "unknown")


def is_known_kind(value: Any) -> bool:
    """Whether a Python object is a function, class or module, as an argument known by identity."""
    if isinstance(value, (nn.Module, type)) or hasattr(type(value), "__scriptmode_ir__"):
        return True
    if type(value).__module__.startswith("torch.") and callable(value):
        return True
    own_call = inspect.getattr_static(type(value), "__call__", None)
    return callable(value) and not inspect.isfunction(own_call)


def mark_variables(unit: Any, t: KnownType) -> None:
    """Closure variables inside a known argument are read at run time."""
    for cell, name in t.cells:
        add_variable(unit.outside.holder_for(cell, f"the closure variable {name}"), name)


def called_parameters(node: FunctionNode, names: Collection[str]) -> set[str]:
    """Parameters that a function calls, or whose elements it calls."""
    found: set[str] = set()
    elements: dict[str, set[str]] = {}  # loop variables, and parameters that they come from
    for inner in walk(node):
        if isinstance(inner, (ast.For, ast.comprehension)):
            sources = {n.id for n in walk(inner.iter) if isinstance(n, ast.Name)} & set(names)
            for target in walk(inner.target):
                if isinstance(target, ast.Name):
                    elements.setdefault(target.id, set()).update(sources)
    for inner in walk(node):
        if isinstance(inner, ast.Call):
            for called in _called(inner):
                found |= {called} & set(names)
                found |= elements.get(called, set())
    return found


def _called(node: ast.Call) -> Iterator[str]:
    match node.func:
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            yield name
    match node:
        case ast.Call(func=ast.Name(id="map" | "filter" | "reduce"), args=[ast.Name(id=name), *_]):
            yield name
        case ast.Call(func=ast.Attribute(attr="reduce"), args=[ast.Name(id=name), *_]):
            yield name
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, ast.Name(id=name)]):
            yield name
    for keyword in node.keywords:
        if keyword.arg == "key" and isinstance(keyword.value, ast.Name):
            yield keyword.value.id
