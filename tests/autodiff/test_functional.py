"""``grad``, ``value_and_grad``, ``vjp``, ``jvp``, ``hessian`` against torch.func."""

import pytest
import torch
from torch import func

import scriptmode


def loss(w, x):
    h = x
    for _ in range(3):
        h = torch.tanh(h @ w)
    return (h * h).sum()


def case():
    torch.manual_seed(1)
    return torch.rand(3, 3), torch.rand(2, 3)


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_grad_and_value():
    w, x = case()
    made = scriptmode.grad(loss)
    close(made(w, x), func.grad(loss)(w, x))
    assert not made.reason
    both = scriptmode.grad(loss, argnums=(0, 1))(w, x)
    close(both, func.grad(loss, argnums=(0, 1))(w, x))
    value, slope = scriptmode.value_and_grad(loss, argnums=1)(w, x)
    close(value, loss(w, x))
    close(slope, func.grad(loss, argnums=1)(w, x))


def with_parts(w, x):
    y = (x * w).sum()
    return y, [x * 2]


def test_an_auxiliary_result():
    w, x = torch.rand(3), torch.rand(3)
    slope, aux = scriptmode.grad(with_parts, has_aux=True)(w, x)
    close(slope, x)
    close(aux[0], x * 2)


def of_nested(
    state: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]], xs: list[torch.Tensor]
):
    a, (b, c) = state
    total = (a * b).sum()
    for x in xs:
        total = total + (x * a).sum()
    return total


def test_nested_arguments():
    a, b, c = torch.rand(3), torch.rand(3), torch.rand(3)
    xs = [torch.rand(3), torch.rand(3)]
    made = scriptmode.grad(of_nested, argnums=(0, 1))
    got = made((a, (b, c)), xs)
    want = func.grad(of_nested, argnums=(0, 1))((a, (b, c)), xs)
    close(got[0][0], want[0][0])
    close(got[0][1][0], want[0][1][0])
    close(got[0][1][1], torch.zeros(3))
    close(got[1], want[1])
    assert not made.reason


def of_a_dict(p: dict[str, torch.Tensor], x):
    return (p["w"] * x).sum()


def test_a_dict_as_an_argument():
    p = {"w": torch.rand(3), "b": torch.rand(2)}
    got = scriptmode.grad(of_a_dict)(p, torch.ones(3))
    close(got["w"], torch.ones(3))
    close(got["b"], torch.zeros(2))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 4)

    def forward(self, x):
        return torch.tanh(self.linear(x)).sum()


def test_gradients_through_parameters():
    net, x = Net(), torch.rand(2, 3)
    scripted = scriptmode.script(net)
    penalty = scriptmode.grad(scripted)(x).square().sum()
    penalty.backward()
    got = net.linear.weight.grad.clone()
    net.zero_grad()
    y = x.clone().requires_grad_()
    torch.autograd.grad(net(y), y, create_graph=True)[0].square().sum().backward()
    close(got, net.linear.weight.grad)


def test_gradients_of_gradients():
    w, x = case()
    w.requires_grad_()
    slope = scriptmode.grad(loss)(w, x)
    (again,) = torch.autograd.grad(slope.sum(), w)
    want = func.grad(lambda v: func.grad(loss)(v, x).sum())(w.detach())
    close(again, want)


def cubes(v):
    return (v**3).sum() + v.prod()


def test_hessian():
    v = torch.rand(4)
    close(scriptmode.hessian(cubes)(v), func.hessian(cubes)(v))


def pair(a, b):
    return a * b, {"s": (a.sin() + b).sum()}


def test_vjp_and_jvp():
    a, b = torch.rand(3), torch.rand(3)
    result, pull = scriptmode.vjp(pair, a, b)
    want, want_pull = func.vjp(pair, a, b)
    close(result[0], want[0])
    given = (torch.rand(3), {"s": torch.tensor(2.0)})
    close(pull(given), want_pull(given))
    close(pull(given), want_pull(given))
    got = scriptmode.jvp(pair, (a, b), (torch.ones(3), b))
    want = func.jvp(pair, (a, b), (torch.ones(3), b))
    close(got[1][0], want[1][0])
    close(got[1][1]["s"], want[1][1]["s"])


def test_what_has_no_gradient():
    with pytest.raises(RuntimeError, match="scalar tensor"):
        scriptmode.grad(lambda x: x * 2)(torch.rand(3))
    with pytest.raises(RuntimeError, match="int64"):
        scriptmode.grad(lambda x: x.sum())(torch.ones(2, dtype=torch.long))


def slope_inside(w, x):
    return scriptmode.grad(loss)(w, x) * 2


def both_inside(w, x):
    value, (dw, dx) = scriptmode.value_and_grad(loss, argnums=(0, 1))(w, x)
    return value, w - 0.1 * dw, dx


def descent(w, x, n: int):
    step = scriptmode.value_and_grad(loss)
    losses = []
    for _ in range(n):
        value, dw = step(w, x)
        w = w - 0.05 * dw
        losses.append(value)
    return w, losses


def aux_inside(w, x):
    return scriptmode.grad(with_parts, has_aux=True)(w, x)


def test_gradients_inside_of_compiled_programs():
    w, x = case()
    close(scriptmode.script(slope_inside)(w, x), func.grad(loss)(w, x) * 2)
    value, updated, dx = scriptmode.script(both_inside)(w, x)
    close(value, loss(w, x))
    close(updated, w - 0.1 * func.grad(loss)(w, x))
    close(dx, func.grad(loss, argnums=1)(w, x))
    scripted = scriptmode.script(descent)
    got, losses = scripted(w, x, 3)
    want = w
    for n in range(3):
        close(losses[n], loss(want, x))
        want = want - 0.05 * func.grad(loss)(want, x)
    close(got, want)
    slope, aux = scriptmode.script(aux_inside)(torch.ones(3), torch.full((3,), 2.0))
    close(slope, torch.full((3,), 2.0))
    close(aux[0], torch.full((3,), 4.0))


def test_gradients_inside_are_differentiable_again():
    w, x = case()
    w.requires_grad_()
    (again,) = torch.autograd.grad(scriptmode.script(slope_inside)(w, x).sum(), w)
    want = func.grad(lambda v: 2 * func.grad(loss)(v, x).sum())(w.detach())
    close(again, want)


CAPTURED = torch.rand(3).requires_grad_()


def weighted(p):
    return (p * p * CAPTURED).sum()


def of_captured(p):
    return scriptmode.grad(weighted)(p)


def of_arguments(p, q):
    return scriptmode.value_and_grad(lambda a, b: (a * a * b).sum())(p, q)


def of_variables(p, q):
    return scriptmode.grad(lambda a: (a * a * q).sum())(p)


class Forces(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)

    def energy(self, p):
        return self.linear(p).square().sum()

    def forward(self, p):
        return scriptmode.grad(self.energy)(p)


def test_gradients_inside_require_gradients_as_those_outside_do():
    plain, variable = torch.rand(3), torch.rand(3).requires_grad_()
    frozen = Forces().requires_grad_(False)
    for function, arguments in (
        (of_captured, (plain,)),
        (of_arguments, (plain, plain)), (of_arguments, (plain, variable)),
        (of_variables, (plain, plain)), (of_variables, (plain, variable)),
        (of_variables, (variable, plain)),
        (Forces(), (plain,)), (frozen, (plain,)), (frozen, (variable,)),
    ):  # fmt: skip
        want, got = function(*arguments), scriptmode.script(function)(*arguments)
        for a, b in zip(*((r if isinstance(r, tuple) else (r,)) for r in (want, got))):
            assert a.requires_grad == b.requires_grad, function
            close(a, b)
