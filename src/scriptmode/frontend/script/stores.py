"""Writes through attributes and subscripts."""

from __future__ import annotations

from scriptmode.frontend import calls
from scriptmode.frontend.script import module_state
from scriptmode.frontend.script.classes_as_values import ClassOf
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.dict_methods import dict_key
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.exceptions import assign_exception_attribute
from scriptmode.frontend.script.instances import (
    instance_type,
    not_none,
    python_class,
    under_each,
)
from scriptmode.frontend.script.iteration import as_built_list, index_value
from scriptmode.frontend.script.literals import admit
from scriptmode.frontend.script.member_writes import assign_member, delete_member
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.operators import is_tensor
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    IRValue,
    ListDisplay,
    ModuleValue,
    PythonObject,
    SliceValue,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


def assign_attribute(e: Emitter, owner: Sugared, name: str, value: Sugared) -> None:
    """``owner.name = value``."""
    if isinstance(owner, ModuleValue):
        e.unit.assign_module_attribute(e, owner, name, value)
    elif instance_type(owner) is not None:
        assert isinstance(owner, IRValue)
        if not assign_exception_attribute(e, owner, name, value):
            assign_member(e, owner, name, value)
    elif isinstance(owner, IRValue) and any(map(T.is_instance_type, members(owner.type))):
        _assign_to_one_of(e, owner, name, value)
        return
    elif is_tensor(e, owner):
        calls.assign_tensor_attribute(e.builder, e.value(owner), name, operand(e, value), e.span)
    elif isinstance(owner, ClassOf):
        _assign_to_class(e, owner, name, value)
    elif not e.unit.assign_attribute_outside(e, owner, name, value):
        e.unit.make_run_time(e, owner)
        e.not_built(f"assignment to an attribute of {owner.describe()} is")
    e.env.forget_attributes(name)
    e.epoch += 1


def _assign_to_class(e: Emitter, owner: ClassOf, name: str, value: Sugared) -> None:
    """``type(x).name = value``, of the class that ``x`` has at run time."""
    value = e.settle(value)
    assert isinstance(owner.owner, IRValue)

    def act(v: IRValue, t: T.ClassType) -> Sugared:
        assign_attribute(e, PythonObject(python_class(t)), name, value)
        return Constant(None)

    under_each(e, owner.owner, lambda c: c, act)


def _assign_to_one_of(e: Emitter, owner: IRValue, name: str, value: Sugared) -> None:
    """Assign to an attribute of a value of several types; AttributeError for None."""
    value = e.settle(value)
    if isinstance(owner.type, T.OptionalType):
        assign_attribute(e, not_none(e, owner, name), name, value)
        return

    def store(v: Sugared) -> Sugared:
        assign_attribute(e, v, name, value)
        return Constant(None)

    split(e, owner, store)


def delete_attribute(e: Emitter, owner: Sugared, name: str) -> None:
    """``del owner.name``."""
    if isinstance(owner, ModuleValue):
        module_state.delete_attribute(e, owner, name)
    elif isinstance(owner, IRValue) and instance_type(owner) is not None:
        delete_member(e, owner, name)
    else:
        e.not_built(f"`del` of an attribute of {owner.describe()} is")
    e.env.forget_attributes(name)
    e.epoch += 1


def assign_subscript(e: Emitter, container: Sugared, index: Sugared, value: Sugared) -> None:
    """``container[index] = value``."""
    t = e.type_of(container)
    if not isinstance(t, (T.ListType, T.DictType, T.DequeType)):
        value = e.settle(value)
    if t == T.TENSOR:
        if isinstance(value, IRValue) and isinstance(value.type, T.UnionType):
            split(e, value, lambda v: _stored(e, container, index, v))
            return
        calls.assign_subscript(
            e.builder, e.value(container), operand(e, index), operand(e, value), e.span
        )
        return
    if T.is_instance_type(t):
        e.unit.dunders.assign_subscript(e, container, index, value)
        return
    if isinstance(container, ModuleValue):
        e.call_positional(e.attribute(container, "__setitem__"), index, value)
        return
    if isinstance(container, IRValue) and isinstance(t, T.ListType):
        _store_list(e, container.value, index, value)
        return
    if isinstance(container, IRValue) and isinstance(t, T.DictType):
        key, item = e.value(index, t.key), e.value(value, t.value)
        admit(e, container.value, key.type, item.type)
        e.builder.op_node("dict::setitem", [container.value, key, item])
        return
    if isinstance(container, IRValue) and isinstance(t, (T.UnionType, T.OptionalType)):
        if isinstance(t, T.OptionalType):
            e.fail("SM0205", "assignment to an item of a value that may be None",
                   help="test it first: `if x is not None:`")  # fmt: skip
        assert len(members(t)) > 1

        def store(v: Sugared) -> Sugared:
            assign_subscript(e, v, index, value)
            return Constant(None)

        split(e, container, store)
        return
    if isinstance(container, IRValue) and isinstance(t, T.DequeType):
        item = e.value(value, t.element)
        admit(e, container.value, item.type)
        place = index_value(e, index, "a deque's index")
        e.builder.op_node("deque::setitem", [container.value, place, item])
        return
    if isinstance(container, (ListDisplay, DictDisplay)):
        if container.captured is not None:
            e.value(container)
        e.unit.build_display(e, container)
    e.fail_type(f"items of {container.describe()} cannot be assigned")


def _stored(e: Emitter, container: Sugared, index: Sugared, value: Sugared) -> Sugared:
    assign_subscript(e, container, index, value)
    return Constant(None)


def _store_list(e: Emitter, container: Value, index: Sugared, value: Sugared) -> None:
    element = container.type.contained[0]
    if isinstance(index, SliceValue):
        whole = e.value(as_built_list(e, value), container.type)
        if whole.type != container.type:
            admit(e, container, whole.type.contained[0])
            admit(e, whole, element)
        bounds = slice_bounds(e, index)
        e.builder.op_node("list::setslice", [container, *bounds, whole])
        return
    place = index_value(e, index, "a list index")
    item = e.value(value, element)
    admit(e, container, item.type)
    e.builder.op_node("list::setitem", [container, place, item])


def slice_bounds(e: Emitter, index: SliceValue) -> list[Value]:
    """Start, stop and step as ints or None."""
    found = []
    for part in index.parts():
        t = e.type_of(part)
        if t == T.NONE or isinstance(t, T.OptionalType):
            found.append(e.value_of_type(part, T.optional_of(T.INT), "a slice bound"))
        else:
            found.append(index_value(e, part, "a slice bound"))
    return found


def delete_subscript(e: Emitter, container: Sugared, index: Sugared) -> None:
    """``del container[index]``."""
    t = e.type_of(container)
    if isinstance(container, (ListDisplay, DictDisplay)):
        if container.captured is not None:
            e.value(container)
        e.unit.build_display(e, container)
        e.fail_type(f"items of {container.describe()} cannot be deleted")
    if isinstance(container, ModuleValue):
        e.call_positional(e.attribute(container, "__delitem__"), index)
        return
    built = e.value(container)
    if T.is_instance_type(t):
        e.unit.dunders.delete_subscript(e, container, index)
    elif isinstance(t, T.ListType):
        if isinstance(index, SliceValue):
            e.builder.op_node("list::delslice", [built, *slice_bounds(e, index)])
        else:
            place = index_value(e, index, "a list index")
            e.builder.op_node("list::delitem", [built, place])
    elif isinstance(t, T.DequeType):
        place = index_value(e, index, "a deque's index")
        e.builder.op_node("deque::delitem", [built, place])
    elif isinstance(t, T.CounterType):
        e.unit.delete_count(e, built, e.value_of_type(index, t.key, "the key"))
    elif isinstance(t, T.DictType):
        key = dict_key(e, built, index)
        e.builder.op_node("dict::delitem", [built, key])
    else:
        e.fail_type(f"items of {container.describe()} cannot be deleted")
