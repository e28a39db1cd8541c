"""Results that lie where an argument did, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scriptmode.codegen import regions
from scriptmode.loops import lowering
from tests.loops.test_layouts import check


def plain(x: Tensor, w: Tensor):
    return torch.tanh(F.linear(x, w)) + 1


def two(x: Tensor, w: Tensor):
    y, z = F.linear(x, w), F.linear(x + 1, w)
    return y * z - y, y + z


def moved(x: Tensor, w: Tensor):
    return F.linear(x, w).flip(1) * 2


def normal(x: Tensor, w: Tensor):
    return F.layer_norm(F.linear(x, w), [w.size(0)])


def used_again(x: Tensor, w: Tensor):
    y = F.linear(x, w)
    return torch.exp(y), y.t()


@pytest.fixture
def large_products_are_left(monkeypatch):
    """Products of torch's own in front of the regions."""
    monkeypatch.delitem(lowering._LOWERINGS, "aten::linear")


@pytest.mark.parametrize("function", [plain, two, moved, normal, used_again])
@pytest.mark.parametrize("shape", [(4, 9), (1, 40), (33, 8)])
@pytest.mark.usefixtures("large_products_are_left")
def test_results_lie_where_arguments_did_only_when_the_kernel_has_read_them(function, shape):
    x, w = torch.randn(shape), torch.randn(21, shape[1])
    special = check(function, x, w)
    nodes = [n for n in special.graph.walk() if n.kind == "prim::Region"]
    found = sum(len(regions.plan_of(special.program, n).in_place) for n in nodes)
    if function is not normal or shape[0] > 1:
        assert (found > 0) == (function is plain)
