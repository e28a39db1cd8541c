"""``nn.Module`` instances: their class types, attributes, children and calls.

A module is described by a ``ModuleInfo``: which attributes are tensors, numbers, submodules, and
which are known at compile time.  Modules of one Python class with equal descriptions share one
``ClassType`` and the functions compiled for it.
"""

from __future__ import annotations

import ast
import dis
import enum
import inspect
import types
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scriptmode.frontend.script.annotations import BadAnnotation, TypeOf, named_tuple
from scriptmode.frontend.script.emitter import CONSTANT_TYPES, Emitter, NeedsConstant
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.handlers import ATTRIBUTES, SUBSCRIPTS
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.linking import is_traced, source_object
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.values import (
    BoundMethod,
    Constant,
    IRValue,
    ListDisplay,
    ModuleChoice,
    ModuleValue,
    PythonObject,
    SliceValue,
    Sugared,
    SuperValue,
)
from scriptmode.ir import types as T
from scriptmode.ir.enumerations import enum_type
from scriptmode.ir.graph import Value

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
        annotations = self.unit.class_annotations(type(module))
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            declared = annotations.get(name)
            if tensor is not None:
                attributes[name] = T.TENSOR
                tensors.add(name)
            elif isinstance(declared, T.OptionalType) and _is_assigned(type(module), name):
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
            return learnt
        if name != "training" and type(module).__module__.startswith("torch."):
            if isinstance(value, _PLAIN) and not _is_assigned(type(module), name):
                return None  # settings of torch's own modules
        declared = annotations.get(name)
        if isinstance(value, tuple) and type(value).__name__ == "Attribute":
            return None
        actual = self.unit.type_of_object(value)
        if _is_own_tensor_list(module, value):
            return None
        if actual is None:
            return None
        if actual == T.NONE:
            if isinstance(declared, T.OptionalType) and _is_assigned(type(module), name):
                return declared
            return None
        if isinstance(declared, T.Type) and fits(value, declared):
            if _is_assigned(type(module), name) or not _is_open(declared):
                return declared
        return None if _mentions_any(actual) else _without_never(actual)


def _is_open(t: T.Type) -> bool:
    """Whether a declared type says less than a value that no method replaces."""
    return _mentions_any(t) or isinstance(T.unwrap_optional(t), T.UnionType)


def _mentions_any(t: T.Type) -> bool:
    return t == T.ANY or any(_mentions_any(c) for c in t.contained)


def _without_never(t: T.Type) -> T.Type:
    """Empty containers of which nothing is known hold tensors until a use says otherwise."""
    if not t.contained:
        return t
    if isinstance(t, T.DictType) and t.key == T.NEVER:
        return T.DictType([T.STR, T.TENSOR])
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
    if isinstance(value, (list, tuple)):
        return all(_is_printable(v) for v in value)
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


_ASSIGNED: dict[type, frozenset[str]] = {}


def _is_assigned(cls: type, name: str) -> bool:
    """Whether a method of the class other than ``__init__`` assigns ``self.name``."""
    found = _ASSIGNED.get(cls)
    if found is None:
        names: set[str] = set()
        for base in cls.__mro__[: cls.__mro__.index(nn.Module)]:
            for method in vars(base).values():
                if isinstance(method, types.FunctionType) and method.__name__ != "__init__":
                    names |= _stored_attributes(method)
        found = _ASSIGNED[cls] = frozenset(names)
    return name in found


def _stored_attributes(function: types.FunctionType) -> set[str]:
    if not any(i.opname == "STORE_ATTR" for i in dis.get_instructions(function.__code__)):
        return set()
    return {
        n.attr
        for n in ast.walk(source_of(function).node)
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
    }


def type_of_object(value: Any, type_of_class: TypeOf = lambda cls: None) -> T.Type | None:
    """Type of a Python object as an attribute or argument; None when it has none."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _named_tuple_type(value, type_of_class)
    if isinstance(value, torch.Tensor):
        return T.TENSOR
    if isinstance(value, torch.Size):
        return T.SIZE
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


def get_attribute(e: Emitter, module: ModuleValue, name: str) -> Value:
    """Read a run-time attribute."""
    t = module.info.type.attributes[name]
    return e.builder.node("prim::GetAttr", [module.value], [t], name=name).output


@ATTRIBUTES(ModuleValue)
def module_attribute(e: Emitter, module: ModuleValue, name: str) -> Sugared | None:
    """``module.name``, as Python finds it: properties, the instance, the class."""
    info = module.info
    on_class = inspect.getattr_static(type(info.python), name, None)
    if isinstance(on_class, property):
        if on_class.fget is None:
            return None
        return e.call_positional(e.unit.wrap(e, on_class.fget, name), module)
    if name in info.type.attributes:
        return e.lift(get_attribute(e, module, name))
    if name in info.static:
        return _static_attribute(e, module, name, info.static[name])
    if name == "_modules":
        return _children_dict(e, module)
    if name in ("_parameters", "_buffers"):
        return _tensors_dict(e, module, getattr(info.python, name))
    if on_class is not None:
        return _class_attribute(e, module, on_class, name)
    return None


def _static_attribute(e: Emitter, module: ModuleValue, name: str, value: Any) -> Sugared:
    if _is_own_tensor_list(module.info.python, value):
        python = module.info.python
        names = {id(t): n for n, t in (*python._parameters.items(), *python._buffers.items())}
        items = [e.lift(get_attribute(e, module, names[id(v)])) for v in value]
        return ListDisplay(tuple(items), frozen=True)
    if isinstance(value, types.MethodType) and value.__self__ is module.info.python:
        return BoundMethod(module, PythonObject(value.__func__))
    if isinstance(value, list) and value and all(isinstance(v, nn.Module) for v in value):
        e.not_built(
            f"a plain list of modules (`{name}`) is", help="use nn.ModuleList, which registers them"
        )
    return e.unit.wrap(e, value, name)


def _class_attribute(e: Emitter, owner: Sugared, found: Any, name: str) -> Sugared:
    """An attribute found on the class, bound to its owner as Python binds it."""
    if isinstance(found, staticmethod):
        return e.unit.wrap(e, found.__func__, name)
    if isinstance(found, classmethod):
        cls = type(owner.info.python) if isinstance(owner, ModuleValue) else None
        return BoundMethod(PythonObject(cls), PythonObject(found.__func__))
    if isinstance(found, types.FunctionType):
        return BoundMethod(owner, PythonObject(found))
    if isinstance(found, (types.BuiltinFunctionType, type)):
        return e.unit.wrap(e, found, name)
    return e.unit.wrap(e, found, name)


@ATTRIBUTES(SuperValue)
def _super_attribute(e: Emitter, value: SuperValue, name: str) -> Sugared | None:
    owner = value.owner
    assert isinstance(owner, ModuleValue)
    mro = type(owner.info.python).__mro__
    for base in mro[mro.index(value.after) + 1 :]:
        if name in vars(base):
            found = vars(base)[name]
            if isinstance(found, property) and found.fget is not None:
                return e.call_positional(e.unit.wrap(e, found.fget, name), owner)
            return _class_attribute(e, owner, found, name)
    return None


def assign_module_attribute(e: Emitter, module: ModuleValue, name: str, value: Sugared) -> None:
    """``module.name = value``."""
    info = module.info
    t = info.type.attributes.get(name)
    on_class = inspect.getattr_static(type(info.python), name, None)
    if isinstance(on_class, property) and on_class.fset is not None:
        e.call_positional(e.unit.wrap(e, on_class.fset, name), module, value)
        return
    if t is None or name in info.children:
        known = name in info.static
        reason = "it is constant in the compiled program" if known else "it does not exist"
        if known and name not in getattr(info.python, "__constants__", ()):
            actual = e.type_of(value)
            own = type_of_object(info.static[name])
            if actual is not None and own is not None:
                joined = T.join(own, actual)
                if joined is not None:
                    e.unit.learn_attribute(e, info, name, joined)
        e.fail(
            "SM0304",
            f"attribute `{name}` of {module.describe()} cannot be assigned: {reason}",
            help=f"set `self.{name}` in __init__, annotated with its type",
        )
    built = e.value(value, t)
    if not T.is_subtype(built.type, t):
        joined = T.join(t, built.type)
        if joined is not None and name not in info.python._parameters:
            e.unit.learn_attribute(e, info, name, joined)
        e.fail_type(f"`self.{name}` is a {t}; a {built.type} cannot be assigned to it")
    e.builder.node("prim::SetAttr", [module.value, built], name=name)


# children


def child(e: Emitter, module: ModuleValue, name: str) -> ModuleValue:
    """A submodule."""
    found = e.lift(get_attribute(e, module, name))
    assert isinstance(found, ModuleValue)
    return found


def children(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """Submodules by name; None for those that are None."""
    return [
        (n, child(e, module, n) if c is not None else Constant(None))
        for n, c in module.info.python._modules.items()
    ]


def distinct_children(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """Children that are not None, each once."""
    found: dict[int, tuple[str, Sugared]] = {}
    for name, inner in module.info.python._modules.items():
        if inner is not None and id(inner) not in found:
            found[id(inner)] = (name, child(e, module, name))
    return list(found.values())


def _children_dict(e: Emitter, module: ModuleValue) -> Sugared:
    return e.unit.frozen_dict((Constant(n), c) for n, c in children(e, module))


def _tensors_dict(e: Emitter, module: ModuleValue, tensors: dict[str, Any]) -> Sugared:
    return e.unit.frozen_dict(
        (Constant(n), e.lift(get_attribute(e, module, n)) if t is not None else Constant(None))
        for n, t in tensors.items()
    )


def module_items(e: Emitter, module: ModuleValue) -> list[Sugared] | None:
    """What iteration over a container module yields."""
    python = module.info.python
    if isinstance(python, (nn.ModuleList, nn.Sequential)):
        return [c for _, c in children(e, module)]
    if isinstance(python, nn.ModuleDict):
        return [Constant(n) for n in python._modules]
    if isinstance(python, nn.ParameterList):
        return [_parameter_item(e, module, str(i)) for i in range(len(python))]
    if isinstance(python, nn.ParameterDict):
        return [Constant(n) for n in python]
    return None


def _parameter_item(e: Emitter, module: ModuleValue, name: str) -> Sugared:
    return e.attribute(module, name)


def named(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """What a dict of modules or parameters holds, by key."""
    python = module.info.python
    if isinstance(python, nn.ParameterDict):
        return [(n, _parameter_item(e, module, n)) for n in python]
    return children(e, module)


@SUBSCRIPTS(ModuleValue)
def module_subscript(e: Emitter, module: ModuleValue, index: Sugared) -> Sugared:
    """``module[index]`` of a container."""
    python = module.info.python
    items = module_items(e, module)
    if items is None:
        return e.call_positional(e.attribute(module, "__getitem__"), index)
    if isinstance(index, Constant) and isinstance(index.value, str):
        for name, value in named(e, module):
            if name == index.value:
                return value
        e.raise_error(KeyError, index.value)
    if isinstance(python, (nn.ModuleDict, nn.ParameterDict)):
        e.fail("SM0211", "the key of a module dict must be known at compile time",
               error=NeedsConstant, help="use `if` on the key")  # fmt: skip
    if isinstance(index, SliceValue):
        parts = index.parts()
        if not all(isinstance(p, Constant) for p in parts):
            e.fail("SM0211", "the bounds of a slice of modules must be known at compile time",
                   error=NeedsConstant)  # fmt: skip
        bounds = slice(*(p.value for p in parts if isinstance(p, Constant)))
        return ListDisplay(tuple(items[bounds]), frozen=True)
    if isinstance(index, Constant) and isinstance(index.value, int):
        if not -len(items) <= index.value < len(items):
            e.raise_error(IndexError, f"index {index.value} is out of range")
        return items[index.value]
    return _choose_item(e, items, index)


def _choose_item(e: Emitter, items: Sequence[Sugared], index: Sugared) -> Sugared:
    """One of several items by an index that is known at run time only."""
    place = index_value(e, index, "the index")
    op = e.builder.op
    count = e.int_constant(len(items))
    place = e.value(
        choose(
            e,
            op("int::lt", place, e.int_constant(0)),
            lambda: e.op("int::add", place, count),
            lambda: IRValue(place),
        )
    )
    outside = op("bool::or", op("int::lt", place, e.int_constant(0)), op("int::ge", place, count))
    choose(
        e, outside,
        lambda: e.raise_error(IndexError, "index is out of range"), lambda: Constant(None),
    )  # fmt: skip
    if all(isinstance(i, ModuleValue) for i in items):
        candidates = tuple(i for i in items if isinstance(i, ModuleValue))
        return ModuleChoice(candidates, IRValue(place))
    return e.subscript(IRValue(e.value(ListDisplay(tuple(items)))), IRValue(place))


@ATTRIBUTES(ModuleChoice)
def _choice_attribute(e: Emitter, value: ModuleChoice, name: str) -> Sugared | None:
    first = inspect.getattr_static(type(value.candidates[0].info.python), name, None)
    if isinstance(first, types.FunctionType):
        return BoundMethod(value, PythonObject(first))
    return dispatch(e, value, 0, lambda m: e.attribute(m, name))


def dispatch(e: Emitter, value: ModuleChoice, first: int, act: Any) -> Sugared:
    """``act`` on the module that the index of a choice picks."""
    if first == len(value.candidates) - 1:
        result: Sugared = act(value.candidates[first])
        return result
    here = e.builder.op("int::eq", e.value(value.index), e.int_constant(first))
    return choose(
        e, here,
        lambda: act(value.candidates[first]), lambda: dispatch(e, value, first + 1, act),
    )  # fmt: skip
