"""Types of Python values, as the key of an instance."""

from __future__ import annotations

import collections
import enum
import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch

from scriptmode.frontend.script import is_user_class
from scriptmode.ir import factories
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.ops.scalars import check_int
from scriptmode.support.containers import ScriptDict, ScriptList
from scriptmode.support.diagnostics import ArgumentError, Diagnostic
from scriptmode.support.futures import Future

_SCALARS: dict[type, T.Type] = {
    bool: T.BOOL,
    int: T.INT,
    float: T.FLOAT,
    complex: T.COMPLEX,
    str: T.STR,
    type(None): T.NONE,
    torch.Size: T.SIZE,
    torch.dtype: T.DTYPE,
    torch.device: T.DEVICE,
    torch.layout: T.LAYOUT,
    torch.memory_format: T.MEMORY_FORMAT,
    torch.Generator: T.GENERATOR,
    bytes: T.BYTES,
    range: T.RANGE,
}
_DICTS: dict[type, type[T.DictType]] = {
    dict: T.DictType,
    ScriptDict: T.DictType,
    collections.OrderedDict: T.OrderedDictType,
    collections.Counter: T.CounterType,
}
_ONE_ELEMENT: dict[type, type[T.SetType] | type[T.DequeType]] = {
    set: T.SetType,
    frozenset: T.FrozenSetType,
    collections.deque: T.DequeType,
}
_MADE: dict[object, T.Type] = {
    int: T.INT, float: T.FLOAT, bool: T.BOOL, str: T.STR, complex: T.COMPLEX, bytes: T.BYTES,
}  # fmt: skip


@functools.cache
def keywords_class(names: tuple[str, ...]) -> type:
    """The class by which arguments for ``**keywords`` enter a program, whose type has the names."""
    return collections.namedtuple(f"keywords_{'_'.join(names)}", names)


def type_of_value(value: Any, hint: T.Type | None = None) -> T.Type | None:
    """The IR type of ``value``; None when it has none.

    ``hint`` decides what a value leaves open: the element type of an empty list or dict, and an
    ``Optional`` or ``Union`` which the value fits.  An int outside 64 bits raises OverflowError.
    """
    found = _SCALARS.get(type(value))
    if found == T.INT:
        check_int(value)
    if found is None and isinstance(value, torch.Tensor):
        found = T.TENSOR
    if found is None:
        found = _type_of_container(value, T.unwrap_optional(hint) if hint is not None else None)
    if found is not None and hint is not None and T.is_subtype(found, hint):
        # containers and instances keep their own type: only simple values cross as an Any
        return found if hint == T.ANY and not isinstance(found, T.SimpleType) else hint
    return found


def _type_of_container(value: Any, hint: T.Type | None) -> T.Type | None:
    if type(value) in (list, ScriptList):
        element = hint.element if isinstance(hint, T.ListType) else None
        joined = _join_all(value, element, empty=element or T.TENSOR)
        return None if joined is None else T.ListType([joined])
    if type(value) in _ONE_ELEMENT:
        kind = _ONE_ELEMENT[type(value)]
        known = hint.contained[0] if type(hint) is kind else None
        joined = _join_all(list(value), known, empty=known or T.INT)
        return None if joined is None else kind([joined])
    if type(value) is collections.defaultdict:
        return _type_of_defaultdict(value, hint)
    if type(value) in _DICTS:
        key = hint.key if isinstance(hint, T.DictType) else None
        held = hint.value if isinstance(hint, T.DictType) else None
        keys = _join_all(list(value), key, empty=key or T.STR)
        values = _join_all(list(value.values()), held, empty=held or T.TENSOR)
        return None if keys is None or values is None else _DICTS[type(value)]([keys, values])
    if type(value) is Future:
        element = hint.element if isinstance(hint, T.FutureType) else None
        result = type_of_value(value.wait(), element)
        return None if result is None else T.FutureType([result])
    if isinstance(value, tuple):
        return _type_of_tuple(value, hint)
    if isinstance(value, enum.Enum):
        return enum_type(type(value))
    return class_type(type(value)) if is_user_class(type(value)) else None


_CLASS_TYPES: weakref.WeakKeyDictionary[type, T.ClassType] = weakref.WeakKeyDictionary()


def class_type(cls: type) -> T.ClassType:
    """A type that stands for a user class; every program has one of its own for it."""
    found = _CLASS_TYPES.get(cls)
    if found is None:
        name = f"{cls.__module__}.{cls.__qualname__}"
        found = T.ClassType(name, original_name=cls.__name__)
        found.python_class = cls
        found.bases = [class_type(base) for base in cls.__bases__ if is_user_class(base)]
        _CLASS_TYPES[cls] = found
    return found


def _type_of_defaultdict(value: Any, hint: T.Type | None) -> T.Type | None:
    made = _MADE.get(value.default_factory)
    wanted = hint if isinstance(hint, T.DefaultDictType) else None
    keys = _join_all(list(value), wanted and wanted.key, empty=wanted.key if wanted else T.STR)
    held = wanted.value if wanted else made
    values = _join_all(list(value.values()), held, empty=held or T.TENSOR)
    if keys is None or values is None:
        return None
    known = collections.Counter, collections.OrderedDict, collections.deque
    is_empty = made is not None or value.default_factory in (list, dict, set, *known)
    if not is_empty:
        return T.DefaultDictType([keys, values, factories.enter_object(value.default_factory)])
    if made is None:
        containers = {list: T.ListType, dict: T.DictType, set: T.SetType}
        if containers.get(value.default_factory) is not type(values):
            return None
        made = values
    joined = T.join(values, made)
    return None if joined is None else T.DefaultDictType([keys, joined, made])


def _type_of_tuple(value: tuple[Any, ...], hint: T.Type | None) -> T.Type | None:
    if isinstance(hint, T.VarTupleType) and type(value) is tuple:
        joined = _join_all(list(value), hint.element, empty=hint.element)
        return None if joined is None else T.VarTupleType([joined])
    hints: list[T.Type | None] = [None] * len(value)
    if isinstance(hint, T.TupleType) and len(hint.elements) == len(value):
        hints = list(hint.elements)
    parts = [type_of_value(v, h) for v, h in zip(value, hints, strict=True)]
    elements = [p for p in parts if p is not None]
    if len(elements) != len(parts):
        return None
    if type(value) is tuple:
        return T.TupleType(elements)
    fields = getattr(type(value), "_fields", None)
    if fields is None:
        return None
    cls = type(value)
    return T.NamedTupleType(f"{cls.__module__}.{cls.__qualname__}", fields, elements, cls)


def _join_all(values: list[Any], hint: T.Type | None, *, empty: T.Type) -> T.Type | None:
    if not values:
        return empty
    joined: T.Type | None = None
    for value in values:
        found = type_of_value(value, hint)
        if found is None:
            return None
        joined = found if joined is None else T.join(joined, found)
        if joined is None:
            return None
    return joined


def script_list(items: list[Any]) -> ScriptList:
    """A list that goes on holding elements of its present type; an empty one holds tensors."""
    t = type_of_value(items)
    if not isinstance(t, T.ListType):
        raise _mixed("list")
    return ScriptList(items, _check(t.element), str(t))


def script_dict(items: dict[Any, Any]) -> ScriptDict:
    """A dict that goes on holding keys and values of its present types."""
    t = type_of_value(items)
    if not isinstance(t, T.DictType):
        raise _mixed("dict")
    return ScriptDict(items, _check(t.key), _check(t.value), str(t))


def _check(t: T.Type) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        found = type_of_value(value, t)
        if found is None or not T.is_subtype(found, t):
            raise TypeError(f"expected a value of type {t}, got {value!r:.60}")

    return check


def _mixed(kind: str) -> ArgumentError:
    return ArgumentError(
        Diagnostic(
            "SM0402",
            f"the elements of the {kind} have no common type",
            help=f"make a {kind} of one element type",
        )
    )
