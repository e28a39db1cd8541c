"""Run-time attributes of modules: read, assigned, deleted, and first set outside of ``__init__``.

An attribute that a method assigns and ``__init__`` does not, or that is deleted, is *late*: its
slot also tells whether it is bound (``ClassType.late``), and reading it unbound raises
AttributeError, as Python does.  Types and lateness are learnt: the unit starts again with each.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NoReturn

from torch import nn

from scriptmode.frontend.script.captured_objects import type_with_instances
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch, choose
from scriptmode.frontend.script.values import ModuleValue, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ir.growth import join_growing

if TYPE_CHECKING:
    from scriptmode.frontend.script.modules import ModuleInfo
    from scriptmode.frontend.script.unit import Unit


def get_attribute(e: Emitter, module: ModuleValue, name: str) -> Value:
    """Read a run-time attribute; AttributeError at run time when it is late and unbound."""
    late = module.info.type.late.get(name)
    slot = _slot(e, module, name)
    if late is None:
        return slot
    missing = e.builder.node("prim::is_none", [slot], [T.BOOL]).output
    message = absent_message(module.info, name)
    branch(e, missing, lambda: e.raise_error(AttributeError, message), lambda: None)
    return _bound_value(e, slot, late)


def _slot(e: Emitter, module: ModuleValue, name: str) -> Value:
    t = module.info.type.attributes[name]
    return e.builder.node("prim::GetAttr", [module.value], [t], name=name).output


def _bound_value(e: Emitter, slot: Value, late: T.Type) -> Value:
    """The value of a late attribute that is bound."""
    assert isinstance(slot.type, T.OptionalType)
    held = e.builder.cast(slot, slot.type.element)
    if not T.is_optional(late):
        return held
    return e.builder.node("prim::TupleIndex", [held], [late], index=0).output


def absent_message(info: ModuleInfo, name: str) -> str:
    """What Python says of a missing attribute."""
    return f"'{type(info.python).__name__}' object has no attribute '{name}'"


def presence(e: Emitter, module: ModuleValue, name: str) -> Sugared | None:
    """Whether a late attribute is bound, a run-time bool; None for other attributes."""
    if name not in module.info.type.late:
        return None
    slot = _slot(e, module, name)
    missing = e.builder.node("prim::is_none", [slot], [T.BOOL]).output
    return e.op("bool::not", missing)


def attribute_or(e: Emitter, module: ModuleValue, name: str, default: Sugared) -> Sugared:
    """``getattr(module, name, default)`` of a late attribute."""
    slot = _slot(e, module, name)
    missing = e.builder.node("prim::is_none", [slot], [T.BOOL]).output
    late = module.info.type.late[name]
    return choose(e, missing, lambda: default, lambda: e.lift(_bound_value(e, slot, late)))


def assign_module_attribute(e: Emitter, module: ModuleValue, name: str, value: Sugared) -> None:
    """``module.name = value``."""
    info = module.info
    on_class = inspect.getattr_static(type(info.python), name, None)
    if isinstance(on_class, property):
        if on_class.fset is None:
            e.raise_error(AttributeError, f"property '{name}' of '{_class_name(info)}' object has "
                          "no setter")  # fmt: skip
        e.call_positional(e.unit.wrap(e, on_class.fset, name), module, value)
        return
    t = info.type.attributes.get(name)
    if t is None or name in info.children:
        _assign_unknown(e, module, name, value)
    late = info.type.late.get(name)
    wanted = t if late is None else late
    built = e.value(value, wanted)
    if not T.is_subtype(built.type, wanted):
        joined = join_growing(wanted, built.type)
        if joined is not None and name not in info.python._parameters:
            e.unit.learn_attribute(e, info, name, joined)
        e.fail_type(f"`self.{name}` is a {wanted}; a {built.type} cannot be assigned to it")
    if late is not None and T.is_optional(late):
        built = e.builder.tuple([built], T.TupleType([late]))
    e.builder.node("prim::SetAttr", [module.value, built], name=name)


def _class_name(info: ModuleInfo) -> str:
    return type(info.python).__name__


def _assign_unknown(e: Emitter, module: ModuleValue, name: str, value: Sugared) -> NoReturn:
    """An attribute that is no slot yet: learn it, or refuse the assignment."""
    info = module.info
    if name in info.children or isinstance(value, ModuleValue):
        _refuse(e, module, name, "it is a submodule, and the tree of modules is fixed",
                "choose between submodules with `if`")  # fmt: skip
    if name in getattr(info.python, "__constants__", ()):
        _refuse(e, module, name, "its class lists it in `__constants__`", "remove it from there")
    actual = e.type_of(value)
    if actual is None:
        _refuse(e, module, name, f"{value.describe()} is known at compile time only", "")
    if name in info.static:
        own = type_with_instances(e.unit, info.static[name])
        joined = None if own is None else join_growing(own, actual)
        if joined is None:
            _refuse(e, module, name, "it is constant in the compiled program",
                    f"set `self.{name}` in __init__, annotated with its type")  # fmt: skip
        e.unit.learn_attribute(e, info, name, joined)
    e.unit.learn_late(e, info, name, actual)


def _refuse(e: Emitter, module: ModuleValue, name: str, reason: str, help: str) -> NoReturn:
    e.fail(
        "SM0304",
        f"attribute `{name}` of {module.describe()} cannot be assigned: {reason}",
        help=help,
    )


def delete_attribute(e: Emitter, module: ModuleValue, name: str) -> None:
    """``del module.name``."""
    info = module.info
    t = info.type.attributes.get(name)
    if t is None or name in info.children or name in (*info.type.parameters, *info.type.buffers):
        e.fail(
            "SM0304",
            f"attribute `{name}` of {module.describe()} cannot be deleted",
            help="only attributes that are no parameters, buffers or submodules can be deleted",
        )
    if name not in info.type.late:
        e.unit.learn_late(e, info, name, t)
    get_attribute(e, module, name)  # raises when it is unbound
    none = e.builder.constant(None)
    e.builder.node("prim::SetAttr", [module.value, none], name=name)


def late_types(unit: Unit, module: nn.Module) -> dict[str, T.Type]:
    """The late attributes of a module's class."""
    cls = type(module)
    own = {name: t for (owner, name), t in unit.late.items() if owner is cls}
    return {name: unit.classes.adopt(t) for name, t in own.items()}
