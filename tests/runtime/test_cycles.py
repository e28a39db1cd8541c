"""Cycles of instances and shared variables are collected, and nothing else is."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import scriptmode
from scriptmode.runtime import nativelib
from tests.fourway import check


class Tree:
    def __init__(self, value: int):
        self.value = value
        self.kids: List[Tree] = []
        self.parent: Optional[Tree] = None
        self.by_name: Dict[str, Tree] = {}

    def add(self, kid: Tree) -> None:
        kid.parent = self
        self.kids.append(kid)
        self.by_name[str(kid.value)] = kid


def test_cycles_through_attributes_lists_and_dicts_are_collected():
    def f(n: int):
        root = Tree(0)
        current = root
        for i in range(n):
            kid = Tree(i)
            current.add(kid)
            if i % 3 == 0:
                current = kid
        return root.value + len(root.kids), [k.value for k in current.kids]

    before = nativelib.live_objects()  # of programs that other test modules keep
    check(f, (10,))
    assert nativelib.live_objects() == before


def test_cycles_are_collected_while_a_call_runs():
    def f(n: int):
        total = 0
        kept = Tree(-1)
        kept.add(Tree(-2))
        for i in range(n):
            a, b = Tree(i), Tree(i)
            a.add(b)
            total += b.value
            if i % 1000 == 0:
                kept.add(b)
        return total, len(kept.kids), kept.kids[3].value, kept.kids[3].parent is kept

    before = nativelib.live_objects()
    compiled = scriptmode.script(f)
    assert compiled(30_000) == f(30_000)
    assert nativelib.live_objects() == before


def test_cycles_in_arguments_and_results():
    def f(t: Tree, n: int):
        kid = Tree(n)
        t.add(kid)
        kid.add(Tree(n + 1))
        return kid

    def ring(n: int):
        first = Tree(n)
        first.add(first)
        return first

    compiled = scriptmode.script(f)
    root = Tree(5)
    kid = compiled(root, 7)
    assert root.kids == [kid] and kid.parent is root and root.by_name == {"7": kid}
    assert kid.kids[0].parent is kid
    compiled(root, 9)
    assert [k.value for k in root.kids] == [7, 9] and root.kids[0] is kid
    made = scriptmode.script(ring)(3)
    assert made.parent is made and made.kids == [made]


def test_cycles_are_collected_when_an_exception_leaves():
    def f(n: int):
        root = Tree(0)
        root.add(Tree(1))
        if n > 0:
            raise ValueError("no")
        return 1

    check(f, (0,), (1,))


class Box:
    def __init__(self):
        self.content: Any = None
        self.pair = (0, "")


def test_cycles_through_any_and_tuples():
    class Pair:
        def __init__(self):
            self.both = None

    def f(n: int):
        a = Pair()
        b = Pair()
        a.both = (b, 1)
        b.both = (a, 2)
        return n

    check(f, (3,))


class Event:
    def __init__(self, name: str):
        self.name = name
        self.next: Optional[Event] = None


def test_a_doubly_referenced_ring_is_dropped_with_what_it_holds():
    def f(n: int):
        first = Event("e0")
        last = first
        for i in range(1, n):
            last.next = Event(f"e{i}")
            last = last.next
        last.next = first
        names = [first.name, last.name]
        return names

    check(f, (1,), (5,))
