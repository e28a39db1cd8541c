"""What modules define themselves: items, operators, iteration; loops that reuse a variable."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import scriptmode
from tests.fourway import check

X = torch.linspace(-1, 1, 4)


class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.values = [1, 2, 3]

    def __getitem__(self, index: int):
        return self.values[index]

    def __setitem__(self, index: int, value: int):
        self.values[index] = value

    def __delitem__(self, index: int):
        del self.values[index]

    def __add__(self, other: int):
        return self.values[0] + other

    def __radd__(self, other: int):
        return other - self.values[0]

    def forward(self, x: int):
        self[0] = x
        del self[1]
        return self[1], self + 5, 5 + self, self.values


def test_items_and_operators_of_a_module():
    check(Table(), (7,))


class Walks(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(4, 4), nn.Tanh()])

    def __iter__(self):
        return iter(self.steps)

    def __len__(self):
        return len(self.steps)

    def forward(self, x: Tensor):
        for step in self:
            x = step(x)
        return [step(x) for step in self], len(self)


def test_a_module_with_iter_is_iterated_over():
    check(Walks(), (X,))


class ReusesNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)])

    def forward(self, x: Tensor, factors: list[float]):
        for step, other in zip(self.steps, self.steps):
            x = other(step(x))
        for step, factor in zip(self.steps, range(3)):
            x = step(x) * factor
        for step, factor in zip(self.steps, factors):
            x = step(x) * factor
        step = 3
        for step in self.steps:
            x = step(x)
        return x


def test_a_loop_reuses_a_variable_that_held_something_of_another_kind():
    check(ReusesNames(), (X, [0.5, 2.0]))


class Nothing(nn.Module):
    pass


def test_a_module_without_forward_says_so_when_called():
    compiled = scriptmode.script(Nothing())
    with pytest.raises(NotImplementedError, match="forward"):
        compiled(X)


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))

    def forward(self, x: Tensor):
        with parametrize.cached():
            return self.layer(x) + self.layer(x)


def test_parametrizations_are_cached_inside():
    check(Reads(), (X[None],))
