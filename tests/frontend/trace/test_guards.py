"""Calls of a recording whose inputs differ in what the traced code read of them are refused."""

import warnings

import pytest
import torch
from torch import nn

import scriptmode

X = torch.ones(2, 3)


@pytest.mark.parametrize(
    ("read", "others"),
    [
        (lambda x: torch.zeros(2, dtype=x.dtype), [X.double(), X.long()]),
        (lambda x: x if x.is_floating_point() else x * 2, [X.int()]),
        (lambda x: x if x.dim() == 2 else x[0], [X[0], X[None]]),
        (lambda x: x if x.ndim > 1 else -x, [X[0]]),
        (lambda x: x.reshape(x.shape[-1], -1), [X[None]]),
        (lambda x: x.detach() if x.requires_grad else x, [X.clone().requires_grad_()]),
        (lambda x: x if x.is_contiguous() else x.contiguous() + 1, [X.t()]),
    ],
)
def test_a_fact_that_was_read_is_guarded(read, others):
    def f(x):
        return read(x) + 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = scriptmode.trace(f, X)
    torch.testing.assert_close(traced(X + 1), f(X + 1))
    for other in others:
        with pytest.raises(scriptmode.ArgumentError, match="when traced") as caught:
            traced(other)
        assert "test_guards.py" in str(caught.value)


def test_what_was_not_read_may_differ():
    traced = scriptmode.trace(lambda x: torch.relu(x) + x.size(0), X)
    for other in (X.double(), X[0], X[None], X.t()):
        torch.testing.assert_close(traced(other), torch.relu(other) + other.size(0))


def test_what_torch_s_own_modules_read_is_not_guarded():
    attention = nn.MultiheadAttention(4, 2)
    q = torch.rand(3, 2, 4)
    traced = scriptmode.trace(attention, (q, q, q))
    q = torch.rand(5, 2, 4, requires_grad=True)
    torch.testing.assert_close(traced(q, q, q), attention(q, q, q))


def test_the_mode_of_a_recording_stays():
    module = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).eval()
    traced = scriptmode.trace(module, X)
    traced.eval()
    with pytest.warns(scriptmode.TracerWarning, match="traced in evaluation mode"):
        traced.train()
