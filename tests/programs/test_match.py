"""The ``match`` statement, four ways."""

from __future__ import annotations

import enum
import heapq
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import pytest
import torch
from torch import Tensor

from tests.fourway import check


class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    BLUE = 3


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: float


def test_literals_and_wildcard():
    def f(n: int, s: str):
        match n:
            case 0:
                a = "zero"
            case 1 | 2 | -3:
                a = "few"
            case _:
                a = "many"
        match s:
            case "x":
                return a + "!"
            case "y" | "z" as other:
                return a + other
        return a

    check(f, (0, "x"), (2, "z"), (-3, "q"), (9, "y"))


def test_numbers_compare_by_value():
    def f(x: float, b: bool):
        match x:
            case 1:
                y = 1
            case 2.5:
                y = 2
            case _:
                y = 3
        match b:
            case 1:
                return y, "one"
            case _:
                return y, "other"

    check(f, (1.0, True), (2.5, False), (float("nan"), True))


def test_singletons_are_compared_by_identity():
    def f(x: Optional[bool]):
        match x:
            case None:
                return "none"
            case True:
                return "yes"
            case False:
                return "no"

    check(f, (None,), (True,), (False,))


def test_none_is_excluded_after_its_case():
    def f(x: Optional[int]):
        match x:
            case None:
                return -1
            case _:
                return x + 1

    check(f, (None,), (4,))


def test_sequences():
    def f(xs: List[int]):
        match xs:
            case []:
                return "empty", 0, [0]
            case [x]:
                return "one", x, [0]
            case [1, x] | [x, 2]:
                return "two", x, [0]
            case [0, *rest]:
                return "zero", len(rest), rest
            case [first, *middle, 9]:
                return "nine", first, middle
            case [_, _, *_]:
                return "long", xs[0], xs
        return "never", 0, [0]

    check(f, ([],), ([5],), ([1, 7],), ([7, 2],), ([0, 1, 2],), ([4, 5, 9],), ([4, 5, 6],))


def test_the_rest_is_a_new_list():
    def f(xs: List[int]):
        match xs:
            case [_, *rest]:
                rest.append(7)
                return rest
        return [0]

    check(f, ([1, 2],), ([],))


def test_tuples():
    def f(p: Tuple[int, str], q: Tuple[int, ...]):
        match p:
            case (0, s):
                a = s
            case (n, "a" | "b" as s):
                a = s * n
            case (n, s):
                a = f"{n}{s}"
        match q:
            case (x, y, *zs):
                return a, x + y, zs
            case (x,):
                return a, x, [0]
            case ():
                return a, 0, [1]
        return a, -1, [2]

    check(f, ((0, "q"), (1, 2, 3)), ((2, "b"), (5,)), ((2, "c"), ()))


def test_a_tuple_display_narrows_its_variables():
    def f(a: Union[int, str], b: Optional[int]):
        match a, b:
            case int(), None:
                return a + 1
            case (str(), int()):
                return len(a) + b
            case str(s), None:
                return len(s) * 100
            case _:
                return -1

    check(f, (1, None), ("abc", 2), ("ab", None), (1, 2))


def test_strings_are_no_sequences():
    def f(x: Union[str, List[str]]):
        match x:
            case [a, b]:
                return a + b
            case str():
                return x
            case _:
                return "list"

    check(f, ("ab",), (["a", "b"],), (["a"],))


def test_mappings():
    def f(d: Dict[str, int]):
        match d:
            case {"kind": 1, "size": size}:
                return "sized", size, d
            case {"kind": kind, **rest}:
                return "kind", kind, rest
            case {}:
                return "other", len(d), d

    check(f, ({"kind": 1, "size": 4},), ({"kind": 2, "b": 3},), ({"x": 1},), ({},))


def test_classes_of_builtins():
    def f(x: Union[int, float, str, List[int]]):
        match x:
            case bool():
                return "bool"
            case int(n) if n > 3:
                return f"big {n + 1}"
            case int(n) | float(n):
                return f"number {n}"
            case str() as s:
                return s.upper()
            case list(xs):
                return str(len(xs))

    check(f, (5,), (2,), (2.5,), ("abc",), ([1, 2],))


def test_values_of_enums():
    def f(c: Color, n: int):
        match c:
            case Color.RED:
                a = 1
            case Color.GREEN | Color.BLUE:
                a = 2
        match n:
            case Level.LOW:
                return a, "low"
            case Level.HIGH:
                return a, "high"
            case _:
                return a, "none"

    check(f, (Color.RED, 1), (Color.BLUE, 2), (Color.GREEN, 7))


def test_named_tuples():
    def f(p: Point):
        match p:
            case Point(0, y):
                return y
            case Point(x=1, y=y) if y > 2:
                return y * 2
            case Point(x=x):
                return float(x)

    check(f, (Point(0, 1.5),), (Point(1, 3.0),), (Point(1, 1.0),))

    def g(p: Point):
        match p:
            case (x, y):
                return x + y

    check(g, (Point(2, 1.5),))


def test_nested_patterns():
    def f(items: List[Tuple[str, List[int]]]):
        total = 0
        for item in items:
            match item:
                case ("add", [a, b]):
                    total += a + b
                case ("mul", [a, *rest]) if len(rest) > 0:
                    for r in rest:
                        a *= r
                    total += a
                case (name, []):
                    total += len(name)
                case _:
                    break
        else:
            total += 1000
        return total

    check(
        f,
        ([("add", [1, 2]), ("mul", [2, 3, 4]), ("nothing", [])],),
        ([("add", [1, 2]), ("mul", [2]), ("nothing", [])],),
        ([],),
    )


def test_names_stay_bound_where_a_guard_fails():
    def f(xs: List[int]):
        y = -1
        match xs:
            case [y, _] if y > 10:
                return y, 1
            case [_, z]:
                return y, z
        return y, 0

    check(f, ([11, 2],), ([3, 4],), ([5],))


def test_guards_narrow_what_is_captured():
    def f(p: Tuple[Optional[int], int]):
        match p:
            case (a, b) if a is not None and b > 0:
                return a + b
            case (None, b):
                return b
        return 0

    check(f, ((1, 2),), ((None, 3),), ((1, -1),))


def test_the_subject_is_computed_once():
    def f(xs: List[int]):
        match xs.pop():
            case 1:
                return xs, "a"
            case 2:
                return xs, "b"
        return xs, "c"

    check(f, ([5, 1],), ([5, 2],), ([5, 3],))


def test_tensors():
    def f(x: Union[Tensor, int], s: List[Tensor]):
        match x:
            case Tensor():
                y = x + 1
            case int():
                y = torch.ones(x)
        match s:
            case [a]:
                return y + a
            case [a, *bs] if len(bs) == 1:
                return y + a * bs[0]
        return y

    t = torch.arange(3.0)
    check(f, (t, [t]), (3, [t, t]), (3, []))


def test_alternatives_of_different_shapes():
    def f(x: Union[Tuple[int, int], List[int], int]):
        match x:
            case (a, b) | [a, b, _]:
                return a * 10 + b
            case int(a):
                return a
        return -1

    check(f, ((1, 2),), ([1, 2, 3],), ([1, 2],), (4,), ([1],))


def test_too_many_positional_patterns_raise():
    def f(p: Point, n: int):
        if n > 0:
            match p:
                case Point(x, _, _):
                    return x
        return 0

    check(f, (Point(1, 2.0), 1), (Point(1, 2.0), 0))


def test_return_break_and_continue_in_cases():
    def f(xs: List[int]):
        found = [0]
        for x in xs:
            match x:
                case 0:
                    continue
                case 1:
                    found.append(10)
                case 2:
                    break
                case 3:
                    return found
            found.append(x)
        return found + [99]

    check(f, ([1, 0, 4],), ([4, 2, 5],), ([5, 3, 5],))


@pytest.mark.parametrize("value", [3, "s", 2.5])
def test_any(value):
    def f(x: Any):
        match x:
            case int():
                return "int"
            case str():
                return "str " + x
            case _:
                return "other"

    check(f, (value,))


def test_guard_behind_elements_that_cannot_be():
    def f(way: int):
        values: List[int] = list(heapq.nsmallest(2, []))
        match values:
            case [first, *_] if way > 3:
                return first
            case [first] if False:
                return first
            case _:
                return len(values) - 1

    check(f, (2,), (5,))
