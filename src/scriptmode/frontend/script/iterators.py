"""Iterators: values that give their elements one by one and remember where they are.

``iterator_of`` makes one of anything that can be iterated over; ``pull`` takes its next element.
A generator is its own iterator; dicts, sets and deques have iterators of the native library;
sequences and ranges get an ``IteratorObject``, whose place lives in a list of one int; ``zip``,
``map`` and the like are generators of ``iterator_library``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.enums import flags_of
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.functions import call_function, call_local, genexpr_function
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.instances import instance_type
from scriptmode.frontend.script.iteration import (
    cursor_of,
    items_of,
    native_iterator,
    one_sequence,
    range_bounds,
    range_length,
    split_view,
    view_of_several,
)
from scriptmode.frontend.script.object_iterators import (
    has_next,
    next_of_object,
    object_iterator,
)
from scriptmode.frontend.script.operators import as_list, is_sequence
from scriptmode.frontend.script.shapes import shape_of
from scriptmode.frontend.script.turns import runs_code
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorObject,
    GeneratorValue,
    IRValue,
    IterableValue,
    IteratorObject,
    StarredList,
    Sugared,
    TupleDisplay,
    is_native_iterator,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops.scalars import INT_MAX

Found = Callable[[Sugared], Sugared]
Ended = Callable[[Sugared], Sugared]  # takes what a generator has returned

_LIBRARY: dict[str, Callable[..., Any]] = {
    "zip": library.zipped, "strict zip": library.zipped_strictly, "map": library.mapped,
    "enumerate": library.enumerated,
}  # fmt: skip


def _yielded(e: Emitter, answer: Value, t: T.Type) -> Sugared:
    """What a generator has yielded."""
    if t == T.NEVER:
        e.raise_error(SystemError, "a generator without a yield that is reached has yielded")
    return e.lift(e.builder.cast(e.builder.tuple_index(answer, 1), t))


def iterator_of(e: Emitter, value: Sugared) -> Sugared:
    """``iter(value)``."""
    match value:
        case GeneratorObject() | IteratorObject():
            return value
        case GeneratorValue():
            function = genexpr_function(e, value)
            e.unit.check_escaping(e, function)
            return call_local(e, function, Arguments([value.iterable], {}))
        case IterableValue(kind="iter" | "generator"):
            return iterator_of(e, value.arguments[0])
        case IterableValue(kind=kind) if kind in _LIBRARY:
            return call_library(e, _LIBRARY[kind], _begun(e, kind, value.arguments))
        case IterableValue(kind="filter", arguments=(function, iterable)):
            begun = begin(e, iterable)
            if isinstance(function, Constant) and function.value is None:
                return call_library(e, library.filtered_by_truth, Arguments([begun], {}))
            return call_library(e, library.filtered, Arguments([function, begun], {}))
        case IterableValue(kind="range"):
            return _range(e, value)
        case IRValue() if isinstance(value.type, T.IteratorType):
            return value
        case IRValue() if isinstance(value.type, T.ChoiceType):
            return e.unit.by_member(e, value.value, lambda v: iterator_of(e, v))
    view = view_of_several(e, value)
    if view is not None:
        return iterator_over_several(e, view)
    made = object_iterator(e, value)
    if made is not None:  # an iterator is not asked for its own once more
        return made if has_next(e, made) else iterator_of(e, made)
    if instance_type(value) is not None:
        e.fail_type(
            f"{value.describe()} cannot be iterated over", help="define `__iter__` in its class"
        )
    native = native_iterator(e, value)
    if native is not None:
        return IRValue(native)
    if isinstance(value, IterableValue) and value.kind == "reversed":
        return iterator_of(e, e.unit.built_list(e, value))
    items = items_of(e, value)
    t = e.type_of(value)
    if items is not None and (t is None or not is_sequence(t)):
        return _items(e, items)
    if t == T.STR:
        value = e.op("str::list", e.value(value))
        t = value.type
    elif t == T.TENSOR:
        value = e.call_positional(e.attribute(value, "__iter__"))
        return iterator_of(e, value)
    several = one_sequence(e, value)
    if several is not None:
        return iterator_of(e, several) if is_sequence(several.type) else call_library(
            e, library.sequence, Arguments([several], {})
        )  # fmt: skip
    flags = flags_of(e, value)
    if flags is not None:
        return iterator_of(e, flags)
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        return iterator_over_several(e, value)
    if not is_sequence(t):
        cursor_of(e, value)  # reports what cannot be iterated over
        e.fail_type(f"{value.describe()} has no iterator")
    return IteratorObject("sequence", (IRValue(as_list(e, e.value(value))), _place(e)))


def begin(e: Emitter, iterable: Sugared) -> Sugared:
    """``iter(iterable)`` for an iterator of the library, which asks for it when it is made."""
    if isinstance(iterable, StarredList):
        return iterable
    return e.settle(iterator_of(e, iterable))


def _begun(e: Emitter, kind: str, arguments: Sequence[Sugared]) -> Arguments:
    """The arguments of a function of ``_LIBRARY`` with iterators in place of iterables."""
    if kind == "map":
        return Arguments([arguments[0], *(begin(e, a) for a in arguments[1:])], {})
    if kind == "enumerate":
        return Arguments([begin(e, arguments[0]), *arguments[1:]], {})
    return Arguments([begin(e, a) for a in arguments], {})


def iterator_over_several(e: Emitter, value: IRValue | IterableValue) -> Sugared:
    """``iter(value)`` of what may be one of several types, or is a view of such a dict."""

    def one(part: Sugared) -> Sugared:
        found = iterator_of(e, part)
        if not isinstance(found, IteratorObject):
            return found
        # those of different types meet as generators only
        return call_library(e, library.passed_on, Arguments([found], {}))

    return split(e, value, one) if isinstance(value, IRValue) else split_view(e, value, one)


def as_generator(e: Emitter, iterator: Sugared) -> Sugared:
    """An iterator as one of the kinds that a choice holds."""
    if not is_native_iterator(iterator):
        return iterator
    return call_library(e, library.passed_on, Arguments([iterator], {}))


def call_library(e: Emitter, function: Callable[..., Any], given: Arguments) -> Sugared:
    """Call a function of ``iterator_library``."""
    assert isinstance(function, types.FunctionType)
    return call_function(e, function, given)


@OBJECT_CALLS(library.pull)
def _pull_or_return(e: Emitter, given: Arguments) -> Sugared:
    """The next element; the generator that asks returns when there is none."""

    def ended(returned: Sugared) -> Sugared:
        e.unit.finish(e, Constant(None))
        raise DeadCode

    return pull(e, given.positional[0], lambda found: found, ended)


def _place(e: Emitter) -> Sugared:
    return IRValue(e.builder.list([e.int_constant(0)], T.INT))


def _items(e: Emitter, items: Sequence[Sugared]) -> Sugared:
    """Over elements whose number is known."""
    kinds = {repr(shape_of(e, i, general=True)) for i in items}
    if len(kinds) == 1 and all(e.type_of(i) is not None for i in items):
        built = [e.value(i) for i in items]
        whole = e.builder.list(built, built[0].type)
        return IteratorObject("sequence", (IRValue(whole), _place(e)))
    return IteratorObject("items", (TupleDisplay(tuple(items)), _place(e)))


def _range(e: Emitter, value: IterableValue) -> Sugared:
    start, stop, step = range_bounds(e, value)
    trips = range_length(e, value, start, stop, step)
    return IteratorObject("range", (IRValue(start), IRValue(step), IRValue(trips), _place(e)))


def answered(
    e: Emitter, answer: tuple[Value, Value, T.Type], found: Found, ended: Ended
) -> Sugared:
    """``found`` of what a generator has yielded, or ``ended`` of what it has returned."""
    out, has, t = answer
    return choose(
        e, has,
        lambda: found(_yielded(e, out, t)),
        lambda: ended(e.lift(e.builder.tuple_index(out, 2))),
    )  # fmt: skip


def pull(e: Emitter, iterator: Sugared, found: Found, ended: Ended) -> Sugared:
    """``found`` of the next element, or ``ended``; the merge of their results."""
    if isinstance(iterator, IRValue) and isinstance(iterator.type, T.ChoiceType):
        result: Sugared = e.unit.by_member(
            e, iterator.value, lambda member: pull(e, member, found, ended)
        )
        return result
    if isinstance(iterator, IRValue) and isinstance(iterator.type, T.IteratorType):
        native = iterator.value
        return choose(
            e, e.builder.op("iterator::advance", native),
            lambda: found(e.lift(e.builder.op("iterator::current", native))),
            lambda: ended(Constant(None)),
        )  # fmt: skip
    if isinstance(iterator, GeneratorObject):
        return answered(e, e.unit.resume(e, iterator), found, ended)
    if instance_type(iterator) is not None:
        return next_of_object(e, iterator, found, ended)
    if not isinstance(iterator, IteratorObject):
        e.fail_type(f"{iterator.describe()} is not an iterator", help="call iter() of it first")
    if iterator.kind == "items" and not iterator.arguments[0].parts():
        return ended(Constant(None))
    probe = _PROBES[iterator.kind](e, iterator.arguments)

    def at_end() -> Sugared:
        _move(e, probe.place, e.int_constant(INT_MAX))  # it stays exhausted
        return ended(Constant(None))

    def go_on() -> Sugared:
        item = probe.item()
        _move(e, probe.place, e.builder.op("int::add", probe.index, e.int_constant(1)))
        return found(item)

    return choose(e, probe.has, go_on, at_end)


@dataclass
class _Probe:
    """A look at an iterator's next element."""

    place: Value
    index: Value
    has: Value
    item: Callable[[], Sugared]


def _move(e: Emitter, place: Value, index: Value) -> None:
    e.builder.op_node("list::setitem", [place, e.int_constant(0), index])


def _index(e: Emitter, place: Sugared) -> tuple[Value, Value]:
    built = e.value(place)
    return built, e.builder.op("list::getitem", built, e.int_constant(0))


def _probe_sequence(e: Emitter, parts: Sequence[Sugared]) -> _Probe:
    whole = e.value(parts[0])
    place, index = _index(e, parts[1])
    has = e.builder.op("int::lt", index, e.builder.op("list::len", whole))
    return _Probe(place, index, has, lambda: e.lift(e.builder.op("list::getitem", whole, index)))


def _probe_items(e: Emitter, parts: Sequence[Sugared]) -> _Probe:
    items = parts[0].parts()
    place, index = _index(e, parts[1])
    has = e.builder.op("int::lt", index, e.int_constant(len(items)))

    def pick(first: int) -> Sugared:
        if first == len(items) - 1:
            return items[first]
        here = e.builder.op("int::eq", index, e.int_constant(first))
        return choose(e, here, lambda: items[first], lambda: pick(first + 1))

    return _Probe(place, index, has, lambda: pick(0))


def _probe_range(e: Emitter, parts: Sequence[Sugared]) -> _Probe:
    start, step, trips = (e.value(p) for p in parts[:3])
    place, index = _index(e, parts[3])
    has = e.builder.op("int::lt", index, trips)
    op = e.builder.op
    return _Probe(
        place, index, has, lambda: IRValue(op("int::add", start, op("int::mul", index, step)))
    )


_PROBES: dict[str, Callable[[Emitter, Sequence[Sugared]], _Probe]] = {
    "sequence": _probe_sequence,
    "items": _probe_items,
    "range": _probe_range,
}


def in_turn(e: Emitter, value: Sugared) -> Sugared:
    """An iterable whose elements run code of the user: an iterator, so that it runs in turn."""
    return kept(e, value) if runs_code(value) else value


def kept(e: Emitter, value: Sugared) -> Sugared:
    """A value that a variable keeps: what can be consumed once only becomes an iterator."""
    if isinstance(value, GeneratorValue):
        return iterator_of(e, value)
    if isinstance(value, TupleDisplay):
        return value.with_parts([kept(e, item) for item in value.items])
    if isinstance(value, IterableValue) and value.kind in (
        "iter",
        "filter",
        "generator",
        *_LIBRARY,
    ):
        return iterator_of(e, value)
    if isinstance(value, IterableValue) and value.kind == "reversed":
        return iterator_of(e, value)
    return value
