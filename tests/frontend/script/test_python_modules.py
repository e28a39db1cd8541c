"""Modules with backward hooks, checkpoints, transforms of ``torch.func``: Python runs them."""

from typing import Tuple

import pytest
import torch
import torch.utils.checkpoint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import scriptmode
from tests.fourway import check

SEEN = []


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.linear.register_full_backward_hook(self.see)
        self.linear.register_forward_hook(lambda module, args, out: out + 1)
        self.calls = 0

    @staticmethod
    def see(module, before, after):
        SEEN.append(after[0].shape)

    def forward(self, x):
        self.calls += 1
        return self.linear(x).relu() * self.calls


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_full_backward_hook(lambda module, before, after: None)

    def forward(self, x) -> Tuple[Tensor, Tensor]:
        return x + 1, x * 2


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, x):
        a, b = self.pair(x)
        return a + b


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.reentrant = reentrant

    def half(self, x: Tensor, factor: float) -> Tensor:
        return self.linear(x) * factor

    def forward(self, x):
        first = torch.utils.checkpoint.checkpoint(self.linear, x, use_reentrant=self.reentrant)
        second = checkpoint(self.half, first, 0.5, use_reentrant=self.reentrant)
        return checkpoint(double, second, use_reentrant=self.reentrant)


def double(x: Tensor) -> Tensor:
    return x * 2


def row_sum(x: Tensor) -> Tensor:
    return (x * x).sum()


def transformed(x: Tensor):
    sums = torch.func.vmap(row_sum)(x)
    products = torch.func.vmap(row_product, in_dims=(0, None))(x, x[0])
    return sums, products, torch.func.grad(row_sum)(x), torch.func.vmap(torch.sin, in_dims=1)(x)


def row_product(x: Tensor, y: Tensor) -> Tensor:
    return x @ y


LINEAR = nn.Linear(3, 3, bias=False)


def with_other_weights(x: Tensor):
    return torch.func.functional_call(LINEAR, {"weight": x}, (x,)) + LINEAR(x)


def same_gradients(module, x):
    compiled = scriptmode.script(module)
    found = []
    for run in (compiled, module):
        given = x.clone().requires_grad_()
        run(given).sum().backward()
        found.append((given.grad, [p.grad.clone() for p in module.parameters()]))
        module.zero_grad()
    torch.testing.assert_close(*found)
    assert not compiled.bailouts


def test_a_module_with_backward_hooks_runs_with_its_hooks():
    x = torch.rand(2, 3)
    check(Hooked(), (x,))
    check(Holder(), (x,))
    SEEN.clear()
    same_gradients(Hooked(), x)
    assert SEEN == [torch.Size([2, 3])] * 2


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint(reentrant):
    x = torch.rand(2, 3)
    check(Checkpointed(reentrant), (x,))
    same_gradients(Checkpointed(reentrant), x)


def test_transforms_of_functions():
    check(transformed, (torch.rand(2, 3),))


def test_functional_call():
    check(with_other_weights, (torch.rand(3, 3),))


def test_transforms_of_nested_functions_are_refused():
    def nested(x: Tensor):
        return torch.func.vmap(lambda row: row * x.size(0))(x)

    with pytest.raises(scriptmode.NotBuiltError, match="of a nested function is not built"):
        scriptmode.script(nested)
