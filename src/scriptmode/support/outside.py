"""Variables outside of a program that it assigns: globals, class attributes, closure variables.

A *holder* is an object whose attributes are such variables: reading one reads the variable, setting
one assigns it.  Compiled programs pass holders across the boundary as they pass other objects::

    COUNT = 0                      holder = holder_of(globals())
    def f():                       add_variable(holder, "COUNT")
        global COUNT               holder.COUNT += 1
        COUNT += 1
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

_OWNER = "%owner"


class OutsideVariable:
    """The descriptor in a holder's class of one variable."""

    def __init__(
        self,
        read: Callable[[], Any],
        assign: Callable[[Any], None],
        delete: Callable[[], None],
    ) -> None:
        self._read, self._assign, self._delete = read, assign, delete

    def __get__(self, holder: Any, cls: type | None = None) -> Any:
        if holder is None:
            return self
        try:
            return self._read()
        except (KeyError, ValueError):  # a name without a value, an empty cell
            raise AttributeError("the variable has no value") from None

    def __set__(self, holder: Any, value: Any) -> None:
        self._assign(value)

    def __delete__(self, holder: Any) -> None:
        self._delete()


def holder_of(owner: Any, name: str) -> Any:
    """A new holder for the variables of a namespace dict, a class, a Python object or a cell."""
    module = owner.get("__name__", "") if isinstance(owner, dict) else ""
    body = {"__module__": module or getattr(owner, "__module__", "") or "", "__slots__": ()}
    cls = type(f"variables of {name}", (), body)
    setattr(cls, _OWNER, owner)
    return cls()


def is_holder_class(cls: type) -> bool:
    """Whether a class is that of a holder."""
    return _OWNER in vars(cls)


def owner_of(holder: Any) -> Any:
    """Whose variables a holder holds."""
    return vars(type(holder))[_OWNER]


def add_variable(holder: Any, name: str) -> None:
    """Let the holder have the variable of this name."""
    if name not in vars(type(holder)):
        setattr(type(holder), name, _variable(owner_of(holder), name))


def has_variable(holder: Any, name: str) -> bool:
    """Whether the holder has the variable of this name."""
    return isinstance(vars(type(holder)).get(name), OutsideVariable)


def variables_of(holder: Any) -> dict[str, Any]:
    """The variables that have a value, and their values."""
    found = {}
    for name, member in vars(type(holder)).items():
        if isinstance(member, OutsideVariable) and hasattr(holder, name):
            found[name] = getattr(holder, name)
    return found


def _variable(owner: Any, name: str) -> OutsideVariable:
    if isinstance(owner, dict):
        return OutsideVariable(
            lambda: owner[name],
            lambda value: owner.__setitem__(name, value),
            lambda: owner.__delitem__(name),
        )
    if isinstance(owner, types.CellType):

        def assign(value: Any) -> None:
            owner.cell_contents = value

        def delete() -> None:
            del owner.cell_contents

        return OutsideVariable(lambda: owner.cell_contents, assign, delete)
    return OutsideVariable(
        lambda: vars(owner)[name],
        lambda value: setattr(owner, name, value),
        lambda: delattr(owner, name),
    )
