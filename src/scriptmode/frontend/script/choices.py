"""Values known at compile time that a program keeps as run-time values: functions in a list.

A function, a bound method, a partial or a class is known at compile time; where one of several is
chosen at run time (from a list, by a branch, out of an attribute) the value becomes a *choice*: the
number of a *member* of the program's table and the run-time values inside it::

    table = [lambda a: a + n, abs]       # List[Choice<0|1>]; member 0 holds n
    table[i](x)                          # If number == 0: call member 0 with n, else member 1

The type says which members a value may be, so a call knows the closed set it chooses from.  Two
values are the same member when they differ in the run-time values inside only; choices inside of
members are typed by all that was ever put there, which starts the unit again when it grows.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from scriptmode.frontend.script.cells import check_escaping
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import own_method
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.functions import crossing
from scriptmode.frontend.script.generator_facts import GeneratorFacts
from scriptmode.frontend.script.handlers import CALLS
from scriptmode.frontend.script.shapes import (
    Leaf,
    Shape,
    Static,
    flatten,
    leaves,
    rebuild,
    shape_of,
    stable_key,
    type_of_shape,
)
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    BuiltinMethod,
    Constant,
    DictDisplay,
    GeneratorObject,
    IRValue,
    IteratorObject,
    ListDisplay,
    LocalFunction,
    ManagerValue,
    ModuleValue,
    PartialFunction,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support.diagnostics import ScriptCallError

_KINDS = (
    BoundMethod, BuiltinMethod, GeneratorObject, IteratorObject, LocalFunction, ManagerValue,
    PartialFunction,
)  # fmt: skip


@dataclass(eq=False)
class Member:
    """A value that choices may hold: its shape, whose leaves are the run-time values inside."""

    number: int
    shape: Shape
    unit: Any


class ChoiceTable:
    """The members of a program's choices; it outlives the attempts to compile the program."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._by_key: dict[Hashable, Member] = {}
        self.factories: dict[int, Sugared] = {}  # of defaultdicts, by the numbers of their types
        self.built: set[Hashable] = set()  # sites of displays of functions that are changed
        self.generators = GeneratorFacts()

    def enter(self, e: Emitter, shape: Shape) -> Member:
        """The member for values of this shape."""
        key = stable_key(shape)
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Member(len(self.members), shape, e.unit)
            self.members.append(found)
            return found
        joined = _join_choices(found.shape, shape)
        grown = joined != found.shape
        if found.unit is not e.unit or grown:
            found.shape, found.unit = joined, e.unit
        if grown:
            e.unit.start_again()
        return found

    def shape(self, e: Emitter, number: int) -> Shape:
        """The shape of a member, with the module descriptions of the present unit."""
        member = self.members[number]
        if member.unit is not e.unit:
            member.shape, member.unit = refreshed(e, member.shape), e.unit
        return member.shape


def is_choosable(value: Sugared) -> bool:
    """Whether a value known at compile time can be held by a choice."""
    if isinstance(value, PythonObject):
        return callable(value.object) and not isinstance(value.object, types.ModuleType)
    return isinstance(value, _KINDS)


def choice_type(e: Emitter, value: Sugared) -> T.ChoiceType | None:
    """The type of a value known at compile time as a run-time value; None when it has none."""
    if not is_choosable(value):
        return None
    value = crossing(e, value)
    shape = member_shape(e, shape_of(e, value))
    return None if shape is None else T.ChoiceType([e.unit.choices.enter(e, shape).number])


def choice_type_of_shape(e: Emitter, shape: Static) -> T.ChoiceType | None:
    """``choice_type`` of a value of this shape."""
    if not is_choosable(shape.prototype) or not _is_closed(shape):
        return None
    found = member_shape(e, shape)
    return None if found is None else T.ChoiceType([e.unit.choices.enter(e, found).number])


def _is_closed(shape: Shape) -> bool:
    """Whether the functions inside have the values of their free variables."""
    if isinstance(shape, Leaf):
        return True
    prototype = shape.prototype
    if isinstance(prototype, LocalFunction) and prototype.captured is None:
        return False
    return all(_is_closed(p) for p in shape.parts)


def build_display(e: Emitter, display: ListDisplay | DictDisplay) -> None:
    """Start the unit again with a list or dict of functions built where it stands."""
    site = display.site
    if site is None or site in e.unit.choices.built:
        return
    parts = display.parts()
    if all(e.type_of(p) is not None or is_choosable(p) for p in parts):
        e.unit.choices.built.add(site)
        e.unit.start_again()


def member_shape(e: Emitter, shape: Shape) -> Shape | None:
    """``shape`` with constants as run-time values; None when a part cannot be one."""
    if isinstance(shape, Leaf):
        return shape
    if not is_choosable(shape.prototype) and not isinstance(shape.prototype, ModuleValue):
        t = type_of_shape(e, shape)
        if t is not None:
            return Leaf(t)
    parts = [member_shape(e, p) for p in shape.parts]
    if not all(p is not None for p in parts):
        return None
    return Static(shape.prototype, shape.key, tuple(p for p in parts if p is not None))


def build_choice(e: Emitter, value: Sugared) -> Value | None:
    """The run-time value of a value known at compile time; None when it has none."""
    if e.unit.has_ends(e, value):
        e.unit.refuse_held(e)
    return _build(e, value)


def build_owned(e: Emitter, generator: Sugared) -> Value:
    """The run-time value of a generator, for the slot of the variable that holds it."""
    built = _build(e, generator)
    assert built is not None
    return built


def _build(e: Emitter, value: Sugared) -> Value | None:
    value = crossing(e, value)
    t = choice_type(e, value)
    if t is None:
        return None
    check_escaping(e, value)
    (number,) = t.members
    inside = flatten(e, value, e.unit.choices.shape(e, number))
    content = e.builder.constant(None)
    if inside:
        row = e.builder.tuple(inside)
        content = e.builder.list([row], row.type)
    return e.builder.tuple([e.int_constant(number), content], t)


def open_choice(e: Emitter, choice: Value, number: int) -> Sugared:
    """The value that a choice holds when it is this member."""
    shape = e.unit.choices.shape(e, number)
    types_inside = leaves(shape)
    if not types_inside:
        return rebuild(e, shape, iter(()))
    content = e.builder.tuple_index(choice, 1)
    rows = e.builder.cast(content, T.ListType([T.TupleType(types_inside)]))
    row = e.builder.op("list::getitem", rows, e.int_constant(0))
    values = [e.builder.tuple_index(row, i) for i in range(len(types_inside))]
    return rebuild(e, shape, iter(values))


def by_member(e: Emitter, choice: Value, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on the value that a choice holds, under each member it may be."""
    assert isinstance(choice.type, T.ChoiceType)
    members = choice.type.members
    which = e.builder.tuple_index(choice, 0) if len(members) > 1 else None

    def pick(first: int) -> Sugared:
        if first == len(members) - 1:
            return act(open_choice(e, choice, members[first]))
        assert which is not None
        here = e.builder.op("int::eq", which, e.int_constant(members[first]))
        return choose(
            e, here,
            lambda: act(open_choice(e, choice, members[first])), lambda: pick(first + 1),
        )  # fmt: skip

    return pick(0)


@CALLS(IRValue)
def call_value(e: Emitter, value: IRValue, given: Arguments) -> Sugared:
    """Call a function, or one of several modules, that is known at run time only."""
    t = value.type
    if isinstance(t, T.OptionalType) and isinstance(t.element, T.ChoiceType):
        e.fail(
            "SM0205", "a call of a value that may be None",
            help="test it first: `if f is not None:`",
        )  # fmt: skip
    possible = members(t)
    if len(possible) > 1 and all(m == T.NONE or e.unit.module_of_type(m) for m in possible):
        return split(e, value, lambda m: e.call(m, given))
    method = e.unit.dunders.special_method(e, value, "__call__") or own_method(e, value, "__call__")
    if method is not None:
        return e.call(method, given)
    if len(possible) > 1 and not any(m == T.NONE for m in possible):
        settled = _settled(e, given)
        return split(e, value, lambda m: e.call(m, settled))
    if T.is_instance_type(t) or not isinstance(t, T.ChoiceType):
        e.fail_type(f"{value.describe()} cannot be called")
    settled = _settled(e, given)

    def one(function: Sugared) -> Sugared:
        try:
            return e.call(function, settled)
        except ScriptCallError as bad:
            if len(t.members) == 1 or bad.diagnostics[0].chain:
                raise
            e.raise_error(TypeError, bad.diagnostics[0].message)

    return by_member(e, value.value, one)


@CALLS(Constant)
def _call_constant(e: Emitter, value: Constant, given: Arguments) -> Sugared:
    """Call a member of an enumeration."""
    method = own_method(e, value, "__call__")
    if method is None:
        e.fail_type(f"{value.describe()} cannot be called")
    return e.call(method, given)


def _settled(e: Emitter, given: Arguments) -> Arguments:
    """Arguments that several calls may take."""
    keywords = {k: e.settle(v) for k, v in given.keywords.items()}
    return Arguments([e.settle(a) for a in given.positional], keywords, given.node)


# keys and shapes


def _join_choices(old: Shape, new: Shape) -> Shape:
    """``new`` with the choices of ``old`` added to its own."""
    if isinstance(old, Leaf) and isinstance(new, Leaf):
        return Leaf(_merged(old.type, new.type))
    assert isinstance(old, Static) and isinstance(new, Static)
    parts = tuple(_join_choices(o, n) for o, n in zip(old.parts, new.parts, strict=True))
    return Static(new.prototype, new.key, parts)


def _merged(a: T.Type, b: T.Type) -> T.Type:
    """``b`` with the choices of ``a`` added."""
    if a == b or a == T.NEVER:
        return b
    if b == T.NEVER:
        return a
    if isinstance(a, T.ChoiceType) and isinstance(b, T.ChoiceType):
        return T.join(a, b) or T.ANY
    if type(a) is type(b) and len(a.contained) == len(b.contained):
        return b.with_contained(
            [_merged(x, y) for x, y in zip(a.contained, b.contained, strict=True)]
        )
    return T.join(a, b) or T.ANY


def refreshed(e: Emitter, shape: Shape) -> Shape:
    """A shape of an earlier attempt, with the module descriptions of the present unit."""
    if isinstance(shape, Leaf):
        return shape
    prototype = shape.prototype
    if isinstance(prototype, ModuleValue):
        info = e.unit.modules.info(prototype.info.python)
        prototype = ModuleValue(info, prototype.value)
        return Static(prototype, prototype.key(), (Leaf(info.type),))
    return Static(prototype, shape.key, tuple(refreshed(e, p) for p in shape.parts))
