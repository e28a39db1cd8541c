"""Assigning and deleting attributes of instances: hooks, descriptors, properties, fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from scriptmode.frontend.script.attribute_hooks import descriptor_method, hook, is_descriptor
from scriptmode.frontend.script.classes import static_attribute
from scriptmode.frontend.script.dataclass_sources import is_frozen
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.instances import (
    find_known,
    instance_type,
    missing_text,
    property_text,
    python_class,
    store_field,
    takes,
    under_each,
)
from scriptmode.frontend.script.values import Constant, IRValue, PythonObject, Sugared
from scriptmode.ir import types as T


def assign_member(
    e: Emitter, owner: IRValue, name: str, value: Sugared, *, plainly: bool = False
) -> None:
    """``owner.name = value``; ``plainly`` as object does it, whatever ``__setattr__`` says."""

    def key(c: T.ClassType) -> Hashable:
        found = static_attribute(python_class(c), name)
        if not plainly and hook(python_class(c), "__setattr__") is not None:
            return ("hook", hook(python_class(c), "__setattr__"))
        if isinstance(found, property) or is_descriptor(found):
            return ("property", id(found))
        return ("field", takes(python_class(c), name), is_frozen(python_class(c)))

    def act(v: IRValue, c: T.ClassType) -> Sugared:
        cls = python_class(c)
        found = static_attribute(cls, name)
        own = None if plainly else hook(cls, "__setattr__")
        setter = descriptor_method(found, "__set__")
        if own is not None:
            e.call_positional(PythonObject(own), v, Constant(name), value)
        elif setter is not None:
            e.call_positional(PythonObject(setter), e.unit.wrap(e, found, name), v, value)
        elif descriptor_method(found, "__delete__") is not None:
            e.raise_error(AttributeError, "__set__")
        elif isinstance(found, property):
            if found.fset is None:
                e.raise_error(AttributeError, f"{property_text(cls, name)} has no setter")
            e.call_positional(e.unit.wrap(e, found.fset, name), v, value)
        elif is_frozen(cls) and not plainly and not e.scope.source.is_given:
            e.raise_error(dataclasses.FrozenInstanceError, f"cannot assign to field {name!r}")
        elif not takes(cls, name):
            e.raise_error(AttributeError, missing_text(cls, name))
        else:
            store_field(e, v, name, value)
        return Constant(None)

    t = instance_type(owner)
    assert t is not None
    under_each(e, owner, key, act)


def delete_member(e: Emitter, owner: IRValue, name: str, *, plainly: bool = False) -> None:
    """``del owner.name``; ``plainly`` as object does it, whatever ``__delattr__`` says."""

    def key(c: T.ClassType) -> Hashable:
        found = static_attribute(python_class(c), name)
        asked = isinstance(found, property) or is_descriptor(found)
        return (hook(python_class(c), "__delattr__"), id(found) if asked else name in c.attributes)

    def act(v: IRValue, c: T.ClassType) -> Sugared:
        cls = python_class(c)
        found = static_attribute(cls, name)
        own = None if plainly else hook(cls, "__delattr__")
        deleter = descriptor_method(found, "__delete__")
        if own is not None:
            e.call_positional(PythonObject(own), v, Constant(name))
        elif deleter is not None:
            e.call_positional(PythonObject(deleter), e.unit.wrap(e, found, name), v)
        elif descriptor_method(found, "__set__") is not None:
            e.raise_error(AttributeError, "__delete__")
        elif isinstance(found, property):
            if found.fdel is None:
                e.raise_error(AttributeError, f"{property_text(cls, name)} has no deleter")
            e.call_positional(e.unit.wrap(e, found.fdel, name), v)
        elif is_frozen(cls) and not plainly:
            e.raise_error(dataclasses.FrozenInstanceError, f"cannot delete field {name!r}")
        elif name not in c.attributes:
            e.unit.classes.absent.add((c, name))
            e.raise_error(AttributeError, missing_text(cls, name))
        else:
            for member in e.unit.classes.sharing(c, name):
                e.unit.classes.note_deleted(member, name)
            e.builder.node("prim::DelAttr", [v.value], name=name)
        return Constant(None)

    t = instance_type(owner)
    assert t is not None
    find_known(e, t, name)
    under_each(e, owner, key, act)
