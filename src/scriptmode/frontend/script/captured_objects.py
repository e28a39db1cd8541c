"""Instances of user classes that exist before the program: captured, or kept by a module.

They are known at compile time, as configuration is, until something needs one at run time: it is
stored, chosen by an index, or written to.  Then the unit starts again with the object as a run-time
value everywhere: a captured one is reached by reference, one in a module's attribute becomes part
of the module's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from scriptmode.frontend.script.classes import is_user_class, join_fields
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import PythonObject, Sugared
from scriptmode.ir import types as T

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit


def is_object(obj: Any) -> bool:
    """Whether a Python object is an instance of a user class."""
    return not isinstance(obj, (type, nn.Module)) and is_user_class(type(obj))


def make_run_time(e: Emitter, value: PythonObject) -> None:
    """Start again with the object as a run-time value; return if it cannot be one."""
    obj = value.object
    if is_object(obj) and id(obj) not in e.unit.objects:
        e.unit.objects[id(obj)] = obj
        e.unit.start_again()


def run_time_value(e: Emitter, obj: Any, name: str) -> Sugared | None:
    """The captured object as a run-time value; None when it is known at compile time."""
    if id(obj) not in e.unit.objects:
        return None
    t = type_of_instance(e.unit, obj)
    return None if t is None else e.unit.captured_object(e, obj, name, t)


def holds_run_time_objects(unit: Unit, value: Any) -> bool:
    """Whether a value is, or has inside, an object that is needed at run time."""
    if not unit.objects:
        return False
    if isinstance(value, (list, tuple)):
        return any(holds_run_time_objects(unit, v) for v in value)
    if isinstance(value, dict):
        return any(holds_run_time_objects(unit, v) for v in value.values())
    return id(value) in unit.objects


def type_of_instance(
    unit: Unit, obj: Any, seen: dict[int, T.Type] | None = None
) -> T.Type | None:  # fmt: skip
    """The class type of an instance, whose attributes are learnt from this one; None of others."""
    if not is_object(obj):
        return None
    known = {} if seen is None else seen
    if id(obj) in known:
        return known[id(obj)]
    t = unit.classes.type_of(type(obj))
    if t is None:
        return None
    known[id(obj)] = t
    for name, held in getattr(obj, "__dict__", {}).items():
        kind = type_with_instances(unit, held, known)
        if kind is not None:
            unit.classes.declare(t, name, kind)
    unit.classes.note_made(t)
    return t


def type_with_instances(
    unit: Unit, value: Any, seen: dict[int, T.Type] | None = None
) -> T.Type | None:  # fmt: skip
    """The type of a Python object, which may be or hold instances of user classes."""
    if is_object(value):
        return type_of_instance(unit, value, seen)
    if type(value) is list:
        return _container(unit, T.ListType, [list(value)], seen)
    if type(value) is dict:
        return _container(unit, T.DictType, [list(value), list(value.values())], seen)
    if type(value) is tuple:
        parts = [type_with_instances(unit, v, seen) for v in value]
        known = [p for p in parts if p is not None]
        return T.TupleType(known) if len(known) == len(parts) else None
    return unit.type_of_object(value)


def _container(
    unit: Unit, kind: type[T.ListType | T.DictType], parts: list[list[Any]], seen: Any
) -> T.Type | None:
    joined: list[T.Type] = []
    for part in parts:
        found: T.Type = T.NEVER
        for value in part:
            t = type_with_instances(unit, value, seen)
            if t is None:
                return None
            found = join_fields(found, t)
        joined.append(found)
    return kind(joined)
