"""``itertools.groupby`` and ``itertools.tee`` in the language itself: iterators that share one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from scriptmode.frontend.script.iterator_library import pull


def grouped(iterable: Iterable[Any], key: Callable[[Any], Any]) -> Iterator[Any]:
    """``itertools.groupby``: a group ends when the next one is asked for."""
    iterator = iter(iterable)
    first = pull(iterator)
    keys = [key(first)]
    waiting = [first]  # the item that was read last, until a group gives it
    turn = [0]

    def group(wanted: Any, number: int) -> Iterator[Any]:
        while turn[0] == number:
            if len(waiting) == 0:
                item = pull(iterator)
                keys[0] = key(item)
                waiting.append(item)
            if (wanted,) == (keys[0],):  # the same object, or equal
                yield waiting.pop()
            else:
                return

    while True:
        wanted = keys[0]
        yield wanted, group(wanted, turn[0])
        turn[0] += 1
        while (wanted,) == (keys[0],):
            item = pull(iterator)
            keys[0] = key(item)
            waiting.clear()
            waiting.append(item)


def identity(value: Any) -> Any:
    """The key of ``groupby`` when none is given."""
    return value


def branched(iterator: Iterator[Any], queues: Any, number: int) -> Iterator[Any]:
    """One of the iterators of ``itertools.tee``; each has a queue of what others have read."""
    while True:
        if len(queues[number]) == 0:
            item = pull(iterator)
            for queue in queues:
                queue.append(item)
        yield queues[number].popleft()


def checked_size(size: int) -> int:
    """The size that ``itertools.batched`` is given."""
    if size < 1:
        raise ValueError("n must be at least one")
    return size


def batched(iterable: Iterable[Any], size: int) -> Iterator[Any]:
    """``itertools.batched``."""
    iterator = iter(iterable)
    while True:
        batch = [pull(iterator)]
        while len(batch) < size:
            more = 0
            for item in iterator:
                batch.append(item)
                more = 1
                break
            if more == 0:
                break
        yield tuple(batch)
