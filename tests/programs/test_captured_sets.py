"""Captured sets, and the types of values as values: in tests and as keys."""

from __future__ import annotations

import math
from typing import Any

import torch

from tests.fourway import check

X = torch.ones(1)
NAMES = {"a", "b"}
NUMBERS = frozenset([1, 2])


def by_name(x, name: str):
    if name.lower() in NAMES and name not in ("q",):
        return x + len(NAMES) + len(f"one of {NAMES}")
    return x


def by_number(x, n: int):
    for k in NUMBERS:
        x = x + k
    return x + 1 if n in NUMBERS else x


def by_type(x):
    leaves: list[Any] = [1, 2.5, math.nan]
    for leaf in leaves:
        if type(leaf) in (int, bool) or (type(leaf) is float and not math.isnan(leaf)):
            x = x + math.copysign(1.0, leaf)
    return x


def test_captured_sets():
    check(by_name, (X, "A"), (X, "c"))
    check(by_number, (X, 2), (X, 5))


def test_types_among_several():
    check(by_type, (X,))


def test_types_as_parts_of_keys():
    def count(x):
        leaves: list[Any] = [1, 2.5, True, 1]
        filled: dict[tuple[type, Any], torch.Tensor] = {}
        for leaf in leaves:
            if type(leaf) in (int, bool, float):
                key = (type(leaf), leaf)
                if key not in filled:
                    filled[key] = x + 1
        return len(filled)

    check(count, (X,))


def test_autocast_is_switched_off_for_a_device_that_varies():
    def product(x, device: str):
        if torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return torch.mm(x, x)
        return torch.mm(x, x)

    x = torch.rand(3, 3)
    check(product, (x, "cpu"), (x, "nowhere"))
    with torch.autocast("cpu"):
        check(product, (x, "cpu"))


def test_a_tensor_of_a_list_of_tuples():
    def make(pair: tuple[float, float], both: tuple[int, float]):
        pairs = [pair]
        pairs.append((3.0, 4.0))
        return torch.tensor([pair, (1.0, 2.0)]), torch.tensor([both]), torch.tensor(pairs)

    check(make, ((1.5, 2.5), (3, 4.5)))
