"""Gradients where the operand of an op may be None at run time."""

from __future__ import annotations

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

import scriptmode


def chosen(x: Tensor, w: Tensor, b: Tensor, n: int):
    bias: Optional[Tensor] = None
    if n > 1:
        bias = b * 2
    for _ in range(3):
        x = F.linear(x, w, bias).tanh()
    return x.sum()


def given(x: Tensor, w: Tensor, b: Optional[Tensor], n: int):
    for _ in range(n):
        x = F.linear(x, w, b).tanh()
    return x.sum()


def test_a_bias_that_may_be_none():
    torch.manual_seed(0)
    x, w, b = (torch.randn(*s, dtype=torch.float64) for s in ((2, 3), (3, 3), (3,)))
    w.requires_grad_()
    b.requires_grad_()
    for function, biases in ((chosen, (b,)), (given, (b, None))):
        compiled = scriptmode.script(function)
        for bias in biases:
            for n in (2, 0, 3):
                inputs = [w] if bias is None else [w, b]
                want = function(x, w, bias, n), compiled(x, w, bias, n)
                if not want[0].requires_grad:
                    assert not want[1].requires_grad
                    continue
                a, c = (torch.autograd.grad(v, inputs, allow_unused=True) for v in want)
                for p, q in zip(a, c, strict=True):
                    assert (p is None) == (q is None)
                    assert p is None or torch.allclose(p, q, rtol=1e-9)
