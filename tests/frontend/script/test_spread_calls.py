"""Calls with `*list` and `**dict` whose lengths are known at run time only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.fourway import check


def collect(*args, scale: int = 1, **kwargs):
    total = 0
    for a in args:
        total += a
    return total * scale + len(kwargs)


def two(a: int, b: int = 7, c: int = 9):
    return a, b, c


def positional(a: int, /, b: int, *, c: int = 4):
    return a * 100 + b * 10 + c


def keywords(a: int, **rest: int):
    return a, rest


def test_a_list_becomes_further_arguments() -> None:
    def f(xs: list[int]):
        return collect(*xs), collect(1, *xs), collect(*xs, 5, scale=2), collect(*xs, *xs)

    check(f, ([],), ([1, 2],))


def test_a_list_reaches_fixed_parameters_and_defaults() -> None:
    def f(xs: list[int]):
        return two(*xs)

    check(f, ([],), ([1],), ([1, 2],), ([1, 2, 3],), ([1, 2, 3, 4],))

    def g(xs: list[int]):
        return two(5, *xs), positional(*xs, c=1)

    check(g, ([],), ([1],), ([1, 2],), ([1, 2, 3],))


def test_a_dict_gives_arguments_by_name() -> None:
    def f(d: dict[str, int]):
        return two(**d)

    check(f, ({"a": 1},), ({"a": 1, "c": 2},), ({"c": 2},), ({"a": 1, "x": 2},))

    def g(d: dict[str, int]):
        return two(1, **d), keywords(2, **d)

    check(g, ({},), ({"b": 1},), ({"a": 1},))


def test_known_and_unknown_arguments_together() -> None:
    def f(n: int):
        return collect(n, 3, scale=2, other=1), collect(), positional(1, *[2], **{"c": 3})

    check(f, (4,))


def test_entries_take_further_arguments_by_position_and_by_name() -> None:
    def f(x: Tensor, *args, **kwargs):
        return scaled(x, *args, **kwargs)

    def g(a: int, **rest):
        total = a
        for value in rest.values():
            total += value
        return total, len(rest), "b" in rest, rest.get("c", 0)

    x = torch.rand(3)
    compiled = scriptmode.script(f)
    for args, kwargs in (
        ((), {}), ((2,), {}), ((2, 3.5), {}), ((), {"shift": 2}), ((3,), {"shift": x}),
    ):  # fmt: skip
        torch.testing.assert_close(compiled(x, *args, **kwargs), f(x, *args, **kwargs))
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        compiled(x, wrong=1)
    counted = scriptmode.script(g)
    for kwargs in ({}, {"b": 1}, {"b": 1, "c": 2}, {"c": 2, "b": 1}, {"d": 4}):
        assert counted(1, **kwargs) == g(1, **kwargs)


def scaled(x, scale=1, shift=0):
    return x * scale + shift
