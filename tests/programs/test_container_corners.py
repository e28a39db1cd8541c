"""Corners of containers, their builtins and conversions."""

from __future__ import annotations

import bisect
import functools
import heapq
import os
import subprocess
import sys
from collections import OrderedDict, deque
from typing import Any, Deque, Dict, List, NewType

import pytest

from tests.fourway import check

UserId = NewType("UserId", int)


def test_lists_made_of_one_text_are_different_lists() -> None:
    def f(s: str):
        a, b = s.split(","), s.split(",")
        a.append("x")
        letters, ordered = list(s), sorted(s)
        found = []
        for _ in range(2):
            parts = s.split(",")
            parts.append("y")
            found.append(parts)
        return a, b, letters, ordered, found, s.splitlines() is s.splitlines()

    check(f, ("b,a",))


def test_keys_that_may_be_none() -> None:
    def f(d: Dict[str, int], names: List[str]):
        return max(names, key=d.get), min(names, key=d.get), max("a", "b", key=d.get)

    counts = {"a": 1, "b": 2}
    check(f, (counts, ["a", "b"]), (counts, ["zz"]), (counts, ["a", "zz"]))


def test_each_key_is_made_once() -> None:
    def f(numbers: List[int]):
        calls: List[int] = []

        def key(n: int) -> int:
            calls.append(n)
            return -n

        return max(numbers, key=key), min(3, len(numbers), 1, key=key), calls

    check(f, ([3, 1, 2],))


def test_a_key_by_comparison() -> None:
    def f(numbers: List[int]):
        key = functools.cmp_to_key(lambda a, b: b - a)
        return sorted(numbers, key=key), max(numbers, key=key)

    check(f, ([3, 1, 2],))


def test_dicts_of_pairs_that_are_no_tuples() -> None:
    def f(s: str):
        made = dict(p.split("=") for p in s.split(";"))
        return made, dict([["a", 1]]), dict(["ab", "cd"])

    check(f, ("k=v;l=w",), ("k=v;l",), ("a=b=c",))


def test_views_as_texts_and_sets() -> None:
    def f(d: Dict[str, int]):
        ordered = OrderedDict(z=1)
        return (
            str(d.keys()), repr(d.values()), f"{d.items()}", str(ordered.keys()),
            d.keys().isdisjoint(["z"]), d.items().isdisjoint([("a", 1)]),
        )  # fmt: skip

    check(f, ({"a": 1},), ({},))


def test_empty_containers_beside_others() -> None:
    def f(n: int):
        chosen = [] if n > 5 else [n]
        chosen.append(2)
        graph = {0: [(1, 4.0)], 1: [], 2: [(1, 2.0)]}
        rows = [[], [1], []]
        rows[0].append(5)
        nested = {"a": {}, "b": {"x": 1}}
        nested["a"]["y"] = 2
        groups = {i: [] for i in range(n)}
        groups[0].append("a")
        return chosen, [w for k in graph for v, w in graph[k]], rows, nested, groups

    check(f, (3,), (7,))


def test_lists_that_grow_in_order() -> None:
    def f(n: int):
        numbers = []
        for v in (5, 1, 3, n):
            bisect.insort(numbers, v)
        return numbers, bisect.bisect_left(numbers, 3)

    check(f, (4,))


def test_the_least_of_nothing() -> None:
    def f(n: int):
        return heapq.heappop([])

    check(f, (1,))

    def g(n: int):
        return min([], key=abs, default=None), min([(1, "b"), (0, "c")], key=lambda p: p[1])

    check(g, (1,))


def test_conversions_of_nothing() -> None:
    def f(n: int):
        return int(), float(), complex(), bool(), str(), n

    check(f, (1,))


def test_new_types() -> None:
    def f(n: int):
        user = UserId(n)
        return user + 1, user

    check(f, (1,))


@pytest.mark.parametrize("number", range(6))
def test_arguments_that_conversions_refuse(number: int) -> None:
    def strings(n: int):
        return sum(["a"], "")

    def negative(n: int):
        return bytes(-1)

    def character(n: int):
        return f"{-1:c}"

    def mixed(n: int):
        return "{} {1}".format(1, 2)  # noqa: F525

    def parts(n: int):
        return complex(real=1, imag=2), complex(1j, 2), complex(1, 2j), complex(imag=n)

    def other(n: int):
        return "{1} {}".format(1, 2)  # noqa: F525

    functions = [strings, negative, character, mixed, parts, other]
    check(functions[number], (1,))


def endless(n: int):
    a: List[Any] = [n]
    a.append([a, a])
    return a


def endless_dict(n: int):
    d: Dict[str, Any] = {"n": n}
    d["d"] = d
    return d


def endless_deque(n: int):
    d: Deque[Any] = deque([n])
    d.append(d)
    return d


def endless_text(n: int):
    a: List[Any] = [n]
    d: Dict[str, Any] = {"a": a}
    a.append(d)
    return str(a), f"{d}", repr(a)


def endless_unannotated(n: int):
    a, d, q = [n], {"n": n}, deque([n])
    a.append(a)
    d["d"] = d
    q.append(q)
    return len(a), len(d), len(q), a, d, q


RINGS = [endless, endless_dict, endless_deque, endless_text, endless_unannotated]


def test_containers_that_contain_themselves_reach_python() -> None:
    # in another process: rings of containers of `Any` are not given back yet
    program = (
        "import scriptmode; from tests.programs import test_container_corners as corners\n"
        "for function in corners.RINGS:\n"
        "    assert repr(scriptmode.script(function)(1)) == repr(function(1)), function"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ})


def test_the_text_of_containers_of_any_type() -> None:
    def texts(n: int):
        a: List[Any] = [[n], {"k": [n, None]}]
        d: Dict[str, Any] = {"a": a, "b": a[0]}
        return str(a), f"{d}", len(a), a

    check(texts, (1,))
