"""Named tuples, four ways."""

from __future__ import annotations

import collections
from typing import Dict, List, NamedTuple, Optional, Union

import torch
from torch import Tensor

import scriptmode
from tests.fourway import check


class Point(NamedTuple):
    x: int
    y: float = 2.0

    def norm(self) -> float:
        return self.x * self.x + self.y

    @property
    def double(self):
        return self.x * 2

    @staticmethod
    def make(n: int):
        return Point(n, 1.0)

    @classmethod
    def of(cls, n: int):
        return cls(n)


class Added(NamedTuple):
    x: int

    def __add__(self, other):
        return Added(self.x + other.x)

    def __eq__(self, other):
        return self.x % 10 == other.x % 10

    def __repr__(self):
        return f"<{self.x}>"


class Nested(NamedTuple):
    point: Point
    t: Tensor
    n: Optional[int] = None


Pair = collections.namedtuple("Pair", ["a", "b"])
Defaults = collections.namedtuple("Defaults", "a b c", defaults=[3, 4])


def test_fields_methods_and_properties():
    def f(p: Point):
        return p.x, p[1], len(p), p.norm(), p.double, p.__class__ is Point, isinstance(p, tuple)

    check(f, (Point(1, 2.5),))


def test_construction():
    def f(n: int):
        return (
            Point(n), Point(n, 3.0), Point(x=n, y=1.0), Point.make(n), Point.of(n),
            Point._make([n, 2.0]), Defaults(n), Defaults(n, 1, c=7), Pair(n, "a").b,
        )  # fmt: skip

    check(f, (3,))


def test_replace_asdict_and_fields():
    def f(p: Point):
        return p._replace(x=5), p._asdict(), p._fields, Point._fields, dict(zip(p._fields, p))

    check(f, (Point(1, 2.5),))


def test_comparison_unpacking_and_tuple_methods():
    def f(p: Point, q: Point):
        x, y = p
        a, *b = p
        return (
            p == q, p < q, p != q, p == (1, 2.0), x, y, a, b, p.index(2.0), p.count(1), list(p),
            p[::-1], p + (1,), 1 in p, str(p), repr(p), f"{p}",
        )  # fmt: skip

    check(f, (Point(1, 2.0), Point(1, 2.0)), (Point(1, 2.0), Point(0, 3.0)))


def test_special_methods_of_its_own():
    def f(p: Added, q: Added):
        return p + q, p == q, p != q, repr(p), str(q), f"{p}"

    check(f, (Added(1), Added(11)), (Added(1), Added(2)))


def test_nested_optional_union_and_keys():
    def f(q: Nested, u: Union[Point, int], d: Dict[Point, int], ps: List[Point]):
        n = q.point.x + (u.x if isinstance(u, Point) else u)
        if q.n is not None:
            n += q.n
        return n, q.t + 1, d[Point(1)], [p.x for p in ps], Nested(Point(n), q.t)

    t = torch.ones(2)
    args = {Point(1): 3}, [Point(3), Point(1)]
    check(f, (Nested(Point(1), t), Point(1), *args), (Nested(Point(1), t, 4), 7, *args))


def test_results_of_torch():
    def f(x: Tensor):
        values, indices = x.max(0)
        found = x.max(0)
        return found, found.values, found.indices, values, indices, torch.sort(x)

    check(f, (torch.tensor([3.0, 1.0, 2.0]),))


class WithContainers(NamedTuple):
    xs: List[int] = []
    d: Optional[Dict[str, int]] = {"a": 1}


def test_default_containers_are_one_object_for_all_tuples():
    def make(n: int):
        one, other = WithContainers(), WithContainers(d={})
        return one.xs is other.xs, len(one.xs) + n, one.d, one

    check(make, (3,))
    assert scriptmode.script(make)(1)[3].xs is WithContainers().xs
