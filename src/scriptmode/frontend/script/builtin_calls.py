"""Calls of Python's builtins and of ``math``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NoReturn

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.comparisons import compare
from scriptmode.frontend.script.conditions import (
    is_type,
    truth,
    truth_sugared,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch, choose, narrow, when
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import (
    as_built_list,
    cursor_of,
    items_of,
    unpack,
)
from scriptmode.frontend.script.loops import run_cursor, unrollable
from scriptmode.frontend.script.operators import (
    as_list,
    as_var_tuple,
    binary,
    is_sequence,
    is_tensor,
    tuple_items,
    unary,
)
from scriptmode.frontend.script.raising import raise_new
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    GeneratorValue,
    IRValue,
    IterableValue,
    ListDisplay,
    ModuleValue,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
    is_iterator,
    reading,
)
from scriptmode.ir import types as T

# containers and iteration


@OBJECT_CALLS(len)
def _len(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, Constant) and isinstance(value.value, str):
        return Constant(len(value.value))
    return e.unit.length(e, value)


@OBJECT_CALLS(range)
def _range(e: Emitter, given: Arguments) -> Sugared:
    parts = given.positional
    if given.keywords or not 1 <= len(parts) <= 3:
        e.fail_type("range takes 1 to 3 arguments")
    if len(parts) == 1:
        return IterableValue("range", (Constant(0), parts[0], Constant(1)))
    step = parts[2] if len(parts) == 3 else Constant(1)
    if e.type_of(step) == T.INT and not (isinstance(step, Constant) and step.value):
        is_zero = e.builder.op("int::eq", e.value(step), e.int_constant(0))
        e.unit.raise_when(e, is_zero, ValueError, "range() arg 3 must not be zero")
    return IterableValue("range", (parts[0], parts[1], step))


@OBJECT_CALLS(enumerate)
def _enumerate(e: Emitter, given: Arguments) -> Sugared:
    iterable, start = take(e, given, "iterable", "start", required=1)
    assert iterable is not None
    return IterableValue("enumerate", (e.settle(iterable), start or Constant(0)))


@OBJECT_CALLS(zip)
def _zip(e: Emitter, given: Arguments) -> Sugared:
    strict = given.keywords.get("strict", Constant(False))
    if not isinstance(strict, Constant):
        e.not_built("zip() with a variable `strict` is")
    kind = "strict zip" if strict.value else "zip"
    # a loop over modules is unrolled: a display beside them stays one
    keep = (
        unrollable if any(isinstance(a, ModuleValue) for a in given.positional) else Emitter.settle
    )
    return IterableValue(kind, tuple(keep(e, a) for a in given.positional))


@OBJECT_CALLS(reversed)
def _reversed(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if is_tensor(e, value):
        return e.call_positional(e.attribute(value, "__reversed__"))
    return IterableValue("reversed", (e.settle(value),))


@OBJECT_CALLS(map)
def _map(e: Emitter, given: Arguments) -> Sugared:
    arguments = (given.positional[0], *map(e.settle, given.positional[1:]))
    return e.unit.lazily(e, IterableValue("map", arguments))


@OBJECT_CALLS(filter)
def _filter(e: Emitter, given: Arguments) -> Sugared:
    function, iterable = given.positional
    return e.unit.lazily(e, IterableValue("filter", (function, e.settle(iterable))))


@OBJECT_CALLS(list)
def _list(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return ListDisplay((), site=given.node)
    value = one(e, given)
    built = as_built_list(e, value)
    if isinstance(built, ListDisplay):
        return ListDisplay(built.items, site=given.node)
    return built


@OBJECT_CALLS(tuple)
def _tuple(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return TupleDisplay(())
    value = one(e, given)
    items = items_of(e, value)
    if items is not None:
        return TupleDisplay(tuple(items))
    if e.type_of(value) == T.SIZE:
        return IRValue(as_var_tuple(e, as_list(e, e.value(value))))
    if isinstance(e.type_of(value), T.VarTupleType):
        return value
    return IRValue(as_var_tuple(e, e.value(as_built_list(e, value))))


@OBJECT_CALLS(dict)
def _dict(e: Emitter, given: Arguments) -> Sugared:
    named = DictDisplay(
        tuple(Constant(k) for k in given.keywords), tuple(given.keywords.values()), given.node
    )
    if not given.positional:
        return named
    value = reading(given.positional[0])
    if isinstance(e.type_of(value), T.DictType):
        result: Sugared = e.op("dict::plain", e.value(value))
    else:
        items = items_of(e, value)
        if items is not None:
            known = [unpack(e, i, 2, None) for i in items]
            keys, values = tuple(p[0] for p in known), tuple(p[1] for p in known)
            result = DictDisplay(keys, values, given.node)
            if not given.keywords:
                return result
        else:
            result = _dict_of_pairs(e, value, given)
    return binary(e, "or", result, named, in_place=True) if given.keywords else result


def _dict_of_pairs(e: Emitter, value: Sugared, given: Arguments) -> Sugared:
    def fill(store: Callable[[Sugared, Sugared], None]) -> None:
        def body(item: Sugared) -> None:
            key, value = unpack(e, item, 2, None)
            store(key, value)

        run_cursor(e, cursor_of(e, value), [], body)

    return e.unit.collected_dict(e, fill, given.node)


@OBJECT_CALLS(slice)
def _slice(e: Emitter, given: Arguments) -> Sugared:
    return e.unit.slice_value(given.positional)


@OBJECT_CALLS(iter)
def _iter(e: Emitter, given: Arguments) -> Sugared:
    if len(given.positional) == 2:
        return e.unit.called(e, given)
    return IterableValue("iter", (one(e, given),))


def stop_iteration(e: Emitter, returned: Sugared) -> NoReturn:
    """Raise what ``next`` raises at the end of a generator that has ``returned`` a value."""
    if not (isinstance(returned, Constant) and returned.value is None):

        def give() -> None:
            raise_new(e, StopIteration, Arguments([returned], {}))

        branch(e, is_type(e, e.value(returned), [T.NONE]), lambda: None, give)
    e.raise_error(StopIteration, None)


@OBJECT_CALLS(next)
def _next(e: Emitter, given: Arguments) -> Sugared:
    iterator, default = take(e, given, "iterator", "default", required=1)
    assert iterator is not None

    def ended(returned: Sugared) -> Sugared:
        return stop_iteration(e, returned) if default is None else default

    iterator = e.unit.in_turn(e, iterator)
    if isinstance(iterator, (IterableValue, GeneratorValue)):  # consumed here only
        items = items_of(e, iterator)
        if items is not None:
            return items[0] if items else ended(Constant(None))
        iterator = e.unit.kept(e, iterator)
    return e.unit.pull(e, iterator, ended)


# reductions


def _reduce(
    e: Emitter, items: Sugared, start: Sugared, step: Callable[[Sugared, Sugared], Sugared]
) -> Sugared:
    """Fold over the elements in order."""
    known = items_of(e, items)
    if known is not None:
        result = start
        for item in known:
            result = step(result, item)
        return result
    name = "%accumulator"
    outer = e.env.names.get(name)
    e.env.bind(name, start)

    def body(item: Sugared) -> None:
        changed = step(e.env.names[name], item)  # may replace e.env
        e.env.bind(name, changed)

    run_cursor(e, cursor_of(e, items), [name], body)
    result = e.env.names[name]
    if outer is None:
        e.env.unbind(name)
    else:
        e.env.bind(name, outer)
    return result


def reduced(
    e: Emitter, items: Sugared, start: Sugared | None, step: Callable[[Sugared, Sugared], Sugared]
) -> Sugared:
    """``functools.reduce``: the first element is the start when there is none."""
    items = e.unit.in_turn(e, items)
    if start is not None:
        return _reduce(e, items, e.settle(start), step)
    message = "reduce() of empty iterable with no initial value"
    if is_iterator(items):
        first = e.unit.pull(e, items, lambda _: e.raise_error(TypeError, message))
        return _reduce(e, items, e.settle(first), step)
    known = items_of(e, items)
    if known is not None:
        if not known:
            e.raise_error(TypeError, message)
        return functools.reduce(step, known)
    whole = e.settle(as_built_list(e, items))
    empty = unary(e, "not", truth_sugared(e, whole))
    when(e, e.value(empty), lambda: e.raise_error(TypeError, message))
    rest = e.subscript(whole, SliceValue(Constant(1), Constant(None), Constant(None)))
    return _reduce(e, rest, e.subscript(whole, Constant(0)), step)


@OBJECT_CALLS(sum)
def _sum(e: Emitter, given: Arguments) -> Sugared:
    iterable, start = take(e, given, "iterable", "start", required=1)
    assert iterable is not None
    t = e.type_of(iterable)
    if start is None and t == T.ListType([T.INT]):
        return e.op("list::sum_int", e.value(iterable))
    if start is not None and e.type_of(start) in (T.STR, T.BYTES):
        kind, joined = ("strings", "''") if e.type_of(start) == T.STR else ("bytes", "b''")
        e.raise_error(TypeError, f"sum() can't sum {kind} [use {joined}.join(seq) instead]")
    return _reduce(e, iterable, start or Constant(0), lambda a, b: binary(e, "add", a, b))


def _exists(e: Emitter, given: Arguments, wanted: bool) -> Sugared:
    """Whether some element's truth is ``wanted``, looked at in order until one is."""
    value = one(e, given)
    if isinstance(value, GeneratorValue):
        return e.unit.exists(e, value, wanted)
    value = e.unit.in_turn(e, value)
    known = items_of(e, value)
    if known is not None:
        return _exists_among(e, list(known), wanted)
    if is_tensor(e, value):
        value = e.call_positional(e.attribute(value, "unbind"), Constant(0))
    name = "%found"
    e.env.bind(name, Constant(False))

    def body(item: Sugared) -> None:
        outcome = truth_sugared(e, item)
        hit = outcome if wanted else unary(e, "not", outcome)
        e.env.bind(name, hit)
        e.unit.break_if(e, hit)

    run_cursor(e, cursor_of(e, value), [name], body)
    result = e.env.names[name]
    e.env.unbind(name)
    return result if wanted else unary(e, "not", result)


def _exists_among(e: Emitter, items: list[Sugared], wanted: bool) -> Sugared:
    if not items:
        return Constant(not wanted)
    outcome = truth(e, items[0])
    if isinstance(outcome, bool):
        return Constant(wanted) if outcome is wanted else _exists_among(e, items[1:], wanted)
    stop, more = (lambda: Constant(wanted)), (lambda: _exists_among(e, items[1:], wanted))
    return choose(e, outcome, *((stop, more) if wanted else (more, stop)))


@OBJECT_CALLS(any)
def _any(e: Emitter, given: Arguments) -> Sugared:
    return _exists(e, given, True)


@OBJECT_CALLS(all)
def _all(e: Emitter, given: Arguments) -> Sugared:
    return _exists(e, given, False)


try:
    max(())
except ValueError as _error:
    _EMPTY = str(_error).replace("max", "{}")


def _extreme(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    """``min`` or ``max``: the first of the extreme elements."""

    def run(e: Emitter, given: Arguments) -> Sugared:
        key = given.keywords.get("key")
        if set(given.keywords) - {"key", "default"}:
            e.fail_type(f"unexpected keyword argument of {name}()")
        if len(given.positional) > 1:
            return _best(e, name, TupleDisplay(tuple(given.positional)), key, None)
        iterable = given.positional[0]
        if isinstance(iterable, GeneratorValue):
            iterable = as_built_list(e, iterable)
        iterable = e.settle(iterable)
        if is_tensor(e, iterable):
            iterable = e.call_positional(e.attribute(iterable, "unbind"), Constant(0))
        return _best(e, name, iterable, key, given.keywords.get("default"))

    return run


_BEST = {"min": script_library.least_by, "max": script_library.greatest_by}
_BEST_OF_SOME = {"min": script_library.least_by_some, "max": script_library.greatest_by_some}


def _known(e: Emitter, key: Sugared) -> Sugared:
    """A key that is compared: not None."""
    t = e.type_of(key)
    if not isinstance(t, T.OptionalType):
        return key
    missing = e.builder.node("prim::is_none", [e.value(key)], [T.BOOL]).output
    message = "a comparison is not supported with None"
    when(e, missing, lambda: e.raise_error(TypeError, message))
    return narrow(e, key, t.element)


def _best_of(e: Emitter, operator: str, items: Sequence[Sugared], key: Sugared | None) -> Sugared:
    """The first of the extreme items of a display; each item's key is made once."""

    def with_key(item: Sugared) -> TupleDisplay:
        return TupleDisplay((item, item if key is None else e.call_positional(key, item)))

    def better(best: TupleDisplay, new: TupleDisplay) -> TupleDisplay:
        keys = [p.items[1] if key is None else _known(e, p.items[1]) for p in (new, best)]
        outcome = truth(e, compare(e, operator, *keys))
        if isinstance(outcome, bool):
            return new if outcome else best
        if key is None:
            return TupleDisplay(
                (choose(e, outcome, lambda: new.items[0], lambda: best.items[0]),) * 2
            )
        chosen = choose(e, outcome, lambda: new, lambda: best)
        return TupleDisplay(tuple_items(e, chosen) or ())

    return functools.reduce(better, (with_key(i) for i in items)).items[0]


def _best(
    e: Emitter, name: str, items: Sugared, key: Sugared | None, default: Sugared | None
) -> Sugared:
    operator = "lt" if name == "min" else "gt"
    has_key = key is not None and e.type_of(key) != T.NONE

    def better(best: Sugared, item: Sugared) -> Sugared:
        outcome = truth(e, compare(e, operator, item, best))
        if isinstance(outcome, bool):
            return item if outcome else best
        return choose(e, outcome, lambda: item, lambda: best)

    known = items_of(e, items)
    if known is not None:
        if not known:
            return default or e.raise_error(ValueError, _EMPTY.format(name))
        return _best_of(e, operator, known, key if has_key else None)
    whole = as_built_list(e, items) if isinstance(items, IterableValue) else items
    whole = IRValue(as_list(e, e.value(whole))) if is_sequence(e.type_of(whole)) else IRValue(
        e.value(as_built_list(e, whole))
    )  # fmt: skip
    empty = unary(e, "not", truth_sugared(e, whole))

    def fold() -> Sugared:
        if key is not None and has_key:
            keys = e.unit.sort_keys(e, e.value(whole), key)
            several = isinstance(keys.type.contained[0], T.OptionalType)
            functions = _BEST_OF_SOME if several else _BEST
            return e.call_positional(PythonObject(functions[name]), whole, IRValue(keys))
        return _reduce(e, whole, e.subscript(whole, Constant(0)), better)

    if default is not None:
        return choose(e, e.value(empty), lambda: default, fold)
    when(
        e, e.value(empty),
        lambda: e.raise_error(ValueError, _EMPTY.format(name)),
    )  # fmt: skip
    return fold()


OBJECT_CALLS(min)(_extreme("min"))
OBJECT_CALLS(max)(_extreme("max"))


@OBJECT_CALLS(sorted)
def _sorted(e: Emitter, given: Arguments) -> Sugared:
    if len(given.positional) != 1 or set(given.keywords) - {"key", "reverse"}:
        e.fail_type("sorted() takes one iterable, and `key` and `reverse` by name")
    built = IRValue(e.value(as_built_list(e, given.positional[0])))
    e.unit.sort(e, built.value, given.keywords)
    return built
