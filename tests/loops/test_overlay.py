"""Products that are computed where a map then writes its result."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scriptmode.codegen import regions
from tests.loops.test_layouts import check


def layer(x: Tensor, w: Tensor, b: Tensor):
    return torch.relu(F.linear(x, w, b))


def twice(x: Tensor, w: Tensor, b: Tensor):
    y = F.linear(x, w)
    return y.exp(), y.tanh()


def moved(x: Tensor, w: Tensor, b: Tensor):
    return F.linear(x, w).flip(1) + 1


def chained(x: Tensor, w: Tensor, b: Tensor):
    return torch.tanh(F.linear(x, w, b)) @ w - x


def halves(x: Tensor, w: Tensor, b: Tensor):
    y = F.linear(x, w)
    return y[:, 1:] * y[:, :-1]


def added(x: Tensor, w: Tensor, b: Tensor):
    return F.linear(x, w) + F.linear(x * 2, w).sigmoid()


@pytest.mark.parametrize("function", [layer, twice, moved, chained, halves, added])
@pytest.mark.parametrize("shape", [(1, 70), (5, 24), (90, 80)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_lie_where_a_map_reads_them_once(function, shape, dtype):
    x, w, b = torch.randn(shape), torch.randn(95, shape[1]), torch.randn(95)
    special = check(function, *(t.to(dtype) for t in (x, w, b)))
    (node,) = [n for n in special.graph.walk() if n.kind == "prim::Region"]
    large = [b for b in regions.plan_of(special.program, node).temporaries if b.size > 95]
    if shape[0] > 1:
        assert bool(large) == (function not in (layer,))


def test_a_product_alone_whose_kernel_copies_an_operand():
    def f(x: Tensor, w: Tensor):
        return F.linear(x.t(), w)

    check(f, torch.randn(16, 1024), torch.randn(24, 16))
