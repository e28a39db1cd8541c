"""Calls of ``itertools``: generators of ``iterator_library``, or displays where all is known."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import combinatorics, shared_iterators
from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import discard_after
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.iterators import begin, call_library, iterator_of, kept, pull
from scriptmode.frontend.script.shapes import shape_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorValue,
    IRValue,
    IterableValue,
    PythonObject,
    StarredList,
    Sugared,
    TupleDisplay,
    is_iterator,
)
from scriptmode.ir import types as T

_SAME_PARAMETERS: dict[Any, Callable[..., Any]] = {
    itertools.count: library.count, itertools.cycle: library.cycle,
    itertools.takewhile: library.takewhile, itertools.dropwhile: library.dropwhile,
    itertools.starmap: library.starmap,
    itertools.pairwise: library.pairwise, itertools.compress: library.compress,
}  # fmt: skip


_WITHOUT_ITERABLES = (library.count,)
_SECOND = (library.takewhile, library.dropwhile, library.starmap)  # the iterable comes second


def _call(own: Callable[..., Any], e: Emitter, given: Arguments) -> Sugared:
    if own in _WITHOUT_ITERABLES or given.keywords:
        return call_library(e, own, given)
    first = 1 if own in _SECOND else 0
    begun = [p if i < first else begin(e, p) for i, p in enumerate(given.positional)]
    return call_library(e, own, Arguments(begun, {}, given.node))


def _pool(e: Emitter, iterable: Sugared) -> Sugared:
    """What is chosen from, read when the iterator is made."""
    return e.call_positional(PythonObject(list), iterable)


def _size(e: Emitter, size: Sugared) -> Sugared:
    return e.call_positional(PythonObject(combinatorics.checked_size), size)


def _enter() -> None:
    for function, own in _SAME_PARAMETERS.items():
        OBJECT_CALLS(function)(functools.partial(_call, own))


_enter()


@OBJECT_CALLS(itertools.repeat)
def _repeat(e: Emitter, given: Arguments) -> Sugared:
    value, times = take(e, given, "object", "times", required=1)
    assert value is not None
    value = e.settle(value)  # each item is the same object
    if times is None:
        return call_library(e, library.repeat, Arguments([value], {}))
    if isinstance(times, Constant) and isinstance(times.value, int) and times.value <= 16:
        return IterableValue("iter", (TupleDisplay((value,) * times.value),))
    return call_library(e, library.repeat_times, Arguments([value, times], {}))


@OBJECT_CALLS(itertools.chain)
def _chain(e: Emitter, given: Arguments) -> Sugared:
    lazy = (IterableValue, GeneratorValue, StarredList)
    if not any(isinstance(p, lazy) or is_iterator(p) for p in given.positional):
        parts = [items_of(e, p) for p in given.positional]
        if all(p is not None for p in parts):
            known = [i for p in parts if p is not None for i in p]
            return IterableValue("iter", (TupleDisplay(tuple(known)),))
    if len(given.positional) == 1 and isinstance(given.positional[0], StarredList):
        return _chain_from(e, Arguments([given.positional[0].value], {}, given.node))
    iterables = [e.settle(kept(e, p)) for p in given.positional]
    if len({repr(shape_of(e, i, general=True)) for i in iterables}) <= 1:
        return call_library(e, library.chain, Arguments(iterables, {}))
    return functools.reduce(
        lambda a, b: call_library(e, library.chain_two, Arguments([a, b], {})), iterables
    )


def _chain_from(e: Emitter, given: Arguments) -> Sugared:
    return call_library(e, library.chain_from, given)


@OBJECT_CALLS(itertools.islice)
def _islice(e: Emitter, given: Arguments) -> Sugared:
    iterable, *bounds = given.positional
    if len(bounds) == 1:
        bounds = [Constant(0), bounds[0]]
    start, stop, step = (*bounds, Constant(1))[:3]
    start = Constant(0) if isinstance(start, Constant) and start.value is None else start
    step = Constant(1) if isinstance(step, Constant) and step.value is None else step
    check = library.check_stop if len(given.positional) == 2 else library.check_indices
    e.call_positional(PythonObject(check), start, stop, step)
    begun = begin(e, iterable)
    return call_library(e, library.islice, Arguments([begun, start, stop, step], {}))


@OBJECT_CALLS(itertools.filterfalse)
def _filterfalse(e: Emitter, given: Arguments) -> Sugared:
    predicate, iterable = take(e, given, "function", "iterable", required=2)
    assert predicate is not None and iterable is not None
    if _is_none(predicate):
        predicate = PythonObject(bool)
    return call_library(e, library.filterfalse, Arguments([predicate, begin(e, iterable)], {}))


@OBJECT_CALLS(itertools.accumulate)
def _accumulate(e: Emitter, given: Arguments) -> Sugared:
    iterable, function, initial = take(e, given, "iterable", "func", "initial", required=1)
    assert iterable is not None
    if function is None or (isinstance(function, Constant) and function.value is None):
        function = PythonObject(operator.add)
    iterable = begin(e, iterable)
    if initial is None or (isinstance(initial, Constant) and initial.value is None):
        return call_library(e, library.accumulate, Arguments([iterable, function], {}))
    return call_library(e, library.accumulate_from, Arguments([iterable, function, initial], {}))


@OBJECT_CALLS(itertools.product)
def _product(e: Emitter, given: Arguments) -> Sugared:
    if any(isinstance(p, StarredList) for p in given.positional):
        e.not_built("itertools.product of a number of iterables known at run time only is")
    repeat = given.keywords.get("repeat", Constant(1))
    if len(given.positional) == 1 and "repeat" in given.keywords:
        times = e.call_positional(PythonObject(combinatorics.checked_repeat), repeat)
        pool = _pool(e, given.positional[0])
        return call_library(e, combinatorics.power, Arguments([pool, times], {}))
    if not isinstance(repeat, Constant) or type(repeat.value) is not int:
        e.not_built("itertools.product with `repeat` known at run time only is")
    if repeat.value < 0:
        e.raise_error(ValueError, "repeat argument cannot be negative")
    pools = [_pool(e, p) for p in given.positional] * repeat.value
    if not pools:
        return IterableValue("iter", (TupleDisplay((TupleDisplay(()),)),))
    made = call_library(e, library.product1, Arguments([pools[0]], {}))
    if len(pools) in _PRODUCTS:
        return call_library(e, _PRODUCTS[len(pools)], Arguments(pools, {}))
    for pool in pools[1:]:
        made = call_library(e, library.product_with, Arguments([made, pool], {}))
    return made


_PRODUCTS: dict[int, Callable[..., Any]] = {
    1: library.product1, 2: library.product, 3: library.product3,
}  # fmt: skip


_COMBINATIONS: dict[int, Callable[..., Any]] = {
    1: library.product1, 2: library.combinations2, 3: library.combinations3,
}  # fmt: skip


@OBJECT_CALLS(itertools.combinations)
def _combinations(e: Emitter, given: Arguments) -> Sugared:
    iterable, size = take(e, given, "iterable", "r", required=2)
    assert iterable is not None
    if not isinstance(size, Constant) or size.value not in (1, 2, 3):
        assert size is not None
        pool = _pool(e, iterable)
        both = [pool, _size(e, size)]
        return call_library(e, combinatorics.combinations, Arguments(both, {}))
    return call_library(e, _COMBINATIONS[size.value], Arguments([_pool(e, iterable)], {}))


@OBJECT_CALLS(itertools.zip_longest)
def _zip_longest(e: Emitter, given: Arguments) -> Sugared:
    fill = given.keywords.get("fillvalue", Constant(None))
    if any(isinstance(p, StarredList) for p in given.positional):
        e.not_built("itertools.zip_longest of a number of iterables known at run time only is")
    if not given.positional:
        return IterableValue("iter", (TupleDisplay(()),))
    begun = [begin(e, p) for p in given.positional]
    if len(begun) == 2:
        return call_library(e, library.zip_longest, Arguments([*begun, fill], {}))
    return call_library(e, library.zipped_to_longest, Arguments([fill, *begun], {}))


@OBJECT_CALLS(itertools.permutations)
def _permutations(e: Emitter, given: Arguments) -> Sugared:
    iterable, size = take(e, given, "iterable", "r", required=1)
    assert iterable is not None
    pool = _pool(e, iterable)
    if size is None or _is_none(size):
        size = e.call_positional(PythonObject(len), pool)
    elif T.is_optional(e.type_of(size) or T.INT):
        size = e.call_positional(PythonObject(combinatorics.size_or_all), pool, size)
    both = [pool, _size(e, size)]
    return call_library(e, combinatorics.permutations, Arguments(both, {}))


@OBJECT_CALLS(itertools.combinations_with_replacement)
def _with_replacement(e: Emitter, given: Arguments) -> Sugared:
    iterable, size = take(e, given, "iterable", "r", required=2)
    assert iterable is not None and size is not None
    both = [_pool(e, iterable), _size(e, size)]
    return call_library(e, combinatorics.combinations_with_replacement, Arguments(both, {}))


@OBJECT_CALLS(itertools.groupby)
def _groupby(e: Emitter, given: Arguments) -> Sugared:
    iterable, key = take(e, given, "iterable", "key", required=1)
    assert iterable is not None
    if key is None or _is_none(key):
        key = PythonObject(shared_iterators.identity)
    return call_library(e, shared_iterators.grouped, Arguments([iterable, key], {}))


@OBJECT_CALLS(itertools.tee)
def _tee(e: Emitter, given: Arguments) -> Sugared:
    iterable, count = take(e, given, "iterable", "n", required=1)
    assert iterable is not None
    if count is None:
        count = Constant(2)
    if not isinstance(count, Constant) or type(count.value) is not int:
        e.not_built("itertools.tee into a number of iterators known at run time only is")
    if count.value < 0:
        e.raise_error(ValueError, "n must be >= 0")
    iterator = e.settle(iterator_of(e, iterable))
    t = T.DequeType([_item_type(e, iterator)])
    no_limit = e.int_constant(-1)
    made = [e.builder.node("deque::new", [no_limit], [t], schema=e.builder.resolve("deque::new"))
            for _ in range(count.value)]  # fmt: skip
    queues = IRValue(e.builder.list([m.output for m in made], t))
    function = shared_iterators.branched
    branches = [
        call_library(e, function, Arguments([iterator, queues, Constant(i)], {}))
        for i in range(count.value)
    ]
    return TupleDisplay(tuple(branches))


def _item_type(e: Emitter, iterator: Sugared) -> T.Type:
    """The type of the items of an iterator, by code that asks for one and is thrown away."""
    mark, before = e.builder.block.last, e.env.copy()
    found: list[T.Type] = []

    def see(item: Sugared) -> Sugared:
        found.append(e.value(e.settle(item)).type)
        return Constant(None)

    pull(e, iterator, see, lambda returned: Constant(None))
    discard_after(e, mark)
    e.env = before
    return found[0] if found else T.NEVER


def _is_none(value: Sugared) -> bool:
    return isinstance(value, Constant) and value.value is None


if hasattr(itertools, "batched"):

    @OBJECT_CALLS(itertools.batched)
    def _batched(e: Emitter, given: Arguments) -> Sugared:
        iterable, size, strict = take(e, given, "iterable", "n", "strict", required=2)
        assert iterable is not None and size is not None
        if strict is not None and not (isinstance(strict, Constant) and not strict.value):
            e.not_built("itertools.batched with `strict` is")
        checked = e.call_positional(PythonObject(shared_iterators.checked_size), size)
        return call_library(e, shared_iterators.batched, Arguments([iterable, checked], {}))
