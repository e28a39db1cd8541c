"""Arithmetic of a tensor with a constant number: eager's values, types and gradients."""

from __future__ import annotations

import math

import pytest
import torch

import scriptmode

NUMBERS = [1, -3, 0, 2.5, -0.0, 1e-45, 1e300, math.inf, math.nan, 16777217, (1 << 60) + 1, True]
DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8,
    torch.bool, torch.complex64,
]  # fmt: skip


def programs(number):
    return [
        lambda x: x + number,
        lambda x: x - number,
        lambda x: x * number,
        lambda x: x / number,
        lambda x: torch.add(x, number, alpha=2),
        lambda x: number - x,
    ]


def run(function, x):
    try:
        return function(x)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("number", NUMBERS, ids=str)
def test_values_and_types(number):
    for function in programs(number):
        compiled = scriptmode.script(function)
        for dtype in DTYPES:
            for x in (torch.tensor([0, 1, 3]).to(dtype), torch.tensor(2).to(dtype)):
                want, got = run(function, x), run(compiled, x)
                if isinstance(want, type):
                    assert issubclass(got, want)
                    continue
                torch.testing.assert_close(got, want, rtol=0, atol=0, equal_nan=True)
                if want.is_floating_point():
                    assert torch.equal(got.signbit(), want.signbit())


@pytest.mark.parametrize("autodiff", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients(dtype, autodiff):
    for function in programs(2.5):
        with scriptmode.config.override(autodiff=autodiff):
            compiled = scriptmode.script(function)
            x = torch.rand(3, dtype=dtype, requires_grad=True)
            want, got = function(x), compiled(x)
        if not autodiff:
            assert got.grad_fn.name()[:-1] == want.grad_fn.name()[:-1]
        (a,) = torch.autograd.grad(want.square().sum(), x, create_graph=True)
        (b,) = torch.autograd.grad(got.square().sum(), x, create_graph=True)
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(
            *(torch.autograd.grad(g.sum(), x)[0] for g in (a, b)), rtol=0, atol=0
        )


def test_strides_modes_and_compilation_under_modes():
    def f(x):
        return (x + 1) * 2.5

    with torch.inference_mode():
        compiled = scriptmode.script(f)
        x = torch.rand(2, 3)
        torch.testing.assert_close(compiled(x), f(x))
    for x in (
        torch.rand(3, 2).t(),
        torch.rand(4, 4)[::2, 1::2],
        torch.rand(0, 3),
        torch.rand(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    ):
        got, want = compiled(x), f(x)
        torch.testing.assert_close(got, want)
        assert got.stride() == want.stride()
    x = torch.rand(3, requires_grad=True)
    compiled(x).sum().backward()
    assert x.grad.tolist() == [2.5] * 3
    with torch.autocast("cpu"):
        assert compiled(x).dtype == f(x).dtype
    sparse = torch.eye(3).to_sparse()

    def scaled(x):
        return x * 3

    assert torch.equal(scriptmode.script(scaled)(sparse).to_dense(), scaled(sparse).to_dense())
