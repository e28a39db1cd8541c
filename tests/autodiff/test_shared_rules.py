"""Rules of some size are functions that reverse programs call, once in a program's code."""

from __future__ import annotations

import torch
from torch import nn

import scriptmode
from scriptmode.autodiff import rule
from scriptmode.ir import types as T
from tests.autodiff.gradients import check_gradients


def calls_of(compiled):
    return [call.attributes["callee"] for call in compiled.grad_graph.find_all("prim::Call")]


def test_ops_that_occur_twice_call_one_function():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    compiled = scriptmode.script(net)
    x = torch.rand(5, 3)
    compiled(x).sum().backward()
    callees = calls_of(compiled)
    assert callees
    assert len(callees) > len(set(callees)), "both layers call the same functions"
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(x).sum().backward()
    for grad, parameter in zip(found, net.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


def looped(x, w, n: int):
    for _ in range(n):
        x = torch.nn.functional.linear(x, w) * x.sum(0)
    return x


def test_they_are_not_copied_into_loops():
    compiled = scriptmode.script(looped)
    x, w = torch.rand(3, 3, requires_grad=True), torch.rand(3, 3, requires_grad=True)
    compiled(x, w, 2).sum().backward()
    gradients = compiled._dispatcher.primary.gradients
    (node,) = gradients._nodes.values()
    code = scriptmode.runtime.boundary.record_of(node.last_reverse).compiled
    reverse = code.program.functions[node.differentiated.reverse.name]
    names = [c.attributes["callee"] for c in reverse.find_all("prim::Call")]
    assert any(name.startswith("autodiff.") for name in names)


def test_they_are_differentiated_like_eager():
    x, w = (torch.rand(3, 3, requires_grad=True) for _ in range(2))
    check_gradients(looped, x, w, 3)


def test_a_small_rule_has_no_function_of_its_own():
    rules = rule.rules_of("aten::neg")
    assert rules["self"].shared([T.TENSOR]) is None


def test_each_is_found_by_its_name():
    compiled = scriptmode.script(looped)
    names = [n for n in calls_of(compiled) if n.startswith("autodiff.")]
    assert names
    for name in names:
        first, second = rule.shared_function(name), rule.shared_function(name)
        assert first is not None and first is not second and str(first) == str(second)
    assert rule.shared_function("autodiff.nothing.of.this.name") is None
