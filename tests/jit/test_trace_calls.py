"""Compiled functions called while a trace is recorded, and recordings called by compiled code."""

from __future__ import annotations

import torch

import scriptmode


@scriptmode.script_if_tracing
def add_range(x, n: int):
    for i in range(n):
        x = x + i
    return x


@scriptmode.script
def gate(x, n: int):
    if x.sum() > 0:
        return x, n
    return -x, n + 1


def test_script_if_tracing_keeps_its_loop():
    def function(x):
        return add_range(x, x.shape[0]) * 2

    traced = scriptmode.trace(function, (torch.ones(3, 2),))
    x = torch.randn(5, 2)
    torch.testing.assert_close(traced(x), function(x))
    assert any(n.kind == "prim::Loop" for g in traced_graphs(traced) for n in g.walk())


def traced_graphs(traced):
    program, _, _ = traced.__scriptmode_ir__()
    return program.functions.values()


def test_a_scripted_function_keeps_its_branch_and_its_int_result():
    def function(x):
        y, n = gate(x, x.shape[0])
        return y.new_zeros(n)

    traced = scriptmode.trace(function, (torch.ones(3),))
    assert traced(torch.ones(4)).shape == (4,)
    assert traced(-torch.ones(4)).shape == (5,)


def test_a_trace_calls_a_trace_with_nested_arguments():
    inner = scriptmode.trace(lambda d: {"s": d["a"] * 2}, ({"a": torch.ones(2)},))
    traced = scriptmode.trace(lambda x: inner({"a": x})["s"] + 1, (torch.ones(2),))
    assert traced(torch.ones(3)).tolist() == [3.0] * 3


class Scaled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(3.0))

    def forward(self, x: torch.Tensor, dim: int = -1) -> torch.Tensor:
        return (x * self.scale).softmax(dim)


class Outer(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor, n: int) -> torch.Tensor:
        for _ in range(n):
            x = self.inner(x) + n
        return x


def test_scripted_modules_call_traced_ones() -> None:
    inner, x = Scaled(), torch.rand(2, 3)
    compiled = scriptmode.script(Outer(scriptmode.trace(inner, (x,))))
    for n in (0, 1, 4):
        torch.testing.assert_close(compiled(x, n), Outer(inner)(x, n))
    compiled(x, 2).sum().backward()
    assert inner.scale.grad is not None


def test_scripted_functions_call_traced_ones() -> None:
    inner = scriptmode.trace(lambda x: x.sin() + 1, (torch.rand(3),))

    def outer(x: torch.Tensor) -> torch.Tensor:
        return inner(x) * inner(inner(x))

    x = torch.rand(5)
    torch.testing.assert_close(scriptmode.script(outer)(x), outer(x))
