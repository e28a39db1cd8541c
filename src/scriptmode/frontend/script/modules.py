"""``nn.Module`` instances: their class types, attributes, children and calls.

A module is described by a ``ModuleInfo``: which attributes are tensors, numbers, submodules, and
which are known at compile time.  Modules of one Python class with equal descriptions share one
``ClassType`` and the functions compiled for it.
"""

from __future__ import annotations

import enum
import functools
import inspect
import types
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from scriptmode.frontend.script.annotations import BadAnnotation, TypeOf, named_tuple
from scriptmode.frontend.script.captured_objects import (
    ALWAYS_RUN_TIME,
    holds_run_time_objects,
    type_with_instances,
)
from scriptmode.frontend.script.emitter import CONSTANT_TYPES, Emitter
from scriptmode.frontend.script.handlers import ATTRIBUTES
from scriptmode.frontend.script.instances import instance_type, super_member
from scriptmode.frontend.script.linking import is_traced, source_object
from scriptmode.frontend.script.module_containers import children
from scriptmode.frontend.script.module_state import absent_message, get_attribute, late_types
from scriptmode.frontend.script.module_writes import is_assigned, is_changed
from scriptmode.frontend.script.source import place_of
from scriptmode.frontend.script.values import (
    BoundMethod,
    Constant,
    IRValue,
    ListDisplay,
    ModuleValue,
    PythonObject,
    Sugared,
    SuperValue,
)
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.support.diagnostics import CompileError, Diagnostic

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit

# state of nn.Module itself
_INTERNAL = frozenset(nn.Module().__dict__) - {"training"}
_PLAIN = (bool, int, float, complex, str)


@dataclass(eq=False)
class ModuleInfo:
    """What is known of a module at compile time; ``python`` is one module of this description."""

    type: T.ClassType
    python: nn.Module
    children: dict[str, ModuleInfo] = field(default_factory=dict)
    static: dict[str, Any] = field(default_factory=dict)


class ModuleTable:
    """All modules of one program."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self._by_object: dict[int, ModuleInfo] = {}
        self._by_key: dict[Hashable, ModuleInfo] = {}
        self._by_type: dict[T.Type, ModuleInfo] = {}
        self._alive: list[Any] = []  # keeps ids in keys unique

    def info(self, module: nn.Module) -> ModuleInfo:
        """The description of a module."""
        found = self._by_object.get(id(module))
        if found is None:
            found = self._recorded(module) if is_traced(module) else self._described(module)
            self._by_object[id(module)] = found
            self._alive.append(module)
        return found

    def _described(self, module: nn.Module) -> ModuleInfo:
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            name = type(module).__name__
            raise CompileError(
                Diagnostic(
                    "SM0307",
                    f"the parameters of the lazy module `{name}` have no shapes yet",
                    place_of(type(module)),
                    help="call the eager module once before it is scripted",
                )
            )
        original = source_object(module)
        return self._describe(module) if original is module else self.info(original)

    def _recorded(self, module: nn.Module) -> ModuleInfo:
        """A traced module: its type is that of the merged program."""
        t = self.unit.link(module).params[0].type
        assert isinstance(t, T.ClassType)
        info = self._by_type.get(t)
        if info is None:
            info = self._by_type[t] = ModuleInfo(t, module)
        return info

    def of_type(self, t: T.Type) -> ModuleInfo | None:
        """The description whose class type is ``t``."""
        return self._by_type.get(t)

    def _describe(self, module: nn.Module) -> ModuleInfo:
        cls = type(module)
        attributes, children, static, tensors = self._attributes(module)
        key = (
            cls,
            tuple(attributes.items()),
            tuple((n, id(c)) for n, c in children.items()),
            tuple((n, _static_key(v)) for n, v in static.items()),
            tuple(sorted(tensors)),
            _hook_key(module),
            _tie_pattern(module),
        )
        found = self._by_key.get(key)
        if found is not None:
            return found
        self._alive.append(list(static.values()))
        name = self.unit.unique_class(f"{cls.__module__}.{cls.__qualname__}")
        t = T.ClassType(name, is_module=True, original_name=cls.__name__)
        t.attributes = dict(attributes)
        t.attributes.update({n: c.type for n, c in children.items()})
        t.late = {n: v for n, v in late_types(self.unit, module).items() if n in attributes}
        t.parameters = {n for n in tensors if n in module._parameters}
        t.buffers = {n for n in tensors if n in module._buffers}
        t.constants = {n: v for n, v in static.items() if _is_printable(v)}
        t.python_class = cls
        info = ModuleInfo(t, module, children, static)
        self._by_key[key] = self._by_type[t] = info
        self.unit.program.classes[name] = t
        return info

    def _attributes(
        self, module: nn.Module
    ) -> tuple[dict[str, T.Type], dict[str, ModuleInfo], dict[str, Any], set[str]]:
        attributes: dict[str, T.Type] = {}
        static: dict[str, Any] = {}
        tensors: set[str] = set()
        annotations = self.unit.declared.class_annotations(type(module))
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            declared = annotations.get(name)
            if tensor is not None:
                attributes[name] = T.TENSOR
                tensors.add(name)
            elif isinstance(declared, T.OptionalType) and is_assigned(type(module), name):
                attributes[name] = declared
                tensors.add(name)
            else:
                static[name] = None
        children = {}
        for name, child in module._modules.items():
            if child is None:
                static[name] = None
            else:
                children[name] = self.info(child)
        constants = _constant_names(module, annotations)
        for name, value in module.__dict__.items():
            if name in _INTERNAL or name in attributes:
                continue
            t = self._attribute_type(module, name, value, annotations, constants)
            if t is None:
                static[name] = value
            else:
                attributes[name] = t
        for name, t in late_types(self.unit, module).items():
            attributes[name] = T.late_slot(t)
        return attributes, children, static, tensors

    def _attribute_type(
        self,
        module: nn.Module,
        name: str,
        value: Any,
        annotations: dict[str, Any],
        constants: set[str],
    ) -> T.Type | None:
        """Type of a run-time attribute; None for what is known at compile time."""
        if name in constants or isinstance(value, nn.Module):
            return None
        learnt = self.unit.attribute_types.get((type(module), name))
        if learnt is not None:
            return self.unit.classes.adopt(learnt)
        if holds_run_time_objects(self.unit, value):
            return type_with_instances(self.unit, value)
        if type(value) in ALWAYS_RUN_TIME:
            found = type_with_instances(self.unit, value)
            return None if found is None else _without_never(_filled(found, annotations.get(name)))
        if name != "training" and type(module).__module__.startswith("torch."):
            if isinstance(value, _PLAIN) and not is_assigned(type(module), name):
                return None  # settings of torch's own modules
        declared = annotations.get(name)
        if isinstance(value, tuple) and type(value).__name__ == "Attribute":
            return None
        actual = self.unit.type_of_object(value)
        if _is_own_tensor_list(module, value):
            return None
        if actual is None:
            if type(value) not in (list, dict) or not is_changed(type(module), name):
                return None
            return type_with_instances(self.unit, value)  # of instances, or of what holds them
        if isinstance(actual, T.EnumType) and not is_assigned(type(module), name):
            return None
        if _is_mixed(actual) and declared is None and not is_changed(type(module), name):
            return None  # a configuration: its items keep their own types
        if actual == T.NONE:
            if isinstance(declared, T.OptionalType) and is_assigned(type(module), name):
                return declared
            return None
        if isinstance(declared, T.Type) and fits(value, declared):
            if is_assigned(type(module), name) or not _is_open(declared):
                return declared
        return None if _mentions_any(actual) else _without_never(actual)


def _filled(t: T.Type, declared: Any) -> T.Type:
    """The type of an empty container, of which an annotation says what it holds."""
    if t == T.NEVER and isinstance(declared, T.Type):
        return declared
    said = declared.contained if isinstance(declared, T.Type) else ()
    if not t.contained or not said:
        return t
    if isinstance(t, T.DefaultDictType):  # key, value, what the factory makes
        said = (*said[:2], said[1])
    return t.with_contained([_filled(c, s) for c, s in zip(t.contained, said, strict=False)])


def _is_open(t: T.Type) -> bool:
    """Whether a declared type says less than a value that no method replaces."""
    return _mentions_any(t) or isinstance(T.unwrap_optional(t), T.UnionType)


def _is_mixed(t: T.Type) -> bool:
    """Whether a container holds values of several types."""
    return any(isinstance(T.unwrap_optional(c), T.UnionType) or _is_mixed(c) for c in t.contained)


def _mentions_any(t: T.Type) -> bool:
    return t == T.ANY or any(_mentions_any(c) for c in t.contained)


def _without_never(t: T.Type) -> T.Type:
    """Empty containers of which nothing is known hold tensors until a use says otherwise."""
    if not t.contained:
        return t
    if isinstance(t, T.DictType) and t.key == T.NEVER:
        t = t.with_contained([T.STR, *t.contained[1:]])
    return t.with_contained([T.TENSOR if c == T.NEVER else _without_never(c) for c in t.contained])


def _tie_pattern(module: nn.Module) -> Hashable:
    """Which submodules are the same object; empty when all differ."""
    ids = [id(m) for _, m in module.named_modules(remove_duplicate=False)]
    if len(set(ids)) == len(ids):
        return ()
    first: dict[int, int] = {}
    return tuple(first.setdefault(i, n) for n, i in enumerate(ids))


def _constant_names(module: nn.Module, annotations: dict[str, Any]) -> set[str]:
    names = set(getattr(module, "__constants__", ()))
    return names | {n for n, t in annotations.items() if t == "Final"}


def _is_printable(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_printable, list.__iter__(value)))
    if isinstance(value, tuple):  # whose class may be iterated otherwise
        return all(map(_is_printable, tuple.__iter__(value)))
    return type(value) in CONSTANT_TYPES


def _static_key(value: Any) -> Hashable:
    if isinstance(value, (float, complex)):
        return (type(value), repr(value))
    if type(value) in CONSTANT_TYPES:
        return (type(value), value)
    if type(value) in (list, tuple):
        return (type(value), tuple(_static_key(v) for v in value))
    return id(value)


def _hook_key(module: nn.Module) -> Hashable:
    hooks = (module._forward_pre_hooks, module._forward_hooks)
    return tuple(tuple(id(h) for h in group.values()) for group in hooks)


def _is_own_tensor_list(module: nn.Module, value: Any) -> bool:
    """Whether a list holds parameters and buffers of the module, as nn.LSTM's flat weights."""
    if not isinstance(value, list) or not value:
        return False
    own = {id(t) for t in (*module._parameters.values(), *module._buffers.values())}
    return all(isinstance(v, torch.Tensor) and id(v) in own for v in value)


def type_of_object(value: Any, type_of_class: TypeOf = lambda cls: None) -> T.Type | None:
    """Type of a Python object as an attribute or argument; None when it has none."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named_tuple_type(value, type_of_class)
    if isinstance(value, torch.Tensor):
        return T.TENSOR
    if isinstance(value, torch.Size):
        return T.SIZE
    if isinstance(value, enum.Enum):
        return type_of_class(type(value))
    simple = CONSTANT_TYPES.get(type(value))
    if simple is not None:
        return simple
    if isinstance(value, enum.Enum):
        return enum_type(type(value))
    if isinstance(value, tuple) and type(value) is tuple:
        parts = [type_of_object(v, type_of_class) for v in value]
        known = [p for p in parts if p is not None]
        return T.TupleType(known) if len(known) == len(parts) else None
    if type(value) is list:
        element = _joined_type(value, type_of_class)
        return None if element is None else T.ListType([element])
    if isinstance(value, dict) and type(value) in (dict,):
        k = _joined_type(list(value), type_of_class)
        v = _joined_type(list(value.values()), type_of_class)
        return None if k is None or v is None else T.DictType([k, v])
    return None


def _named_tuple_type(value: Any, type_of_class: TypeOf) -> T.Type | None:
    """The declared type of a named tuple where its fields fit it, else one of what it holds."""
    try:
        declared = named_tuple(type(value), type_of_class)
    except BadAnnotation:
        declared = None
    if isinstance(declared, T.NamedTupleType):
        if all(fits(v, t) for v, t in zip(value, declared.elements, strict=True)):
            return declared
    parts = [type_of_object(v, type_of_class) for v in value]
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    cls = type(value)
    return T.NamedTupleType(f"{cls.__module__}.{cls.__qualname__}", cls._fields, known, cls)


def _joined_type(values: Sequence[Any], type_of_class: TypeOf) -> T.Type | None:
    joined: T.Type = T.NEVER
    for value in values:
        t = type_of_object(value, type_of_class)
        if t is None:
            return None
        joined = T.join(joined, t) or T.ANY
    return joined


def fits(value: Any, t: T.Type) -> bool:
    """Whether a Python object is a value of type ``t``, empty containers included."""
    actual = type_of_object(value)
    if actual is None:
        return False
    if T.is_subtype(actual, t):
        return True
    inner = T.unwrap_optional(t)
    if isinstance(inner, T.ListType) and isinstance(value, list):
        return all(fits(v, inner.element) for v in value)
    if isinstance(inner, T.TupleType) and isinstance(value, tuple):
        return len(value) == len(inner.elements) and all(
            fits(v, p) for v, p in zip(value, inner.elements, strict=True)
        )
    if isinstance(inner, T.DictType) and isinstance(value, dict):
        return all(fits(k, inner.key) and fits(v, inner.value) for k, v in value.items())
    return False


# attributes

_MISSING = object()


@ATTRIBUTES(ModuleValue)
def module_attribute(e: Emitter, module: ModuleValue, name: str) -> Sugared | None:
    """``module.name``, as Python finds it: properties, the instance, the class."""
    info = module.info
    on_class = inspect.getattr_static(type(info.python), name, None)
    if name == "__class__":
        return PythonObject(type(info.python))
    if name == "forward" and is_traced(info.python):
        return module  # a call of it is one of the recording
    if isinstance(on_class, property):
        if on_class.fget is None:
            return None
        return e.call_positional(e.unit.wrap(e, on_class.fget, name), module)
    is_late = name not in info.type.attributes or name in info.type.late
    if isinstance(on_class, functools.cached_property) and is_late and name not in info.static:
        cached: Sugared = e.unit.module_cached_property(e, module, on_class, name)
        return cached
    if name in info.type.attributes:
        return e.lift(get_attribute(e, module, name))
    if name in info.static:
        return _static_attribute(e, module, name, info.static[name])
    if name == "_modules":
        return _children_dict(e, module)
    if name in ("_parameters", "_buffers"):
        return _tensors_dict(e, module, getattr(info.python, name))
    if e.unit.is_class_variable(e, type(info.python), name):
        return e.attribute(PythonObject(type(info.python)), name)
    if on_class is not None:
        return _class_attribute(e, module, on_class, name)
    if is_assigned(type(info.python), name):
        # what assigns it is not compiled yet, or never
        e.raise_error(AttributeError, absent_message(info, name))
    return _own_getattr(e, module, name)


def _own_getattr(e: Emitter, module: ModuleValue, name: str) -> Sugared | None:
    """What the ``__getattr__`` of the module's class finds, asked at compile time."""
    python = module.info.python
    if inspect.getattr_static(type(python), "__getattr__", None) is vars(nn.Module)["__getattr__"]:
        return None
    found = getattr(python, name, _MISSING)
    if found is _MISSING:
        return None
    if isinstance(found, torch.Tensor):
        for owner in python.modules():
            for own, tensor in (*owner._parameters.items(), *owner._buffers.items()):
                if tensor is found:
                    return e.attribute(e.unit.wrap(e, owner, own), own)
    if isinstance(found, types.MethodType) and found.__self__ is python:
        return BoundMethod(module, PythonObject(found.__func__))
    return e.unit.wrap(e, found, name)


def _static_attribute(e: Emitter, module: ModuleValue, name: str, value: Any) -> Sugared:
    if _is_own_tensor_list(module.info.python, value):
        python = module.info.python
        names = {id(t): n for n, t in (*python._parameters.items(), *python._buffers.items())}
        items = [e.lift(get_attribute(e, module, names[id(v)])) for v in value]
        return ListDisplay(tuple(items), frozen=True)
    if isinstance(value, types.MethodType) and isinstance(value.__self__, nn.Module):
        if e.unit.stand_in(value.__self__) is module.info.python:
            return BoundMethod(module, PythonObject(value.__func__))
    with e.unit.unguarded():  # compiled modules keep the state that they were made with
        return e.unit.wrap(e, value, name)


def _class_attribute(e: Emitter, owner: Sugared, found: Any, name: str) -> Sugared:
    """An attribute found on the class, bound to its owner as Python binds it."""
    if isinstance(owner, ModuleValue):
        e.unit.program.captures.add_class_attribute(type(owner.info.python), name)
    if isinstance(found, staticmethod):
        return e.unit.wrap(e, found.__func__, name)
    if isinstance(found, classmethod):
        cls = type(owner.info.python) if isinstance(owner, ModuleValue) else None
        return BoundMethod(PythonObject(cls), PythonObject(found.__func__))
    if isinstance(found, types.FunctionType):
        return BoundMethod(owner, PythonObject(found))
    if e.unit.is_bound_specially(found):
        special: Sugared = e.unit.bind_specially(owner, found)
        return special
    if isinstance(found, (types.BuiltinFunctionType, type)):
        return e.unit.wrap(e, found, name)
    return e.unit.wrap(e, found, name)


@ATTRIBUTES(SuperValue)
def _super_attribute(e: Emitter, value: SuperValue, name: str) -> Sugared | None:
    owner = value.owner
    if isinstance(owner, IRValue) and instance_type(owner) is not None:
        return super_member(e, owner, value.after, name)
    if isinstance(owner, PythonObject):
        return _super_of_class(e, owner.object, value.after, name)
    if not isinstance(owner, ModuleValue):
        e.fail_type(f"super() of {owner.describe()} is not supported")
    mro = type(owner.info.python).__mro__
    for base in mro[mro.index(value.after) + 1 :]:
        if name in vars(base):
            found = vars(base)[name]
            if isinstance(found, property) and found.fget is not None:
                return e.call_positional(e.unit.wrap(e, found.fget, name), owner)
            return _class_attribute(e, owner, found, name)
    return None


def _super_of_class(e: Emitter, cls: type, after: type, name: str) -> Sugared | None:
    """``super().name`` in a class method."""
    order = cls.__mro__
    for base in order[order.index(after) + 1 :]:
        if name in vars(base):
            found = vars(base)[name]
            if isinstance(found, classmethod):
                return BoundMethod(PythonObject(cls), PythonObject(found.__func__))
            return e.unit.wrap(e, getattr(base, name), name)
    return None


def _children_dict(e: Emitter, module: ModuleValue) -> Sugared:
    return e.unit.frozen_dict((Constant(n), c) for n, c in children(e, module))


def _tensors_dict(e: Emitter, module: ModuleValue, tensors: dict[str, Any]) -> Sugared:
    return e.unit.frozen_dict(
        (Constant(n), e.lift(get_attribute(e, module, n)) if t is not None else Constant(None))
        for n, t in tensors.items()
    )
