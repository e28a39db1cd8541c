"""Objects of Python as symbolic values: captured modules, tensors, containers, defaults."""

from __future__ import annotations

import enum
import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script import (
    captured_objects,
    shared_objects,
)
from scriptmode.frontend.script.emitter import CONSTANT_TYPES, Emitter
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.linking import source_object
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.values import (
    Captured,
    Constant,
    DictDisplay,
    IRValue,
    IterableValue,
    ListDisplay,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.support.markers import STANDS_FOR


def wrap(e: Emitter, obj: Any, name: str) -> Sugared:
    """A Python object as a symbolic value."""
    if isinstance(obj, enum.Enum) or type(obj) in CONSTANT_TYPES:
        return Constant(obj)
    obj = source_object(obj)
    if obj is Ellipsis or obj is NotImplemented:
        return Constant(obj)
    if isinstance(obj, Sugared):
        return obj
    if isinstance(obj, nn.Module):
        return _module(e, obj, name)
    if isinstance(obj, torch.ScriptObject):
        e.not_built(
            f"`{name}`, an object of a C++ class ({obj._type()}), is",
            help="quantized modules and the like are not compiled; keep them outside",
        )
    if isinstance(obj, torch.Tensor):
        return _tensor(e, obj)
    if isinstance(obj, tuple) and hasattr(obj, "_fields"):
        return _named_tuple(e, obj, name)
    if type(obj) is tuple:
        return TupleDisplay(tuple(wrap(e, o, name) for o in obj))
    if isinstance(obj, torch.Size):
        sizes = [e.int_constant(n) for n in obj]
        return e.op("size::from_list", e.builder.list(sizes, T.INT))
    found = captured_objects.run_time_value(e, obj, name)
    if found is not None:
        return found
    if type(obj) in (list, dict):
        e.unit.program.captures.add_items(obj, name)
    if isinstance(obj, range):
        bounds = (obj.start, obj.stop, obj.step)
        return IterableValue("range", tuple(map(Constant, bounds)))
    if isinstance(obj, slice):
        return SliceValue(*(wrap(e, p, name) for p in (obj.start, obj.stop, obj.step)))
    if type(obj) is list:
        items = tuple(wrap(e, o, f"{name}[{i}]") for i, o in enumerate(obj))
        return ListDisplay(items, frozen=True, captured=_captured(e, name, obj))
    if type(obj) in (dict, types.MappingProxyType):
        keys = tuple(wrap(e, k, name) for k in obj)
        values = tuple(wrap(e, v, f"{name}[{k!r}]") for k, v in obj.items())
        captured = _captured(e, name, obj) if type(obj) is dict else None
        return DictDisplay(keys, values, frozen=True, captured=captured)
    if isinstance(obj, types.MethodType) and isinstance(obj.__self__, nn.Module):
        from_module = _module(e, obj.__self__, name)
        return e.attribute(from_module, obj.__name__)
    if isinstance(obj, (types.FunctionType, type)):
        obj = vars(obj).get(STANDS_FOR, obj)  # another thread may be tracing
    return PythonObject(obj)


def _captured(e: Emitter, name: str, obj: Any) -> Captured | None:
    return Captured(name, obj) if e.unit.is_guarding else None


def _tensor(e: Emitter, tensor: torch.Tensor) -> Sugared:
    """A captured tensor: the very object, so that later changes in place are seen."""
    if type(tensor) not in (torch.Tensor, nn.Parameter):
        e.not_built(f"a captured tensor of class {type(tensor).__name__} is")
    return IRValue(e.builder.constant(tensor, T.TENSOR))


def _module(e: Emitter, module: nn.Module, name: str) -> Sugared:
    module = e.unit.stand_in(module)
    info = e.unit.modules.info(module)
    found = global_object(e, module, name, info.type)
    return found


def global_object(e: Emitter, obj: Any, name: str, t: T.Type) -> Sugared:
    """An instance, a module or a container that is reached by reference."""
    known = e.unit.known_globals.get(id(obj))
    if known is None:
        unique = name
        number = 0
        while unique in e.unit.program.globals:
            number += 1
            unique = f"{name}.{number}"
        known = e.unit.known_globals[id(obj)] = (unique, obj)
        e.unit.program.globals[unique] = obj
    return e.lift(e.builder.node("prim::Global", [], [t], name=known[0]).output)


def _named_tuple(e: Emitter, obj: Any, name: str) -> Sugared:
    t = e.unit.type_of_object(obj)
    if not isinstance(t, T.NamedTupleType):
        return PythonObject(obj)
    parts = [e.value(wrap(e, v, name), inner) for v, inner in zip(obj, t.elements, strict=True)]
    return IRValue(e.builder.tuple(parts, t))


def wrap_default(
    e: Emitter, obj: Any, function: types.FunctionType | None = None, name: str = ""
) -> Sugared:
    """A parameter's default value; the object itself where it is changed or kept."""
    if function is not None and type(obj) in (list, dict):
        if shared_objects.is_kept(source_of(function).node, name):
            annotated = _container_annotation(e, function, name)
            found = annotated or e.unit.type_of_object(obj)
            if found is not None:
                return shared_objects.shared(e, obj, found)
    return wrap(e, obj, "default")


def _container_annotation(e: Emitter, function: types.FunctionType, name: str) -> T.Type | None:
    """The type of a container parameter by its annotation; None when it has none."""
    annotation = function.__annotations__.get(name)
    if annotation is None:
        return None
    try:
        names = {**function.__globals__, **closure_of(function)}
        found = A.resolve(annotation, names, e.unit.type_of_class)
    except A.BadAnnotation:
        return None
    inner = T.unwrap_optional(found) if found is not None else None
    return inner if isinstance(inner, (T.ListType, T.DictType)) else None


def object_items(e: Emitter, obj: Any) -> Sequence[Sugared] | None:
    """What iteration over a Python object yields."""
    if isinstance(obj, type) and issubclass(obj, enum.Enum):
        return [Constant(m) for m in obj]
    if isinstance(obj, (set, frozenset)):
        e.unit.program.captures.add_items(obj, "a captured set")
        return [wrap(e, item, "item") for item in obj]
    return None
