"""Compiled functions called while a trace is recorded."""

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
