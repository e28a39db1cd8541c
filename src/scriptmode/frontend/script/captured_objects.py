"""Objects that exist before the program: captured, or kept by a module.

They are known at compile time, as configuration is, until something needs one at run time: it is
stored, chosen by an index, or written to.  Then the unit starts again with the object as a run-time
value everywhere: a captured instance, list, dict, set or deque is reached by reference, an instance
in a module's attribute becomes part of the module's state::

    LOG = []

    def f(x: int):
        LOG.append(x)     # Global[name=LOG]() -> List[int]; Python sees the list change

What an empty container holds is learnt from its uses, as of any other.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn

from scriptmode.frontend.script.classes import is_user_class, join_fields, without_never
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.known import is_known_kind
from scriptmode.frontend.script.values import (
    Captured,
    DictDisplay,
    ListDisplay,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

_ONE_ELEMENT: dict[type, type[T.SetType] | type[T.DequeType]] = {
    set: T.SetType, frozenset: T.FrozenSetType, collections.deque: T.DequeType,
}  # fmt: skip
_DICTS: dict[type, type[T.DictType]] = {
    dict: T.DictType, collections.OrderedDict: T.OrderedDictType,
    collections.Counter: T.CounterType,
}  # fmt: skip
# methods of sets that a set known at compile time does not have
SET_CHANGES = frozenset(name for name in dir(set) if not name.startswith("_"))
# containers that are never known at compile time
ALWAYS_RUN_TIME = (
    collections.deque, collections.OrderedDict, collections.Counter, collections.defaultdict,
)  # fmt: skip
# what a defaultdict makes, by its factory
MADE: dict[Any, T.Type] = {
    int: T.INT, float: T.FLOAT, bool: T.BOOL, str: T.STR, complex: T.COMPLEX, bytes: T.BYTES,
    list: T.ListType([T.NEVER]), dict: T.DictType([T.NEVER, T.NEVER]), set: T.SetType([T.NEVER]),
    collections.deque: T.DequeType([T.NEVER]), collections.Counter: T.CounterType([T.NEVER]),
    collections.OrderedDict: T.OrderedDictType([T.NEVER, T.NEVER]),
}  # fmt: skip
_CONTAINERS = (list, dict, set, *ALWAYS_RUN_TIME)


class OutsideObjects:
    """Objects from outside that a program needs at run time; it outlives the attempts."""

    def __init__(self) -> None:
        self._objects: dict[int, Any] = {}
        self._learnt: dict[int, T.Type] = {}

    def __contains__(self, obj: Any) -> bool:
        return id(obj) in self._objects

    def __len__(self) -> int:
        return len(self._objects)

    def instances_holding(self, cls: type | None, name: str) -> list[Any]:
        """The instances of a class, if each has a function or module as this attribute."""
        found = [o for o in self._objects.values() if type(o) is cls]
        holding = [o for o in found if is_known_kind(getattr(o, "__dict__", {}).get(name))]
        return found if len(holding) == len(found) else []

    def add(self, obj: Any) -> None:
        """The object is needed at run time."""
        self._objects[id(obj)] = obj

    def learn(self, unit: Unit, obj: Any, t: T.Type) -> NoReturn:
        """A container must be of another type, as its uses say."""
        self._learnt[id(obj)] = t
        unit.start_again()

    def settle(self, unit: Unit) -> None:
        """Containers of which nothing was learnt hold tensors."""
        for obj in self._objects.values():
            t = self.type_of(unit, obj)
            if t is not None and T.NEVER in T.walk(t):
                self.learn(unit, obj, without_never(t))

    def type_of(self, unit: Unit, obj: Any) -> T.Type | None:
        """The type of an object as a run-time value; None when it has none."""
        known = self._learnt.get(id(obj))
        if known is None:
            return type_with_instances(unit, obj)
        return unit.classes.adopt(known)


def is_object(obj: Any) -> bool:
    """Whether a Python object is an instance of a user class."""
    return not isinstance(obj, (type, nn.Module)) and is_user_class(type(obj))


def make_run_time(e: Emitter, value: Sugared) -> None:
    """Start again with the object as a run-time value; return if it cannot be one."""
    obj: Any = None
    if isinstance(value, PythonObject):
        obj = value.object
    elif isinstance(value, (ListDisplay, DictDisplay)) and isinstance(value.captured, Captured):
        obj = value.captured.object
    if not (is_object(obj) or type(obj) in _CONTAINERS) or obj in e.unit.objects:
        return
    t = e.unit.objects.type_of(e.unit, obj)
    if t is not None and not T.has_choice(t):
        e.unit.objects.add(obj)
        e.unit.start_again()


def run_time_value(e: Emitter, obj: Any, name: str) -> Sugared | None:
    """The captured object as a run-time value; None when it is known at compile time."""
    if obj not in e.unit.objects:
        if type(obj) not in ALWAYS_RUN_TIME or not e.unit.is_guarding:
            return None
        e.unit.objects.add(obj)
    t = e.unit.objects.type_of(e.unit, obj)
    return None if t is None else e.unit.captured_object(e, obj, name, t)


def holds_run_time_objects(unit: Unit, value: Any) -> bool:
    """Whether a value is, or has inside, an object that is needed at run time."""
    if not unit.objects:
        return False
    if value in unit.objects:
        return True
    if isinstance(value, (list, tuple)):
        return any(holds_run_time_objects(unit, v) for v in value)
    if isinstance(value, dict):
        return any(holds_run_time_objects(unit, v) for v in value.values())
    return False


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
    if type(value) in _DICTS:
        return _container(unit, _DICTS[type(value)], [list(value), list(value.values())], seen)
    if type(value) is collections.defaultdict:
        return _defaultdict(unit, value, seen)
    if type(value) in _ONE_ELEMENT:
        return _container(unit, _ONE_ELEMENT[type(value)], [list(value)], seen)
    if type(value) is tuple:
        parts = [type_with_instances(unit, v, seen) for v in value]
        known = [p for p in parts if p is not None]
        return T.TupleType(known) if len(known) == len(parts) else None
    return unit.type_of_object(value)


def _defaultdict(unit: Unit, value: Any, seen: Any) -> T.Type | None:
    """The type of a defaultdict whose factory is a class that makes empty or zero values."""
    made = MADE.get(value.default_factory)
    found = _container(unit, T.DictType, [list(value), list(value.values())], seen)
    if made is None or not isinstance(found, T.DictType):
        return None
    held = join_fields(found.value, made)
    return T.DefaultDictType([found.key, held, held if made.contained else made])


def _container(unit: Unit, kind: type[T.Type], parts: list[list[Any]], seen: Any) -> T.Type | None:
    joined: list[T.Type] = []
    for part in parts:
        found: T.Type = T.NEVER
        for value in part:
            t = type_with_instances(unit, value, seen)
            if t is None:
                return None
            found = join_fields(found, t)
        joined.append(found)
    return kind(joined)  # type: ignore[call-arg]
