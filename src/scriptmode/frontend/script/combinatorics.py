"""``itertools``' combinations, permutations and powers of any size, in the language itself.

The tuples they give are of a length known at run time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


def combinations(iterable: Iterable[Any], size: int) -> Iterator[Any]:
    """``itertools.combinations``."""
    if size < 0:
        raise ValueError("r must be non-negative")
    pool = list(iterable)
    indices = list(range(size))
    going = size <= len(pool)
    while going:
        yield tuple([pool[i] for i in indices])
        going = False
        for at in range(size - 1, -1, -1):
            if indices[at] != at + len(pool) - size:
                indices[at] += 1
                for j in range(at + 1, size):
                    indices[j] = indices[j - 1] + 1
                going = True
                break


def combinations_with_replacement(iterable: Iterable[Any], size: int) -> Iterator[Any]:
    """``itertools.combinations_with_replacement``."""
    if size < 0:
        raise ValueError("r must be non-negative")
    pool = list(iterable)
    indices = [0] * size
    going = len(pool) > 0 or size == 0
    while going:
        yield tuple([pool[i] for i in indices])
        going = False
        for at in range(size - 1, -1, -1):
            if indices[at] != len(pool) - 1:
                following = indices[at] + 1
                for j in range(at, size):
                    indices[j] = following
                going = True
                break


def permutations(iterable: Iterable[Any], size: int | None) -> Iterator[Any]:
    """``itertools.permutations``."""
    pool = list(iterable)
    count = len(pool)
    length = count if size is None else size
    if length < 0:
        raise ValueError("r must be non-negative")
    indices = list(range(count))
    cycles = list(range(count, count - length, -1))
    going = length <= count
    while going:
        yield tuple([pool[i] for i in indices[:length]])
        going = False
        for at in range(length - 1, -1, -1):
            cycles[at] -= 1
            if cycles[at] == 0:
                indices.append(indices.pop(at))
                cycles[at] = count - at
            else:
                other = count - cycles[at]
                indices[at], indices[other] = indices[other], indices[at]
                going = True
                break


def power(iterable: Iterable[Any], repeat: int) -> Iterator[Any]:
    """``itertools.product`` of one iterable with itself."""
    if repeat < 0:
        raise ValueError("repeat argument cannot be negative")
    pool = list(iterable)
    indices = [0] * repeat
    going = len(pool) > 0 or repeat == 0
    while going:
        yield tuple([pool[i] for i in indices])
        going = False
        for at in range(repeat - 1, -1, -1):
            indices[at] += 1
            if indices[at] < len(pool):
                going = True
                break
            indices[at] = 0
