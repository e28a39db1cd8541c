"""``copy.copy`` and ``copy.deepcopy`` of containers and instances."""

from __future__ import annotations

import copy
import gc
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import pytest

import scriptmode
from scriptmode.runtime import nativelib
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check


class Node:
    def __init__(self, value: int):
        self.value = value
        self.items = [value]
        self.next: Optional[Node] = None


class Leaf(Node):
    def __init__(self, value: int):
        super().__init__(value)
        self.name = {"leaf": [value]}


@dataclass(frozen=True)
class Point:
    x: int
    tags: List[str] = field(default_factory=list)


class Row(NamedTuple):
    name: str
    cells: List[int]


class Own:
    def __init__(self, value: int):
        self.value = value

    def __copy__(self):
        return Own(self.value + 1)

    def __deepcopy__(self, memo: Dict[str, int]):
        return Own(self.value + 2)


def test_nested_containers() -> None:
    def f(n: int):
        grid = [[0] * n for _ in range(n)]
        deep, flat = copy.deepcopy(grid), copy.copy(grid)
        deep[0][0] = 1
        flat[1][1] = 5
        table = {"a": [1, 2], "b": []}
        other = copy.deepcopy(table)
        other["a"].append(n)
        pair = copy.deepcopy(((1, [n]), "x"))
        pair[0][1].append(2)
        return grid, deep, flat, table, other, pair, copy.deepcopy([{1: [{2: [3]}]}])

    check(f, (3,))


def test_every_class_of_containers() -> None:
    def f(n: int):
        groups = defaultdict(list, {1: [n]})
        ordered = OrderedDict([("z", [1]), ("a", [n])])
        queue = deque([[1], [n]], maxlen=2)
        numbers = {10, 2, 33, n}
        row = Row("r", [n])
        mixed: List[Union[int, List[int], Tuple[int, List[int]], None]] = [1, [n], (2, [n]), None]
        copies = (
            copy.deepcopy(groups), copy.deepcopy(ordered), copy.deepcopy(queue),
            copy.deepcopy(numbers), copy.deepcopy(row), copy.deepcopy(mixed),
            copy.deepcopy(Counter("aab")), copy.deepcopy([numbers]), copy.deepcopy((n, "s")),
        )  # fmt: skip
        copies[0][2].append(7)
        copies[1].move_to_end("z")
        copies[2].append([9])
        copies[3].add(77)
        copies[4].cells.append(8)
        return groups, ordered, queue, numbers, row, mixed, copies

    check(f, (4,))


def test_what_was_shared_is_shared() -> None:
    def f(n: int):
        shared = [n]
        table = {"x": shared, "y": shared}
        whole = [table, table]
        made = copy.deepcopy(whole)
        made[0]["x"].append(1)
        return whole, made, made[0] is made[1], made[0]["x"] is made[1]["y"], made[0] is table

    check(f, (2,))


def test_instances_and_rings() -> None:
    def f(n: int):
        first = Node(n)
        first.next = Leaf(2)
        first.next.next = first
        made, shallow = copy.deepcopy(first), copy.copy(first)
        second = made.next
        assert second is not None
        made.items.append(5)
        second.value += 1
        point = Point(n, ["a"])
        moved = copy.deepcopy(point)
        moved.tags.append("b")
        many = copy.deepcopy([first, first, Leaf(4)])
        return (
            first, made, second.next is made, shallow.items is first.items, point, moved,
            copy.copy(point).tags is point.tags, many[0] is many[1], many[2], isinstance(second, Leaf),
        )  # fmt: skip

    check(f, (1,))


def test_arguments_are_left_alone() -> None:
    def f(rows: List[List[int]], node: Node):
        made, other = copy.deepcopy(rows), copy.deepcopy(node)
        made[0].append(1)
        other.items.append(1)
        return made, other

    check(f, ([[1], [2]], Node(3)))


def test_methods_that_make_copies() -> None:
    def f(n: int):
        own = Own(n)
        return copy.copy(own).value, copy.deepcopy(own).value

    check(f, (1,))


def test_a_long_chain_of_lists_of_nodes() -> None:
    def f(n: int):
        head = Node(0)
        at = head
        for i in range(n):
            at.next = Node(i)
            at = at.next
        made = copy.deepcopy(head)
        count = 0
        walk: Optional[Node] = made
        while walk is not None:
            count += walk.value
            walk = walk.next
        return count

    compiled = scriptmode.script(f)  # Python's own recursion is not as deep
    assert compiled(100_000) == sum(range(100_000))


def test_copies_are_given_up() -> None:
    def f(n: int):
        total = 0
        for i in range(n):
            rows = {"a": [[i], [i, i]], "b": []}
            node = Node(i)
            node.next = node
            total += len(copy.deepcopy(rows)["a"]) + copy.deepcopy(node).value
        return total

    compiled = scriptmode.script(f)
    gc.collect()
    before = nativelib.live_objects()
    assert compiled(100) == 200 + sum(range(100))
    gc.collect()
    assert nativelib.live_objects() == before


class Hooked:
    def __init__(self, value: int):
        self.value = value

    def __reduce__(self) -> Any:
        return Hooked, (0,)


def test_an_object_that_says_how_it_is_copied_is_refused() -> None:
    def f(n: int):
        return copy.deepcopy([Hooked(n)])

    with pytest.raises(CompileError, match=r"copy\.deepcopy of a value of type"):
        scriptmode.script(f)


class Grows:
    def __init__(self, value: int):
        self.value = value

    def add(self, x: int):
        self.extra = x


def test_attributes_that_the_program_does_not_use_are_copied() -> None:
    def f(node: Leaf):
        made = copy.copy(node)
        return made, copy.deepcopy(node), made.value

    check(f, (Leaf(3),))

    def g(x: Grows):
        return copy.copy(x).value

    with pytest.raises(CompileError, match=r"copy\.copy of a .*Grows"):
        scriptmode.script(g)
