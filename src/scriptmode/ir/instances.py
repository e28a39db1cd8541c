"""The attributes that Python instances of user classes have themselves.

What the class adds (methods, properties, defaults) is not looked at: the front end spells it out.
"""

from __future__ import annotations

import inspect
import types
from typing import Any

from scriptmode.ir import types as T
from scriptmode.support.outside import OutsideVariable

_NOTHING = object()
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, OutsideVariable)


def is_hooked(t: T.Type, hook: str) -> bool:
    """Whether instances may have a ``__setattr__`` or the like of their own."""
    classes = [t, *t.subclasses] if isinstance(t, T.ClassType) else []
    found = (inspect.getattr_static(c.python_class, hook, None) for c in classes)
    return any(isinstance(f, types.FunctionType) for f in found)


def _dict_of(owner: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = object.__getattribute__(owner, "__dict__")
    except AttributeError:  # its class has slots
        return {}
    return found


def _find_slot(owner: Any, name: str) -> Any:
    if isinstance(owner, dict):
        return owner.get(name, _NOTHING)
    own = _dict_of(owner)
    if name in own:
        return own[name]
    for cls in type(owner).__mro__:
        member = vars(cls).get(name)
        if isinstance(member, _DESCRIPTORS):
            try:
                return member.__get__(owner)
            except AttributeError:
                return _NOTHING
    return _NOTHING


def attributes_of(owner: Any) -> dict[str, Any]:
    """All attributes that an instance has a value for."""
    found = dict(_dict_of(owner))
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
