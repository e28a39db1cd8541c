"""Captured Python values: what a program took as constant, and whether it is still so.

A program reads globals, closure variables, class attributes and attributes of objects when it is
compiled.  Each such read is kept as a *guard*; ``Captures.changed()`` names those whose values are
others now, and the program is compiled again.

Namespaces of the standard library, torch and numpy are taken as fixed.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "nothing"})()

_FIXED = (frozenset(sys.stdlib_module_names) | {"torch", "numpy", "scriptmode"}) - {"__main__"}
_PLAIN = (bool, int, float, complex, str, bytes)


def is_fixed(module_name: Any) -> bool:
    """Whether what a Python module holds is taken as never changing."""
    return not isinstance(module_name, str) or module_name.partition(".")[0] in _FIXED


def same(a: Any, b: Any) -> bool:
    """Whether two captured values are the same object, or equal and immutable."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) in _PLAIN:
        return bool(a == b) and repr(a) == repr(b)  # 0.0 and -0.0 differ
    if type(a) is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    return False


class _Guard:
    name: str
    expected: Any

    def current(self) -> Any:
        """The value now; MISSING when there is none."""
        raise NotImplementedError

    def is_same(self) -> bool:
        """Whether the value is the object that the program took."""
        return self.expected is self.current()


@dataclass(eq=False)
class Name(_Guard):
    """``namespace[name]`` of a dict: a module's globals, an object's attributes, a class body."""

    namespace: dict[Any, Any]
    name: str
    expected: Any

    def current(self) -> Any:
        return self.namespace.get(self.name, MISSING)


@dataclass(eq=False)
class Cell(_Guard):
    """A closure variable."""

    cell: types.CellType
    name: str
    expected: Any

    def current(self) -> Any:
        try:
            return self.cell.cell_contents
        except ValueError:
            return MISSING


@dataclass(eq=False)
class Attribute(_Guard):
    """An attribute that only ``getattr`` knows how to read."""

    owner: Any
    name: str
    expected: Any

    def current(self) -> Any:
        return getattr(self.owner, self.name, MISSING)

    def is_same(self) -> bool:
        return same(self.expected, self.current())


@dataclass(eq=False)
class Items(_Guard):
    """What a list, dict or set holds."""

    container: Any
    name: str
    expected: Any  # a tuple

    def current(self) -> Any:
        return items_of(self.container)

    def is_same(self) -> bool:
        now = self.current()
        return len(now) == len(self.expected) and all(
            a is b for a, b in zip(now, self.expected, strict=True)
        )


Guard = Name | Cell | Attribute | Items


def items_of(container: Any) -> tuple[Any, ...]:
    """The items of a list, keys and values of a dict, the elements of a set."""
    if isinstance(container, dict):
        return tuple(part for pair in container.items() for part in pair)
    return tuple(container)


@dataclass
class Captures:
    """The guards of one program."""

    guards: dict[tuple[int, str], Guard] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Guard]:
        return iter(self.guards.values())

    def __len__(self) -> int:
        return len(self.guards)

    def _add(self, owner: Any, guard: Guard) -> None:
        self.guards.setdefault((id(owner), guard.name), guard)

    def add_global(self, namespace: dict[str, Any], name: str, value: Any) -> None:
        """A name was read from a module's globals; MISSING when it was not there."""
        if not is_fixed(namespace.get("__name__", "")):
            self._add(namespace, Name(namespace, name, value))

    def add_cell(self, cell: types.CellType, name: str, value: Any) -> None:
        """A closure variable was read."""
        self._add(cell, Cell(cell, name, value))

    def add_items(self, container: Any, name: str) -> None:
        """The items of a list, dict or set were read."""
        self._add(container, Items(container, name, items_of(container)))

    def add_attribute(self, owner: Any, name: str, value: Any) -> None:
        """An attribute of a Python module, class or other object was read."""
        if isinstance(owner, types.ModuleType):
            if is_fixed(owner.__name__):
                return
            if vars(owner).get(name, MISSING) is value:
                self._add(owner, Name(vars(owner), name, value))
            else:  # the module's own ``__getattr__`` gave it
                self._add(owner, Attribute(owner, name, value))
        elif isinstance(owner, type):
            self.add_class_attribute(owner, name)
        else:
            self._add_instance_attribute(owner, name, value)

    def _add_instance_attribute(self, owner: Any, name: str, value: Any) -> None:
        own = getattr(owner, "__dict__", None)
        if type(own) is dict and own.get(name, MISSING) is value:
            self._add(owner, Name(own, name, value))
        elif is_fixed(type(owner).__module__):
            return
        elif type(own) is dict and name not in own and _body_of(type(owner), name) is not None:
            self._add(owner, Name(own, name, MISSING))
            self.add_class_attribute(type(owner), name)
        else:
            self._add(owner, Attribute(owner, name, value))

    def add_class_attribute(self, cls: type, name: str) -> None:
        """An attribute was looked up in a class and its bases."""
        for base in cls.__mro__:
            if not is_fixed(base.__module__):
                body = _real_dict(base)
                if body is None:
                    continue
                self._add(base, Name(body, name, body.get(name, MISSING)))
            if name in vars(base):
                return

    def changed(self) -> list[str]:
        """Names whose values are no longer what the program took."""
        found = []
        for guard in self:
            current = guard.current()
            if same(guard.expected, current):
                guard.expected = current
            else:
                found.append(guard.name)
        return list(dict.fromkeys(found))


def _body_of(cls: type, name: str) -> type | None:
    return next((b for b in cls.__mro__ if name in vars(b)), None)


def _real_dict(cls: type) -> dict[str, Any] | None:
    """The dict behind a class's read-only ``__dict__``."""
    found = [d for d in gc.get_referents(vars(cls)) if type(d) is dict]
    return found[0] if len(found) == 1 else None
