"""Second derivatives, and further ones, by programs of our own: see ``autodiff.pullback``."""

import copy
import warnings

import pytest
import torch

import scriptmode
from scriptmode.jit import gradients
from scriptmode.support import config
from tests.autodiff.gradients import close, leaves


@pytest.fixture(autouse=True)
def own_second_derivatives():
    with config.override(autodiff_again=True):
        yield


def derivatives(function, arguments, orders):
    """The gradients of all orders by the arguments, each of the sum of squares of the last."""
    inputs = [t for t in leaves(list(arguments)) if t.requires_grad]
    result = function(*arguments)
    value = sum(o.sum() for o in leaves(result) if o.requires_grad)
    found = []
    for order in range(orders):
        again = order + 1 < orders
        parts = torch.autograd.grad(value, inputs, create_graph=again, allow_unused=True)
        found.append(parts)
        value = sum(p.pow(2).sum() for p in parts if p is not None)
    return found


def check(function, *arguments, orders=2, reason=""):
    """Compare with eager; ``reason`` begins the one why torch's tape is used."""
    scripted = scriptmode.script(function)
    given = [
        [a.detach().clone().requires_grad_(a.requires_grad) if torch.is_tensor(a) else a
         for a in arguments]
        for _ in range(2)
    ]  # fmt: skip
    wanted = derivatives(function, given[0], orders)
    found = derivatives(scripted, given[1], orders)
    for order, (want, got) in enumerate(zip(wanted, found, strict=True)):
        for w, g in zip(want, got, strict=True):
            close(w, g, f"order {order + 1}")
            if w is not None:
                assert w.requires_grad == g.requires_grad, f"requires_grad of order {order + 1}"
                assert (w.grad_fn is None) == (g.grad_fn is None)
    gradients = scripted._dispatcher.primary.gradients
    assert gradients.reason == ""
    assert gradients.pullbacks.reason.startswith(reason) and bool(reason) == bool(
        gradients.pullbacks.reason
    )
    assert bool(gradients.pullbacks.all()) == (not reason)
    return scripted


def vector(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def straight(x, w):
    return torch.tanh(x * w) * x


def test_orders_up_to_the_third():
    check(straight, vector(0.3, 0.4), vector(0.7), orders=3)


def test_large_programs_are_left_to_the_tape(monkeypatch):
    monkeypatch.setattr(gradients, "_most_nodes", lambda: 20)
    check(straight, vector(0.3, -0.7), vector(0.5, 1.5), reason="the reverse program is too large")


def test_a_gradient_of_a_linear_function_requires_no_gradient():
    def linear(x, w):
        return x * w.detach() + 2 * w

    x, w = vector(0.3, 0.4), vector(0.7, 0.1)
    y = scriptmode.script(linear)(x, w).sum()
    found = torch.autograd.grad(y, (x, w), create_graph=True)
    assert [f.requires_grad for f in found] == [False, False]


def test_a_gradient_that_is_missing_is_missing_again():
    def loss(x, target):
        return torch.nn.functional.hinge_embedding_loss(x * x, target, margin=8.0)

    x, target = vector(0.3, 0.4), vector(1.0, -1.0)
    y = scriptmode.script(loss)(x, target)
    dx, dt = torch.autograd.grad(y, (x, target), create_graph=True, allow_unused=True)
    assert dt is None
    close(torch.tensor([1.0, -1.0]).double(), torch.autograd.grad(dx.sum(), x)[0], "second")


def steps(x, w, n: int):
    h = x
    for i in range(n):
        if h.sum() > 0:
            h = torch.sin(h * w)
        else:
            h = h - w * w
    return h


def test_loops_and_branches():
    scripted = check(steps, vector(0.3, 0.4), vector(0.7, -0.9), 4)
    assert "second derivatives run programs of their own" in scriptmode.explain(scripted)


def recorded(x, w):
    return torch.special.i0e(torch.digamma(x) * w)


def test_ops_that_the_tape_records():
    check(recorded, vector(0.3, 1.4), vector(0.7, 0.9), orders=3)


def written(x, w):
    out = torch.zeros(3, 2, dtype=torch.float64)
    for i in range(3):
        out[i] = x * w[i] * w[i]
    out[1].mul_(x)
    return out.exp()


def test_writes_in_place():
    check(written, vector(0.3, 0.4), vector(0.7, -0.9, 0.2))


def listed(x, w):
    found = [x]
    for i in range(3):
        found.append(torch.cos(found[-1]) * w)
    return found[1] * found[3]


def test_lists_that_grow():
    check(listed, vector(0.3, 0.4), vector(0.7, -0.9))


def activated(x):
    grouped = torch.nn.functional.group_norm(x.reshape(1, 2, 2), 2)
    return torch.nn.functional.silu(x) * torch.nn.functional.mish(x) * grouped.reshape(-1)


def test_ops_whose_kernels_have_no_derivative():
    check(activated, vector(0.3, 0.4, 0.7, -0.1))


def nested(x, n: int):
    return torch.sin(x) if n == 0 else nested(x * x, n - 1)


def test_recursion_is_left_to_the_tape():
    scripted = check(nested, vector(0.3, 0.4), 2, reason="a second derivative of recursion")
    assert "second derivatives record torch's tape: a second" in scriptmode.explain(scripted)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 4)
        self.last = torch.nn.Linear(4, 1)
        self.register_buffer("calls", torch.zeros(()))
        self.count = 0

    def forward(self, x):
        self.calls += 1
        self.count += 1
        return self.last(torch.tanh(self.first(x)) * self.count)


def test_a_penalty_on_the_gradient_of_a_module():
    torch.manual_seed(0)
    eager = Net()
    scripted = scriptmode.script(copy.deepcopy(eager))
    for module in (eager, scripted):
        torch.manual_seed(1)
        for _ in range(2):
            x = torch.randn(3, 2, requires_grad=True)
            (slope,) = torch.autograd.grad(module(x).sum(), x, create_graph=True)
            (slope.norm(dim=1) - 1).pow(2).sum().backward()
    for (name, want), (_, got) in zip(
        eager.named_parameters(), scripted.named_parameters(), strict=True
    ):
        close(want.grad, got.grad, name)
    assert (scripted.count, scripted.calls.item()) == (2, 2.0)
    assert scripted._dispatcher.primary.gradients.pullbacks.all()


def test_random_numbers_are_those_of_the_call():
    def dropped(x):
        return torch.nn.functional.dropout(x * x * x, 0.5, True)

    wanted = vector(*[0.1 * i for i in range(20)])
    found = wanted.detach().clone().requires_grad_()
    scripted = scriptmode.script(dropped)
    results = []
    for function, x in ((dropped, wanted), (scripted, found)):
        torch.manual_seed(7)
        results.append((*derivatives(function, [x], 2), torch.rand(1)))
    for want, got in zip(*results, strict=True):
        close(want[0], got[0], "gradient or the next random number")


def loud(x):
    print("called")
    warnings.warn("called")
    return x * x * x


@pytest.mark.parametrize("own", [True, False])
def test_a_second_derivative_says_nothing(own, capsys):
    scripted = scriptmode.script(loud)
    x = vector(0.3, 0.4)
    with config.override(autodiff_again=own), warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = derivatives(scripted, [x], 2)
    close(36 * x.detach() ** 3, found[1][0], "second derivative")
    assert capsys.readouterr().out == "called\n"
    assert len([w for w in heard if "called" in str(w.message)]) == 1


def test_a_change_between_is_noticed():
    def product(x, w):
        return x * w * w

    scripted = scriptmode.script(product)
    x, w = vector(0.3, 0.4), vector(0.7, 0.1)
    y = scripted(x, w).sum()
    with torch.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an"):
        torch.autograd.grad(y, x, create_graph=True)


def test_results_of_which_some_have_no_cotangent():
    def pair(x, w):
        return x * w, torch.exp(x)

    scripted = scriptmode.script(pair)
    found = []
    for function in (pair, scripted):
        x, w = vector(0.3, 0.4), vector(0.7, 0.1)
        first, _ = function(x, w)
        (dx, dw) = torch.autograd.grad(first.sum(), (x, w), create_graph=True)
        found.append(torch.autograd.grad((dx * dw).sum(), (x, w)))
        _, second = function(x, w)
        (dx, dw) = torch.autograd.grad(second.sum(), (x, w), create_graph=True, allow_unused=True)
        assert dw is None
        found[-1] += torch.autograd.grad(dx.sum(), x)
    for want, got in zip(*found, strict=True):
        close(want, got, "second derivative")
    assert len(scripted._dispatcher.primary.gradients.pullbacks.all()) == 2
