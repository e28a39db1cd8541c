"""The functions that make missing values of a ``defaultdict``, by the numbers that types have.

``DefaultDict[str, int, Factory<3>]`` calls function 3 of this table.  A factory is entered once for
each function object, or for each place of a ``lambda`` with the values that it closes over; the
numbers are those of the process, as the types of several programs meet at the boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from scriptmode.ir import types as T

_FACTORIES: list[Callable[[], Any] | None] = []
_NUMBERS: dict[Hashable, int] = {}


def enter(key: Hashable, function: Callable[[], Any] | None) -> T.FactoryType:
    """The type that stands for ``function``, which Python calls for a missing key."""
    number = _NUMBERS.setdefault(key, len(_FACTORIES))
    if number == len(_FACTORIES):
        _FACTORIES.append(function)
    return T.FactoryType(number)


def enter_object(function: Callable[[], Any] | None) -> T.FactoryType:
    """The type that stands for a Python object, or for no factory."""
    return enter(("object", id(function)), function)


def function_of(t: T.FactoryType) -> Callable[[], Any] | None:
    """What Python calls for a missing key; None: it raises ``KeyError``."""
    return _FACTORIES[t.number]


def has_text(t: T.Type) -> bool:
    """Whether the text of a ``defaultdict`` made by ``t`` is the same in each process."""
    if not isinstance(t, T.FactoryType):
        return True
    function = function_of(t)
    return function is None or isinstance(function, type)
