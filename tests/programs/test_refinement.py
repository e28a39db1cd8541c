"""What conditions show about types: variables, attributes, elements, stored conditions."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, Dict, List, Optional, Tuple, Union

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from scriptmode.support.diagnostics import ScriptTypeError
from tests.fourway import check
from tests.frontend.script import helpers


class Color(enum.Enum):
    RED = 1


def test_elements_of_dicts_and_lists():
    def f(d: Dict[str, Optional[int]], xs: List[Optional[int]], i: int):
        total = 0
        if d["a"] is not None:
            total += d["a"]
        if xs[0] is not None and xs[i] is not None:
            total += xs[0] * xs[i]
        if "b" in d and d["b"] is not None:
            total += d["b"] * 100
        if xs[-1] is None:
            return total
        return total + xs[-1]

    check(f, ({"a": 1}, [2, 3], 1), ({"a": None, "b": 4}, [None, 3], 1), ({"a": 1}, [2, None], 0))


def test_items_of_tuples():
    def f(p: Optional[Tuple[Optional[int], Optional[str]]]):
        if p is not None and p[1] is not None:
            return p[1] + "!"
        if p is not None and p[0] is not None:
            return str(p[0] + 1)
        return "none"

    check(f, (None,), ((1, None),), ((None, "b"),), ((None, None),))


def test_nested_elements():
    def f(d: Dict[str, Dict[str, Optional[int]]]):
        if d["a"]["b"] is not None:
            return d["a"]["b"] + 1
        return 0

    check(f, ({"a": {"b": 1}},), ({"a": {"b": None}},))


def test_a_write_ends_what_is_known_of_elements():
    def f(xs: List[Optional[int]], ys: List[Optional[int]]):
        if xs[0] is not None:
            ys[0] = None
            if xs[0] is not None:
                return xs[0] + 1
        return -1

    program = helpers.check(f, ([1], [2]))
    assert str(program.functions[program.root]).count("prim::is_none") == 2
    shared: List[Optional[int]] = [1]
    assert scriptmode.script(f)(shared, shared) == -1


def test_another_index_is_another_element():
    def f(xs: List[Optional[int]]):
        i = 0
        if xs[i] is not None:
            i = 1
            if xs[i] is None:
                return 5
        return 0

    check(f, ([1, None],), ([1, 2],), ([None, None],))


def test_a_call_that_writes_nothing_keeps_what_is_known():
    def double(x: int):
        return x * 2

    def clear(xs: List[Optional[int]]):
        xs[0] = None

    def f(xs: List[Optional[int]]):
        if xs[0] is not None:
            y = double(3) + xs[0]
            clear(xs)
            if xs[0] is None:
                return y
        return -1

    check(f, ([1],), ([None],))


class Holder(nn.Module):
    def __init__(self, x):
        super().__init__()
        self.x: Optional[Tensor] = x
        self.sizes: Dict[str, Optional[int]] = {"a": 3, "b": None}
        self.linear = nn.Linear(2, 2)

    def double(self, v: Tensor):
        return self.linear(v) * 2

    def clear(self):
        self.x = None

    def forward(self, v: Tensor, key: str):
        y = v
        if self.x is not None:
            y = self.double(v) + self.x
        if self.sizes[key] is not None:
            y = y + self.sizes[key]
        present = self.x is not None
        if present:
            y = y * 3
        if self.x is not None:
            self.clear()
            if self.x is None:
                y = y + 100
        self.x = v
        return y


@pytest.mark.parametrize("x", [None, torch.ones(2)])
def test_attributes_across_calls(x):
    torch.manual_seed(0)
    check(Holder(x), (torch.ones(2), "a"), (torch.ones(2), "b"))


def test_closures_narrow_what_they_capture():
    def f(x: Optional[int]):
        def inner():
            return x + 1 if x is not None else 0

        return inner()

    check(f, (None,), (3,))


def test_type_is():
    def f(x: Union[int, str, None]):
        if type(x) is int:
            return x + 1, type(x).__name__
        if type(x) == str:  # noqa: E721 - what is tested
            return len(x), type(x).__name__
        return 0, type(x).__name__

    check(f, (3,), ("ab",), (None,))


def test_types_of_two_values():
    def f(x: Union[int, str], y: Union[int, str]):
        return type(x) is type(y), type(x) in (int, float), type(x)("7")

    check(f, (3, 4), ("ab", 4), (3, "b"))


@pytest.mark.parametrize("x", [3, True, "a", 2.5, None])
def test_any_is_tested_for_classes(x):
    def f(x: Any):
        y: Any = [1] if isinstance(x, int) else {"a": x is None}
        if isinstance(y, list):
            n = 1
        elif isinstance(y, (dict, tuple)):
            n = 2
        else:
            n = 3
        if isinstance(x, int):
            return n + x
        if type(x) is str:
            return x + "b"
        return n, x is True, x is None, x is Color.RED

    check(f, (x,))


def test_comparisons_that_an_any_decides_are_refused():
    def equal(n: int):
        d: Dict[str, Any] = {"a": n}
        return d["a"] == 1

    def contained(n: int):
        d: Dict[str, Any] = {"a": n}
        return d["a"] in [1, 2]

    for f in (equal, contained):
        with pytest.raises(ScriptTypeError, match="Any"):
            scriptmode.script(f)


def test_an_empty_display_meets_an_argument():
    def f(d: Optional[Dict[str, int]] = None, xs: Optional[List[float]] = None):
        d = {} if d is None else d
        d["a"] = 1
        xs = [] if xs is None else xs
        xs.append(2.0)
        return d, xs

    check(f, (None, None), ({"b": 2}, [1.0]))


def test_conditions_of_comprehensions_loops_and_exits():
    def f(xs: List[Optional[int]], us: List[Union[int, str]], x: Optional[int]):
        total = sum([y + 1 for y in xs if y is not None])
        for y in xs:
            if y is None:
                continue
            total += y
        words = [u.upper() for u in us if isinstance(u, str)]
        while x is not None:
            x = x + 1 if x < 3 else None
            total += 10
        return total, words, x

    check(f, ([1, None, 2], [1, "a"], 0), ([], [], None))


def test_type_in():
    def f(x: Union[int, str, float], d: Dict[str, Any]):
        v = d["a"]
        n = 0.5
        if type(v) in (int, bool) or (type(v) is float and v > 1.0):
            n += v
        if type(x) in (int, float):
            return x + n
        return x + "a"

    check(f, (1, {"a": 1}), ("a", {"a": 2.5}), (2.5, {"a": "s"}), (2, {"a": True}))


@pytest.mark.parametrize("x", [(1, "a"), (), [1], {"a": 1}, 3])
def test_containers_passed_as_any_stay_native(x):
    def f(x: Any):
        if isinstance(x, tuple):
            return "tuple"
        return "list" if isinstance(x, list) else "other"

    assert scriptmode.script(f)(x) == f(x)


class Counted:
    def __init__(self):
        self.n: Optional[int] = None
        self.u: Union[int, str] = 0


class Counting(nn.Module):
    n: Optional[int]

    def __init__(self):
        super().__init__()
        self.n = None
        self.inner = Counted()
        self.kept: List[Optional[Tensor]] = [None, None]

    def forward(self, x: Tensor, i: int):
        if self.n is None:
            self.n = 0
        self.n += 1
        if self.inner.n is None:
            self.inner.n = 5
        self.inner.n += 1
        if self.kept[i] is None:
            self.kept[i] = x
        self.kept[i] += 1
        return self.n, self.inner.n, self.kept[i]


def test_augmented_assignment_of_what_has_been_tested():
    check(Counting(), (torch.ones(2), 0))

    def f(xs: List[Optional[int]], d: Dict[str, Union[int, str]], k: int):
        c = Counted()
        c.u = "a"
        if isinstance(c.u, str):
            c.u += "b"
        for i in range(len(xs)):
            if xs[i] is None:
                xs[i] = 100
            xs[i] += k
            xs[i] -= 1
        d["a"] = k
        d["a"] += 1
        d["a"] = str(d["a"])
        d["a"] += "x"
        return c.u, xs, d

    check(f, ([None, 2], {}, 3))


def test_an_element_that_may_have_changed_is_not_what_was_stored():
    def f(xs: List[Optional[int]], k: int):
        same = xs
        xs[0] = 1
        same[k] = None
        first = xs[0]
        xs[k] = 7
        same.reverse()
        c = Counted()
        other = c
        c.n = 3
        other.n = None
        return first, xs[k], c.n

    check(f, ([1, 2, 3], 0), ([1, 2, 3], 1))


class Asked:
    def __init__(self):
        self.kept: List[int] = []
        self.log: List[str] = []

    @property
    def items(self) -> List[int]:
        self.log.append("get")
        return self.kept

    @items.setter
    def items(self, value: List[int]):
        self.log.append("set")
        self.kept = value


@dataclasses.dataclass(frozen=True)
class Frozen:
    items: List[int]


def test_a_setter_is_called_though_the_list_is_changed_in_place():
    def f(xs: List[int]):
        a = Asked()
        a.items += xs
        b = Frozen(xs)
        try:
            b.items += [9]
        except dataclasses.FrozenInstanceError as error:
            a.log.append(str(error))
        return a.kept, a.log, b.items

    check(f, ([1, 2],))
