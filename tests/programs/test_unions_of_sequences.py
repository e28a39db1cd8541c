"""Iteration over one of several types of sequences, calls of one of several classes."""

from __future__ import annotations

import collections.abc
from typing import List

from tests.fourway import check


def several(k: int):
    x = (1, 2) if k == 1 else (1, 2, 3)
    y = [1, 2] if k == 1 else [1.5]
    z = (1, "a") if k == 1 else [2.5]
    found: List[int] = []
    for a in x:
        found.append(a)
    for b in y:
        found.append(int(b))
    return (
        found, [q for q in y], list(z), sum(y), max(x), len(z), [p for p in zip(x, y)],
        list(enumerate(z)), ",".join(str(i) for i in x),
    )  # fmt: skip


def changed_while_iterated(k: int):
    y = [1, 2, 3] if k == 1 else [1.5, 2.5]
    steps = 0
    for item in y:
        if steps == 0 and item > 0:
            y.pop()
        steps += 1
    return steps, y


class Square:
    def __call__(self, x: int) -> int:
        return x * x


class Double:
    def __call__(self, x: int) -> int:
        return 2 * x


CLASSES = {"square": Square, "double": Double}


def class_by_name(x: int, name: str):
    return CLASSES[name]()(x)


class Sliced:
    def __init__(self, items: List[int]):
        self.items = items

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sliced(self.items[index])
        return self.items[index]


def twice(x: int) -> int:
    return 2 * x


def kinds(items: List[int]):
    s = Sliced(items)
    local = lambda v: v  # noqa: E731
    return (
        s[1:].items, s[0], s[::-1].items, isinstance(twice, collections.abc.Callable),
        isinstance(local, collections.abc.Callable), isinstance(s.__getitem__, int),
        isinstance(zip(items, items), collections.abc.Iterator), isinstance(range(3), range),
    )  # fmt: skip


def test_iteration_over_one_of_several_sequences():
    check(several, (1,), (2,))
    check(changed_while_iterated, (1,), (2,))


def test_calls_of_one_of_several_classes():
    check(class_by_name, (3, "square"), (3, "double"), (3, "none"))


def test_isinstance_of_what_is_known_at_compile_time():
    check(kinds, ([1, 2, 3],))
