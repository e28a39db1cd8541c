"""Operations that tensors do not have raise what Python raises, where the program reaches them."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.fourway import check


def rounded(x: Tensor, n: int):
    if n > 2:
        return round(x)
    return x.round()


def reversed_by_slice(x: Tensor, n: int):
    y = x + n
    if n > 2:
        return y[::-1]
    return y[::2]


def caught(x: Tensor, n: int):
    try:
        return x[0, :: -1 if n < 0 else -2]
    except (ValueError, RuntimeError):
        return x * n


def test_rounding_a_tensor():
    check(rounded, (torch.tensor([1.5]), 1), (torch.tensor([1.5]), 3))


def test_a_slice_with_a_negative_step():
    check(reversed_by_slice, (torch.ones(4), 1), (torch.ones(4), 3))


def test_a_slice_with_a_negative_step_caught():
    check(caught, (torch.ones(2, 4), 1), (torch.ones(2, 4), -1))
