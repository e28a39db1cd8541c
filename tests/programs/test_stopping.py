"""StopIteration out of the code that iterators run for each element, four ways."""

from __future__ import annotations

import functools
import itertools
from typing import Iterator, List  # noqa: UP035

import torch
from torch import nn

from tests.fourway import check

ITEMS = [0, 1, 2, 3, 1, 4]


def doubled(limit: int, x: int) -> int:
    if x >= limit:
        raise StopIteration
    return x * 2


def deeper(x: int) -> int:
    return doubled(3, x) + 1


class Source:
    def __init__(self, items: List[int]):
        self.items = iter(items)

    def take(self, by: int) -> int:
        return next(self.items) + by


def test_a_function_of_map_or_filter_ends_the_iteration() -> None:
    def f(xs: List[int]):
        one = list(map(lambda v: doubled(3, v), xs))
        two = sum(map(deeper, xs)), max(map(deeper, xs)), tuple(map(deeper, xs))
        three = [v + 1 for v in map(deeper, xs)], {k: v for k, v in enumerate(map(deeper, xs))}
        four = list(zip(xs, filter(lambda v: deeper(v) > 0, xs), strict=False))
        five = functools.reduce(lambda a, b: a + b, map(functools.partial(doubled, 2), xs))
        first, *rest = map(deeper, xs)
        xs.extend(map(deeper, [1, 2, 5, 6]))
        return one, two, three, four, five, first, rest, 3 in map(deeper, xs), 9 in map(deeper, xs)

    check(f, (ITEMS,), ([1, 7],))


def test_an_iterator_goes_on_after_a_function_has_ended_it() -> None:
    def f(xs: List[int]):
        mapped = map(deeper, xs)
        parts = list(mapped), list(mapped)
        sums = itertools.accumulate(xs, lambda a, b: deeper(b) + a)
        more = list(sums), list(itertools.takewhile(lambda v: deeper(v) > 0, xs))
        groups = [(k, list(g)) for k, g in itertools.groupby(xs, deeper)]
        out: List[int] = []
        for v in map(deeper, xs):
            out.append(v)
        else:
            out.append(-1)
        ended = map(deeper, [5, 1])
        try:
            out.append(next(ended))
        except StopIteration:
            out.append(next(ended, -2))
        return parts, more, groups, out

    check(f, (ITEMS,), ([],))


def test_a_generator_expression_says_that_it_was_stopped() -> None:
    def f(xs: List[int], way: int):
        it = iter(xs)
        source = Source(xs)
        if way == 0:
            return list(deeper(v) for v in xs)
        if way == 1:
            return [*(next(it) for _ in range(9))]
        if way == 2:
            return [sum(source.take(b) for b in range(10))]
        if way == 3:
            return sorted(v for v in xs if deeper(v))
        if way == 4:
            return list(map(source.take, range(10)))
        return [next(it) for _ in range(9)]

    check(f, *((ITEMS, way) for way in range(6)))


def test_what_catches_it_itself_does_not_matter() -> None:
    def taken(it: Iterator[int]) -> int:
        try:
            return next(it)
        except StopIteration:
            return -1

    def f(xs: List[int]):
        it = iter(xs)
        return [taken(it) for _ in range(3)], sum(taken(it) for _ in range(9)), list(it)

    check(f, (ITEMS,), ([],))


def test_modules_are_called_one_by_one_beside_it() -> None:
    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Tanh()])

        def forward(self, xs: List[torch.Tensor]):
            first = next(iter(xs))
            return sum(layer(first) for layer in self.layers), list(map(torch.tanh, xs))

    check(Summed(), ([torch.ones(2, 3)],), ([],))
