"""Elements that the user's code makes are made one by one, when a consumer asks for each."""

from __future__ import annotations

import functools
from collections import Counter, deque
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from tests.exceptions_alike import check_alike
from tests.fourway import check


def noted(log: List[int], x: int) -> int:
    log.append(x)
    if x == 3:
        raise ValueError("three")
    return x * 10


class Countdown:
    def __init__(self, n: int, log: List[int]):
        self.n = n
        self.log = log

    def __iter__(self):
        return self

    def __next__(self):
        self.log.append(self.n)
        self.n -= 1
        if self.n < 0:
            raise StopIteration
        if self.n == 1:
            raise ValueError("one")
        return self.n


def searches(log: List[int]) -> Tuple[bool, bool, bool, bool, bool]:
    return (
        any(map(lambda v: noted(log, v) == 10, (1, 2))),
        all(map(lambda v: noted(log, v) == 10, (2, 1))),
        10 in map(lambda v: noted(log, v), (1, 2)),
        10 in (noted(log, v) for v in [1, 2]),
        any(noted(log, v + 3) == 40 for v in map(lambda v: noted(log, v), (1, 2))),
    )


def first_ones(log: List[int]) -> Tuple[int, int, int]:
    return (
        next(map(lambda v: noted(log, v), (1, 3))),
        next(noted(log, v) for v in (1, 3)),
        next(iter(map(lambda v: noted(log, v), (2, 3)))),
    )


def folds(log: List[int]) -> Tuple[int, int]:
    made = functools.reduce(lambda a, b: noted(log, a + b), map(lambda v: noted(log, v), (1, 2)), 0)
    return made, functools.reduce(
        lambda a, b: noted(log, a + b), (noted(log, v) for v in [1, 2, 4])
    )


def columns(log: List[int]) -> Tuple[List[Tuple[int, int]], List[Tuple[int, int]], List[int]]:
    return (
        list(zip(map(lambda v: noted(log, v), (1, 2)), map(lambda v: noted(log, v), (4, 5)))),
        list(zip((7, 8), map(lambda v: noted(log, v), (1, 2, 4)))),
        list(map(lambda v: noted(log, v + 1), map(lambda v: noted(log, v), (1, 4)))),
    )


def sets_are_made_once(log: List[int]) -> Tuple[List[int], int]:
    made = set(map(lambda v: noted(log, v), (1, 2)))
    return sorted(made), len(frozenset(noted(log, v) for v in (1, 2)))


def unpacking_asks_for_one_more(log: List[int]) -> Tuple[int, int]:
    try:
        a, b = (noted(log, v) for v in [1, 2, 4, 5, 6])
    except ValueError:
        a, b = 0, 0
    try:
        c, d = map(lambda v: noted(log, v), [1, 2, 4, 5])
    except ValueError:
        c, d = 0, 0
    try:
        c, d = Countdown(9, log)
    except ValueError as error:
        log.append(len(str(error)))
    return a + b, c + d


@pytest.mark.parametrize(
    "function",
    [searches, first_ones, folds, columns, sets_are_made_once, unpacking_asks_for_one_more],
    ids=lambda f: f.__name__,
)
def test_each_element_is_made_when_asked_for(function: Callable[..., object]):
    check(function, ([],))


def interrupted(way: int, log: List[int]) -> object:
    xs, q, s, d, c = [0], deque([0]), {0}, {0: 0}, Counter([0])
    try:
        if way == 0:
            xs.extend(map(lambda v: noted(log, v), (1, 2, 3, 4)))
        elif way == 1:
            xs += (noted(log, v) for v in [1, 2, 3, 4])
        elif way == 2:
            xs.extend(Countdown(4, log))
        elif way == 3:
            xs += Countdown(4, log)
        elif way == 4:
            q.extend(map(lambda v: noted(log, v), (1, 3)))
        elif way == 5:
            q.extendleft(noted(log, v) for v in (1, 2, 3))
        elif way == 6:
            q += Countdown(4, log)
        elif way == 7:
            s.update([5], (noted(log, v) for v in [1, 3]))
        elif way == 8:
            s.difference_update(noted(log, v) - 10 for v in (1, 3))
        elif way == 9:
            d.update((noted(log, v), v) for v in (1, 3))
        elif way == 10:
            c.update(map(lambda v: noted(log, v), (1, 3)))
        else:
            c.subtract(noted(log, v) for v in (1, 3))
    except ValueError:
        log.append(-1)
    return xs, list(q), sorted(s), d, sorted(c.items())


def test_what_came_before_an_error_stays():
    check(interrupted, *[(way, []) for way in range(12)])


def reads_what_grows(xs: List[int]) -> Tuple[List[int], List[int], List[int], List[int]]:
    xs.extend(x + 1 for x in xs if len(xs) < 7)
    ys = [1]
    ys.extend(len(ys) for _ in range(3))
    q = deque([1])
    q.extend(len(q) for _ in range(3))
    s = {10}
    s.update(len(s) for _ in range(3))

    def clearing() -> Iterator[int]:
        yield 5
        ys.clear()
        yield 6

    ys.extend(clearing())
    return xs, ys, list(q), sorted(s)


def test_elements_read_what_they_extend():
    check(reads_what_grows, ([1, 2],))


def divides(log: List[int]) -> int:
    for quotient in (10 // x for x in (5, 0)):
        log.append(quotient)
    return len(log)


def test_an_operator_that_raises_does_so_in_turn():
    check_alike(divides, ([],))


def steps(step: int, log: List[int]) -> Dict[str, int]:
    range(1, 2, step)
    log.append(1)
    return {"step": step}


def test_a_range_without_step_is_not_made():
    check_alike(steps, (0, []), (1, []))
