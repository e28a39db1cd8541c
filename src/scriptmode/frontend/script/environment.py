"""Variables of the function being compiled.

A ``Scope`` is one Python scope: its function, what its free names mean.  An ``Environment`` says
what its local names and the attributes that were tested mean *here*; branches work on copies.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scriptmode.frontend.script.source import FunctionSource
from scriptmode.frontend.script.values import Place, Sugared, VariableCell
from scriptmode.ir.types import Type
from scriptmode.support.captures import MISSING, Captures


@dataclass(eq=False)
class Scope:
    """Static facts about the function being compiled.

    ``captured`` maps free names to values when the function is nested in another compiled one.
    """

    source: FunctionSource
    function: types.FunctionType | None
    globals: Mapping[str, Any]
    closure: Mapping[str, Any]
    captured: dict[str, Sugared] = field(default_factory=dict)
    locals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)
    owner_class: type | None = None  # for super() and __class__
    declared: dict[str, Type] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.locals = set(self.source.locals)
        self.nonlocals = set(self.source.nonlocals)

    def find_object(self, name: str, captures: Captures) -> Any:
        """The Python object that a free name means; MISSING when there is none."""
        if name in self.closure:
            found = self.closure[name]
            if isinstance(self.closure, Closure):
                captures.add_cell(self.closure.cells[name], name, found)
            return found
        found = self.globals.get(name, MISSING)
        if isinstance(self.globals, dict):
            captures.add_global(self.globals, name, found)
        return getattr(builtins, name, MISSING) if found is MISSING else found


class Closure(dict[str, Any]):
    """The values of free variables, and the cells that hold them."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: dict[str, types.CellType] = {}


def closure_of(function: types.FunctionType) -> Closure:
    """Free variables of a function that are bound."""
    found = Closure()
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
            found.cells[name] = cell
        except ValueError:  # not bound yet
            continue
    return found


def is_element(place: Place) -> bool:
    """Whether a place leads through an element of a container."""
    return any(part.startswith("[") for part in place)


class Environment:
    """Local names and tested attributes and elements at one point of the program.

    ``cells`` are the variables whose assignments are written to a cell as well.
    """

    __slots__ = ("attributes", "cells", "names")

    def __init__(
        self,
        names: dict[str, Sugared] | None = None,
        attributes: dict[Place, Sugared] | None = None,
        cells: dict[str, VariableCell] | None = None,
    ) -> None:
        self.cells = cells if cells is not None else {}
        self.names = names if names is not None else {}
        self.attributes = attributes if attributes is not None else {}

    def copy(self) -> Environment:
        """An independent copy."""
        return Environment(dict(self.names), dict(self.attributes), dict(self.cells))

    def bind(self, name: str, value: Sugared) -> None:
        """Assign a variable; what was known of its attributes is forgotten."""
        self.names[name] = value
        if self.attributes:
            index = f"[{name}]"
            for place in [p for p in self.attributes if p[0] == name or index in p]:
                del self.attributes[place]

    def unbind(self, name: str) -> None:
        """Delete a variable."""
        self.names.pop(name, None)

    def forget_elements(self) -> None:
        """Forget what is known of elements of containers."""
        if self.attributes:
            self.attributes = {p: v for p, v in self.attributes.items() if not is_element(p)}

    def forget_free(self, name: str) -> None:
        """Forget what is known of a variable outside of the program."""
        if self.attributes and name not in self.names:
            self.attributes = {p: v for p, v in self.attributes.items() if p[0] != name}

    def forget_attributes(self, name: str | None = None) -> None:
        """Forget what is known of attributes called ``name``, or of all attributes."""
        if self.attributes:
            kept = {} if name is None else {
                p: v for p, v in self.attributes.items() if name not in p[1:]
            }  # fmt: skip
            self.attributes = kept
