"""Programs that also print, count, or write buffers: effects happen once, whatever is differentiated."""

import copy

import pytest
import torch
from torch import nn

import scriptmode


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3).double()
        self.calls = 1
        self.scale = 0.5

    def forward(self, a):
        for _ in range(2):
            self.calls += 1
            a = torch.tanh(self.linear(a)) * self.calls * self.scale
        self.scale = self.scale / 2
        return a


class Average(nn.Module):
    """What it subtracts is changed by each call, before it is read."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3).double()
        self.register_buffer("mean", torch.zeros(3, dtype=torch.float64))
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, a):
        y = self.linear(a)
        self.steps += 1
        with torch.no_grad():
            self.mean.mul_(0.5).add_(y.mean(0), alpha=0.5)
        d = y - self.mean
        return d * d * d


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.counting = Counting()
        self.average = Average()

    def forward(self, a):
        return self.average(self.counting(a)) * self.counting.calls


MODULES = [Counting, Average, Inner]


def state(module):
    found = {name: buffer.clone() for name, buffer in module.named_buffers()}
    for name, inner in (("", module), ("inner", getattr(module, "counting", None))):
        if hasattr(inner, "calls"):
            found[f"{name}.calls"], found[f"{name}.scale"] = inner.calls, inner.scale
    return found


@pytest.mark.parametrize("made", MODULES)
def test_calls_one_after_another(made):
    eager = made()
    scripted = scriptmode.script(copy.deepcopy(eager))
    found = []
    for module in (eager, scripted):
        torch.manual_seed(0)
        inputs = [x(4, 3) for _ in range(3)]
        results = [module(a) for a in inputs]
        after = state(module)
        wanted = [*inputs, *module.parameters()]
        total = sum(r.sum() for r in results)
        first = torch.autograd.grad(total, wanted, create_graph=True)
        second = torch.autograd.grad(sum((g * g).sum() for g in first), wanted)
        # differentiating twice changes nothing
        found.append((results, after, state(module), first, second))
    torch.testing.assert_close(*found)
    assert scripted._dispatcher.primary.gradients.reason == ""


def test_a_buffer_that_the_reverse_needs_stays_on_the_tape():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(3))

        def forward(self, a):
            y = a * self.scale
            self.scale.mul_(2)
            return y + 1

    scripted = scriptmode.script(Scaled())
    a = torch.rand(3, requires_grad=True)
    y = scripted(a)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    assert "written later" in scripted._dispatcher.primary.gradients.reason


def talking(a, n: int):
    for i in range(n):
        print("step", i)
        a = torch.sin(a)
    return a


def test_text_is_printed_once(capsys):
    scripted = scriptmode.script(talking)
    a = x(3)
    y = scripted(a, 2)
    (first,) = torch.autograd.grad(y.sum(), a, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), a)
    assert capsys.readouterr().out == "step 0\nstep 1\n"
    b = a.detach().requires_grad_()
    (want,) = torch.autograd.grad(torch.sin(torch.sin(b)).sum(), b, create_graph=True)
    torch.testing.assert_close(first, want)
    torch.testing.assert_close(second, torch.autograd.grad(want.sum(), b)[0])
    assert scripted._dispatcher.primary.gradients.reason == ""


def grown(xs: list[torch.Tensor], w):
    print("grown")
    xs.append(w * 2)
    return xs[0] * xs[1]


def test_text_and_changes_of_arguments_stay_on_the_tape(capsys):
    scripted = scriptmode.script(grown)
    xs, w = [x(3)], x(3)
    scripted(xs, w).sum().backward()
    assert capsys.readouterr().out == "grown\n"
    torch.testing.assert_close(w.grad, 2 * xs[0].detach())
    assert "effects" in scripted._dispatcher.primary.gradients.reason


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Counting()

    def forward(self, a):
        return scriptmode.checkpoint(self.inner, a) * 2


def test_effects_in_a_checkpoint_happen_once():
    module = Outer()
    scripted = scriptmode.script(copy.deepcopy(module))
    a = x(2, 3)
    (found,) = torch.autograd.grad(scripted(a).sum(), a)
    (want,) = torch.autograd.grad((module.inner(a) * 2).sum(), a)
    torch.testing.assert_close(found, want)
    assert scripted.inner.calls == module.inner.calls == 3
    assert scripted._dispatcher.primary.gradients.reason


def talked_of(a):
    return scriptmode.checkpoint(talking, a, 1) * 2


def test_text_in_a_checkpoint_is_printed_once(capsys):
    scripted = scriptmode.script(talked_of)
    a = x(3)
    (found,) = torch.autograd.grad(scripted(a).sum(), a)
    assert capsys.readouterr().out == "step 0\n"
    torch.testing.assert_close(found, 2 * torch.cos(a.detach()))
    assert "prim::print" in scripted._dispatcher.primary.gradients.reason
