"""Modules of a list walked beside values whose number is known at run time only."""

from __future__ import annotations

import copy

import torch

from tests.fourway import check


class Layers(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(count))

    def forward(self, x, factors: list[float], stop: int):
        used: list[int] = []
        for layer, factor in zip(self.layers, factors):
            x = layer(x) * factor
            if len(used) == stop:
                break
            used.append(len(used))
        else:
            x = x + 100
        for index, (factor, layer) in enumerate(zip(factors, self.layers)):
            x = layer(x) + index + factor
        return x, used


def test_a_module_list_beside_a_list() -> None:
    x = torch.ones(1, 2)
    arguments = [(x, [1.0, 2.0], 9), (x, [], 9), (x, [0.5] * 5, 9), (x, [1.0] * 3, 1)]
    for count in (1, 3):
        check(Layers(count), *arguments)


def test_deep_copies_of_flat_containers() -> None:
    def f(xs: list[int], d: dict[str, float]):
        ys, c, s = copy.deepcopy(xs), copy.deepcopy(d), copy.deepcopy({1, 2})
        pairs = [(1, "a")]
        others = copy.deepcopy(pairs)
        ys.append(7)
        c["new"] = 1.5
        s.add(9)
        others.append((2, "b"))
        t = (1, "x")
        return xs, ys, d, c, len(s), pairs, others, copy.deepcopy(t), copy.deepcopy(3)

    check(f, ([1, 2], {"a": 1.0}), ([], {}))


def test_deep_copies_of_nested_containers() -> None:
    def f(rows: list[list[int]]):
        copied = copy.deepcopy(rows)
        copied[0].append(3)
        return copied, rows

    check(f, ([[1], [2]],))
