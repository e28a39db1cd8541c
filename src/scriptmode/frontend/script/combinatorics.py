"""``itertools``' combinations, permutations and powers of any size, in the language itself.

The tuples they give are of a length known at run time only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def checked_size(size: int) -> int:
    """The length of the tuples that are asked for."""
    if size < 0:
        raise ValueError("r must be non-negative")
    return size


def size_or_all(pool: list[Any], size: int | None) -> int:
    """The length of permutations, which is that of the pool if none is given."""
    return len(pool) if size is None else size


def combinations(pool: list[Any], size: int) -> Iterator[Any]:
    """``itertools.combinations``."""
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


def combinations_with_replacement(pool: list[Any], size: int) -> Iterator[Any]:
    """``itertools.combinations_with_replacement``."""
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


def permutations(pool: list[Any], length: int) -> Iterator[Any]:
    """``itertools.permutations``."""
    count = len(pool)
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


def checked_repeat(repeat: int) -> int:
    """How many times ``itertools.product`` is to take an iterable."""
    if repeat < 0:
        raise ValueError("repeat argument cannot be negative")
    return repeat


def power(pool: list[Any], repeat: int) -> Iterator[Any]:
    """``itertools.product`` of one iterable with itself."""
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
