"""Operations that tensors do not have raise what Python raises, where the program reaches them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scriptmode.support import config
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


def row_set(z: Tensor, i: int):
    z[i] = 1
    return z


def part_set(z: Tensor, n: int):
    z[:n] = 2.0
    return z


def all_set(z: Tensor, way: int):
    if way == 0:
        z[...] = 3
    elif way == 1:
        z[None] = 3
    elif way == 2:
        z.copy_(3)  # type: ignore[arg-type]
    else:
        z.fill_(3)
    return z


def row_kept_apart(z: Tensor, i: int):
    try:
        z[i] = 1
    except RuntimeError:
        z = z.clone()
        z[i] = 1
    return z


def expanded() -> list[Tensor]:
    return [
        torch.arange(6.0).reshape(2, 3), torch.zeros(2, 1).expand(2, 3), torch.zeros(3).expand(2, 3),
        torch.tensor(5.0).expand(3), torch.zeros(1).expand(1), torch.zeros(4).expand(0, 4),
    ]  # fmt: skip


@pytest.mark.parametrize("function", [row_set, part_set, all_set, row_kept_apart])
def test_numbers_written_where_elements_share_memory(function):
    ways = range(4 if function is all_set else 2)
    check(function, *((z, way) for way in ways for z in expanded()))


def test_special_code_writes_numbers_where_elements_share_memory():
    with config.override(specialize="sync", specialize_calls=1):
        check(row_kept_apart, *((z, 0) for z in expanded()[:4] * 3))


def test_rounding_a_tensor():
    check(rounded, (torch.tensor([1.5]), 1), (torch.tensor([1.5]), 3))


def test_a_slice_with_a_negative_step():
    check(reversed_by_slice, (torch.ones(4), 1), (torch.ones(4), 3))


def test_a_slice_with_a_negative_step_caught():
    check(caught, (torch.ones(2, 4), 1), (torch.ones(2, 4), -1))
