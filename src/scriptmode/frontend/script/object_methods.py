"""Methods of ``object`` that programs call by ``super()`` or by name."""

from __future__ import annotations

from scriptmode.frontend.script.attribute_hooks import own_new
from scriptmode.frontend.script.classes import static_attribute
from scriptmode.frontend.script.conditions import truth
from scriptmode.frontend.script.dunders import text_exactly
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.instances import (
    create,
    instance_type,
    plain_member,
    python_class,
    under_each,
)
from scriptmode.frontend.script.member_writes import assign_member, delete_member
from scriptmode.frontend.script.not_implemented import GivenUp
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, PythonObject, Sugared


def _owner(e: Emitter, given: Arguments, name: str, count: int) -> IRValue:
    """The instance that a method of object is called with."""
    if len(given.positional) != count or given.keywords:
        e.fail_type(f"object.{name}() takes {count} arguments, the instance among them")
    owner = given.positional[0]
    if instance_type(owner) is None or not isinstance(owner, IRValue):
        e.fail_type(f"object.{name}() of {owner.describe()}")
    return owner


def _name(e: Emitter, value: Sugared) -> str:
    if not isinstance(value, Constant) or not isinstance(value.value, str):
        e.fail("SM0211", "the attribute's name must be known at compile time")
    return value.value


@OBJECT_CALLS(object.__new__)
def _new(e: Emitter, given: Arguments) -> Sugared:
    """``object.__new__(cls)``: an instance of which nothing is assigned yet."""
    cls = given.positional[0] if given.positional else Constant(None)
    t = None
    if isinstance(cls, PythonObject) and isinstance(cls.object, type):
        t = e.unit.classes.type_of(cls.object)
    if t is None or not isinstance(cls, PythonObject):
        e.fail_type(f"object.__new__() of {cls.describe()}")
    if len(given.positional) > 1 or given.keywords:
        if own_new(cls.object) is not None:
            e.fail_type("object.__new__() takes exactly one argument (the type to instantiate)")
        if static_attribute(cls.object, "__init__") is object.__init__:
            e.fail_type(f"{cls.object.__name__}() takes no arguments")
    e.unit.classes.note_bare(t)
    return create(e, t, cls.object)


@OBJECT_CALLS(object.__init__)
def _init(e: Emitter, given: Arguments) -> Sugared:
    if len(given.positional) > 1 or given.keywords:
        owner = instance_type(given.positional[0])
        if owner is not None:
            cls = python_class(owner)
            own = static_attribute(cls, "__init__") is not object.__init__
            if own or own_new(cls) is None:
                e.fail_type(
                    "object.__init__() takes exactly one argument (the instance to initialize)"
                )
    return Constant(None)


@OBJECT_CALLS(object.__setattr__)
def _set_attribute(e: Emitter, given: Arguments) -> Sugared:
    """``object.__setattr__(self, name, value)``, which frozen classes do not see."""
    owner = _owner(e, given, "__setattr__", 3)
    assign_member(e, owner, _name(e, given.positional[1]), given.positional[2], plainly=True)
    return Constant(None)


@OBJECT_CALLS(object.__delattr__)
def _delete_attribute(e: Emitter, given: Arguments) -> Sugared:
    owner = _owner(e, given, "__delattr__", 2)
    delete_member(e, owner, _name(e, given.positional[1]), plainly=True)
    return Constant(None)


@OBJECT_CALLS(object.__getattribute__)
def _get_attribute(e: Emitter, given: Arguments) -> Sugared:
    owner = _owner(e, given, "__getattribute__", 2)
    name = _name(e, given.positional[1])
    found = plain_member(e, owner, name)
    if found is None:
        e.unit.fail_attribute(e, owner, name)
    return found


@OBJECT_CALLS(object.__str__)
def _text(e: Emitter, given: Arguments) -> Sugared:
    """``object.__str__(self)`` is ``repr(self)``."""
    owner = _owner(e, given, "__str__", 1)
    return under_each(
        e, owner, lambda c: c, lambda v, c: text_exactly(e, v, python_class(c), "repr")
    )


@OBJECT_CALLS(object.__eq__)
def _equal(e: Emitter, given: Arguments) -> Sugared:
    """``object.__eq__(self, other)``: True of the same object, else NotImplemented."""
    owner = _owner(e, given, "__eq__", 2)
    same = truth(e, e.unit.identical(e, owner, given.positional[1]))
    if isinstance(same, bool):
        return Constant(True if same else NotImplemented)
    return choose(e, same, lambda: Constant(True), lambda: Constant(GivenUp.NOT_IMPLEMENTED))
