"""What a node keeps: until its last backward, and no longer."""

import warnings
import weakref

import pytest
import torch
from torch import Tensor

import scriptmode


def deep(x: Tensor, n: int) -> Tensor:
    for _ in range(n):
        x = torch.tanh(x * 1.5)
    return x.sum()


def test_a_kept_graph_runs_again_and_the_last_backward_ends_it():
    x = torch.rand(5, requires_grad=True)
    loss = scriptmode.script(deep)(x, 3)
    (want,) = torch.autograd.grad(deep(x, 3), x)
    for _ in range(2):
        (got,) = torch.autograd.grad(loss, x, retain_graph=True)
        torch.testing.assert_close(got, want)
    (got,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(got, want)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_result_that_the_reverse_needs_is_freed_with_the_node():
    def squash(x: Tensor) -> Tensor:
        return torch.exp(x)

    x = torch.rand(5, requires_grad=True)
    y = scriptmode.script(squash)(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def complains(x: Tensor) -> Tensor:
    if x.sum() > 0:
        warnings.warn("positive", stacklevel=2)
    return x.exp().sum()


def test_a_second_derivative_does_not_warn_again():
    x = torch.rand(5, requires_grad=True)
    scripted = scriptmode.script(complains)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        (g,) = torch.autograd.grad(scripted(x), x, create_graph=True)
        (gg,) = torch.autograd.grad(g.sum(), x)
    assert [str(w.message) for w in seen] == ["positive"]
    torch.testing.assert_close(gg, x.exp())
    assert scripted._dispatcher.primary.gradients.reason == ""
