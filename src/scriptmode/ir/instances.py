"""The attributes that Python instances of user classes have themselves.

What the class adds (methods, properties, defaults) is not looked at: the front end spells it out.
"""

from __future__ import annotations

import types
from typing import Any

_NOTHING = object()


def _find_slot(owner: Any, name: str) -> Any:
    if isinstance(owner, dict):
        return owner.get(name, _NOTHING)
    own = getattr(owner, "__dict__", {})
    if name in own:
        return own[name]
    for cls in type(owner).__mro__:
        member = vars(cls).get(name)
        if isinstance(member, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            try:
                return member.__get__(owner)
            except AttributeError:
                return _NOTHING
    return _NOTHING


def attributes_of(owner: Any) -> dict[str, Any]:
    """All attributes that an instance has a value for."""
    found = dict(getattr(owner, "__dict__", {}))
    for cls in type(owner).__mro__:
        for name, member in vars(cls).items():
            if isinstance(member, types.MemberDescriptorType) and has_slot(owner, name):
                found.setdefault(name, read_slot(owner, name))
    return found


def has_slot(owner: Any, name: str) -> bool:
    """Whether an instance has a value for the attribute."""
    return _find_slot(owner, name) is not _NOTHING


def read_slot(owner: Any, name: str) -> Any:
    """The attribute of an instance; AttributeError when it has no value."""
    found = _find_slot(owner, name)
    if found is _NOTHING:
        raise AttributeError(missing_attribute(type(owner).__name__, name))
    return found


def missing_attribute(class_name: str, name: str) -> str:
    """The message of AttributeError."""
    return f"'{class_name}' object has no attribute '{name}'"
