"""Builtins that ask about types and attributes: isinstance, type, hasattr, getattr, super, ..."""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.classes_as_values import class_of
from scriptmode.frontend.script.conditions import (
    fact,
    is_type,
    members,
    split,
)
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.exceptions import (
    ExceptionClass,
    exception_type,
    is_exception_class,
    is_exception_of,
    is_subclass,
)
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS, OBJECT_CALLS
from scriptmode.frontend.script.instances import VirtualMethod, has_member, instance_type
from scriptmode.frontend.script.methods import python_type
from scriptmode.frontend.script.module_state import attribute_or, presence
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    Facts,
    GeneratorObject,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    LocalFunction,
    ModuleValue,
    PartialFunction,
    PythonObject,
    SliceValue,
    Sugared,
    SuperValue,
    TupleDisplay,
    TypeOf,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support.instances import is_instance as is_instance_of
from scriptmode.support.instances import says_nothing_of_elements

_ANY_OF: dict[Any, T.Type] = {
    list: T.ListType([T.TypeVar("t")]),
    dict: T.DictType([T.TypeVar("k"), T.TypeVar("v")]),
    tuple: T.VarTupleType([T.TypeVar("t")]),
}  # whatever they hold


def _class_list(e: Emitter, value: Sugared) -> list[Any]:
    if isinstance(value, TupleDisplay):
        return [c for item in value.items for c in _class_list(e, item)]
    if isinstance(value, PythonObject):
        arguments = typing.get_args(value.object)
        if typing.get_origin(value.object) in (typing.Union, types.UnionType):
            return list(arguments)
        return [value.object]
    if isinstance(value, Constant) and value.value is None:
        return [type(None)]
    e.fail_type("the second argument of isinstance must be a class or a tuple of classes")


def _member_is(e: Emitter, t: T.Type, classes: Sequence[Any]) -> bool:
    """Whether values of ``t`` are instances of one of ``classes``."""
    python = torch.Tensor if t == T.TENSOR else type(None) if t == T.NONE else python_type(t)
    for cls in classes:
        if not isinstance(cls, type):
            wanted = e.unit.declared.annotation(e, cls)
            if wanted is not None and T.is_subtype(t, wanted):
                return True
            continue
        if t == T.TENSOR and issubclass(cls, torch.Tensor) and cls is not torch.Tensor:
            e.fail_type(f"isinstance of `{cls.__name__}` is not known of a tensor in compiled code")
        if python is not None and issubclass(python, cls):
            return True
    return False


_STATIC_KINDS: dict[type[Sugared], type] = {
    TupleDisplay: tuple, ListDisplay: list, DictDisplay: dict, SliceValue: slice,
    LocalFunction: types.FunctionType, BoundMethod: types.MethodType,
    VirtualMethod: types.MethodType, BuiltinMethod: types.BuiltinMethodType,
    PartialFunction: functools.partial, GeneratorValue: types.GeneratorType,
    GeneratorObject: types.GeneratorType,
}  # fmt: skip
_ITERABLES: dict[str, type] = {
    "range": range, "enumerate": enumerate, "zip": zip, "reversed": type(reversed([])), "map": map,
    "filter": filter, "keys": type({}.keys()), "values": type({}.values()),
    "items": type({}.items()),
}  # fmt: skip


@OBJECT_CALLS(is_instance_of, ("torch.jit", "isinstance"), ("torch._jit_internal", "_isinstance"))
def _looks_into_containers(e: Emitter, given: Arguments) -> Sugared:
    """``scriptmode.isinstance(value, List[int])``, which a bare ``List`` does not satisfy."""
    value, spec = take(e, given, "obj", "target_type", required=2)
    assert value is not None and spec is not None
    for cls in _class_list(e, spec):
        if says_nothing_of_elements(cls):
            e.fail_type(f"{cls} says nothing of its elements; write List[int], for instance")
    return is_instance(e, Arguments([value, spec], {}, given.node))


@OBJECT_CALLS(isinstance)
def is_instance(e: Emitter, given: Arguments) -> Sugared:
    """``isinstance(value, classes)``: by type, else tested at run time."""
    value, spec = given.positional
    classes = _class_list(e, spec)
    match value:
        case Constant(value=constant) if not isinstance(constant, enum.Enum):
            return Constant(_static_instance(constant, classes))
        case Constant(value=constant) | PythonObject(object=constant):
            return Constant(_static_instance(constant, classes))
        case ModuleValue():
            return Constant(_static_instance(value.info.python, classes))
        case IterableValue(kind=kind) if kind in _ITERABLES:
            return Constant(_is_subclass(_ITERABLES[kind], classes))
    t = e.type_of(value)
    if isinstance(value, IRValue) and T.is_exception(value.type):
        return _is_exception(e, given, value, classes)
    if t is None:
        if type(value) not in _STATIC_KINDS:
            e.fail_type(f"isinstance of {value.describe()} is not known in compiled code")
        return Constant(_is_subclass(_STATIC_KINDS[type(value)], classes))
    if t == T.ANY:
        return _is_any(e, given, value, classes)
    fits, rest = instances_among(e, t, classes)
    if T.NEVER in (fits, rest):
        return Constant(rest == T.NEVER)
    result = IRValue(is_type(e, e.value(value), members(fits)))
    node = given.node.args[0] if given.node is not None and given.node.args else None
    result.facts = Facts(fact(e, node, value, fits), fact(e, node, value, rest))
    return result


def instances_among(e: Emitter, t: T.Type, classes: Sequence[Any]) -> tuple[T.Type, T.Type]:
    """The types that a value of type ``t`` may have when it is an instance of ``classes``, or not.

    ``Never`` is the type of what cannot be.
    """
    if t == T.ANY:
        types = _types_in_any(e, classes)
        return (T.ANY if any(map(T.has_type_var, types)) else T.union_of(types)), T.ANY
    possible = [c for m in members(t) for c in _classes_of(e, m)]
    fits = [m for m in possible if _member_is(e, m, classes)]
    return _union_of_bases(fits), _union_of_bases([m for m in possible if m not in fits])


def _classes_of(e: Emitter, t: T.Type) -> Sequence[T.Type]:
    """The classes that an instance of static type ``t`` may be of; ``t`` when it is no instance."""
    if isinstance(t, T.ClassType) and not t.is_module:
        return e.unit.classes.concrete(t)
    return [t]


def _union_of_bases(found: Sequence[T.Type]) -> T.Type:
    """The union of types, without the classes whose bases are among them."""
    return T.union_of([t for t in found if not any(t != b and T.is_subtype(t, b) for b in found)])


def _is_exception(e: Emitter, given: Arguments, value: IRValue, classes: Sequence[Any]) -> Sugared:
    """An exception may be of any class below the one that is known of it."""
    if _member_is(e, value.type, classes):
        return Constant(True)
    wanted = [exception_type(e.unit, c) for c in classes if is_exception_class(c)]
    if not wanted:
        return Constant(False)
    result = IRValue(is_exception_of(e, value.value, wanted))
    if len(wanted) == 1 and T.is_subtype(wanted[0], value.type):
        node = given.node.args[0] if given.node is not None and given.node.args else None
        result.facts = Facts(fact(e, node, value, wanted[0]))
    return result


def _is_any(e: Emitter, given: Arguments, value: Sugared, classes: Sequence[Any]) -> Sugared:
    known = _types_in_any(e, classes)
    result = IRValue(is_type(e, e.value(value), known))
    node = given.node.args[0] if given.node is not None and given.node.args else None
    fits, _ = instances_among(e, T.ANY, classes)
    result.facts = Facts(fact(e, node, value, fits))
    return result


def _types_in_any(e: Emitter, classes: Sequence[Any]) -> list[T.Type]:
    """The types of the instances of ``classes``."""
    found: list[T.Type] = []
    for cls in classes:
        if cls in _ANY_OF:
            found.append(_ANY_OF[cls])
            continue
        t = e.unit.declared.annotation(e, cls)
        if t is None:
            e.fail_type("isinstance of an Any needs classes that have a type")
        found += [T.INT, T.BOOL] if cls is int else [t]
        found += e.unit.enums_below(cls)
    return list(dict.fromkeys(found))


def _static_instance(value: Any, classes: Sequence[Any]) -> bool:
    return any(isinstance(value, typing.get_origin(c) or c) for c in classes)


def _is_subclass(cls: type, classes: Sequence[Any]) -> bool:
    return any(issubclass(cls, typing.get_origin(c) or c) for c in classes)


@OBJECT_CALLS(issubclass)
def _issubclass(e: Emitter, given: Arguments) -> Sugared:
    cls, spec = given.positional
    if isinstance(cls, ExceptionClass):
        return is_subclass(e, cls, _class_list(e, spec))
    if not isinstance(cls, PythonObject):
        e.fail_type("the first argument of issubclass must be a class")
    return Constant(issubclass(cls.object, tuple(_class_list(e, spec))))


@OBJECT_CALLS(type)
def _type(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, ModuleValue):
        return PythonObject(type(value.info.python))
    if isinstance(value, (Constant, PythonObject)):
        inner = value.value if isinstance(value, Constant) else value.object
        return PythonObject(type(inner))
    if isinstance(value, IRValue) and T.is_exception(value.type):
        return ExceptionClass(value)
    if instance_type(value) is not None:
        assert isinstance(value, IRValue)
        return class_of(e, value)
    t = e.type_of(value)
    if isinstance(value, IRValue) and (t == T.ANY or len(members(value.type)) > 1):
        node = given.node.args[0] if given.node is not None and given.node.args else None
        return TypeOf(value, node)
    python = None if t is None else _class_of(t)
    if python is None:
        e.not_built(f"type() of {value.describe()} is", help="use isinstance")
    return PythonObject(python)


def _class_of(t: T.Type) -> type | None:
    return torch.Tensor if t == T.TENSOR else type(None) if t == T.NONE else python_type(t)


def _class_value(e: Emitter, value: Sugared) -> Sugared:
    t = e.type_of(value)
    assert t is not None
    if instance_type(value) is not None:
        return _type(e, Arguments([value], {}))  # of which subclass is known at run time only
    return PythonObject(_class_of(t))


def _may_be_subclasses(e: Emitter, t: T.Type) -> bool:
    """Whether an instance that is a member of a type may be of a subclass of its static type."""
    return any(
        T.is_exception(m) or len(e.unit.classes.concrete(m)) > 1
        for m in members(t)
        if isinstance(m, T.ClassType) and not m.is_module
    )


def same_type(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    """``type(x) is cls``, or of the types of two values."""
    if not isinstance(a, TypeOf):
        a, b = b, a
    assert isinstance(a, TypeOf)
    if isinstance(b, TypeOf):
        return split(e, b.value, lambda v: same_type(e, a, _class_value(e, v)))
    if _may_be_subclasses(e, a.value.type):
        return split(e, a.value, lambda v: e.unit.identical(e, _class_value(e, v), b))
    return type_among(e, a, [b.object] if isinstance(b, PythonObject) else [])


def classes_of(e: Emitter, value: TypeOf) -> list[type] | None:
    """The classes that ``type(x)`` may be; None when they are not known."""
    if _may_be_subclasses(e, value.value.type):
        return None
    found = [_class_of(t) for t in members(value.value.type)]
    known = [c for c in found if c is not None]
    return known if len(known) == len(found) and value.value.type != T.ANY else None


def built_class(e: Emitter, value: TypeOf) -> Sugared:
    """``type(x)`` as a run-time value."""
    if classes_of(e, value) is None:
        e.fail_type(f"the type of {value.value.describe()} cannot be stored")
    return split(e, value.value, lambda v: IRValue(e.value(_class_value(e, v))))


def type_among(e: Emitter, a: TypeOf, classes: Sequence[Any]) -> Sugared:
    """``type(x) in (cls, ...)``."""
    t = a.value.type
    if _may_be_subclasses(e, t):
        return split(e, a.value, lambda v: _is_one_of(e, _class_value(e, v), classes))
    possible: list[T.Type] = []
    for cls in classes:
        if t != T.ANY:
            possible += [m for m in members(t) if _class_of(m) is cls]
            continue
        known = e.unit.declared.annotation(e, cls) if isinstance(cls, type) else None
        if known is None or cls in _ANY_OF:
            e.fail_type("the type of an Any can be compared with classes that have a type only")
        possible.append(known)
    if not possible:
        return Constant(False)
    result = IRValue(is_type(e, a.value.value, possible))
    rest = T.ANY if t == T.ANY else T.union_of([m for m in members(t) if m not in possible])
    result.facts = Facts(
        fact(e, a.node, a.value, T.union_of(possible)), fact(e, a.node, a.value, rest)
    )
    return result


def _is_one_of(e: Emitter, cls: Sugared, classes: Sequence[Any]) -> Sugared:
    result: Value = e.builder.constant(False)
    for one_class in classes:
        same = e.value(e.unit.identical(e, cls, PythonObject(one_class)))
        result = e.builder.op("bool::or", result, same)
    return IRValue(result)


@ATTRIBUTES(TypeOf)
def _attribute_of_type(e: Emitter, value: TypeOf, name: str) -> Sugared | None:
    return split(
        e,
        value.value,
        lambda v: e.attribute(_class_value(e, v), name),
    )


@CALLS(TypeOf)
def _call_type(e: Emitter, value: TypeOf, given: Arguments) -> Sugared:
    return split(e, value.value, lambda v: e.call(_class_value(e, v), given))


@OBJECT_CALLS(callable)
def _callable(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, PythonObject):
        return Constant(callable(value.object))
    return Constant(
        isinstance(value, (LocalFunction, BoundMethod, BuiltinMethod, PartialFunction, ModuleValue))
    )


def _attribute_name(e: Emitter, value: Sugared) -> str:
    if isinstance(value, Constant) and isinstance(value.value, str):
        return value.value
    e.fail("SM0211", "the attribute's name must be known at compile time", error=NeedsConstant)


@OBJECT_CALLS(hasattr)
def _hasattr(e: Emitter, given: Arguments) -> Sugared:
    value, name = given.positional
    text = _attribute_name(e, name)
    if isinstance(value, ModuleValue):
        found = presence(e, value, text)
        if found is not None:
            return found
    if instance_type(value) is not None:
        assert isinstance(value, IRValue)
        return has_member(e, value, text)
    return Constant(e.unit.has_attribute(e, value, text))


@OBJECT_CALLS(getattr)
def _getattr(e: Emitter, given: Arguments) -> Sugared:
    value, name = given.positional[:2]
    text = _attribute_name(e, name)
    if len(given.positional) == 3 and isinstance(value, ModuleValue):
        if text in value.info.type.late:
            return attribute_or(e, value, text, given.positional[2])
    if len(given.positional) == 3 and instance_type(value) is not None:
        return _member_or(e, value, text, given.positional[2])
    if len(given.positional) == 3 and not e.unit.has_attribute(e, value, text):
        return given.positional[2]
    return e.attribute(value, text)


def _member_or(e: Emitter, value: Sugared, name: str, default: Sugared) -> Sugared:
    """``getattr(value, name, default)`` of an instance."""
    assert isinstance(value, IRValue)
    default = e.settle(default)
    there = has_member(e, value, name)
    if isinstance(there, Constant):
        return e.attribute(value, name) if there.value else default
    return choose(e, e.value(there), lambda: e.attribute(value, name), lambda: default)


@OBJECT_CALLS(delattr)
def _delattr(e: Emitter, given: Arguments) -> Sugared:
    owner, name = given.positional
    e.unit.delete_attribute(e, owner, _attribute_name(e, name))
    return Constant(None)


@OBJECT_CALLS(setattr)
def _setattr(e: Emitter, given: Arguments) -> Sugared:
    owner, name, value = given.positional
    e.unit.assign_attribute(e, owner, _attribute_name(e, name), value)
    return Constant(None)


@OBJECT_CALLS(super)
def _super(e: Emitter, given: Arguments) -> Sugared:
    if given.positional:
        if len(given.positional) != 2:
            e.fail_type("super() takes a class and an instance, or nothing")
        cls, owner = given.positional
        if not isinstance(cls, PythonObject):
            e.fail_type("the first argument of super must be a class")
        return SuperValue(owner, cls.object)
    after = e.scope.owner_class
    arguments = e.scope.source.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if after is None or not names:
        e.fail_type("super() works only inside a method")
    return SuperValue(e.lookup(names[0]), after)


@OBJECT_CALLS(functools.partial)
def _partial(e: Emitter, given: Arguments) -> Sugared:
    rest = tuple(e.settle(a) for a in given.positional[1:])
    keywords = {k: e.settle(v) for k, v in given.keywords.items()}
    return PartialFunction(given.positional[0], rest, keywords)


@OBJECT_CALLS(typing.cast)
def _typing_cast(e: Emitter, given: Arguments) -> Sugared:
    return given.positional[1]
