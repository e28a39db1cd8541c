"""Objects that hold tensors: whatever was done with them, gradients find their way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import scriptmode
from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


class State:
    def __init__(self, h: Tensor, n: int):
        self.h = h
        self.n = n

    def step(self, w: Tensor):
        self.h = torch.tanh(self.h * w)
        self.n += 1


def stepped(a, w, k: int):
    state = State(a, 0)
    other = state
    for _ in range(k):
        state.step(w)
    return other.h * other.n


def test_an_object_that_changes_in_a_loop():
    check_gradients(stepped, x(3), x(3), 4)
    check_gradients(stepped, x(3), torch.rand(3, dtype=torch.float64), 2)
    check_gradients(stepped, torch.rand(3, dtype=torch.float64), x(3), 0)


@dataclass
class Hypothesis:
    score: Tensor
    tokens: list[int]


def beam(a, w, width: int):
    found: list[Hypothesis] = [Hypothesis(a.sum(), [])]
    for step in range(3):
        grown: list[Hypothesis] = []
        for h in found:
            for k in range(width):
                grown.append(Hypothesis(h.score * w[k] + a[step], [*h.tokens, k]))
        grown.sort(key=lambda h: -float(h.score.detach()))
        found = grown[:width]
    return torch.stack([h.score for h in found]).logsumexp(0), found[0].tokens


def test_lists_of_objects():
    check_gradients(beam, x(3), x(2), 2)


class Link:
    def __init__(self, value: Tensor, following: Link | None):
        self.value = value
        self.following = following


def chained(a, n: int):
    last: Link | None = None
    for i in range(n):
        last = Link(a[i] * (i + 1), last)
    total = torch.zeros(2, dtype=a.dtype)
    while last is not None:
        total = torch.sin(total + last.value)
        last = last.following
    return total


def test_objects_that_lead_to_others():
    check_gradients(chained, x(4, 2), 4)


class Counted:
    def __init__(self):
        self.n = 0


def counted(a):
    count = Counted()
    while a.sum() < 10:
        a = a * 1.5
        count.n += 1
    return a * count.n


def test_objects_without_tensors():
    check_gradients(counted, x(3))


def made(a) -> State:
    return State(a * 2, 1)


def test_gradients_of_objects_as_results():
    a = x(3)
    (found,) = torch.autograd.grad(scriptmode.script(made)(a).h.sum(), a)
    torch.testing.assert_close(found, torch.full_like(a, 2))


def closure(a, w, n: int):
    total = a

    def step(k: int):
        nonlocal total
        total = torch.tanh(total * w + k)
        return total * 2

    y = a
    for i in range(n):
        y = y * step(i)
    return y + total


def test_variables_of_closures():
    check_gradients(closure, x(3), x(3), 3)
    check_gradients(closure, x(3), torch.rand(3, dtype=torch.float64), 2)
    check_gradients(closure, torch.rand(3, dtype=torch.float64), x(3), 0)


def late(a, n: int):
    best: Tensor | None = None

    def look(v: Tensor):
        nonlocal best
        if best is None or bool(v.sum() > best.sum()):
            best = v * 2

    for i in range(n):
        look(a[i] * i)
    if best is None:
        return a.sum()
    return best.prod() * a.sum()


def test_variables_of_closures_that_may_be_missing():
    check_gradients(late, x(4, 2), 4)
    check_gradients(late, x(4, 2), 0)


def nested(a, n: int):
    found: list[Tensor] = []
    scale = a

    def visit(k: int) -> Tensor:
        nonlocal scale
        if k == 0:
            return scale
        scale = scale * torch.sin(a)
        found.append(scale)
        return visit(k - 1) * found[-1]

    return visit(n) + torch.stack(found).sum(0)


def test_recursive_closures():
    check_gradients(nested, x(3), 3)
