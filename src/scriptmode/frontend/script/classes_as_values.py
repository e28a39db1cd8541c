"""``type(x)`` of an instance: a class that may be known at run time only."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS
from scriptmode.frontend.script.instances import instance_type, python_class, under_each
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, PythonObject, Sugared
from scriptmode.ir import types as T


class ClassOf(Sugared):
    """``type(x)`` of an instance whose class is known at run time only."""

    def __init__(self, owner: Sugared) -> None:
        self.owner = owner

    def parts(self) -> tuple[Sugared, ...]:
        return (self.owner,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return ClassOf(parts[0])

    def key(self) -> Hashable:
        return "class of"

    def describe(self) -> str:
        return f"the class of {self.owner.describe()}"


@ATTRIBUTES(ClassOf)
def _class_attribute(e: Emitter, value: ClassOf, name: str) -> Sugared | None:
    assert isinstance(value.owner, IRValue)

    def act(v: IRValue, t: T.ClassType) -> Sugared:
        return e.attribute(PythonObject(python_class(t)), name)

    return under_each(e, value.owner, lambda c: c, act)


@CALLS(ClassOf)
def _make_same(e: Emitter, value: ClassOf, given: Arguments) -> Sugared:
    assert isinstance(value.owner, IRValue)

    def act(v: IRValue, t: T.ClassType) -> Sugared:
        return e.call(PythonObject(python_class(t)), given)

    return under_each(e, value.owner, lambda c: c, act)


def class_of(e: Emitter, value: IRValue) -> Sugared:
    """``type(value)``."""
    t = instance_type(value)
    assert t is not None
    candidates = e.unit.classes.concrete(t)
    return PythonObject(python_class(candidates[0])) if len(candidates) == 1 else ClassOf(value)


def is_same_class(e: Emitter, value: ClassOf, other: Sugared) -> Sugared:
    """``type(x) is other``."""
    assert isinstance(value.owner, IRValue)
    if isinstance(other, ClassOf):
        return under_each(
            e, value.owner, lambda c: c,
            lambda v, t: is_same_class(e, other, PythonObject(python_class(t))),
        )  # fmt: skip
    cls = other.object if isinstance(other, PythonObject) else None
    t = e.unit.classes.type_of(cls) if isinstance(cls, type) else None
    if t is None:
        return Constant(False)
    node = e.builder.node("prim::isinstance", [value.owner.value], [T.BOOL], types=(t,), exact=True)
    return IRValue(node.output)
