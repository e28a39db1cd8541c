"""Ops that are decomposed for their derivative: values, random numbers and statistics of eager."""

import copy
from typing import Optional

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import scriptmode
from scriptmode.autodiff.decompose import all_decompositions, decomposition
from scriptmode.autodiff.recorded import STRIPS
from tests.autodiff.gradients import check_gradients


def trained(module, *arguments):
    """The result, gradients, buffers and next random number of one step."""
    torch.manual_seed(11)
    result = module(*arguments)
    result.sin().sum().backward()
    grads = [p.grad for p in module.parameters()]
    return [result, torch.rand(3), *grads, *module.buffers()]


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 4, 3, padding=1)
        self.batch = torch.nn.BatchNorm2d(4)
        self.group = torch.nn.GroupNorm(2, 4)
        self.layer = torch.nn.LayerNorm(4)
        self.act = torch.nn.PReLU(4)

    def forward(self, x: Tensor) -> Tensor:
        y = F.max_pool2d(self.act(self.group(self.batch(self.conv(x)))), 2)
        y = F.dropout(F.pad(y, [1, 0]), 0.3, self.training)
        return self.layer(y.mean([2, 3]))


@pytest.mark.parametrize("is_training", [True, False])
def test_a_block_trains_as_in_eager(is_training):
    torch.manual_seed(0)
    eager = Block().train(is_training)
    ours = copy.deepcopy(eager)
    scripted = scriptmode.script(ours)
    for _ in range(2):
        x = torch.rand(3, 2, 6, 6)
        want, got = trained(eager, x), trained(scripted, x)
        torch.testing.assert_close(got, want)
        assert torch.equal(got[1], want[1])  # as many random numbers were drawn
    assert scripted._dispatcher.primary.gradients.reason == ""


def test_dropout_is_that_of_eager_to_the_bit():
    def f(x: Tensor, p: float) -> Tensor:
        return F.dropout(x, p)

    scripted = scriptmode.script(f)
    for p in (0.0, 0.25, 1.0):
        for shape in ([4, 5], [0]):
            x = torch.rand(shape, requires_grad=True)
            found = []
            for function in (f, scripted):
                torch.manual_seed(2)
                y = function(x, p)
                found.append((y, torch.autograd.grad(y.sum(), x)[0], torch.rand(2)))
            assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def entropy(x: Tensor, y: Tensor, weight: Optional[Tensor], smoothing: float) -> Tensor:
    return F.cross_entropy(x, y, weight, label_smoothing=smoothing)


def test_cross_entropy():
    for shape, labels in (([5, 3], [5]), ([3], []), ([2, 3, 4, 5], [2, 4, 5]), ([2, 3, 4], [2, 4])):
        x = torch.rand(shape, requires_grad=True)
        y = torch.randint(0, 3, labels)
        for weight in (None, torch.rand(3)):
            check_gradients(entropy, x, y, weight, 0.0)
    check_gradients(entropy, torch.rand(5, 3, requires_grad=True), torch.rand(5, 3), None, 0.0)
    check_gradients(entropy, torch.rand(5, 3, requires_grad=True), torch.tensor([0] * 5), None, 0.1)


def complex_view(x: Tensor) -> Tensor:
    return torch.view_as_complex(x)


def real_view(x: Tensor) -> Tensor:
    return torch.view_as_real(x)


def imaginary(x: Tensor) -> Tensor:
    return x.conj().imag


def test_a_result_may_be_a_view_of_an_argument_in_another_dtype():
    z = torch.randn(3, dtype=torch.complex64, requires_grad=True)
    for function, x in (
        (complex_view, torch.rand(3, 2, requires_grad=True)), (real_view, z), (imaginary, z),
    ):  # fmt: skip
        want, got = function(x), scriptmode.script(function)(x)
        assert got.dtype == want.dtype and got.is_neg() == want.is_neg()
        torch.testing.assert_close(got, want)
        given = torch.randn_like(want)
        (g,), (w,) = torch.autograd.grad(got, x, given), torch.autograd.grad(want, x, given)
        torch.testing.assert_close(g, w)


def test_decompositions_have_the_parameters_of_their_op():
    assert "aten::batch_norm" in all_decompositions()
    with pytest.raises(ValueError, match="takes self"):
        decomposition("aten::relu6(Tensor self) -> Tensor")(lambda x: x)


@pytest.mark.parametrize("parts", [(0, 1, 2), (0, 1), (0, 2), (0,)])
def test_statistics_of_groups_carry_gradients(parts):
    def normed(x, w, b):
        found = torch.native_group_norm(x, w, b, 2, 6, 4, 3, 1e-5)
        return [found[0], found[1], found[2]]

    scripted = scriptmode.script(normed)
    results = []
    for function in (normed, scripted):
        torch.manual_seed(3)
        given = [torch.randn(*size, dtype=torch.float64, requires_grad=True)
                 for size in ((2, 6, 2, 2), (6,), (6,))]  # fmt: skip
        found = function(*given)
        value = sum((found[i] * torch.randn_like(found[i])).sum() for i in parts)
        results.append(torch.autograd.grad(value, given[0])[0])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)
    assert scripted._dispatcher.primary.gradients.reason == ""


def deviations(x):
    several = x.std(1).sum() + torch.var(x, 0, unbiased=False).sum()
    return x.std() + 2 * torch.var(x) + several + torch.std(x, dim=[0, 1], correction=0)


def transposed(x, w, b):
    return F.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1) ** 2


def transposed_in_groups(x, w):
    return F.conv_transpose1d(x, w, groups=2, dilation=2) ** 2


def of_volumes(x, w, b):
    return F.conv3d(x, w, b, stride=(1, 2, 1), padding=1) ** 2


def variance_of_one(x):
    return x.var(1) + x.std(1)


@pytest.mark.parametrize(
    ("function", "sizes"),
    [
        (deviations, [(3, 4)]),
        (variance_of_one, [(3, 1)]),
        (transposed, [(2, 3, 4, 4), (3, 2, 3, 3), (2,)]),
        (transposed_in_groups, [(2, 4, 6), (4, 1, 3)]),
        (transposed_in_groups, [(4, 6), (4, 1, 3)]),
        (of_volumes, [(1, 2, 3, 4, 3), (3, 2, 2, 3, 2), (3,)]),
    ],
)
def test_layers_that_have_rules_of_their_own(function, sizes):
    scripted = scriptmode.script(function)
    found = []
    for called in (function, scripted):
        torch.manual_seed(3)
        given = [torch.randn(*size, dtype=torch.float64, requires_grad=True) for size in sizes]
        found.append(torch.autograd.grad(called(*given).sum(), given))
    for want, got in zip(*found, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12, equal_nan=True)
    nodes = scripted._dispatcher.primary.gradients.differentiated().forward.walk()
    assert all(node.attributes.get("callee") not in STRIPS for node in nodes), "the tape records"
