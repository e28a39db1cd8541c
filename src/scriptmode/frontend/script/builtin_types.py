"""Builtins that ask about types and attributes: isinstance, type, hasattr, getattr, super, ..."""

from __future__ import annotations

import enum
import functools
import types
import typing
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.conditions import (
    fact,
    is_type,
    members,
)
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.methods import (
    python_type,
)
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    Facts,
    IRValue,
    IterableValue,
    ListDisplay,
    LocalFunction,
    ModuleValue,
    PartialFunction,
    PythonObject,
    Sugared,
    SuperValue,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.support.instances import is_instance as is_instance_of


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
            wanted = e.unit.annotation(e, cls)
            if wanted is not None and T.is_subtype(t, wanted):
                return True
            continue
        if t == T.TENSOR and issubclass(cls, torch.Tensor) and cls is not torch.Tensor:
            e.fail_type(f"isinstance of `{cls.__name__}` is not known of a tensor in compiled code")
        if python is not None and issubclass(python, cls):
            return True
    return False


@OBJECT_CALLS(
    isinstance, is_instance_of, ("torch.jit", "isinstance"), ("torch._jit_internal", "_isinstance")
)
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
        case LocalFunction() | BoundMethod() | BuiltinMethod() | PartialFunction():
            return Constant(False)
        case IterableValue():
            return Constant(range in classes if value.kind == "range" else False)
    t = e.type_of(value)
    if t is None:
        kinds = {TupleDisplay: tuple, ListDisplay: list, DictDisplay: dict}
        return Constant(_is_subclass(kinds[type(value)], classes))
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
        return T.union_of(_types_in_any(e, classes)), T.ANY
    possible = members(t)
    fits = [m for m in possible if _member_is(e, m, classes)]
    return T.union_of(fits), T.union_of([m for m in possible if m not in fits])


def _is_any(e: Emitter, given: Arguments, value: Sugared, classes: Sequence[Any]) -> Sugared:
    known = _types_in_any(e, classes)
    result = IRValue(is_type(e, e.value(value), known))
    node = given.node.args[0] if given.node is not None and given.node.args else None
    result.facts = Facts(fact(e, node, value, T.union_of(known)))
    return result


def _types_in_any(e: Emitter, classes: Sequence[Any]) -> list[T.Type]:
    """The types of the instances of ``classes``."""
    if any(c in (list, tuple, dict) for c in classes):
        e.not_built(
            "isinstance of an Any with a bare container class is",
            help="name the element types: `torch.jit.isinstance(x, List[int])`",
        )
    found = [e.unit.annotation(e, c) for c in classes]
    known = [t for t in found if t is not None]
    if len(known) < len(found):
        e.fail_type("isinstance of an Any needs classes that have a type")
    return known


def _static_instance(value: Any, classes: Sequence[Any]) -> bool:
    return any(isinstance(value, typing.get_origin(c) or c) for c in classes)


def _is_subclass(cls: type, classes: Sequence[Any]) -> bool:
    return any(issubclass(cls, typing.get_origin(c) or c) for c in classes)


@OBJECT_CALLS(issubclass)
def _issubclass(e: Emitter, given: Arguments) -> Sugared:
    cls, spec = given.positional
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
    t = e.type_of(value)
    python = None if t is None else torch.Tensor if t == T.TENSOR else python_type(t)
    if python is None:
        e.not_built(f"type() of {value.describe()} is", help="use isinstance")
    return PythonObject(python)


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
    return Constant(e.unit.has_attribute(e, value, _attribute_name(e, name)))


@OBJECT_CALLS(getattr)
def _getattr(e: Emitter, given: Arguments) -> Sugared:
    value, name = given.positional[:2]
    text = _attribute_name(e, name)
    if len(given.positional) == 3 and not e.unit.has_attribute(e, value, text):
        return given.positional[2]
    return e.attribute(value, text)


@OBJECT_CALLS(setattr)
def _setattr(e: Emitter, given: Arguments) -> Sugared:
    owner, name, value = given.positional
    e.unit.assign_attribute(e, owner, _attribute_name(e, name), value)
    return Constant(None)


@OBJECT_CALLS(super)
def _super(e: Emitter, given: Arguments) -> Sugared:
    if given.positional:
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
