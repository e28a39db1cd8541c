"""What user classes define of Python's attribute protocol: descriptors and hooks.

Both are asked for in ``instances``: a descriptor is an object in a class body whose class has
``__get__``, ``__set__`` or ``__delete__``; a hook is a method such as ``__setattr__``, which stands
before every assignment::

    class Positive:
        def __set__(self, owner, value): ...     descriptor_method(vars(Item)["price"], "__set__")

    class Item:
        price = Positive()
        def __setattr__(self, name, value): ...  hook(Item, "__setattr__")
"""

from __future__ import annotations

import functools
import inspect
import types
from typing import Any

from scriptmode.frontend.script.classes import MISSING, is_python, static_attribute
from scriptmode.frontend.script.dataclass_sources import is_generated

_KNOWN = (property, classmethod, staticmethod, functools.cached_property)


def descriptor_method(found: Any, name: str) -> types.FunctionType | None:
    """``__get__``, ``__set__`` or ``__delete__`` of the class of a class attribute."""
    if found is MISSING or isinstance(found, (*_KNOWN, type)) or not is_python(type(found)):
        return None
    method = inspect.getattr_static(type(found), name, None)
    return method if isinstance(method, types.FunctionType) else None


def is_descriptor(found: Any) -> bool:
    """Whether an object in a class body is asked for what an attribute means."""
    names = ("__get__", "__set__", "__delete__")
    return any(descriptor_method(found, name) is not None for name in names)


def stands_before_fields(found: Any) -> bool:
    """Whether Python asks a descriptor before it looks into the instance."""
    return descriptor_method(found, "__get__") is not None and any(
        descriptor_method(found, name) is not None for name in ("__set__", "__delete__")
    )


def hook(cls: type, name: str) -> types.FunctionType | None:
    """A class's own ``__setattr__`` or the like; None where it is object's or a dataclass's."""
    found = static_attribute(cls, name)
    return found if isinstance(found, types.FunctionType) and not is_generated(found) else None


def own_new(cls: type) -> Any:
    """A class's own ``__new__``; None where it is object's."""
    found = static_attribute(cls, "__new__")
    function = found.__func__ if isinstance(found, staticmethod) else found
    return function if isinstance(function, types.FunctionType) else None
