"""``defaultdict`` with factories of every kind."""

from __future__ import annotations

import collections
import functools
import math
from collections import Counter, defaultdict
from typing import DefaultDict, Dict, List

import pytest
import torch

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check

WIDTH = 3


class Account:
    def __init__(self):
        self.total = 0
        self.items: List[int] = []

    def add(self, n: int):
        self.total += n
        self.items.append(n)


class Trie:
    def __init__(self):
        self.children: DefaultDict[str, Trie] = defaultdict(Trie)
        self.is_end = False


class Scores:
    def __init__(self):
        self.best = defaultdict(lambda: -1)
        self.left: DefaultDict[str, int] = defaultdict(lambda: 10)

    def enter(self, name: str, points: int):
        self.best[name] = max(self.best[name], points)
        self.left[name] -= 1


def pair():
    return [0, 1]


def test_factories_that_make_numbers_and_texts() -> None:
    def f(k: str):
        five = defaultdict(lambda: 5)
        five[k] += 1
        low = defaultdict(lambda: math.inf)
        low[k] = min(low[k], 3.0)
        name = defaultdict(lambda: "none")
        name[k] = "some"
        nothing = defaultdict(lambda: None)
        widened = defaultdict(lambda: 1)
        widened[k] = 2.5
        return (
            five[k], five["z"], low["z"], low[k], name["z"], name[k], nothing[k], widened["z"],
            dict(five), dict(widened), len(low), "q" in five,
        )  # fmt: skip

    check(f, ("a",))


def test_factories_that_make_containers() -> None:
    def f(k: str):
        counts = defaultdict(lambda: [0] * WIDTH)
        counts[k][1] += 4
        rows = defaultdict(lambda: {"n": 0})
        rows[k]["n"] += 1
        points = defaultdict(lambda: (0, 0))
        points[k] = (points[k][0] + 1, 2)
        words = defaultdict(lambda: Counter("aab"))
        words[k]["a"] += 1
        named = defaultdict(pair)
        named[k].append(9)
        tensors = defaultdict(lambda: torch.zeros(2))
        tensors[k] += 1
        return (
            dict(counts),
            rows["z"],
            dict(points),
            words[k],
            dict(named),
            tensors[k],
            tensors["z"],
        )

    check(f, ("a",))


def test_nested_and_partial_factories() -> None:
    def f(k: str):
        nested = defaultdict(lambda: defaultdict(int))
        nested[k]["x"] += 1
        deep = defaultdict(lambda: defaultdict(lambda: 7))
        deep[k]["x"] += 1
        partial = defaultdict(functools.partial(defaultdict, list))
        partial[k]["x"].append(1)
        return nested[k]["x"], deep[k]["x"], deep["z"]["y"], partial[k]["x"], len(deep)

    check(f, ("a",))


def test_factories_that_are_classes() -> None:
    def f(numbers: List[int], words: List[str]):
        accounts = defaultdict(Account)
        for n in numbers:
            accounts[n % 2].add(n)
        root = Trie()
        for word in words:
            node = root
            for c in word:
                node = node.children[c]
            node.is_end = True
        return (
            {k: (a.total, a.items) for k, a in accounts.items()},
            sorted(root.children), root.children["a"].children["b"].is_end,
        )  # fmt: skip

    check(f, ([1, 2, 3], ["ab", "c"]))


def test_attributes_with_factories() -> None:
    def f(n: int):
        scores = Scores()
        scores.enter("x", n)
        scores.enter("x", 1)
        return scores.best["x"], scores.best["y"], dict(scores.left), scores.left["z"]

    check(f, (3,))


def test_dicts_with_factories_are_passed_on_and_copied() -> None:
    def count(d, k: str):
        d[k] += 1

    def f(k: str):
        d = defaultdict(lambda: 100)
        e = defaultdict(int)
        count(d, k)
        count(d, k)
        count(e, k)
        other = d.copy()
        joined = d | {"w": 1}
        return d[k], e[k], other["new"], joined["more"], dict(other), dict(joined)

    check(f, ("a",))


def test_python_gets_a_dict_with_the_factory() -> None:
    def f(k: str):
        d = defaultdict(lambda: 5)
        d[k] += 1
        e = defaultdict(Account)
        e[k].add(1)
        return d, e, defaultdict(None, {"x": 1})

    compiled = scriptmode.script(f)
    d, e, none = compiled("a")
    assert type(d) is defaultdict and d == {"a": 6} and d["new"] == 5
    assert e.default_factory is Account and none.default_factory is None

    def go_on(d: DefaultDict[str, int]):
        d["more"] += 1
        return d["other"]

    assert scriptmode.script(go_on)(d) == 5
    assert d["more"] == 6


def test_no_factory_means_a_key_error() -> None:
    def f(k: str):
        d = defaultdict(None, {"a": 5})
        return d[k]

    check(f, ("a",), ("z",))


def test_a_factory_is_called_for_missing_keys_only() -> None:
    def f(n: int):
        calls: List[int] = []
        known: Dict[str, int] = {"a": 1}
        d = defaultdict(lambda: 1 // WIDTH, known)
        for k in ("a", "b", "b"):
            calls.append(d[k])
        return calls, d

    check(f, (1,))


@pytest.mark.parametrize("name", ["closure", "recursive"])
def test_factories_that_are_refused(name: str) -> None:
    def closure(n: int):
        d = defaultdict(lambda: n)
        return d["a"]

    def tree():
        return defaultdict(tree)

    def recursive(n: int):
        return len(tree()["a"])

    function = {"closure": closure, "recursive": recursive}[name]
    with pytest.raises(CompileError, match="a defaultdict whose factory"):
        scriptmode.script(function)


def test_the_text_of_a_function_holds_an_address() -> None:
    def f(n: int):
        return str(defaultdict(lambda: 5))

    with pytest.raises(CompileError, match="address of its factory"):
        scriptmode.script(f)


def test_merges_with_dict_classes() -> None:
    def f(n: int):
        plain = {"b": 2}
        ordered = collections.OrderedDict(a=n)
        return plain | ordered, ordered | plain, collections.OrderedDict.fromkeys("ab", n)

    check(f, (1,))
