"""Enumeration types of Python's enumerations.

``enum_type(cls)`` is one type per class; classes of one qualified name are told apart by a number.
A ``Flag`` has every combination of its bits as a member, where there are few enough.
"""

from __future__ import annotations

import enum
import itertools
import threading
from typing import Any

from scriptmode.ir.types import EnumType

MOST_FLAGS = 6  # bits of a Flag whose combinations are members
_types: dict[type[enum.Enum], EnumType] = {}
_names: set[str] = set()
_lock = threading.Lock()


def enum_type(cls: type[enum.Enum]) -> EnumType:
    """The type of an enumeration's members."""
    with _lock:
        found = _types.get(cls)
        if found is None:
            name = f"{cls.__module__}.{cls.__qualname__}"
            numbered = (f"{name}#{n}" for n in itertools.count(1))
            unique = name if name not in _names else next(n for n in numbered if n not in _names)
            _names.add(unique)
            members = {key_of(m): m.value for m in _members(cls)}
            found = _types[cls] = EnumType(unique, members, cls)
        return found


def member(t: EnumType, key: str) -> Any:
    """The Python member behind a key of ``t.members``."""
    assert t.python_class is not None
    named = t.python_class.__members__.get(key)  # type: ignore[attr-defined]
    return named if named is not None else t.python_class(t.members[key])


def key_of(value: enum.Enum) -> str:
    """The key of a member: its name, or its bits when it is a combination without a name."""
    if value.name is not None and value.name in type(value).__members__:
        return value.name
    return f"_{value.value}"


def _members(cls: type[enum.Enum]) -> list[enum.Enum]:
    named = list(dict.fromkeys(cls.__members__.values()))
    if not issubclass(cls, enum.Flag):
        return named
    mask = 0
    for flag in named:
        mask |= flag.value
    if mask < 0 or mask.bit_count() > MOST_FLAGS:
        return named
    combinations: list[enum.Enum] = []
    for bits in range(mask + 1):
        if bits & ~mask == 0:
            try:
                combinations.append(cls(bits))
            except ValueError:  # bits that stand only together
                continue
    return combinations
