"""``itertools`` as Python has it: what is shared, what ends when, what is checked."""

from __future__ import annotations

import itertools
from itertools import (
    chain,
    filterfalse,
    groupby,
    islice,
    permutations,
    product,
    tee,
    zip_longest,
)
from typing import Dict, List, Tuple

import pytest

from tests.fourway import check


def runs(s: str):
    return [(k, len(list(g))) for k, g in groupby(s)]


def tens(xs: List[int]):
    out = []
    for k, g in groupby(xs, key=lambda x: x // 10):
        out.append((k, list(g)))
    return out


def groups_that_are_not_finished(xs: List[int]):
    out = []
    for k, g in groupby(xs):
        if k == 1:
            continue
        out.append((k, next(g)))
    return out


def groups_that_are_over(xs: List[int]):
    groups = [g for k, g in groupby(xs)]
    return [list(g) for g in groups]


def groups_in_turn_with_the_keys(xs: List[int]):
    log: List[int] = []

    def key(x: int) -> int:
        log.append(x)
        return x % 3

    for k, g in groupby(xs, key):
        log.append(100 + k)
        for item in g:
            log.append(200 + item)
            if item == 4:
                break
    return log


def lengths(xs: List[str]):
    return {k: list(v) for k, v in groupby(sorted(xs, key=len), key=len)}


def test_groups_share_their_iterator() -> None:
    check(runs, ("aabccc",), ("",))
    check(tens, ([1, 5, 12, 18, 3],), ([],))
    check(groups_that_are_not_finished, ([1, 1, 2, 2, 3, 1],))
    check(groups_that_are_over, ([1, 1, 2],), ([],))
    check(groups_in_turn_with_the_keys, ([1, 4, 4, 2, 3, 4],), ([],))
    check(lengths, (["a", "bb", "c"],))


def two_branches(n: int):
    a, b = tee(range(n))
    next(a, None)
    return list(zip(a, b))


def three_branches(n: int):
    log: List[int] = []

    def g():
        for i in range(n):
            log.append(i)
            yield i * i

    a, b, c = tee(g(), 3)
    first = next(a), next(b)
    return first, sum(a), max(b, default=0), log, list(c), log


def test_branches_of_an_iterator_read_it_once() -> None:
    check(two_branches, (4,), (0,))
    check(three_branches, (4,), (1,))


def padded(n: int):
    return (
        list(zip_longest([1, 2, 3], "ab")),
        list(zip_longest([1], [2, 3], [4, 5, 6], fillvalue=0)),
        list(zip_longest(range(n))),
        list(zip_longest([1, 2], [1], [3], [2])),
    )


def products(n: int):
    return (
        list(product([1, 2], "ab", [n, 0])),
        list(product([1, 2], [3], [4.5, 5.0], [6])),
        list(product("ab", [1], repeat=2)),
        list(product()),
        list(product(range(n), repeat=0)),
    )


def mixed_chains(xs: List[int]):
    return list(chain(xs, (2,), {3: 4}, {5}, range(2))), list(chain())


def false_items(xs: List[int]):
    return list(filterfalse(None, xs)), list(filterfalse(lambda x: x % 2, xs))


def sliced(n: int):
    return list(islice(range(10), n)), list(islice(range(10), n, None, n + 1))


def sliced_from(n: int, step: int):
    return list(islice(range(10), n, 8, step))


def repeated_lists() -> List[List[int]]:
    rows = list(itertools.repeat([0], 3))
    rows[0].append(1)
    return rows


def repeated_dicts(n: int) -> List[Dict[str, int]]:
    found: List[Dict[str, int]] = [*itertools.repeat({"a": 1}, 2)]
    for inner in itertools.repeat({"b": n}, 2):
        inner["b"] += 1
        found.append(inner)
    return found


def repeated_tuples() -> List[Tuple[int, List[int]]]:
    pairs = list(itertools.repeat((1, [2]), 2))
    pairs[1][1].append(3)
    return pairs


def repeated_side_effects() -> List[int]:
    calls = [0]

    def made() -> int:
        calls[0] += 1
        return calls[0]

    rows = list(itertools.repeat([made()], 2))
    return calls + rows[0] + rows[1]


def repeated_iterator() -> List[int]:
    one, two = itertools.repeat(iter([1, 2, 3]), 2)
    return [next(one), next(two)]


@pytest.mark.parametrize(
    "function", [repeated_lists, repeated_tuples, repeated_side_effects, repeated_iterator]
)
def test_what_is_repeated_is_one_object(function) -> None:
    check(function)


def test_dicts_that_are_repeated_are_one_object() -> None:
    check(repeated_dicts, (5,))


def test_products_chains_and_slices() -> None:
    check(padded, (3,), (0,))
    check(products, (3,), (0,))
    check(mixed_chains, ([1, 2],))
    check(false_items, ([0, 1, 2, 3],))
    check(sliced, (3,), (0,), (-1,))
    check(sliced_from, (1, 2), (-1, 1), (1, 0))


def looked_for(n: int):
    def g():
        for i in range(5):
            yield i

    it, other = g(), iter([1, 2, 3])
    return n in it, list(it), n not in other, list(other), n in permutations([1])


def test_in_takes_items_until_one_is_equal() -> None:
    check(looked_for, (2,), (9,))


@pytest.mark.skipif(not hasattr(itertools, "batched"), reason="since Python 3.12")
def test_batches() -> None:
    def f(xs: List[int], n: int):
        return list(itertools.batched(xs, n))

    check(f, ([1, 2, 3], 2), ([], 1), ([1], 0))
