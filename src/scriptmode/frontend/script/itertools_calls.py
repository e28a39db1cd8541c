"""Calls of ``itertools``: generators of ``iterator_library``, or displays where all is known."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import combinatorics
from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import is_iterator, items_of
from scriptmode.frontend.script.iterators import call_library, iterator_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorValue,
    IterableValue,
    PythonObject,
    StarredList,
    Sugared,
    TupleDisplay,
)

_SAME_PARAMETERS: dict[Any, Callable[..., Any]] = {
    itertools.count: library.count, itertools.cycle: library.cycle,
    itertools.takewhile: library.takewhile, itertools.dropwhile: library.dropwhile,
    itertools.filterfalse: library.filterfalse, itertools.starmap: library.starmap,
    itertools.pairwise: library.pairwise, itertools.compress: library.compress,
}  # fmt: skip


def _call(own: Callable[..., Any], e: Emitter, given: Arguments) -> Sugared:
    return call_library(e, own, given)


def _enter() -> None:
    for function, own in _SAME_PARAMETERS.items():
        OBJECT_CALLS(function)(functools.partial(_call, own))


_enter()


@OBJECT_CALLS(itertools.repeat)
def _repeat(e: Emitter, given: Arguments) -> Sugared:
    value, times = take(e, given, "object", "times", required=1)
    assert value is not None
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
    return call_library(
        e, library.chain, Arguments([iterator_of(e, p) for p in given.positional], {})
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
    return call_library(e, library.islice, Arguments([iterable, start, stop, step], {}))


@OBJECT_CALLS(itertools.accumulate)
def _accumulate(e: Emitter, given: Arguments) -> Sugared:
    iterable, function, initial = take(e, given, "iterable", "func", "initial", required=1)
    assert iterable is not None
    if function is None or (isinstance(function, Constant) and function.value is None):
        function = PythonObject(operator.add)
    if initial is None or (isinstance(initial, Constant) and initial.value is None):
        return call_library(e, library.accumulate, Arguments([iterable, function], {}))
    return call_library(e, library.accumulate_from, Arguments([iterable, function, initial], {}))


@OBJECT_CALLS(itertools.product)
def _product(e: Emitter, given: Arguments) -> Sugared:
    count = len(given.positional)
    if count == 1 and list(given.keywords) == ["repeat"]:
        both = [*given.positional, given.keywords["repeat"]]
        return call_library(e, combinatorics.power, Arguments(both, {}))
    if given.keywords or count not in _PRODUCTS:
        e.not_built("itertools.product of these arguments is", help="write nested loops")
    return call_library(e, _PRODUCTS[count], given)


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
        return call_library(e, combinatorics.combinations, Arguments([iterable, size], {}))
    return call_library(e, _COMBINATIONS[size.value], Arguments([iterable], {}))


@OBJECT_CALLS(itertools.zip_longest)
def _zip_longest(e: Emitter, given: Arguments) -> Sugared:
    fill = given.keywords.get("fillvalue", Constant(None))
    if len(given.positional) != 2:
        e.not_built("itertools.zip_longest of other than two iterables is")
    return call_library(e, library.zip_longest, Arguments([*given.positional, fill], {}))


@OBJECT_CALLS(itertools.permutations)
def _permutations(e: Emitter, given: Arguments) -> Sugared:
    iterable, size = take(e, given, "iterable", "r", required=1)
    assert iterable is not None
    both = [iterable, size or Constant(None)]
    return call_library(e, combinatorics.permutations, Arguments(both, {}))


@OBJECT_CALLS(itertools.combinations_with_replacement)
def _with_replacement(e: Emitter, given: Arguments) -> Sugared:
    iterable, size = take(e, given, "iterable", "r", required=2)
    assert iterable is not None and size is not None
    return call_library(
        e, combinatorics.combinations_with_replacement, Arguments([iterable, size], {})
    )


@OBJECT_CALLS(itertools.groupby, itertools.tee)
def _not_built(e: Emitter, given: Arguments) -> Sugared:
    e.not_built("this function of itertools is", help="write the loop")
