"""Numbers of modules that own their state: what calls of other programs see of them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import scriptmode


class Scale(nn.Module):
    def __init__(self, times: int = 3):
        super().__init__()
        self.times = times
        self.shift = 0.5
        self.is_on = True

    def forward(self, x: Tensor) -> Tensor:
        return x * self.times + self.shift if self.is_on else x

    @torch.jit.export
    def turn(self) -> int:
        self.times += 1
        return self.times


class Outer(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, n: int) -> Tensor:
        for _ in range(n):
            x = torch.tanh(self.inner(x))
        return x


def outer(inner):
    return scriptmode.script(Outer(scriptmode.script(inner)))


def expected(x, n, times=3, shift=0.5, is_on=True):
    eager = Scale(times)
    eager.shift, eager.is_on = shift, is_on
    return Outer(eager)(x, n)


def test_numbers_assigned_between_calls():
    x = torch.randn(4)
    compiled = outer(Scale())
    torch.testing.assert_close(compiled(x, 3), expected(x, 3))
    compiled.inner.times, compiled.inner.shift = 7, -1.25
    torch.testing.assert_close(compiled(x, 3), expected(x, 3, 7, -1.25))
    compiled.inner.is_on = False
    torch.testing.assert_close(compiled(x, 3), expected(x, 3, is_on=False))


def test_numbers_that_the_inner_module_changes_itself():
    x = torch.randn(4)
    compiled = outer(Scale())
    compiled(x, 1)
    assert compiled.inner.turn() == 4
    torch.testing.assert_close(compiled(x, 3), expected(x, 3, 4))


def test_copies_are_apart():
    x = torch.randn(4)
    compiled = outer(Scale())
    other = copy.deepcopy(compiled)
    other.inner.times = 9
    torch.testing.assert_close(compiled(x, 2), expected(x, 2))
    torch.testing.assert_close(other(x, 2), expected(x, 2, 9))


def test_an_inner_module_is_replaced():
    x = torch.randn(4)
    compiled = outer(Scale())
    compiled(x, 1)
    compiled.inner = scriptmode.script(Scale(11))
    torch.testing.assert_close(compiled(x, 2), expected(x, 2, 11))
    compiled.inner.times = 2
    torch.testing.assert_close(compiled(x, 2), expected(x, 2, 2))


def test_gradients_run_programs_of_their_own():
    x = torch.randn(4, requires_grad=True)
    compiled = outer(Scale())
    for times in (3, 5):
        compiled.inner.times = times
        (got,) = torch.autograd.grad(compiled(x, 4).sum(), [x])
        (want,) = torch.autograd.grad(expected(x, 4, times).sum(), [x])
        torch.testing.assert_close(got, want)
    gradients = compiled._dispatcher.primary.gradients
    assert not gradients.reason and gradients._nodes


GLOBAL = Scale()


def test_numbers_of_a_captured_module():
    def f(x: Tensor) -> Tensor:
        return GLOBAL(x)

    x = torch.randn(3)
    compiled = scriptmode.script(f)
    try:
        for times in (3, 6):
            GLOBAL.times = times
            torch.testing.assert_close(compiled(x), GLOBAL(x))
        GLOBAL.times = 1.5  # another type than it was compiled for
        with pytest.raises(TypeError, match="expected int"):
            compiled(x)
    finally:
        GLOBAL.times = 3
    torch.testing.assert_close(compiled(x), GLOBAL(x))


def test_a_compiled_module_inside_stays_itself():
    inner = scriptmode.script(Scale())
    compiled = scriptmode.script(Outer(inner))
    assert compiled.inner is inner
    assert inner.turn() == 4 and compiled.inner.times == 4


@pytest.mark.bails_out
def test_eager_modules_and_copies_have_the_state_of_modules_inside():
    x = torch.randn(4)
    compiled = outer(Scale())
    compiled.inner.times = 8
    assert compiled.to_eager().inner.times == 8 == compiled.inner.times
    assert copy.deepcopy(compiled).inner.times == 8
    with torch.device("cpu"):  # a mode: the interpreter runs
        torch.testing.assert_close(compiled(x, 2), expected(x, 2, 8))
    assert compiled.inner.times == 8
