"""Tensors that Python makes for the program, generators of random numbers, made-up attributes."""

from __future__ import annotations

import types
from typing import List, NamedTuple

import torch

import scriptmode
from tests.fourway import check


def test_old_constructors_and_tensors_of_checked_dtypes() -> None:
    def old(xs: List[int]):
        sized = torch.FloatTensor(2, 0), torch.LongTensor(), torch.IntTensor((1, 2))
        return torch.LongTensor(xs), torch.BoolTensor([True]), torch.HalfTensor([1.5]), sized

    def checked(x, xs: List[int]):
        rows = torch.tensor([[x[0]], [x[1]]], dtype=torch.float64)
        return torch.tensor([1.7, -2], dtype=torch.int32), torch.tensor([x[0], x[1]]), rows

    def bytes_of(xs: List[int]):
        return torch.tensor(xs, dtype=torch.uint8)

    check(old, ([1, 2],))
    check(checked, (torch.ones(2), [1]))
    check(bytes_of, ([1, 2],), ([300],), ([-1],))


def test_generators_of_random_numbers_are_made_and_seeded() -> None:
    def made(seed: int):
        g = torch.Generator(device="cpu")
        g.manual_seed(seed)
        again = torch.Generator().manual_seed(seed)
        first = torch.rand(2, generator=g), torch.rand(2, generator=again), g.initial_seed()
        return first, torch.empty(2).normal_(0.0, 1.0, generator=g), g.get_state().sum()

    def given(g: torch.Generator):
        g.manual_seed(7)
        return torch.rand(1, generator=g)

    assert str(scriptmode.script(made)(3)) == str(made(3))
    g = torch.Generator()
    assert scriptmode.script(given)(g) == given(g)


class Lazy(types.ModuleType):
    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return Point


class Point(NamedTuple):
    x: int


LAZY = Lazy("lazy")


def test_attributes_that_a_python_module_makes_up() -> None:
    def f(n: int):
        return LAZY.Anything(n).x

    compiled = scriptmode.script(f)
    assert compiled(3) == compiled(3) == 3
