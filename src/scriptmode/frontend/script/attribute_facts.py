"""What is known of an attribute before it is read: whether it is there, and its type."""

from __future__ import annotations

import ast
import inspect
from typing import NoReturn

import torch

from scriptmode.frontend.script import (
    instances,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    Constant,
    ModuleValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import (
    ScriptAttributeError,
)


def has_attribute(e: Emitter, value: Sugared, name: str) -> bool:
    """``hasattr(value, name)``."""
    if isinstance(value, ModuleValue):
        info = value.info
        return (
            name in info.type.attributes
            or name in info.static
            or inspect.getattr_static(type(info.python), name, None) is not None
        )
    if isinstance(value, PythonObject):
        return hasattr(value.object, name)
    if isinstance(value, Constant):
        return hasattr(value.value, name)
    t = e.type_of(value)
    if t == T.TENSOR:
        return hasattr(torch.Tensor, name)
    return e.find_attribute(value, name) is not None


def attribute_type(e: Emitter, node: ast.Attribute) -> T.Type | None:
    """The type of an attribute that is assigned."""
    if isinstance(node.value, ast.Name):
        owner = e.env.names.get(node.value.id)
        if isinstance(owner, ModuleValue):
            return owner.info.type.attributes.get(node.attr)
        t = None if owner is None else instances.instance_type(owner)
        if t is not None:
            return t.attributes.get(node.attr)
    return None


def field_type(e: Emitter, node: ast.Attribute) -> T.Type | None:
    """The type of an attribute that is a plain field of an instance or module."""
    if isinstance(node.value, ast.Name):
        return kept_type(e, e.env.names.get(node.value.id), node.attr)
    owner = field_type(e, node.value) if isinstance(node.value, ast.Attribute) else None
    if owner is None or not T.is_instance_type(owner):
        return None
    assert isinstance(owner, T.ClassType)
    return instances.plain_field(e.unit, owner, node.attr)


def kept_type(e: Emitter, owner: Sugared | None, name: str) -> T.Type | None:
    """The type of an attribute that an instance or module only keeps; None of others."""
    if isinstance(owner, ModuleValue):
        info = owner.info
        on_class = inspect.getattr_static(type(info.python), name, None)
        late = name in info.type.late or isinstance(on_class, property)
        return None if late else info.type.attributes.get(name)
    t = None if owner is None else instances.instance_type(owner)
    return None if t is None else instances.plain_field(e.unit, t, name)


def is_asked(e: Emitter, owner: Sugared, name: str) -> bool:
    """Whether assigning to an attribute of an instance or module runs code of its class."""
    if isinstance(owner, ModuleValue):
        cls = type(owner.info.python)
        return isinstance(inspect.getattr_static(cls, name, None), property)
    t = instances.instance_type(owner)
    if t is None:
        return False
    parameters = getattr(instances.python_class(t), "__dataclass_params__", None)
    return kept_type(e, owner, name) is None or (parameters is not None and parameters.frozen)


def fail_attribute(e: Emitter, value: Sugared, name: str) -> NoReturn:
    """Report a missing attribute."""
    t = instances.instance_type(value)
    help = "" if t is None else instances.suggestion(t, name)
    described = value.describe() if t is None else f"an instance of `{t.original_name}`"
    e.fail(
        "SM0303", f"{described} has no attribute `{name}`", error=ScriptAttributeError,
        help=help,
    )  # fmt: skip
