"""``Counter`` and ``deque``: operators and comparisons."""

from __future__ import annotations

from collections import Counter, deque

import pytest

import scriptmode
from scriptmode.support.diagnostics import ScriptTypeError
from tests.fourway import check


def test_augmented_assignments_of_counters() -> None:
    def f(a: str, b: str):
        added = alias = Counter(a)
        added += Counter(b)
        taken = Counter(a)
        taken -= Counter(b)
        most = Counter(a)
        most |= Counter(b)
        least = Counter(a)
        least &= Counter(b)
        doubled = Counter(a)
        doubled += doubled
        return added, alias is added, taken, most, least, doubled

    check(f, ("aabc", "abbd"), ("", "a"))


def test_signs_and_comparisons_of_counters() -> None:
    def f(a: str, b: str):
        mixed = Counter(a)
        mixed.subtract(b)
        x, y = Counter(a), Counter(b)
        return (
            +mixed, -mixed, mixed, x == y, x != y, x < y, x <= y, x > y, x >= y,
            Counter(a=1, b=0) == Counter(a=1), Counter(a=1, b=0) == {"a": 1},
        )  # fmt: skip

    check(f, ("aabc", "abbd"), ("ab", "ba"), ("a", "aab"))


def test_deleting_a_count_that_is_missing() -> None:
    def f(a: str):
        c = Counter(a)
        del c["a"]
        del c["missing"]
        return c

    check(f, ("aab",))


def test_counts_are_ints() -> None:
    def f(n: int):
        return Counter(a=1.5)

    with pytest.raises(ScriptTypeError, match="does not fit into a Counter"):
        scriptmode.script(f)


def test_repeated_deques() -> None:
    def f(n: int):
        q = deque([1, 2])
        bounded = deque([1, 2], maxlen=3)
        alias = bounded
        bounded *= n
        return q * n, n * q, q, bounded, alias is bounded, bounded * 2, q * 0, q * -1

    check(f, (2,), (0,))


def test_order_of_deques() -> None:
    def f(n: int):
        p, q = deque([1, n]), deque([1, 2, 3])
        return p < q, p <= q, p > q, p >= q, p == q, deque("a") < deque("b")

    check(f, (1,), (2,), (5,))


def test_deques_by_keyword() -> None:
    def f(n: int):
        return deque(iterable=[1, 2, 3], maxlen=n), deque(maxlen=n), deque([1], maxlen=None)

    check(f, (2,))
