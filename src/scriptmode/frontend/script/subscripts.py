"""Subscripts that are read."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import replace

import torch

from scriptmode.frontend import calls
from scriptmode.frontend.script import bytestrings, default_factories, dict_classes
from scriptmode.frontend.script.comparisons import equal
from scriptmode.frontend.script.conditions import members, split, truth
from scriptmode.frontend.script.dict_methods import dict_key
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.enums import enum_attribute, own_method, plain
from scriptmode.frontend.script.flow import choose, choose_value, when
from scriptmode.frontend.script.handlers import ATTRIBUTES, SUBSCRIPTS, Table
from scriptmode.frontend.script.iteration import check_listed, index_value
from scriptmode.frontend.script.operands import operand
from scriptmode.frontend.script.operators import (
    as_list,
    as_var_tuple,
    is_sequence,
    tuple_items,
)
from scriptmode.frontend.script.stores import slice_bounds
from scriptmode.frontend.script.values import (
    BuiltinMethod,
    Constant,
    DictDisplay,
    IRValue,
    ListDisplay,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
    reading,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

METHODS = Table("METHODS")  # (kind of type, name) -> (e, owner, arguments) -> Sugared

_PYTHON_TYPES: dict[T.Type, type] = {
    T.STR: str, T.INT: int, T.FLOAT: float, T.BOOL: bool, T.COMPLEX: complex, T.SIZE: torch.Size,
    T.DTYPE: torch.dtype, T.DEVICE: torch.device,
}  # fmt: skip


@SUBSCRIPTS(IRValue)
def _value_subscript(e: Emitter, value: IRValue, index: Sugared) -> Sugared:
    t = value.type
    if t == T.TENSOR:
        return e.lift(calls.subscript(e.builder, value.value, operand(e, index), e.span))
    if t == T.STR:
        if isinstance(index, SliceValue):
            return e.op("str::slice", value.value, *slice_bounds(e, index))
        return e.op("str::getitem", value.value, index_value(e, index, "a string index"))
    if t == T.BYTES:
        return bytestrings.subscript(e, value.value, index)
    if isinstance(t, T.DefaultDictType):
        return default_factories.missing(e, value.value, index)
    if isinstance(t, T.CounterType):
        return dict_classes.counted(e, value.value, index)
    if isinstance(t, T.DequeType):
        place = index_value(e, index, "a deque's index")
        return e.lift(e.builder.op("deque::getitem", value.value, place))
    if isinstance(t, T.DictType):
        return e.lift(e.builder.op("dict::getitem", value.value, dict_key(e, value.value, index)))
    if isinstance(t, T.ChoiceType):
        result: Sugared = e.unit.by_member(e, value.value, lambda v: e.subscript(v, index))
        return result
    if isinstance(t, T.TupleType):
        return _subscript_items(e, tuple_items(e, value) or (), index)
    if is_sequence(t):
        return _sequence_subscript(e, value.value, index)
    own = own_method(e, value, "__getitem__") if isinstance(t, T.EnumType) else None
    if own is not None:
        return e.call_positional(own, index)
    if isinstance(t, T.EnumType) and plain(e, value) is not value:
        return e.subscript(plain(e, value), index)
    if T.is_instance_type(t):
        asked: Sugared = e.unit.dunders.subscript(e, value, index)
        return asked
    if isinstance(t, T.OptionalType):
        e.fail("SM0205", "a subscript of a value that may be None",
               help="test it first: `if x is not None:`")  # fmt: skip
    check_listed(e, t)
    if len(members(t)) > 1:
        return split(e, value, lambda v: e.subscript(v, index))
    e.fail_type(f"a value of type {t} cannot be subscripted")


def _sequence_subscript(e: Emitter, value: Value, index: Sugared) -> Sugared:
    whole = as_list(e, value)
    if not isinstance(index, SliceValue):
        place = index_value(e, index, "a list index")
        return e.lift(e.builder.op("list::getitem", whole, place))
    part = e.builder.op("list::slice", whole, *slice_bounds(e, index))
    if value.type == T.SIZE:
        return e.op("size::from_list", part)
    return IRValue(part if isinstance(value.type, T.ListType) else as_var_tuple(e, part))


@SUBSCRIPTS(TupleDisplay)
def _tuple_subscript(e: Emitter, value: TupleDisplay, index: Sugared) -> Sugared:
    return _subscript_items(e, value.items, index)


def _hand_out(e: Emitter, value: ListDisplay | DictDisplay) -> None:
    """A container inside a captured one is chosen at run time, perhaps to be changed."""
    inner = value.items if isinstance(value, ListDisplay) else value.values
    if value.captured is not None and not e.is_reading:
        if any(isinstance(i, (ListDisplay, DictDisplay)) for i in inner):
            e.unit.make_run_time(e, value)


def _is_copied(e: Emitter, value: ListDisplay) -> bool:
    """Whether a slice of a captured list is a list of run-time values."""
    return value.captured is not None and e.type_of(reading(value)) is not None


@SUBSCRIPTS(ListDisplay)
def _list_subscript(e: Emitter, value: ListDisplay, index: Sugared) -> Sugared:
    if isinstance(index, SliceValue) and value.frozen and not _is_copied(e, value):
        bounds = _constant_slice(index)
        if bounds is not None:
            return ListDisplay(value.items[bounds], frozen=True)
    if isinstance(index, Constant) and isinstance(index.value, int):
        return _subscript_items(e, value.items, index)
    if isinstance(index, SliceValue):
        copy = reading(value)
        if isinstance(copy, ListDisplay) and copy is not value:
            copy = replace(copy, site=("sliced", e.span))
        return e.subscript(IRValue(e.value(copy)), index)
    _hand_out(e, value)
    return _subscript_items(e, value.items, index)


@SUBSCRIPTS(DictDisplay)
def _dict_subscript(e: Emitter, value: DictDisplay, index: Sugared) -> Sugared:
    if isinstance(index, Constant) and value.has_constant_keys:
        found = value.find(index.value)
        if found is None:
            e.raise_error(KeyError, str(index.value))
        return found
    if all(e.type_of(v) is None for v in value.values):
        return _chosen_by_key(e, value, index, 0)
    _hand_out(e, value)
    return e.subscript(IRValue(e.value(reading(value))), index)


def _chosen_by_key(e: Emitter, value: DictDisplay, key: Sugared, first: int) -> Sugared:
    """A function from a dict of known functions, by a key known at run time only."""
    if first == len(value.keys):
        return e.subscript(IRValue(e.value(reading(value))), key)  # a KeyError
    same = truth(e, equal(e, value.keys[first], key))
    if isinstance(same, bool):
        return value.values[first] if same else _chosen_by_key(e, value, key, first + 1)
    return choose(
        e, same, lambda: value.values[first], lambda: _chosen_by_key(e, value, key, first + 1)
    )


def _chosen_by_index(e: Emitter, items: Sequence[Sugared], index: Sugared) -> Sugared:
    """One of known functions, by an index known at run time only."""
    place = index_value(e, index, "an index")
    count, zero = e.int_constant(len(items)), e.int_constant(0)
    negative = e.builder.op("int::lt", place, zero)
    number = choose_value(
        e, negative, lambda: e.op("int::add", place, count), lambda: IRValue(place)
    )
    below = e.builder.op("int::lt", number, zero)
    above = e.builder.op("int::ge", number, count)
    when(
        e, e.builder.op("bool::or", below, above),
        lambda: e.raise_error(IndexError, "list index out of range"),
    )  # fmt: skip

    def pick(first: int) -> Sugared:
        if first == len(items) - 1:
            return items[first]
        here = e.builder.op("int::eq", number, e.int_constant(first))
        return choose(e, here, lambda: items[first], lambda: pick(first + 1))

    return pick(0)


def _constant_slice(index: SliceValue) -> slice | None:
    parts = [p.value for p in index.parts() if isinstance(p, Constant)]
    return slice(*parts) if len(parts) == 3 else None


def _subscript_items(e: Emitter, items: tuple[Sugared, ...], index: Sugared) -> Sugared:
    if isinstance(index, SliceValue):
        bounds = _constant_slice(index)
        if bounds is not None:
            return TupleDisplay(items[bounds])
        display = ListDisplay(items)
        part = e.subscript(IRValue(e.value(display)), index)
        return IRValue(as_var_tuple(e, e.value(part)))
    if isinstance(index, Constant) and isinstance(index.value, int):
        if not -len(items) <= index.value < len(items):
            e.raise_error(IndexError, "tuple index out of range")
        return items[index.value]
    if not items:
        e.raise_error(IndexError, "tuple index out of range")
    if all(isinstance(i, PythonObject) or e.type_of(i) is None for i in items):
        if all(e.unit.is_choosable(i) for i in items):
            return _chosen_by_index(e, items, index)
        e.fail("SM0211", "these values can be chosen only by an index known at compile time",
               error=NeedsConstant)  # fmt: skip
    if e.is_reading:
        items = tuple(map(reading, items))
    return e.subscript(IRValue(e.value(ListDisplay(items))), index)


@SUBSCRIPTS(Constant)
def _constant_subscript(e: Emitter, value: Constant, index: Sugared) -> Sugared:
    if isinstance(value.value, enum.Enum):
        return e.subscript(plain(e, value), index)
    if isinstance(value.value, bytes):
        return bytestrings.subscript(e, e.value(value), index)
    if not isinstance(value.value, str):
        e.fail_type(f"{value.describe()} cannot be subscripted")
    if isinstance(index, SliceValue):
        bounds = _constant_slice(index)
        if bounds is not None:
            return Constant(value.value[bounds])
    elif isinstance(index, Constant) and isinstance(index.value, int):
        if -len(value.value) <= index.value < len(value.value):
            return Constant(value.value[index.value])
    return e.subscript(IRValue(e.value(value)), index)


@ATTRIBUTES(Constant)
def _constant_attribute(e: Emitter, value: Constant, name: str) -> Sugared | None:
    if value.value is None:
        return None
    t = e.type_of(value)
    if isinstance(t, T.EnumType):
        return enum_attribute(e, value, t, name)
    found = getattr(value.value, name, None)
    if found is None and not hasattr(value.value, name):
        return None
    if isinstance(value.value, (str, bytes, int, float, complex)) and callable(found):
        return BuiltinMethod(value, name)
    return e.unit.wrap(e, found, name)
