"""Programs on CUDA tensors give what eager gives; all are skipped where there is no GPU."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import scriptmode
from tests.fourway import check

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x, n: int):
        for i in range(n):
            x = torch.tanh(self.linear(x))
            if x.sum() > i:
                x = -x
        return x, x.device, x.shape[0]


class Scaled:
    def __init__(self, x: torch.Tensor):
        self.x = x
        self.seen = {0: x}

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        return kind is ValueError

    def next(self, k: int):
        self.x = self.x * k
        self.seen[k] = self.x
        return self


def test_module_with_branches_and_loops():
    module = Gate().cuda()
    with torch.no_grad():
        check(module, (torch.rand(4, 8, device="cuda"), 5), (torch.rand(2, 8, device="cuda"), 0))


def test_gradients_reach_parameters():
    module = Gate().cuda()
    twin = copy.deepcopy(module)
    scripted = scriptmode.script(module)
    x = torch.rand(4, 8, device="cuda")
    twin(x, 3)[0].sum().backward()
    scripted(x, 3)[0].sum().backward()
    torch.testing.assert_close(module.linear.weight.grad, twin.linear.weight.grad)


def test_traced_module():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).cuda().eval()
    x = torch.rand(1, 3, 8, 8, device="cuda")
    traced = scriptmode.trace(module, (x,))
    torch.testing.assert_close(traced(x), module(x))
    torch.testing.assert_close(traced.cpu()(x.cpu()), module.cpu()(x.cpu()), rtol=1e-3, atol=1e-3)


def test_containers_objects_and_exceptions():
    def f(x: torch.Tensor, n: int):
        found = {"a": [x]}
        with Scaled(x) as s:
            for k in range(n):
                found["a"].append(s.next(k).x)
            raise ValueError("stop")
        total = sum(t.sum().item() for t in found["a"])
        try:
            torch.mm(x, x.new_ones(3, 3, 3))
        except RuntimeError as error:
            return total, "matrices" in str(error), len(s.seen), found["a"][-1]
        return total, False, 0, x

    check(f, (torch.ones(2, 2, device="cuda"), 3))


def test_devices_and_dtypes():
    def f(x: torch.Tensor):
        y = x.to("cpu", torch.float64)
        z = torch.zeros(3, device=x.device, dtype=torch.half)
        return y, z, z.device == x.device, x.is_cuda, y.cuda() + 1

    check(f, (torch.ones(3, device="cuda"),))


def test_autocast():
    def f(x: torch.Tensor):
        with torch.autocast("cuda", dtype=torch.float16):
            return torch.mm(x, x)

    check(f, (torch.ones(4, 4, device="cuda"),))


def test_errors_of_mixed_devices():
    def f(x: torch.Tensor, y: torch.Tensor):
        return x + y

    check(f, (torch.ones(3, device="cuda"), torch.ones(3)))


def test_tasks():
    def work(x: torch.Tensor, k: int):
        return torch.relu(x * k)

    def f(x: torch.Tensor):
        futures = [scriptmode.fork(work, x, k) for k in range(4)]
        return [scriptmode.wait(t) for t in futures]

    compiled = scriptmode.script(f)
    x = torch.rand(5, device="cuda")
    for k, got in enumerate(compiled(x)):
        torch.testing.assert_close(got, torch.relu(x * k))
