"""Sets of objects that are hashed by their addresses, and dicts whose missing values are objects."""

from __future__ import annotations

from collections import defaultdict
from typing import DefaultDict, List, Set, Tuple

import pytest

import scriptmode
from tests.fourway import check


class Node:
    def __init__(self, v: int):
        self.v = v
        self.out: List[Node] = []


def ring(n: int) -> List[Node]:
    nodes = [Node(i) for i in range(n)]
    for i in range(n):
        nodes[i].out = [nodes[(i + 1) % n], nodes[(i * 2) % n]]
    return nodes


def visits(n: int):
    nodes = ring(n)
    seen = set()
    order: List[int] = []

    def visit(node):
        if node in seen:
            return
        seen.add(node)
        order.append(node.v)
        for other in node.out:
            visit(other)

    visit(nodes[0])
    some = {nodes[0], nodes[1]}
    some.discard(nodes[0])
    some.add(nodes[2])
    some |= {nodes[3]}
    pairs = {(nodes[1], 1), (nodes[2], 2)}
    return (
        order, len(seen), nodes[0] in some, len(some), some <= seen, (nodes[1], 1) in pairs,
        len(some & seen), bool(some), some == {nodes[3], nodes[2], nodes[1]},
    )  # fmt: skip


def notes(seen: Set[Node], node: Node):
    before = node in seen
    seen.add(node)
    return before, len(seen), seen


def returned(n: int):
    return set(ring(n))


class Keeper:
    def __init__(self):
        self.seen: Set[Node] = set()


def kept_by_an_argument(keeper: Keeper, n: int):
    return n + len(keeper.seen)


def listed(n: int):
    return [node.v for node in set(ring(n))]


def popped(n: int):
    return set(ring(n)).pop().v


class Trie:
    def __init__(self):
        self.children = defaultdict(Trie)
        self.count = 0

    def add(self, word: str) -> None:
        node = self
        for letter in word:
            node = node.children[letter]
        node.count += 1


class Stats:
    def __init__(self):
        self.n = 0
        self.total = 0.0

    def add(self, x: float) -> None:
        self.n += 1
        self.total += x


def counts(words: List[str]):
    trie = Trie()
    for word in words:
        trie.add(word)
    a = trie.children["a"]
    return a.children["b"].count, list(a.children), "z" in trie.children, len(trie.children)


def gathers(pairs: List[Tuple[str, float]]):
    found: DefaultDict[str, Stats] = defaultdict(Stats)
    for key, x in pairs:
        found[key].add(x)
    return found, found["new"].n, found.get("none") is None


def test_sets_of_objects():
    check(visits, (7,))


@pytest.mark.parametrize("function", [notes, returned, kept_by_an_argument])
def test_they_do_not_cross_to_python(function):
    with pytest.raises(scriptmode.CompileError, match="cannot pass between Python and compiled"):
        scriptmode.script(function)


@pytest.mark.parametrize("function", [listed, popped])
def test_their_order_is_refused(function):
    with pytest.raises(scriptmode.CompileError, match="the order of a set of `Node` objects"):
        scriptmode.script(function)


def test_defaultdicts_that_make_objects():
    check(counts, (["ab", "ab", "ac", "b"],))
    check(gathers, ([("a", 1.0), ("b", 2.0), ("a", 3.0)],))
