"""Containers of tensors as arguments and results of programs that are differentiated."""

import pytest
import torch

import scriptmode


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def product(xs: list[torch.Tensor], w):
    total = w
    for v in xs:
        total = total * v
    return total


CHANGES = {
    "append": lambda xs: xs.append(x(3)),
    "clear": lambda xs: xs.clear(),
    "replace": lambda xs: xs.__setitem__(0, x(3)),
    "swap": lambda xs: xs.reverse(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("again", [False, True])
def test_a_list_that_changes_between_forward_and_backward(change, again):
    xs, w = [x(3), x(3)], x(3)
    tensors = [*xs, w]
    result = scriptmode.script(product)(xs, w)
    CHANGES[change](xs)
    found = torch.autograd.grad(result.sum(), tensors, create_graph=again)
    want = torch.autograd.grad(torch.stack(tensors).prod(0).sum(), tensors)
    torch.testing.assert_close(found, want)
