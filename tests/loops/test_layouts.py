"""Images with their channels last, and what is known of layouts, against eager."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scriptmode.analysis import shapes
from tests.loops.specialized import Specialized


def check(function, *arguments):
    """Results as eager's, with the same strides, and arguments that nobody has changed."""
    special = Specialized(function, arguments)
    wanted = function(*[a.clone() for a in arguments])
    for run in (special.interpret, special.run, special.run):
        given = [a.clone() for a in arguments]
        found = run(*given)
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4, equal_nan=True)
        for one, other in zip(tensors(found), tensors(wanted), strict=True):
            assert one.stride() == other.stride()
        torch.testing.assert_close(given, list(arguments), atol=0, rtol=0, equal_nan=True)
    return special


def tensors(result):
    return [result] if isinstance(result, Tensor) else list(result)


def images(n=1, channels=16, side=32):
    return torch.randn(n, channels, side, side)


def block(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = F.relu6(F.batch_norm(F.conv2d(x, a), v, v.abs(), v, v, False, 0.1, 1e-5))
    y = F.hardtanh(F.conv2d(y, b, None, 1, 1, 1, y.size(1)) * 2, 0.0, 6.0)
    return F.conv2d(y, c) + x


def returned_midway(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = torch.relu(F.conv2d(x, a))
    z = F.conv2d(y, b, None, 2, 1, 1, y.size(1))
    return y, z, z.reshape(z.size(0), -1)[:, 3:], z.mean([2, 3]), z.mean([2, 3], keepdim=True)


def pooled(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = F.max_pool2d(torch.relu(F.conv2d(x, a)), 3, 2, 1)
    return F.avg_pool2d(F.conv2d(y, c), 2), F.adaptive_avg_pool2d(y, 1).flatten(1)


def in_place(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = F.relu(F.conv2d(x, a), inplace=True)
    y = F.hardtanh(F.conv2d(y, b, None, 1, 1, 1, y.size(1)), 0.0, 0.5, inplace=True)
    return y, F.conv2d(y, c)


def written(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = F.conv2d(x, a)
    first = y[0]
    y.relu_()  # `first` is a part of it
    z = F.conv2d(y, c)
    y[0, 0] = 5.0
    return first, z, F.conv2d(y, c)


def branched(x: Tensor, a: Tensor, b: Tensor, c: Tensor, v: Tensor):
    y = F.conv2d(x, a)
    if x.sum() > 1e9:
        return y.transpose(2, 3)
    return F.conv2d(torch.relu(y), c)


@pytest.mark.parametrize("function", [block, returned_midway, pooled, in_place, written, branched])
@pytest.mark.parametrize(("n", "side"), [(1, 32), (3, 19)])
def test_images_are_laid_out_for_convolutions_and_back(function, n, side):
    x = images(n, side=side)
    weights = torch.randn(24, 16, 1, 1), torch.randn(24, 1, 3, 3), torch.randn(16, 24, 1, 1)
    x[0, 3, 4, 5], x[0, 0, 0, 0] = torch.nan, torch.inf
    special = check(function, x, *weights, torch.rand(24) + 0.5)
    forms = [n for n in special.graph.walk() if n.kind == "prim::Constant"]
    forms += [n for f in special.program.functions.values() for n in f.find_all("prim::Constant")]
    assert any(n.attributes["value"] is torch.channels_last for n in forms)


@pytest.mark.parametrize(("n", "channels"), [(1, 16), (2, 9)])
def test_maxima_of_windows_are_found_with_channels_last(n, channels):
    def stem(x: Tensor, w: Tensor):
        y = F.max_pool2d(torch.relu(F.conv2d(x, w, None, 1, 1)), 3, 2, 1)
        return y, F.conv2d(y, w, None, 1, 1)

    x = images(n, channels, 50)
    x[0, 3, 4, 5], x[0, 0, 0, 0] = torch.nan, -torch.inf
    special = check(stem, x, torch.randn(channels, channels, 3, 3) / 12)
    (pool,) = special.graph.find_all("aten::max_pool2d")
    assert "aten::conv2d" in special.left
    made = pool.inputs[0].node
    assert made.attributes["results"][made.outputs.index(pool.inputs[0])][2][1] == 1


def test_dense_windows_and_images_of_doubles_stay_as_they_are():
    def dense(x: Tensor, w: Tensor):
        return torch.relu(F.conv2d(x, w, None, 1, 1))

    for dtype in (torch.float32, torch.float64):
        special = check(dense, images(side=8).to(dtype), torch.randn(48, 16, 3, 3, dtype=dtype))
        assert "channels_last" not in str(special.graph)


@pytest.mark.parametrize("groups", [1, 16])
def test_what_convolutions_give_of_channels_last_is_known(groups):
    x = images(side=8).to(memory_format=torch.channels_last)
    w = torch.randn(16, 16 // groups, 3, 3)
    facts = []

    def f(x: Tensor, w: Tensor):
        return torch.relu(F.conv2d(x, w, None, 1, 1, 1, groups))

    for given in (
        (x, w),
        (images(side=8), w.to(memory_format=torch.channels_last)),
        (images(side=8), w),
    ):
        y = F.conv2d(*given, None, 1, 1, 1, groups)
        special = Specialized(f, given)
        (node,) = [n for n in special.graph.walk() if n.kind == "prim::Region"][-1:]
        facts.append(node.attributes["facts"][0])
        assert facts[-1] == (y.dtype, tuple(y.shape), tuple(y.stride()))
    assert len(set(facts)) == 2


def test_what_attention_gives_is_known():
    def f(x: Tensor, k: Tensor):
        q = x.view(1, x.size(1), 4, 8).transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, k).exp()

    for length in (1, 6):
        x, k = torch.randn(1, length, 32), torch.randn(1, 4, 9, 8)
        special = check(f, x, k)
        (node,) = [n for n in special.graph.walk() if n.kind == "prim::Region"]
        q = x.view(1, length, 4, 8).transpose(1, 2)
        assert node.attributes["facts"][0][2] == F.scaled_dot_product_attention(q, k, k).stride()


def test_results_of_ops_that_ran_instead_of_a_kernel_are_looked_at(monkeypatch):
    """The facts of the first region are wrong, and so what is known of its results."""

    def f(x: Tensor, w: Tensor):
        y = torch.relu(F.conv2d(x, w, None, 1, 1)) + 1
        return y * torch.linalg.norm(y)

    monkeypatch.setattr(shapes, "_convolution_fact", lambda node, result, facts: result)
    x = images(channels=4, side=5).to(memory_format=torch.channels_last)
    check(f, x, torch.randn(6, 4, 3, 3))


def test_sizes_that_are_unpacked_are_known():
    def f(x: Tensor):
        a, b, c = x.shape
        return x.view(a, b * c) * 2

    special = check(f, torch.randn(2, 3, 4))
    assert [n.kind for n in special.graph.nodes if "list::" in n.kind] == []
    assert not special.left
