"""Which Python values stand for which IR types.

===========  =============================================================
Tensor       ``torch.Tensor``
int, ...     the Python number of exactly that class (bool is no int)
number       any of int, float, bool, complex
List, Dict   ``list``, ``dict``; likewise Set, FrozenSet, Deque, OrderedDict, DefaultDict, Counter
Iterator     ``ops.iterators.Iteration``
Cell         ``types.CellType``
Tuple        ``tuple``; a NamedTuple its ``python_class``; Size ``torch.Size``
Optional     the value, or None
class        the Python object, or a dict of its attributes
===========  =============================================================

``has_type`` decides the dynamic type tests of the IR.  An empty list has every list type.
"""

from __future__ import annotations

import functools
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any

import torch

from scriptmode.ir import factories
from scriptmode.ir import types as T
from scriptmode.ops.iterators import Iteration


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _instance_of(*classes: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, classes)


_SIMPLE: Mapping[T.Type, Callable[[Any], bool]] = {
    T.TENSOR: _instance_of(torch.Tensor),
    T.INT: _is_int,
    T.FLOAT: _instance_of(float),
    T.BOOL: _instance_of(bool),
    T.COMPLEX: _instance_of(complex),
    T.NUMBER: _instance_of(int, float, complex),
    T.STR: _instance_of(str),
    T.NONE: lambda value: value is None,
    T.DEVICE: _instance_of(torch.device),
    T.DTYPE: _instance_of(torch.dtype),
    T.LAYOUT: _instance_of(torch.layout),
    T.MEMORY_FORMAT: _instance_of(torch.memory_format),
    T.GENERATOR: _instance_of(torch.Generator),
    T.QSCHEME: _instance_of(torch.qscheme),
    T.SIZE: _instance_of(torch.Size),
    T.BYTES: _instance_of(bytes),
    T.RANGE: _instance_of(range),
    T.STORAGE: _instance_of(torch.UntypedStorage),
    T.STREAM: _instance_of(torch.Stream),
    T.ANY: lambda value: True,
    T.NEVER: lambda value: False,
}


_DICTS: Mapping[type[T.Type], type[dict[Any, Any]]] = {
    T.OrderedDictType: OrderedDict, T.DefaultDictType: defaultdict, T.CounterType: Counter,
}  # fmt: skip
_FACTORIES: Mapping[T.Type, Callable[[], Any]] = {
    T.INT: int, T.FLOAT: float, T.BOOL: bool, T.STR: str, T.COMPLEX: complex, T.BYTES: bytes,
}  # fmt: skip
_CONTAINER_FACTORIES: Mapping[type[T.Type], Callable[[], Any]] = {
    T.ListType: list, T.DictType: dict, T.SetType: set, T.FrozenSetType: frozenset,
    T.OrderedDictType: OrderedDict, T.CounterType: Counter, T.DequeType: deque,
}  # fmt: skip


def factory_of(t: T.Type) -> Callable[[], Any] | None:
    """What makes an empty (or zero) value of type ``t``, as a defaultdict's factory."""
    if isinstance(t, T.FactoryType):
        return factories.function_of(t)
    if isinstance(t, T.DefaultDictType):
        return functools.partial(defaultdict, factory_of(t.made))
    return _FACTORIES.get(t) or _CONTAINER_FACTORIES.get(type(t))


def empty_dict(t: T.Type) -> dict[Any, Any]:
    """A new dict of a type."""
    if isinstance(t, T.DefaultDictType):
        return defaultdict(factory_of(t.made))
    made = _DICTS.get(type(t), dict)
    return made()


def has_type(value: Any, t: T.Type) -> bool:
    """Whether ``value`` is a value of type ``t``."""
    simple = _SIMPLE.get(t)
    if simple is not None:
        return simple(value)
    match t:
        case T.OptionalType():
            return value is None or has_type(value, t.element)
        case T.UnionType():
            return any(has_type(value, member) for member in t.contained)
        case T.ListType():
            return isinstance(value, list) and all(has_type(v, t.element) for v in value)
        case T.FrozenSetType() | T.SetType():
            wanted = frozenset if isinstance(t, T.FrozenSetType) else set
            return type(value) is wanted and all(has_type(v, t.element) for v in value)
        case T.DequeType():
            return isinstance(value, deque) and all(has_type(v, t.element) for v in value)
        case T.IteratorType():
            return isinstance(value, Iteration)
        case T.DictType():
            return isinstance(value, _DICTS.get(type(t), dict)) and all(
                has_type(k, t.key) and has_type(v, t.value) for k, v in value.items()
            )
        case T.CellType():
            return isinstance(value, types.CellType)
        case T.VarTupleType():
            return isinstance(value, tuple) and all(has_type(v, t.element) for v in value)
        case T.TupleType():
            return _is_tuple(value, t)
        case T.EnumType() | T.ClassType():
            return t.python_class is None or isinstance(value, t.python_class)
        case T.FunctionType():
            return callable(value)
    return True


def _is_tuple(value: Any, t: T.TupleType) -> bool:
    if not isinstance(value, tuple) or len(value) != len(t.elements):
        return False
    if isinstance(t, T.NamedTupleType) and t.python_class is not None:
        if not isinstance(value, t.python_class):
            return False
    return all(has_type(v, element) for v, element in zip(value, t.elements, strict=True))
