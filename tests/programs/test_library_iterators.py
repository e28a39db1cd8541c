"""Iterators of Python's library: when they ask for what they go over, and what ends them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Dict, List, Tuple

import pytest

from tests.fourway import check


def goes_on_after_an_error(texts: List[str], way: int) -> Tuple[List[int], int]:
    numbers = map(int, texts)
    found = [next(numbers)]
    try:
        found.append(next(numbers))
    except ValueError:
        found.append(-1)
    return found, next(numbers, -9)


def filters_go_on(texts: List[str], way: int) -> List[str]:
    def big(text: str) -> bool:
        return int(text) > 1

    if way == 0:
        kept = filter(big, texts)
    elif way == 1:
        kept = itertools.filterfalse(big, texts)
    elif way == 2:
        kept = itertools.takewhile(big, texts)
    else:
        kept = itertools.dropwhile(big, texts)
    found = []
    for _ in range(len(texts) + 2):
        try:
            found.append(next(kept, "none"))
        except ValueError:
            found.append("error")
    return found


def sums_go_on(texts: List[str], way: int) -> List[int]:
    def add(a: int, b: int) -> int:
        return a + int(texts[b])

    totals = itertools.accumulate(range(len(texts)), add, initial=0)
    pairs = itertools.starmap(add, zip(range(len(texts)), range(len(texts))))
    found = []
    for _ in range(len(texts) + 2):
        try:
            found.append(next(totals, -9))
        except ValueError:
            found.append(-1)
        try:
            found.append(next(pairs, -9))
        except ValueError:
            found.append(-1)
    return found


def pool_is_read_at_once(items: List[int], way: int) -> List[Tuple[int, ...]]:
    if way == 0:
        made = [(*t,) for t in _grown(itertools.combinations(items, 2), items)]
    elif way == 1:
        made = [(*t,) for t in _grown(itertools.product(items, items), items)]
    elif way == 2:
        made = [(*t,) for t in _grown(itertools.permutations(items), items)]
    elif way == 3:
        made = [(*t,) for t in _grown(itertools.combinations_with_replacement(items, 2), items)]
    else:
        made = [(*t,) for t in _grown(itertools.product(items, repeat=way - 2), items)]
    return made


def _grown(iterator, items: List[int]):
    items.append(9)
    return iterator


def size_is_looked_at_at_once(items: List[int], way: int) -> str:
    try:
        if way == 0:
            itertools.permutations(items, len(items) - 4)
        elif way == 1:
            itertools.combinations(items, len(items) - 4)
        else:
            itertools.combinations_with_replacement(items, len(items) - 4)
        print("made")
    except ValueError as error:
        return str(error)
    return "ok"


def dict_is_asked_at_once(table: Dict[int, int], way: int) -> List[str]:
    kept: Iterator[str]
    if way == 0:
        kept = map(str, table)
    elif way == 1:
        kept = (f"{k}" for _, k in enumerate(table))
    elif way == 2:
        kept = filter(None, map(str, itertools.islice(table, 5)))
    else:
        kept = itertools.starmap(str, zip(table))
    table[5] = 6
    try:
        return list(kept)
    except RuntimeError as error:
        return [str(error)]


class Numbers:
    def __init__(self, values: List[float]) -> None:
        self.values = values

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)


def same_object_is_in(x: float) -> Tuple[bool, bool, int]:
    groups = [len(list(g)) for _, g in itertools.groupby([x, x, 1.0])]
    return x in Numbers([1.0, x]), x in [x], len(groups)


def last_digits(x: float, y: float) -> List[float]:
    found = [math.hypot(x, y), math.hypot(x, y, 9.8), math.dist([x, 7.3], [y, 0.1])]
    if x > 0:
        found += [math.gamma(x), math.lgamma(x)]
    return found


def permutations_of(n: int) -> str:
    try:
        return str(math.perm(n))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("function", [goes_on_after_an_error, filters_go_on, sums_go_on])
def test_errors_end_no_iterator(function):
    texts = [["1", "x", "3"], ["2", "0", "x", "y", "5", "1"], ["7"], ["1"]]
    check(function, *((t, way) for t in texts for way in range(4)))


@pytest.mark.parametrize("function", [pool_is_read_at_once, size_is_looked_at_at_once])
def test_pools_are_read_and_sizes_looked_at_at_once(function):
    check(function, *((items, way) for items in ([1, 2, 3], [4]) for way in range(6)))


def test_dicts_are_asked_for_iterators_at_once():
    check(dict_is_asked_at_once, *(({1: 2}, way) for way in range(4)))


def test_iterators_look_for_the_same_object():
    check(same_object_is_in, (float("nan"),), (1.0,), (2.0,))


def test_digits_of_hypot_gamma_and_dist():
    values = [0.3, 0.5, 1.8, 2.25, 17.75, 1e-3, -4.5, 1e200, 1e-310, 0.0]
    check(last_digits, *((x, y) for x in values for y in values))


def test_permutations_of_one_number():
    check(permutations_of, (-1,), (5,))


def chain_asks_in_turn(d: Dict[int, int], way: int):
    xs = [1, 2, 3]
    if way == 0:
        out = []
        for k in itertools.chain(xs, d):
            if k < 3:
                d[k + 10] = 1
            out.append(k)
        return out
    if way == 1:
        it = itertools.chain(xs, d, d)
        d[77] = 1
        return [next(it), next(it)], list(it)
    if way == 2:
        mixed = itertools.chain(d, [2.5], "ab", (v for v in xs), zip(xs, xs))
        d[78] = 1
        return list(mixed)
    views = itertools.chain(xs, d.items(), [(1, 2.5)])
    first = next(views)
    d[79] = 2
    return first, list(views)


def test_chain_asks_each_iterable_when_its_turn_comes():
    check(chain_asks_in_turn, *(({5: 1, 6: 2}, way) for way in range(4)))
