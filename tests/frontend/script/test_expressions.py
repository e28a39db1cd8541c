"""Expressions: numbers, comparisons, booleans, containers, strings, comprehensions."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

import scriptmode
from tests.fourway import compare, outcome
from tests.frontend.script.helpers import check

X = torch.tensor([1.0, -2.0, 3.0])


class Point(NamedTuple):
    x: int
    y: float = 0.5


def test_arithmetic_of_numbers_is_pythons() -> None:
    def f(a: int, b: int, c: float, d: bool):
        return (
            a + b, a - b, a * b, a / b, a // b, a % b, -a, +d, ~a, a + c, c // b, a % c, d + d,
            a & b, a | b, a ^ b, d & True, a << 2, a >> 1, a**2, c**a, a**-1, divmod(a, b),
            abs(-a), abs(-c), round(c), round(c, 1), pow(a, 2), min(a, b), max(a, c, b), 2 * c,
        )  # fmt: skip

    check(f, (7, 3, 2.5, True), (-7, 3, -0.25, False), (5, 0, 1.0, True), (0, 2, 1.0, False))


def test_comparisons_are_exact_between_ints_and_floats() -> None:
    def f(a: int, b: float):
        return a < b, a <= b, a == b, a != b, b < a, b >= a, a < 5 < b, 1 < a <= 9 != b

    check(f, (2**53 + 1, float(2**53)), (3, 7.0), (6, 6.0))


def test_boolean_operators_return_operands() -> None:
    def f(a: int, s: str, x: Optional[Tensor]):
        return (a and s, a or s, not a, a or 5, s and a and 3, (x is None) or a, a and None)

    check(f, (0, "", None), (3, "b", X), (0, "b", None))


def test_conversions() -> None:
    def f(a: int, b: float, s: str, x: Tensor):
        return (
            int(b), float(a), bool(a), str(a), str(b), complex(a), int(s), float(s), bool(s),
            int(x.sum()), float(x.sum()), bool(x.sum() > 0), complex(1.0, b), repr(s), str(True),
            str(None), f"{a}-{b:.2f}-{s!r}-{a:>5d}|{x.shape[0]}", "%d %s %.3f%%" % (a, s, b),
            "{} {1}".format(1, 2) if a > 100 else "{0} {0} {k:>4}".format(a, k=s),  # noqa: F525
            hex(a), bin(a), oct(a), chr(a + 60), ord(s[0]),
        )  # fmt: skip

    check(f, (5, 2.75, "12", X), (5, math.nan, "12", X))


def test_math() -> None:
    def f(a: float, n: int):
        return (
            math.sqrt(a), math.exp(a), math.log(a), math.log(a, 2.0), math.floor(a), math.ceil(a),
            math.atan2(a, n), math.gcd(n, 6), math.factorial(n), math.isnan(a), math.pi * a,
            math.pow(a, n), math.hypot(a, 2), math.trunc(-a), math.isclose(a, 2.0, rel_tol=0.5),
        )  # fmt: skip

    check(f, (2.5, 4), (-1.0, 4), (0.0, 3))


def test_lists() -> None:
    def f(xs: list[int], n: int):
        ys = xs + [n]
        zs = ys * 2
        zs.sort(reverse=True)
        ys.insert(1, 42)
        ys.extend(range(2))
        ys.remove(42)
        popped = ys.pop()
        first = ys.pop(0)
        ys.reverse()
        return (
            ys, zs, popped, first, n in xs, n not in xs, xs[::-1], xs[1:], xs[-1], xs[:n], len(ys),
            xs.index(n), xs.count(n), xs.copy() == xs, xs == [1, 2], xs < [5], sorted(xs),
            sum(xs), min(xs), max(xs), any(xs), all(xs), list(reversed(xs)), [*xs, 1, *xs],
            sum([0.5, 1.5]), list("abc"), list(range(n)),
        )  # fmt: skip

    check(f, ([1, 2], 2), ([3, 1, 2], 1), ([], 2))


def test_dicts() -> None:
    def f(d: dict[str, int], k: str):
        e = d.copy()
        e["q"] = 1
        got = e.get(k)
        default = e.get(k, -1)
        e.setdefault("s", 5)
        e.update({"t": 6})
        popped = e.pop("q")
        last = e.popitem()
        both = {**d, "u": 1} | {"v": 2}
        return (
            e, got, default, popped, last, both, k in d, list(d.keys()), list(d.values()),
            list(d.items()), len(d), d == e, {v: k for k, v in d.items()}, dict(zip(["a"], [1])),
            dict(a=1, b=2), d[k],
        )  # fmt: skip

    check(f, ({"a": 1, "b": 2}, "a"), ({}, "z"))


def test_tuples_and_named_tuples() -> None:
    def f(t: tuple[int, str], p: Point, n: int):
        a, b = t
        q = Point(n)
        r = Point(y=1.5, x=a)
        return (
            t + (1.5,), t[0], t[-1], t[::-1], len(t), t == (a, b), t < (a, "zz"), (1, 2)[n],
            p.x + q.y, p == q, q, r, p[0], tuple([1, n]), (n,) * 3, n in (1, 2, 3), (1, 2).index(2),
        )  # fmt: skip

    check(f, ((1, "a"), Point(3), 1), ((5, "b"), Point(1, 0.5), 0), ((5, "b"), Point(1), 2))


def test_sizes_are_torch_sizes() -> None:
    def f(x: Tensor):
        s = x.shape
        b, *rest = s
        return s, s[1:], s[0], x.size(0), x.size(), s == (2, 3), len(s), rest, s.numel(), list(s)

    check(f, (torch.ones(2, 3),), (torch.ones(4),))


def test_strings_are_code_points() -> None:
    def f(s: str):
        return (
            len(s), s[0], s[-1], s[1:3], s[::-1], s.upper(), s.split(","), s.replace("a", "b"),
            s + "x", s * 2, "a" in s, s.find("é"), s.startswith("a"), s.startswith(("x", "é")),
            ",".join([s, s]), s.strip(), s == "a", s < "b", [c for c in s], s.zfill(9),
            s.partition(","), s.isalpha(), s.center(9, "*"), s.count("a"), s.endswith("c"),
        )  # fmt: skip

    check(f, ("aé,b c",), ("x",))


def test_comprehensions() -> None:
    def f(xs: list[int], x: Tensor, d: dict[str, int]):
        a = [i * j for i in xs for j in range(i) if (i + j) % 2]
        b = {i: [i] * i for i in xs if i > 1}
        c = [row * 2 for row in x]
        e = [y for y in (1, 2.5, "s")]
        g = [[j for j in range(i)] for i in xs]
        h = {k: v + 1 for k, v in d.items()}
        return a, b, c, e, g, h, [x for x in xs], x.sum()

    check(f, ([1, 2, 3], torch.ones(2, 2), {"a": 1}), ([], torch.ones(0, 2), {}))


def test_generator_expressions_run_only_as_far_as_needed() -> None:
    def f(xs: list[int]):
        return (
            any(10 // x > 4 for x in xs), all(10 // x > 1 for x in xs), sum(x * x for x in xs),
            max(x for x in xs), ",".join(str(x) for x in xs), tuple(x for x in (1, 2)),
            any(x > y for x in xs for y in range(x)), list(x for x in xs if x > 1),
            min((-x for x in xs), default=7), sorted(-x for x in xs),
        )  # fmt: skip

    check(f, ([1, 0],), ([20, 0],), ([3, 2],), ([],))


def test_map_filter_and_partial_application() -> None:
    def f(xs: list[int], k: int):
        def add(a: int, b: int):
            return a + b * k

        return (
            list(map(lambda x: x * k, xs)), list(filter(lambda x: x > k, xs)),
            [a for a in map(add, xs, xs)], max(xs, key=lambda x: -x), list(filter(None, xs)),
        )  # fmt: skip

    check(f, ([1, 2, 0, 3], 1))


def test_identity() -> None:
    def f(x: Tensor, y: Tensor, xs: list[int], ys: list[int], b: bool):
        z = x
        return x is z, x is y, xs is ys, xs is not xs, x is None, b is True, None is None

    check(f, (X, X + 1, [1], [1], True))


def test_dtypes_and_devices_are_values() -> None:
    def f(x: Tensor):
        d = x.dtype
        return (
            d, d == torch.float32, d.is_floating_point, x.device, x.device.type, x.layout,
            torch.zeros(2, dtype=torch.int64), x.to(torch.float64), torch.device("cpu") == x.device,
            torch.zeros(2, dtype=d), x.type_as(x), str(d),
        )  # fmt: skip

    check(f, (X,))


def test_tensor_operators_and_mixed_scalars() -> None:
    def f(x: Tensor, n: int, a: float):
        return (
            x + n, n - x, a * x, x / n, x // a, x % n, x**2, 2**x, -x, x @ x, x > a, n <= x,
            x == x, x[0], x[1:], x[-1] + 1, x[x > 0], x[[0, 2]], x[None, :], x[..., 0], ~(x > 0),
            x.sum() and n, (x > 0) & (x < 2), abs(x), x.T if n > 100 else x.t(),
        )  # fmt: skip

    check(f, (X, 3, 0.5))


def test_unions_are_operated_on_by_their_type_at_run_time() -> None:
    def f(n: int, x: Tensor):
        loss = 0
        for i in range(n):
            loss = loss + x[i]
        scale = 2 if n > 1 else 0.5
        text = "a" if n > 2 else 7
        y = scale * n + 1
        return loss, y, scale < 1, str(text), -scale, abs(scale), torch.mul(x, scale), x * loss

    check(f, (0, X), (1, X), (3, X))


def test_any_values_are_narrowed_by_isinstance() -> None:
    def f(v: Any):
        if isinstance(v, int):
            return v + 1
        if isinstance(v, (str, float)):
            return str(v)
        return None

    check(f, (1,), ("a",), (2.5,), (None,))


def test_numbers_from_item_keep_their_type() -> None:
    def f(x: Tensor):
        n = x.sum().item()
        return n, n + 1, n > 0, float(n), n * 2.0

    check(f, (torch.tensor([1, 2]),), (torch.tensor([0.5]),), (torch.tensor([True]),))


def test_items_of_tensors_are_numbers_of_any_type() -> None:
    def f(n: Tensor, x: Tensor, items: list[int]):
        k = n.item()
        half = math.floor(k / 2) + round(k / 2) + int(k * 1.5)
        least = min(2, k)
        if isinstance(k, int):
            half += k
        x[least:, 0] = k
        return k * 2, half, least, x[least:], x[:, k + 1 :], x[-least], items[least:]

    x, items = torch.arange(12.0).view(3, 4), [1, 2, 3]
    values = [torch.tensor(v) for v in (1, 0, 5, 2.5, 1 + 2j)]
    check(f, *((v, x, items) for v in values))
    native = scriptmode.script(f)
    for value in values:
        compare(outcome(f, (value, x, items)), outcome(native, (value, x, items)), f"{value}")
