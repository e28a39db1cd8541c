"""Iterators of Python's library as generator functions, compiled like the user's own.

They serve where an iterator is kept as a value; a loop over ``zip(a, b)`` itself needs none.
``pull(iterator)`` is the next element; it returns from the generator when there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def pull(iterator: Iterator[Any]) -> Any:
    """The next element; the calling generator returns when there is none."""
    raise NotImplementedError("known to the compiler only")


def close(generator: Iterator[Any]) -> None:
    """``generator.close()``."""
    raise NotImplementedError("known to the compiler only")


def send(generator: Iterator[Any], value: Any) -> Any:
    """``generator.send(value)``."""
    raise NotImplementedError("known to the compiler only")


def throw(generator: Iterator[Any], *error: Any) -> Any:
    """``generator.throw(error)``."""
    raise NotImplementedError("known to the compiler only")


def zipped(*iterables: Iterable[Any]) -> Iterator[Any]:
    """``zip``."""
    iterators = tuple(iter(i) for i in iterables)
    while len(iterators) > 0:
        yield tuple(pull(i) for i in iterators)


def zipped_strictly(*iterables: Iterable[Any]) -> Iterator[Any]:
    """``zip`` of iterables that must be of one length."""
    iterators = tuple(iter(i) for i in iterables)
    if len(iterators) > 0:
        for item in iterators[0]:
            yield (item, *tuple(_next_in_step(i, k) for k, i in enumerate(iterators[1:], 2)))
        for k, i in enumerate(iterators[1:], 2):
            _check_ended(i, k)


def _next_in_step(iterator: Iterator[Any], number: int) -> Any:
    """The next item of the argument with this number; it must have one."""
    try:
        return next(iterator)
    except StopIteration:
        before = "argument 1" if number == 2 else f"arguments 1-{number - 1}"
        raise ValueError(f"zip() argument {number} is shorter than {before}") from None


def _check_ended(iterator: Iterator[Any], number: int) -> None:
    """The argument with this number must have no further item."""
    for _ in iterator:
        before = "argument 1" if number == 2 else f"arguments 1-{number - 1}"
        raise ValueError(f"zip() argument {number} is longer than {before}")


def mapped(function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterator[Any]:
    """``map``."""
    iterators = tuple(iter(i) for i in iterables)
    while True:
        yield function(*(pull(i) for i in iterators))


def filtered(function: Callable[..., Any], iterable: Iterable[Any]) -> Iterator[Any]:
    """``filter``."""
    for item in iterable:
        if function(item):
            yield item


def filtered_by_truth(iterable: Iterable[Any]) -> Iterator[Any]:
    """``filter`` without a function."""
    for item in iterable:
        if item:
            yield item


def enumerated(iterable: Iterable[Any], start: int = 0) -> Iterator[Any]:
    """``enumerate``."""
    number = start
    for item in iterable:
        yield number, item
        number += 1


def called(function: Callable[[], Any], sentinel: Any) -> Iterator[Any]:
    """``iter(function, sentinel)``."""
    while True:
        value = function()
        if value == sentinel:
            return
        yield value


def passed_on(iterator: Iterator[Any]) -> Iterator[Any]:
    """What an iterator gives."""
    yield from iterator


def chain(*iterables: Iterable[Any]) -> Iterator[Any]:
    """``itertools.chain``."""
    for iterable in iterables:
        yield from iterable


def chain_two(a: Iterable[Any], b: Iterable[Any]) -> Iterator[Any]:
    """``itertools.chain`` of two iterables of different kinds."""
    yield from a
    yield from b


def chain_from(iterables: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """``itertools.chain.from_iterable``."""
    for iterable in iterables:
        yield from iterable


def count(start: Any = 0, step: Any = 1) -> Iterator[Any]:
    """``itertools.count``."""
    value = start
    while True:
        yield value
        value += step


def cycle(iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.cycle``."""
    items = []
    for item in iterable:
        yield item
        items.append(item)
    while len(items) > 0:
        for item in items:
            yield item


def repeat(value: Any) -> Iterator[Any]:
    """``itertools.repeat`` without end."""
    while True:
        yield value


def repeat_times(value: Any, times: int) -> Iterator[Any]:
    """``itertools.repeat``."""
    for _ in range(times):
        yield value


def islice(iterable: Iterable[Any], start: int, stop: int | None, step: int) -> Iterator[Any]:
    """``itertools.islice``."""
    iterator = iter(iterable)
    index = 0
    following = start
    while stop is None or index < max(start, stop):
        item = pull(iterator)
        if index == following:
            following += step
            yield item
        index += 1


def check_stop(start: int, stop: int | None, step: int) -> None:
    """The one bound that ``islice`` is given must fit."""
    if stop is not None and stop < 0:
        raise ValueError(
            "Stop argument for islice() must be None or an integer: 0 <= x <= sys.maxsize."
        )


def check_indices(start: int, stop: int | None, step: int) -> None:
    """The bounds that ``islice`` is given must fit."""
    if stop is not None and stop == -1:
        check_stop(start, stop, step)
    if start < 0 or (stop is not None and stop < 0):
        raise ValueError("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
    if step < 1:
        raise ValueError("Step for islice() must be a positive integer or None.")


def takewhile(predicate: Callable[[Any], Any], iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.takewhile``."""
    for item in iterable:
        if not predicate(item):
            return
        yield item


def dropwhile(predicate: Callable[[Any], Any], iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.dropwhile``."""
    dropping = True
    for item in iterable:
        if dropping and predicate(item):
            continue
        dropping = False
        yield item


def filterfalse(predicate: Callable[[Any], Any], iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.filterfalse``."""
    for item in iterable:
        if not predicate(item):
            yield item


def starmap(function: Callable[..., Any], iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.starmap``."""
    for item in iterable:
        yield function(*item)


def pairwise(iterable: Iterable[Any]) -> Iterator[Any]:
    """``itertools.pairwise``."""
    iterator = iter(iterable)
    a = pull(iterator)
    while True:
        b = pull(iterator)
        yield a, b
        a = b


def compress(data: Iterable[Any], selectors: Iterable[Any]) -> Iterator[Any]:
    """``itertools.compress``."""
    for item, selected in zip(data, selectors, strict=False):
        if selected:
            yield item


def accumulate(iterable: Iterable[Any], function: Callable[[Any, Any], Any]) -> Iterator[Any]:
    """``itertools.accumulate``."""
    iterator = iter(iterable)
    total = pull(iterator)
    yield total
    while True:
        total = function(total, pull(iterator))
        yield total


def accumulate_from(
    iterable: Iterable[Any], function: Callable[[Any, Any], Any], initial: Any
) -> Iterator[Any]:
    """``itertools.accumulate`` with an initial value."""
    total = initial
    yield total
    for item in iterable:
        total = function(total, item)
        yield total


def product(first: list[Any], second: list[Any]) -> Iterator[Any]:
    """``itertools.product`` of two pools."""
    for x in first:
        for y in second:
            yield x, y


def product1(pool: list[Any]) -> Iterator[Any]:
    """``itertools.product`` of one pool."""
    for x in pool:
        yield (x,)


def product3(first: list[Any], second: list[Any], third: list[Any]) -> Iterator[Any]:
    """``itertools.product`` of three pools."""
    for x in first:
        for y in second:
            for z in third:
                yield x, y, z


def product_with(heads: Iterable[Any], pool: Any) -> Iterator[Any]:
    """``itertools.product`` of what ``heads`` is the product of, and one more list."""
    for head in heads:
        for item in pool:
            yield (*head, item)


def combinations2(pool: list[Any]) -> Iterator[Any]:
    """``itertools.combinations`` of two."""
    for i in range(len(pool)):
        for j in range(i + 1, len(pool)):
            yield pool[i], pool[j]


def combinations3(pool: list[Any]) -> Iterator[Any]:
    """``itertools.combinations`` of three."""
    for i in range(len(pool)):
        for j in range(i + 1, len(pool)):
            for k in range(j + 1, len(pool)):
                yield pool[i], pool[j], pool[k]


def zip_longest(a: Iterable[Any], b: Iterable[Any], fill: Any) -> Iterator[Any]:
    """``itertools.zip_longest`` of two iterables."""
    other = iter(b)
    for x in a:
        yield x, next(other, fill)
    for y in other:
        yield fill, y


def zipped_to_longest(fill: Any, *iterables: Iterable[Any]) -> Iterator[Any]:
    """``itertools.zip_longest`` of any number of iterables."""
    iterators = tuple(iter(i) for i in iterables)
    active = [True for _ in iterators]
    while True:
        row = tuple(_next_or_fill(i, active, k, fill) for k, i in enumerate(iterators))
        if True not in active:
            return
        yield row


def _next_or_fill(iterator: Iterator[Any], active: list[bool], number: int, fill: Any) -> Any:
    """The next item of an iterator that may be at its end."""
    if active[number]:
        for item in iterator:
            return item
        active[number] = False
    return fill


def sequence(value: Any) -> Any:
    """The items of a list whose type is known at run time only."""
    index = 0
    while index < len(value):
        yield value[index]
        index += 1


def indexed(sequence: Any) -> Iterator[Any]:
    """Iteration by ``__getitem__`` until it raises IndexError."""
    index = 0
    while True:
        try:
            item = sequence[index]
        except IndexError:
            return
        yield item
        index += 1


def first_items(iterable: Iterable[Any], count: int) -> list[Any]:
    """The first ``count`` items, or all; no further one is asked for."""
    found = []
    for item in iterable:
        found.append(item)
        if len(found) == count:
            break
    return found


def contains_item(iterable: Iterable[Any], wanted: Any) -> bool:
    """``wanted in iterable`` where the class has no ``__contains__``."""
    return any((item,) == (wanted,) for item in iterable)
