"""Modules that a function has captured: their state is the eager module's, both ways."""

from __future__ import annotations

from typing import List

import torch
from torch import Tensor, nn

import scriptmode
from tests import fourway


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.seen: List[int] = [1]
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor):
        self.count += 1
        self.seen.append(self.count)
        return self.drop(x) + self.count


EAGER, NATIVE = Counter(), Counter()
X = torch.ones(8)


def with_eager(x):
    return EAGER(x)


def with_native(x):
    return NATIVE(x)


def test_captured_state_goes_both_ways():
    compiled = scriptmode.script(with_native)
    outer = scriptmode.script(lambda x: with_native(x) * 2)
    for step in range(6):
        for module in (EAGER, NATIVE):
            module.train(step % 2 == 0)
            if step == 3:
                module.count = 40
                module.seen.append(-1)
        torch.manual_seed(step)
        want = with_eager(X)
        torch.manual_seed(step)
        got = compiled(X) if step < 4 else outer(X) / 2
        fourway.same(want, got)
        assert (EAGER.count, EAGER.seen) == (NATIVE.count, NATIVE.seen)


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor):
        self.count += 1
        assert self.count != 1, "the first call fails"
        return x * self.count


FAILING = Failing()


def test_what_a_failing_call_changed_stays():
    compiled = scriptmode.script(lambda x: FAILING(x))
    try:
        compiled(X)
    except AssertionError:
        assert FAILING.count == 1
    fourway.same(compiled(X), X * 2)
