"""Regions of another grad mode inside of differentiated functions."""

import torch

from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape).requires_grad_()


def region(a, n: int):
    y = a * 2
    with torch.no_grad():
        z = y * 3
        for i in range(n):
            if i > 1:
                break
            z = z + a
        seen = y
    with torch.enable_grad():
        y = y * a
    return y * z + seen, z


def test_a_region_without_gradients():
    for n in (0, 2, 4):
        check_gradients(region, x(3), n)


@torch.no_grad()
def scale(a):
    return a.abs().max() + 1


def decorated(a):
    if torch.is_grad_enabled():
        a = a * 2
    return a / scale(a)


def test_a_decorated_function():
    check_gradients(decorated, x(3))


def nested(a, c: bool):
    with torch.no_grad():
        b = a * 2
        with torch.enable_grad():
            d = b + a * 3
        e = torch.cat([a, d])
        if c:
            b = torch.digamma(d + 1)
    previous = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    f = d * 2
    torch.set_grad_enabled(previous)
    return a * b, d, e, f


def test_regions_in_regions():
    check_gradients(nested, x(3), True)
    check_gradients(nested, x(3), False)


class Average(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.register_buffer("mean", torch.zeros(3))
        self.rate = 0.1

    def forward(self, a):
        y = self.linear(a)
        with torch.no_grad():
            self.mean.mul_(1 - self.rate).add_(y.mean(0), alpha=self.rate)
        return (y - y.detach().mean(0)).tanh()


def test_statistics_of_a_module():
    check_gradients(Average(), x(4, 3))


def chosen(a, c: bool):
    with torch.set_grad_enabled(c):
        b = a * 2
    return a * b


def test_a_mode_that_only_a_run_knows():
    check_gradients(chosen, x(3), True, differentiated=False)
    check_gradients(chosen, x(3), False, differentiated=False)


def left(a, n: int, c: bool):
    for i in range(n):
        with torch.no_grad():
            if i == 2:
                break
            b = a * i
            if i == 1:
                continue
        a = a * b + a
    with torch.no_grad():
        if c:
            return a * 2, a
        b = a * n
    return a * b, b


def test_early_exits_from_a_region():
    for n in (0, 1, 9):
        check_gradients(left, x(3), n, n == 0)
    check_gradients(left, x(3), 4, True)


def early(a, n: int):
    with torch.no_grad():
        for i in range(n):
            if a.sum() * i > 2:
                return a * i
    return a * 2


def test_a_return_from_a_loop_in_a_region():
    for n in (0, 9):
        check_gradients(early, x(3), n, differentiated=False)
