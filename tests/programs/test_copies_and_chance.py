"""``copy`` of tensors, and ``random``: answered by Python, with what eager gives."""

from __future__ import annotations

import copy
import random

import torch
from torch import Tensor

from tests.fourway import check

X = torch.linspace(-1, 1, 4)


def copies(x: Tensor):
    y = copy.deepcopy(x)
    if not y.requires_grad:
        y.add_(1)
    return x, y, y * 2, y is x, copy.copy(x) is x


def test_a_tensor_is_copied_with_its_storage():
    check(copies, (X,), (X.clone().requires_grad_(),))


def copies_nested(xs: dict[str, list[Tensor]], t: Tensor):
    shared = [t, t, t[0:1]]
    ys = copy.deepcopy((xs, shared, shared))
    ys[1][0].add_(1)
    ys[2].append(t)
    maybe = t if bool(t.sum() > 9) else None
    return ys, xs, shared, ys[1] is ys[2], ys[1][0] is ys[1][1], copy.deepcopy(maybe)


def test_what_containers_share_is_shared_by_the_copies():
    check(copies_nested, ({"a": [X]}, X))


def copies_a_result(x: Tensor):
    return copy.deepcopy(x * 2)


def test_a_tensor_on_the_tape_cannot_be_copied():
    check(copies_a_result, (X.clone().requires_grad_(),))


def chance(n: int):
    random.seed(n)
    deck = list(range(n))
    random.shuffle(deck)
    some = random.sample(range(10), 3), random.choices("abc", weights=[1, 2, 3], k=n)
    one = random.choice([1, 2, 3]), random.choice("abc"), random.choice((True, False))
    return deck, some, one, random.getrandbits(9), random.lognormvariate(0.0, 1.0)


def test_chance_is_that_of_python():
    check(chance, (5,))
