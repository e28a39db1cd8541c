"""Variables outside of a program that it assigns: globals, attributes of classes, ``nonlocal``.

What a program only reads is constant in it, guarded against change.  What it assigns becomes an
attribute of a *holder* (``support/outside.py``), which the program reaches by reference, as any
captured object; everything that reads the variable then reads it there::

    global COUNT
    COUNT += 1          %h = prim::Global[name="globals of m"](); GetAttr, SetAttr [name="COUNT"]

Which variables these are is learnt, by starting the unit again.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn

from scriptmode.frontend.script.annotations import BadAnnotation, resolve
from scriptmode.frontend.script.captured_objects import type_with_instances
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.environment import Closure
from scriptmode.frontend.script.flow import branch, choose
from scriptmode.frontend.script.instances import has_field, store_field
from scriptmode.frontend.script.values import IRValue, PythonObject, Sugared
from scriptmode.ir import types as T
from scriptmode.support.captures import is_fixed
from scriptmode.support.outside import (
    add_variable,
    has_variable,
    holder_of,
    owner_of,
    variables_of,
)

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit


class OutsideVariables:
    """The holders of a program; it outlives the attempts to compile it."""

    def __init__(self) -> None:
        self._holders: dict[int, tuple[Any, Any]] = {}  # by the owner's id: owner and holder

    def holder(self, owner: Any, name: str) -> Any:
        """The holder of an owner's variables that has this one; None when it is not assigned."""
        found = self._holders.get(id(owner))
        return found[1] if found is not None and has_variable(found[1], name) else None

    def holder_for(self, owner: Any, label: str) -> Any:
        """The holder of an owner's variables, made if it is new."""
        if id(owner) not in self._holders:
            self._holders[id(owner)] = (owner, holder_of(owner, label))
        return self._holders[id(owner)][1]

    def add(self, unit: Unit, owner: Any, label: str, name: str) -> NoReturn:
        """The program assigns the variable."""
        add_variable(self.holder_for(owner, label), name)
        unit.start_again()


def owner_of_global(e: Emitter, name: str) -> tuple[Any, str] | None:
    """Where a name of the outermost scope lives, and what that is called; None if not outside."""
    scope = e.scope
    if name in scope.closure:
        if isinstance(scope.closure, Closure):
            return scope.closure.cells[name], f"the closure of {scope.source.qualname}"
        return None
    if isinstance(scope.globals, dict):
        return scope.globals, str(scope.globals.get("__name__", "the module"))
    return None


def owner_of_attribute(obj: Any) -> tuple[Any, str] | None:
    """Where the attributes of a class, Python module or plain object live; None if not outside."""
    if isinstance(obj, types.ModuleType) and not is_fixed(obj.__name__):
        return vars(obj), obj.__name__
    if isinstance(obj, types.FunctionType) and not is_fixed(obj.__module__):
        return obj, f"function {obj.__qualname__}"
    if isinstance(obj, types.SimpleNamespace):
        return obj, "a SimpleNamespace"
    if isinstance(obj, type) and not is_fixed(obj.__module__) and type(obj).__setattr__ is (
        type.__setattr__
    ):  # fmt: skip
        return obj, f"class {obj.__qualname__}"
    return None


def read(e: Emitter, owner: Any, label: str, name: str, error: type[Exception], text: str) -> Any:
    """The value of a variable that the program assigns; None of others."""
    holder = e.unit.outside.holder(owner, name)
    if holder is None:
        return None
    value, t = _holder_value(e, holder, label, name)
    if name not in t.attributes:
        e.unit.classes.absent.add((t, name))
        e.raise_error(error, text)
    present = has_field(e, value, name)
    branch(e, present, lambda: None, lambda: e.raise_error(error, text))
    return _get(e, value, t, name)


def read_attribute(e: Emitter, obj: Any, name: str) -> Sugared | None:
    """``obj.name`` of a Python object, where the program assigns it; None elsewhere."""
    if isinstance(obj, type):
        bases = obj.__mro__
        return _read_from(e, obj, bases, name) if is_class_variable(e, obj, name) else None
    place = owner_of_attribute(obj)
    if place is None:
        return None
    kind = "module" if isinstance(obj, types.ModuleType) else type(obj).__name__
    text = f"{kind} {getattr(obj, '__name__', '')!r}" if kind == "module" else f"{kind!r} object"
    found: Sugared | None = read(
        e, *place, name, AttributeError, f"{text} has no attribute {name!r}"
    )
    return found


def is_class_variable(e: Emitter, cls: type, name: str) -> bool:
    """Whether the program assigns an attribute of the class itself, or of a base."""
    return any(e.unit.outside.holder(base, name) is not None for base in cls.__mro__)


def _read_from(e: Emitter, cls: type, bases: Sequence[type], name: str) -> Sugared:
    """An attribute of a class, found in the first of ``bases`` that has it."""
    if not bases:
        e.raise_error(AttributeError, f"type object {cls.__name__!r} has no attribute {name!r}")
    base, rest = bases[0], bases[1:]
    holder = e.unit.outside.holder(base, name)
    if holder is not None:
        value, t = _holder_value(e, holder, f"class {base.__qualname__}", name)
        if name not in t.attributes:
            return _read_from(e, cls, rest, name)
        return choose(
            e, has_field(e, value, name),
            lambda: _get(e, value, t, name), lambda: _read_from(e, cls, rest, name),
        )  # fmt: skip
    if name in vars(base):
        e.unit.program.captures.add_class_attribute(base, name)
        return e.unit.wrap(e, vars(base)[name], name)
    return _read_from(e, cls, rest, name)


def _get(e: Emitter, value: IRValue, t: T.ClassType, name: str) -> Sugared:
    node = e.builder.node("prim::GetAttr", [value.value], [t.attributes[name]], name=name)
    return e.lift(node.output)


def assign(e: Emitter, owner: Any, label: str, name: str, value: Sugared) -> None:
    """Assign a variable outside of the program."""
    holder = e.unit.outside.holder(owner, name)
    if holder is None:
        e.unit.outside.add(e.unit, owner, label, name)
    if e.type_of(value) is None:
        e.fail(
            "SM0212",
            f"{value.describe()} cannot be assigned to `{name}`, which is outside of the program",
            help="assign values of static types: numbers, strings, tensors, containers, objects",
        )
    target, t = _holder_value(e, holder, label, name)
    store_field(e, target, name, value)
    forget(e, name)
    if isinstance(owner, (dict, types.CellType)) and name not in e.env.names:
        _assume_assigned(e, t.attributes.get(name), name, value)


def _assume_assigned(e: Emitter, known: T.Type | None, name: str, value: Sugared) -> None:
    t = e.type_of(value)
    if t is not None and isinstance(known, (T.OptionalType, T.UnionType)) and t != known:
        if e.is_outside(name) and T.is_subtype(t, known):
            e.env.attributes[name,] = value


def delete(e: Emitter, owner: Any, label: str, name: str) -> None:
    """Delete a variable outside of the program."""
    holder = e.unit.outside.holder(owner, name)
    if holder is None:
        e.unit.outside.add(e.unit, owner, label, name)
    text = f"name '{name}' is not defined"
    target, t = _holder_value(e, holder, label, name)
    if name not in t.attributes:
        e.raise_error(NameError, text)
    present = has_field(e, target, name)
    branch(e, present, lambda: None, lambda: e.raise_error(NameError, text))
    e.builder.node("prim::DelAttr", [target.value], name=name)
    forget(e, name)


def forget(e: Emitter, name: str) -> None:
    """What conditions have shown of the variable no longer holds."""
    e.env.attributes = {p: v for p, v in e.env.attributes.items() if name not in p}
    e.epoch += 1


def _holder_value(
    e: Emitter, holder: Any, label: str, name: str
) -> tuple[IRValue, T.ClassType]:  # fmt: skip
    t = e.unit.classes.type_of(type(holder))
    assert isinstance(t, T.ClassType)
    held = variables_of(holder)
    if name in held:
        kind = type_with_instances(e.unit, held[name])
        if kind is None or isinstance(held[name], nn.Module):
            e.fail(
                "SM0212",
                f"`{name}` is assigned in compiled code, and now a {type(held[name]).__name__}, "
                "which has no static type",
                help="keep numbers, strings, tensors, containers or objects in it",
            )
        if T.NEVER in T.walk(kind):
            kind = _annotated(e, owner_of(holder), name) or kind
        e.unit.classes.declare(t, name, kind)
    e.unit.classes.note_made(t)
    found = e.unit.captured_object(e, holder, f"variables of {label}", t)
    assert isinstance(found, IRValue)
    return found, t


def _annotated(e: Emitter, owner: Any, name: str) -> T.Type | None:
    """The annotation of a global, from which an empty container has its type."""
    annotations = owner.get("__annotations__", {}) if isinstance(owner, dict) else {}
    if name not in annotations:
        return None
    try:
        return resolve(annotations[name], owner, e.unit.type_of_class)
    except BadAnnotation:
        return None


def read_name(e: Emitter, name: str) -> Sugared | None:
    """The value of a free name that the program assigns; None of others."""
    place = owner_of_global(e, name)
    if place is None or e.unit.outside.holder(place[0], name) is None:
        return None
    known = e.env.attributes.get((name,))
    if known is not None:
        return known
    found: Sugared | None = read(e, *place, name, NameError, f"name '{name}' is not defined")
    return found


def assign_name(e: Emitter, name: str, value: Sugared) -> None:
    """Assign a name that is declared ``global``, or ``nonlocal`` of a function outside."""
    place = owner_of_global(e, name)
    if place is None:
        e.fail_syntax(f"the variable `{name}` of a function outside cannot be assigned")
    assign(e, *place, name, value)


def delete_name(e: Emitter, name: str) -> None:
    """``del`` of a name that is declared ``global``, or ``nonlocal`` of a function outside."""
    place = owner_of_global(e, name)
    if place is None:
        e.fail_syntax(f"the variable `{name}` of a function outside cannot be deleted")
    delete(e, *place, name)


def assign_attribute(e: Emitter, owner: Sugared, name: str, v: Sugared) -> bool:
    """Assign an attribute of a class, Python module or plain object, if it can be."""
    if not isinstance(owner, PythonObject):
        return False
    place = owner_of_attribute(owner.object)
    if place is not None:
        assign(e, *place, name, e.settle(v))
    return place is not None
