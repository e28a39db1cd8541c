"""Which calls that need gradients run programs of their own when ``autodiff`` is ``auto``."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import scriptmode
from scriptmode.jit import gradient_choice
from scriptmode.jit.background import background

X = torch.rand(3, 4)


@pytest.fixture(autouse=True)
def chosen(monkeypatch):
    monkeypatch.setattr(gradient_choice, "SECONDS", 0.0)
    monkeypatch.setattr(gradient_choice, "CALL", 0.0)
    with scriptmode.config.override(autodiff="auto"):
        yield
    background.wait()


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x, n: int):
        for _ in range(n):
            x = torch.tanh(self.linear(x))
        return x


def runs_own(result):
    """Whether a call has run a program of its own, and not recorded op by op."""
    return type(result.grad_fn).__name__ == "ApplyBackward"


def step(compiled, eager, *args):
    """The result of a call that is differentiated as eager is."""
    for module in (compiled, eager):
        module.zero_grad()
    result, want = compiled(*args), eager(*args)
    torch.testing.assert_close(result, want)
    want.sum().backward()
    expected = [p.grad.clone() for p in eager.parameters()]
    eager.zero_grad()
    result.sum().backward()
    for parameter, grad in zip(compiled.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)
    return result


def test_a_loop_that_is_differentiated_gets_programs_in_the_background():
    eager = Cell()
    compiled = scriptmode.script(eager)
    for _ in range(gradient_choice.BACKWARDS):
        assert not runs_own(step(compiled, eager, X, 3))
    for _ in range(2):  # asks what patterns are made of, then for the programs
        step(compiled, eager, X, 3)
        background.wait()
    assert runs_own(step(compiled, eager, X, 3))
    eager.linear.weight.requires_grad_(False)
    eager.linear.weight.grad = None
    result = compiled(X, 3)  # another pattern, of which there is no program
    assert not runs_own(result)
    background.wait()
    assert runs_own(compiled(X, 3))


def test_results_that_are_never_differentiated_lead_to_nothing():
    compiled = scriptmode.script(Cell())
    for _ in range(5):
        assert not runs_own(compiled(X, 3))
        background.wait()
    assert not compiled._dispatcher.primary.gradients._asked


@pytest.mark.parametrize("limit", ["SECONDS", "CALL"])
def test_calls_that_take_no_time_lead_to_nothing(monkeypatch, limit):
    monkeypatch.setattr(gradient_choice, limit, 1e9)
    eager = Cell()
    compiled = scriptmode.script(eager)
    for _ in range(5):
        step(compiled, eager, X, 3)
    assert not compiled._dispatcher.primary.gradients._asked


def test_ops_that_run_once_in_a_call_stay_on_the_tape():
    eager = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    compiled = scriptmode.script(eager)
    for _ in range(5):
        assert not runs_own(step(compiled, eager, X))
    assert not compiled._dispatcher.primary.gradients._asked
    assert "no op on tensors is repeated" in scriptmode.explain(compiled)


def test_a_loop_over_numbers_repeats_no_op_on_tensors():
    @scriptmode.script
    def scaled(x, n: int):
        total = 0
        for i in range(n):
            total += i
        return x * total

    assert not scaled._dispatcher.primary.gradients.choice.repeats


def power(x, n: int):
    if n <= 0:
        return torch.ones_like(x)
    return x * power(x, n - 1)


def many(x, n: int):
    for _ in range(n):
        x = twice(x)
    return x


def asking(x: torch.Tensor, n: int):
    y = x
    for _ in range(n):
        if x.requires_grad:
            y = y * x
    return y


def twice(x):
    return x + x


@pytest.mark.parametrize("function", [power, many])
def test_recursion_and_calls_in_loops_repeat_ops(function):
    assert scriptmode.script(function)._dispatcher.primary.gradients.choice.repeats


def test_a_checkpoint_is_kept_from_the_first_call_on():
    @scriptmode.script
    def saving(x):
        return scriptmode.checkpoint(twice, x)

    assert runs_own(saving(X.clone().requires_grad_()))


def test_programs_are_made_at_once_where_each_run_must_be_the_same():
    eager = Cell()
    compiled = scriptmode.script(eager)
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(gradient_choice.BACKWARDS):
            assert not runs_own(step(compiled, eager, X, 3))
        assert runs_own(step(compiled, eager, X, 3))
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_function_that_is_dropped_while_it_waits_is_not_compiled():
    eager = Cell()
    compiled = scriptmode.script(eager)
    for _ in range(gradient_choice.BACKWARDS + 1):
        step(compiled, eager, X, 3)
    del compiled
    background.wait()


def test_what_has_no_programs_of_its_own_stays_on_the_tape():
    compiled = scriptmode.script(asking)
    x = torch.rand(3, requires_grad=True)
    for _ in range(5):
        x.grad = None
        compiled(x, 2).sum().backward()
        torch.testing.assert_close(x.grad, 3 * x.detach() ** 2)
        background.wait()
    assert compiled._dispatcher.primary.gradients.reason


@pytest.mark.parametrize("value", ["auto", "1", "0"])
def test_the_option_takes_texts(value):
    with scriptmode.config.override(autodiff=value):
        wanted = {"auto": "auto", "1": True, "0": False}[value]
        assert scriptmode.support.config.get("autodiff") == wanted


def test_second_derivatives_get_programs_in_the_background():
    eager = Cell()
    compiled = scriptmode.script(eager)
    for _ in range(gradient_choice.BACKWARDS + 2):
        step(compiled, eager, X, 2)
        background.wait()

    def slopes(module):
        result = module(X, 2)
        return torch.autograd.grad(result.sum(), list(module.parameters()), create_graph=True)

    owned = []
    for _ in range(3):  # asks for the function, then for its programs
        seconds = []
        for module in (compiled, eager):
            found = slopes(module)
            if module is compiled:
                owned.append(all(runs_own(slope) for slope in found))
            value = sum(slope.pow(2).sum() for slope in found)
            seconds.append(torch.autograd.grad(value, list(module.parameters()))[0])
        torch.testing.assert_close(*seconds)
        background.wait()
    assert owned == [False, False, True]
