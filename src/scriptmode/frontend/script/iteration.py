"""Iteration: what a ``for``, a comprehension or an unpacking sees of a value.

``items_of`` gives the elements of a value whose length is known; ``cursor_of`` a ``Cursor`` that
reaches the elements by index in a Loop.  A list is asked for its length before each element, as
Python does, and a dict refuses to be changed meanwhile.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scriptmode.frontend.methods import NESTED_NUMBERS
from scriptmode.frontend.script.conditions import members, split, truth
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import flags_of, iterated_flags, own_method, plain
from scriptmode.frontend.script.flow import branch, choose_value, discard_after, when
from scriptmode.frontend.script.instances import instance_type
from scriptmode.frontend.script.operators import as_list, is_sequence, tuple_items
from scriptmode.frontend.script.turns import is_asked_in_turn, runs_code
from scriptmode.frontend.script.values import (
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    ModuleChoice,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
    is_iterator,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_MOST_UNROLLED_RANGE = 256


@dataclass
class Cursor:
    """Elements by index.

    ``trips`` bounds the number of elements; ``more(i)``, where there is one, says whether element
    ``i`` exists and is asked before each, once.  ``pull(i)``, of an iterator, takes the next
    element and leaves the loop when there is none; the other fields are not used then.
    """

    element: Callable[[Value], Sugared]
    trips: Value | None = None
    more: Callable[[Value], Value] | None = None
    pull: Callable[[Value], Sugared] | None = None
    keeps: Callable[[Sugared], bool | Value] | None = None  # of a filter: which elements it gives


def items_of(e: Emitter, value: Sugared) -> Sequence[Sugared] | None:
    """The elements of a value whose length is known at compile time."""
    match value:
        case TupleDisplay(items=items) | ListDisplay(items=items):
            return items
        case DictDisplay(keys=keys):
            return keys
        case ModuleValue():
            return e.unit.module_items(e, value)
        case Constant(value=enum.Flag()):
            return iterated_flags(e, value)
        case Constant(value=str(text)):
            return [Constant(c) for c in text]
        case PythonObject(object=obj):
            return e.unit.object_items(e, obj)
        case IterableValue():
            return _iterable_items(e, value)
        case GeneratorValue():
            return e.unit.generated_items(e, value)
    return tuple_items(e, value)


def constant_range(value: Sugared) -> list[Sugared] | None:
    """Elements of a range of constants, for a loop that must be unrolled."""
    if isinstance(value, IterableValue) and value.kind == "range":
        bounds = [p.value for p in value.arguments if isinstance(p, Constant)]
        if len(bounds) == 3 and all(type(b) is int for b in bounds) and bounds[2]:
            found = range(*bounds)
            if len(found) <= _MOST_UNROLLED_RANGE:
                return [Constant(i) for i in found]
    if isinstance(value, IterableValue) and value.kind == "enumerate":
        inner, start = constant_range(value.arguments[0]), value.arguments[1]
        if inner is not None and isinstance(start, Constant):
            return [TupleDisplay((Constant(start.value + i), v)) for i, v in enumerate(inner)]
    return None


def _iterable_items(e: Emitter, value: IterableValue) -> Sequence[Sugared] | None:
    arguments = value.arguments
    if value.kind == "range":
        return None
    if value.kind == "enumerate":
        inner, start = items_of(e, arguments[0]), arguments[1]
        if inner is None or not isinstance(start, Constant):
            return None
        first = start.value
        return [TupleDisplay((Constant(first + i), v)) for i, v in enumerate(inner)]
    if value.kind in ("zip", "map") and len(arguments) > 1 and any(map(runs_code, arguments)):
        return None  # not one column after the other
    if value.kind in ("zip", "strict zip"):
        columns = [items_of(e, a) for a in arguments]
        if any(isinstance(i, ModuleValue) for c in columns for i in c or ()):
            columns = [
                c if c is not None else constant_range(a)
                for c, a in zip(columns, arguments, strict=True)
            ]
        known = [c for c in columns if c is not None]
        if len(known) < len(columns) or not columns:
            return [] if not columns else None
        if value.kind == "strict zip" and len({len(c) for c in known}) > 1:
            return None
        return [TupleDisplay(row) for row in zip(*known, strict=False)]
    if value.kind == "reversed":
        inner = items_of(e, arguments[0])
        return None if inner is None else list(reversed(inner))
    if value.kind == "map":
        columns = [items_of(e, a) for a in arguments[1:]]
        known = [c for c in columns if c is not None]
        if len(known) < len(columns):
            return None
        return [e.call_positional(arguments[0], *row) for row in zip(*known, strict=False)]
    owner = arguments[0]
    if value.kind in ("generator", "iter"):
        return items_of(e, owner)
    if isinstance(owner, DictDisplay):
        if value.kind == "keys":
            return owner.keys
        if value.kind == "values":
            return owner.values
        if value.kind == "items":
            return [TupleDisplay(p) for p in zip(owner.keys, owner.values, strict=True)]
    return None


def check_listed(e: Emitter, t: T.Type) -> None:
    """Refuse to look into what ``tolist`` gives, of which the type is not known."""
    if t == NESTED_NUMBERS:
        e.fail_type(
            "what the list of a tensor holds depends on its dtype and number of dimensions",
            help="say it: `rows: List[List[float]] = x.tolist()`",
        )


def cursor_of(e: Emitter, value: Sugared) -> Cursor:
    """Elements of a value by index."""
    if is_iterator(value):
        return Cursor(lambda i: value, pull=lambda i: e.unit.next_or_leave(e, value))
    view = view_of_several(e, value)
    if view is not None:
        return cursor_of(e, e.unit.iterator_over_several(e, view))
    if isinstance(value, IterableValue):
        found = _iterable_cursor(e, value)
        if found is not None:
            return found
    items = items_of(e, value)
    modules = tuple(i for i in items or () if isinstance(i, ModuleValue))
    if modules and len(modules) == len(items or ()):
        return Cursor(lambda i: ModuleChoice(modules, e.lift(i)), e.int_constant(len(modules)))
    if items is not None:
        value = _as_indexable(e, items)
    elif isinstance(value, GeneratorValue):
        return cursor_of(e, e.unit.kept(e, value))
    elif instance_type(value) is not None or own_method(e, value, "__iter__") is not None:
        iterator = e.unit.iterator_of(e, value)
        return Cursor(lambda i: iterator, pull=lambda i: e.unit.next_or_leave(e, iterator))
    t = e.type_of(value)
    if t is None:
        e.fail_type(f"{value.describe()} cannot be iterated over")
    return _value_cursor(e, e.value(value), t)


def view_of_several(e: Emitter, value: Sugared) -> IterableValue | None:
    """``value`` if it is a view of a dict that may be of one of several types."""
    if not isinstance(value, IterableValue) or value.kind not in ("keys", "values", "items"):
        return None
    t = e.type_of(value.arguments[0])
    return value if t is not None and len(members(t)) > 1 else None


def split_view(e: Emitter, view: IterableValue, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on a view of a dict under each of its possible types, merged."""
    owner = view.arguments[0]
    assert isinstance(owner, IRValue)
    return split(e, owner, lambda part: act(IterableValue(view.kind, (part,))))


def _as_indexable(e: Emitter, items: Sequence[Sugared]) -> Sugared:
    display = ListDisplay(tuple(items))
    if e.type_of(display) is None:
        e.fail_type("values of these kinds can be iterated over only where the loop is unrolled")
    return display


def _value_cursor(e: Emitter, value: Value, t: T.Type) -> Cursor:
    if t == T.STR:
        return Cursor(lambda i: e.op("str::getitem", value, i), e.builder.op("str::len", value))
    if t == T.TENSOR:
        e.builder.op("tensor::len", value)  # a TypeError for a 0-dim tensor
        parts = e.call_positional(e.attribute(IRValue(value), "unbind"), Constant(0))
        slices = as_list(e, e.value(parts))
        return Cursor(lambda i: e.op("list::getitem", slices, i), e.builder.op("list::len", slices))
    iterator = native_iterator(e, IRValue(value))
    if iterator is not None:
        return iterator_cursor(e, iterator)
    if is_sequence(t):
        whole = as_list(e, value)
        if isinstance(t, T.ListType):
            return Cursor(
                lambda i: e.lift(e.builder.op("list::getitem", whole, i)),
                None,
                lambda i: e.builder.op("int::lt", i, e.builder.op("list::len", whole)),
            )
        return Cursor(
            lambda i: e.lift(e.builder.op("list::getitem", whole, i)),
            e.builder.op("list::len", whole),
        )
    if isinstance(t, T.OptionalType):
        e.fail("SM0205", "a value that may be None cannot be iterated over",
               help="test it first: `if x is not None:`")  # fmt: skip
    several = _sequence_of_several(e, value)
    if several is not None:
        return several
    flags = flags_of(e, IRValue(value))
    if flags is not None:
        return cursor_of(e, flags)
    check_listed(e, t)
    if len(members(t)) > 1:
        return cursor_of(e, e.unit.iterator_over_several(e, IRValue(value)))
    e.fail_type(f"a value of type {t} cannot be iterated over")


def _sequence_of_several(e: Emitter, value: Value) -> Cursor | None:
    """The elements of what may be one of several types of sequences; None for other values."""
    whole = one_sequence(e, IRValue(value))
    if whole is None:
        return None
    if len(members(whole.type)) == 1:
        return cursor_of(e, whole)

    def more(index: Value) -> Value:
        return e.builder.op("int::lt", index, e.value(length_of(e, whole)))

    def item(index: Value) -> Sugared:
        return split(e, whole, lambda v: e.subscript(v, IRValue(index)))

    return Cursor(item, None, more)


def one_sequence(e: Emitter, value: Sugared) -> IRValue | None:
    """A value that may be one of several types of sequences, tuples as lists; None for others."""
    t = e.type_of(value)
    if t is None or len(members(t)) == 1 or not isinstance(value, IRValue):
        return None
    if any(isinstance(m, T.ChoiceType) for m in members(t)):
        return None
    if not all(is_sequence(m) or isinstance(m, T.TupleType) for m in members(t)):
        return None

    def as_one(part: Sugared) -> Sugared:
        items = tuple_items(e, part)
        if items is not None:
            return IRValue(e.value(ListDisplay(items)))
        return IRValue(as_list(e, e.value(part)))

    found = split(e, value, as_one)
    return found if isinstance(found, IRValue) else None


def iterator_cursor(e: Emitter, iterator: Value) -> Cursor:
    """The elements of an iterator that nothing else holds."""
    return Cursor(
        lambda i: e.lift(e.builder.op("iterator::current", iterator)),
        None,
        lambda i: e.builder.op("iterator::advance", iterator),
    )


def native_iterator(e: Emitter, value: Sugared) -> Value | None:
    """An iterator over a dict, a view of one, a set, a deque or bytes; None for other values."""
    if isinstance(value, IterableValue):
        owner = value.arguments[0] if value.arguments else value
        if value.kind == "reversed":
            return reversed_iterator(e, owner)
        is_view = value.kind in ("keys", "values", "items")
        if not is_view or not isinstance(e.type_of(owner), T.DictType):
            return None
        return e.builder.op(f"dict::iter_{value.kind}", e.value(owner))
    t = e.type_of(value)
    if isinstance(value, DictDisplay) or t is None:
        return None
    if isinstance(t, T.DictType):
        return e.builder.op("dict::iter_keys", e.value(value))
    for kind, name in ((T.SetType, "set"), (T.DequeType, "deque")):
        if isinstance(t, kind):
            return e.builder.op(f"{name}::iter", e.value(value))
    return e.builder.op("bytes::iter", e.value(value)) if t == T.BYTES else None


def reversed_iterator(e: Emitter, value: Sugared) -> Value | None:
    """``reversed(value)`` of a list, a dict, a view of one or a deque; None for other values."""
    t = e.type_of(value)
    if isinstance(value, IterableValue):
        if value.kind in ("keys", "values", "items"):
            return e.builder.op(f"dict::reversed_{value.kind}", e.value(value.arguments[0]))
        if value.kind != "range":
            e.raise_error(TypeError, f"'{value.kind}' object is not reversible")
    if isinstance(value, (DictDisplay, ListDisplay)):
        return None
    if isinstance(t, T.DictType):
        return e.builder.op("dict::reversed_keys", e.value(value))
    if isinstance(t, T.DequeType):
        return e.builder.op("deque::reversed", e.value(value))
    if isinstance(t, T.SetType):
        e.raise_error(TypeError, "'set' object is not reversible")
    return e.builder.op("list::reversed", e.value(value)) if isinstance(t, T.ListType) else None


def range_bounds(e: Emitter, value: IterableValue) -> tuple[Value, Value, Value]:
    """Start, stop and step of a range."""
    found = []
    for part in value.arguments:
        found.append(index_value(e, part, "an argument of range"))
    return found[0], found[1], found[2]


def index_value(e: Emitter, value: Sugared, what: str) -> Value:
    """An int where Python takes anything with ``__index__``."""
    built = e.value(plain(e, value))
    if built.type == T.INT:
        return built
    if built.type == T.BOOL:
        return e.builder.op("bool::int", built)
    if built.type == T.TENSOR:
        return e.builder.op("tensor::index", built)
    if T.is_instance_type(built.type):
        return e.value(e.unit.dunders.integer(e, value, what))
    if isinstance(built.type, T.UnionType) and T.TENSOR in built.type.contained:
        found = split(e, IRValue(built), lambda v: IRValue(index_value(e, v, what)))
        return e.value(found)
    if built.type == T.NUMBER or isinstance(built.type, T.UnionType):
        return e.builder.node("prim::checked_cast", [built], [T.INT]).output
    e.fail_type(f"{what} must be int, not {built.type}")


def _range_cursor(e: Emitter, value: IterableValue) -> Cursor:
    start, stop, step = range_bounds(e, value)
    trips = range_length(e, value, start, stop, step)
    if isinstance(value.arguments[2], Constant) and value.arguments[2].value == 1:
        if isinstance(value.arguments[0], Constant) and value.arguments[0].value == 0:
            return Cursor(lambda i: IRValue(i), trips)
    return Cursor(lambda i: e.op("range::item", start, stop, step, i), trips)


def range_length(e: Emitter, value: IterableValue, start: Value, stop: Value, step: Value) -> Value:
    """Number of elements of a range; it may be negative for an empty one."""
    known = value.arguments[2]
    if isinstance(known, Constant):
        if int(known.value) == 0:
            e.raise_error(ValueError, "range() arg 3 must not be zero")
        if known.value == 1 and isinstance(value.arguments[0], Constant):
            if value.arguments[0].value == 0:
                return stop
    return e.builder.op("range::length", start, stop, step)


def _iterable_cursor(e: Emitter, value: IterableValue) -> Cursor | None:
    arguments = value.arguments
    match value.kind:
        case "range":
            return _range_cursor(e, value)
        case "enumerate":
            inner = unfiltered_cursor_of(e, arguments[0])
            start = index_value(e, arguments[1], "the start of enumerate")

            def pair(i: Value) -> Sugared:
                known = isinstance(arguments[1], Constant) and arguments[1].value == 0
                number = IRValue(i) if known else e.op("int::add", start, i)
                return TupleDisplay((number, (inner.pull or inner.element)(i)))

            if inner.pull is not None:
                return Cursor(pair, pull=pair)
            return Cursor(pair, inner.trips, inner.more)
        case "zip" | "strict zip":
            return _zip_cursor(e, arguments, strict=value.kind == "strict zip")
        case "reversed":
            return _reversed_cursor(e, arguments[0])
        case "map":
            inner = _zip_cursor(e, arguments[1:])

            def mapped(i: Value) -> Sugared:
                row = (inner.pull or inner.element)(i)
                assert isinstance(row, TupleDisplay)
                return e.call_positional(arguments[0], *row.items)

            if inner.pull is not None:
                return Cursor(mapped, pull=mapped)
            return Cursor(mapped, inner.trips, inner.more)
        case "filter":
            inner = cursor_of(e, arguments[1])
            return dataclasses.replace(inner, keeps=lambda item: _keeps(e, arguments[0], item))
        case "generator" | "iter":
            return cursor_of(e, arguments[0])
        case "keys" | "values" | "items":
            t = e.type_of(arguments[0])
            if isinstance(t, T.DictType) and not isinstance(arguments[0], DictDisplay):
                iterator = native_iterator(e, value)
                assert iterator is not None
                return iterator_cursor(e, iterator)
    return None


def _keeps(e: Emitter, function: Sugared, item: Sugared) -> bool | Value:
    """Whether ``filter(function, ...)`` gives an element."""
    is_none = isinstance(function, Constant) and function.value is None
    return truth(e, item if is_none else e.call_positional(function, item))


def unfiltered_cursor_of(e: Emitter, value: Sugared) -> Cursor:
    """Elements of a value by index, where each must count."""
    if isinstance(value, IterableValue) and value.kind in ("filter", "iter"):
        value = e.unit.kept(e, value)
    return cursor_of(e, value)


def _zip_cursor(e: Emitter, arguments: Sequence[Sugared], *, strict: bool = False) -> Cursor:
    if len(arguments) > 1 and not strict:
        arguments = [e.unit.in_turn(e, a) for a in arguments]
    inner = [unfiltered_cursor_of(e, a) for a in arguments]
    if any(c.pull is not None for c in inner):
        if strict:
            e.not_built("zip(strict=True) of iterators is", help="make lists of them first")

        def row(i: Value) -> Sugared:
            return TupleDisplay(tuple(_pulled(e, c, i) for c in inner))

        return Cursor(row, pull=row)
    if strict:
        return Cursor(
            lambda i: TupleDisplay(tuple(c.element(i) for c in inner)),
            None,
            lambda i: _strict_more(e, inner, i),
        )
    trips: Value | None = None
    for cursor in inner:
        if cursor.trips is not None:
            trips = cursor.trips if trips is None else minimum(e, trips, cursor.trips)
    conditions = [c.more for c in inner if c.more is not None]

    def more(i: Value) -> Value:
        result = conditions[0](i)
        for condition in conditions[1:]:
            result = e.builder.op("bool::and", result, condition(i))
        return result

    return Cursor(
        lambda i: TupleDisplay(tuple(c.element(i) for c in inner)),
        trips,
        more if conditions else None,
    )


def _pulled(e: Emitter, cursor: Cursor, i: Value) -> Sugared:
    """Element ``i`` of one of several cursors; leaves the loop when there is none."""
    if cursor.pull is not None:
        return cursor.pull(i)
    if cursor.trips is not None:
        e.unit.break_if(e, e.op("int::ge", i, cursor.trips))
    if cursor.more is not None:
        e.unit.break_if(e, e.op("bool::not", cursor.more(i)))
    return cursor.element(i)


def minimum(e: Emitter, a: Value, b: Value) -> Value:
    """The smaller of two ints."""
    less = e.builder.op("int::lt", b, a)
    return choose_value(e, less, lambda: IRValue(b), lambda: IRValue(a))


def _strict_more(e: Emitter, inner: Sequence[Cursor], i: Value) -> Value:
    """Whether all go on; ValueError when only some do."""

    def goes_on(cursor: Cursor) -> Value:
        if cursor.more is not None:
            return cursor.more(i)
        assert cursor.trips is not None
        return e.builder.op("int::lt", i, cursor.trips)

    first = goes_on(inner[0])
    for number, cursor in enumerate(inner[1:], 2):
        other = goes_on(cursor)
        for shorter, longer, word in ((other, first, "shorter"), (first, other, "longer")):
            ended = e.builder.op("bool::and", longer, e.builder.op("bool::not", shorter))
            message = f"zip() argument {number} is {word} than argument 1"
            when(e, ended, functools.partial(e.raise_error, ValueError, message))
    return first


def _reversed_cursor(e: Emitter, value: Sugared) -> Cursor:
    if isinstance(value, IterableValue) and value.kind != "range":
        items = items_of(e, value)
        if items is not None:
            return cursor_of(e, ListDisplay(tuple(reversed(items))))
    iterator = reversed_iterator(e, value)
    if iterator is not None:
        return iterator_cursor(e, iterator)
    inner = cursor_of(e, value)
    length = e.value(length_of(e, value))

    def element(i: Value) -> Sugared:
        last = e.builder.op("int::sub", length, e.int_constant(1))
        return inner.element(e.builder.op("int::sub", last, i))

    return Cursor(element, length)


def length_of(e: Emitter, value: Sugared) -> Sugared:
    """``len(value)``."""
    items = None if isinstance(value, IterableValue) else items_of(e, value)
    if items is not None:
        return Constant(len(items))
    if isinstance(value, IterableValue):
        if value.kind == "range":
            trips = range_length(e, value, *range_bounds(e, value))
            zero = e.int_constant(0)
            return IRValue(
                choose_value(
                    e,
                    e.builder.op("int::lt", trips, zero),
                    lambda: Constant(0),
                    lambda: IRValue(trips),
                )
            )
        if value.kind in ("keys", "values", "items"):
            return length_of(e, value.arguments[0])
        e.fail_type(f"{value.describe()} has no len()")
    flags = flags_of(e, value)
    if flags is not None:
        return length_of(e, flags)
    value = plain(e, value)
    t = e.type_of(value)
    if t is None:
        e.fail_type(f"{value.describe()} has no len()")
    if T.is_instance_type(t):
        asked: Sugared = e.unit.dunders.length(e, value)
        return asked
    built = e.value(value)
    if t in (T.STR, T.BYTES):
        return e.op(f"{t}::len", built)
    if isinstance(t, T.SetType):
        return e.op("set::len", built)
    if isinstance(t, T.DequeType):
        return e.op("list::len", e.builder.op("deque::as_list", built))
    if t == T.TENSOR:
        return e.op("tensor::len", built)
    if isinstance(t, T.DictType):
        return e.op("dict::len", built)
    if is_sequence(t):
        return e.op("list::len", as_list(e, built))
    if isinstance(t, T.OptionalType):
        e.fail("SM0205", "len() of a value that may be None",
               help="test it first: `if x is not None:`")  # fmt: skip
    check_listed(e, t)
    if isinstance(value, IRValue) and isinstance(t, T.UnionType):
        return split(e, value, lambda v: length_of(e, v))
    e.fail_type(f"a value of type {t} has no len()")


def as_built_list(e: Emitter, value: Sugared) -> Sugared:
    """``list(value)``: a new list."""
    items = items_of(e, value)
    if items is not None:
        return ListDisplay(tuple(items))
    view = view_of_several(e, value)
    if view is not None:
        return split_view(e, view, lambda part: as_built_list(e, part))
    if isinstance(value, IterableValue):
        if value.kind == "range":
            return e.op("list::range", *range_bounds(e, value))
        if value.kind in ("keys", "values"):
            return e.op(f"dict::{value.kind}", e.value(value.arguments[0]))
    elif isinstance(value, IRValue):
        t = value.type
        if t == T.STR:
            return e.op("str::list", value.value)
        if isinstance(t, T.DictType):
            return e.op("dict::keys", value.value)
        if isinstance(t, (T.SetType, T.DequeType)):
            return e.op("set::list" if isinstance(t, T.SetType) else "deque::list", value.value)
        if is_sequence(t):
            return e.op("list::copy", as_list(e, value.value))
    if isinstance(value, GeneratorValue):
        return e.unit.generated(e, value)
    return e.unit.collect(e, value)


def unpack(e: Emitter, value: Sugared, count: int, star: int | None) -> list[Sugared]:
    """Elements for ``count`` targets, of which number ``star`` takes a list of the rest."""
    mark, env = e.builder.block.last, e.env.copy()
    items = items_of(e, value)
    if items is not None:
        if star is not None or len(items) <= count + 1 or not runs_code(value):
            return _unpack_items(e, list(items), count, star)
        discard_after(e, mark)  # Python does not ask for what is behind the one too many
        e.env = env
    if star is None and is_asked_in_turn(e, value):
        value = e.unit.first_items(e, value, count + 1)
    t = e.type_of(value)
    if (
        t == T.TENSOR
        or t == T.STR
        or isinstance(value, (IterableValue, GeneratorValue))
        or is_asked_in_turn(e, value)
        or isinstance(t, (T.DictType, T.SetType, T.DequeType))
        or t == T.BYTES
    ):
        value = as_built_list(e, value)
        if isinstance(value, ListDisplay):
            return _unpack_items(e, list(value.items), count, star)
        t = e.type_of(value)
    if t is None or not is_sequence(t):
        e.fail_type(f"{value.describe()} cannot be unpacked")
    whole = as_list(e, e.value(value))
    length = e.builder.op("list::len", whole)
    fixed = count - (star is not None)
    _check_length(e, length, fixed, exact=star is None)
    found: list[Sugared] = []
    for index in range(count):
        if index == star:
            stop = e.builder.op("int::sub", length, e.int_constant(count - 1 - index))
            none = e.builder.constant(None)
            found.append(e.op("list::slice", whole, e.int_constant(index), stop, none))
        else:
            place = index if star is None or index < star else index - count
            found.append(e.lift(e.builder.op("list::getitem", whole, e.int_constant(place))))
    return found


def _check_length(e: Emitter, length: Value, fixed: int, *, exact: bool) -> None:
    expected = e.int_constant(fixed)
    text = "" if exact else "at least "
    few = e.builder.op("int::lt", length, expected)

    def too_few() -> None:
        got = e.builder.op("int::str", length)
        head = e.builder.constant(f"not enough values to unpack (expected {text}{fixed}, got ")
        whole = e.builder.op("str::concat", head, got)
        e.raise_error(ValueError, e.builder.op("str::concat", whole, e.builder.constant(")")))

    when(e, few, too_few)
    if exact:
        many = e.builder.op("int::gt", length, expected)
        when(
            e, many,
            lambda: e.raise_error(ValueError, f"too many values to unpack (expected {fixed})"),
        )  # fmt: skip


def _unpack_items(e: Emitter, items: list[Sugared], count: int, star: int | None) -> list[Sugared]:
    if star is None:
        if len(items) < count:
            e.raise_error(
                ValueError,
                f"not enough values to unpack (expected {count}, got {len(items)})",
            )
        if len(items) > count:
            e.raise_error(ValueError, f"too many values to unpack (expected {count})")
        return items
    after = count - 1 - star
    if len(items) < count - 1:
        e.raise_error(
            ValueError,
            f"not enough values to unpack (expected at least {count - 1}, got {len(items)})",
        )
    middle = ListDisplay(tuple(items[star : len(items) - after]))
    return [*items[:star], middle, *items[len(items) - after :]]


__all__ = [
    "Cursor", "as_built_list", "branch", "cursor_of", "index_value", "items_of", "length_of",
    "minimum", "range_bounds", "range_length", "truth", "unpack",
]  # fmt: skip
