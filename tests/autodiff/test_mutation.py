"""Functions that write tensors in place."""

import pytest
import torch

import scriptmode
from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape).requires_grad_()


def chain(a, w):
    h = a * 2
    h.mul_(3).add_(w)
    h.sub_(1, alpha=2)
    h.relu_()
    return h * a


def test_a_chain_of_writes():
    check_gradients(chain, x(4), x(4))
    check_gradients(chain, x(4), torch.rand(4))


def accumulated(a, n: int):
    h = torch.zeros(4)
    for i in range(n):
        h += a * i
    return h, h * 2


def recurrent(a, w, n: int):
    h = a + 1
    for _ in range(n):
        h = h @ w
        h += a
        h.tanh_()
    return h


def test_sums_in_loops():
    for n in (0, 1, 3):
        check_gradients(accumulated, x(4), n)
        check_gradients(recurrent, x(4), x(4, 4), n)


def element(a, b):
    y = a * 2
    before = y[0] + b
    y[0] = b
    y[1] = 5
    return y * a, before


def test_elements():
    check_gradients(element, x(4), x(1)[0].detach().requires_grad_())
    check_gradients(element, torch.rand(4), torch.rand([]).requires_grad_())


def series(a, w, n: int):
    out = torch.zeros(n, 4)
    h = a
    for t in range(n):
        h = torch.tanh(h * w + t)
        out[t] = h
    return out


def test_a_series():
    for n in (0, 1, 4):
        check_gradients(series, x(4), x(4), n)


def squared(a, w):
    h = a * 1
    h.mul_(w)
    h.mul_(h.detach() + 1)
    return h


def test_operands_that_are_written_by_the_op_itself():
    check_gradients(squared, x(4), x(4))


def masked(a, b):
    y = a * 2
    y[y > 1] = 0
    z = b * 3
    z.masked_fill_(a > 0.5, 2.0)
    z[a > 0.7] = b.sum()
    return y * z


def test_masks():
    check_gradients(masked, x(6), x(6))


def columns(a, z):
    y = a * 2
    y[:, 1:3] += z
    y[0].mul_(3)
    y[1, :2] = z[0]
    return y


def test_views_that_are_written():
    check_gradients(columns, x(3, 4), x(3, 2))


def reread(a, b):
    y = a * 2
    v = y[1:]
    s = v.sum()
    y[2] = b
    u = v.t().exp()
    v += 1
    return y, v * s, u


def test_views_that_are_read_after_a_write():
    check_gradients(reread, x(4, 3), x(3))


def one_side(a, w, c: bool):
    y = a * w
    if c:
        y += w
        y[0] = 1
    elif a.sum() > 100:
        y = a * 3
    return y * 2, y.sum()


def rebound(a, w, c: bool):
    y = a + 1
    if c:
        y = torch.sin(y) - 1
    y *= 2
    return y + w


def test_branches_that_write_on_one_side():
    for c in (True, False):
        check_gradients(one_side, x(4), x(4), c)
        check_gradients(rebound, x(4), x(4), c)


def layers(a, w, n: int):
    h = a * 2
    for i in range(n):
        h = (h + w).sin() - w
        if i == 1:
            h[0] = 0
    h += 1
    return h


def test_writes_of_what_a_loop_gives():
    for n in (0, 1, 4):
        check_gradients(layers, x(4), x(4), n)


def carried(a, w, n: int):
    h = a * 2
    for _ in range(n):
        h += w
        h = h * 0.5
    return h, h[0]


def test_writes_of_what_an_earlier_iteration_has_made():
    for n in (0, 1, 3):
        check_gradients(carried, x(4), x(4), n)


def kept(a, w):
    y = a * 2
    z = y * w
    y += 1
    return z * y


def squashed(a):
    y = torch.sigmoid(a * 2)
    y *= 2
    return y


def by_itself(a):
    y = a * 2
    y *= y
    return y


@pytest.mark.parametrize("function", [kept, squashed, by_itself])
def test_writes_of_what_is_kept_raise_as_in_eager(function):
    arguments = (x(4), x(4))[: function.__code__.co_argcount]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        function(*arguments).sum().backward()
    scripted = scriptmode.script(function)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        scripted(*arguments).sum().backward()


def parts(a, b):
    y = torch.zeros(3, 3)
    y[0] = a
    y[1, 1] = b.sum()
    return y[0], y[1:], y.t()


def test_results_that_view_what_was_written():
    check_gradients(parts, x(3), x(3))


def beside(a, b, n: int):
    z = b.sin()
    z[1:3] *= b[2:4]
    for _ in range(n):
        z = a.sin() + z
    return z


def test_writes_of_what_carries_no_gradient_yet():
    check_gradients(beside, x(4), torch.rand(4), 2)
    check_gradients(beside, x(4), x(4), 0)


def nothing(a):
    y = a * 2
    y.zero_()
    z = a * 3
    z.fill_(2)
    u = a * 4
    u.copy_(torch.ones(3))
    return y, z + u


def test_tensors_that_are_overwritten():
    check_gradients(nothing, x(3))


def argument(a, b):
    a.add_(b)
    return a * 2


def held(a):
    y = a * 2
    ys = [y]
    y += 1
    return ys[0] * y


def either(a, b, c: bool):
    y = a * 2
    z = b * 2
    p = y if c else z
    p += 1
    return y, z


def test_what_is_left_to_the_tape():
    scripted = scriptmode.script(argument)
    b = x(3)
    y = scripted(torch.ones(3), b)
    y.sum().backward()
    assert torch.equal(b.grad, torch.full((3,), 2.0))
    check_gradients(held, x(3), differentiated=False)
    check_gradients(either, x(3), x(3), True, differentiated=False)


def quiet(a, b):
    y = torch.zeros(3)
    with torch.no_grad():
        y += a
        y[1] = b
    return y * a


def loud(a, b):
    y = a * 2
    with torch.no_grad():
        y += b
    return y * a


def test_writes_in_a_region_without_gradients():
    check_gradients(quiet, x(3), x(1)[0].detach())
    check_gradients(loud, x(3), x(3), differentiated=False)
