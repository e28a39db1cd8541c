"""Kernels against eager: views, broadcasting, folds, products, dtypes, what is left to torch."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from scriptmode.loops.form import VIEWS
from tests.loops.specialized import Specialized


def pointwise(x: Tensor, y: Tensor, s: float):
    return torch.where(x > y, torch.tanh(x) * s, torch.exp(-y.abs())) + x.sigmoid() / 3


def integers(x: Tensor, n: Tensor):
    return n * 3 - n.clamp(-1, 2), (n > 0) & (x < 0.5), n.to(torch.float64) / 2, x.to(torch.int64)


def views(x: Tensor, y: Tensor):
    t = x.t()[1:].unsqueeze(0) * y.reshape(2, 1, -1)
    return t.permute(2, 0, 1) + 1, x.flip(1) - 1, x[:, ::2] * 2, x.reshape(-1, 2) * x.view(-1, 2)


def joined(x: Tensor, y: Tensor):
    return (
        torch.cat([x, y * 2, x[:1]], 0) + 1,
        torch.stack([x[0], y[1]], 1),
        F.pad(x, (1, 2), value=3.0),
    )


def folds(x: Tensor, y: Tensor):
    best, where = (x + y).max(1)
    return (
        x.sum(),
        x.mean(0),
        y.amax(1, keepdim=True),
        best,
        where,
        (x > 0).any(1),
        x.std(1),
        y.norm(),
    )


def softmaxes(x: Tensor, m: Tensor):
    z = (x * 0.3).masked_fill(m, -math.inf)
    return torch.softmax(z, -1), torch.log_softmax(x, 0), torch.logsumexp(x, 1)


def norms(x: Tensor, w: Tensor, b: Tensor):
    y = F.layer_norm(F.gelu(x) + x, [x.size(-1)], w, b)
    return y, F.rms_norm(y, [x.size(-1)], w, 1e-6), F.mse_loss(y, x)


def products(x: Tensor, w: Tensor, b: Tensor):
    h = F.relu(F.linear(x, w, b))
    return h @ w, torch.bmm(x.unsqueeze(0), w.t().unsqueeze(0)).squeeze(0), h.mv(b)


def attention(q: Tensor, k: Tensor, v: Tensor):
    return torch.softmax(q @ k.transpose(-1, -2) * 0.25, -1) @ v


def triangles(x: Tensor):
    return (
        x.tril() + x.triu(1) * 2,
        torch.arange(4) * 2,
        torch.zeros_like(x) - torch.full((3,), 2.5),
    )


CASES = {
    "pointwise": (pointwise, lambda r: (r(5, 7), r(7), 0.7)),
    "pointwise on large": (pointwise, lambda r: (r(33, 129), r(33, 1), -1.5)),
    "pointwise on transposed": (pointwise, lambda r: (r(6, 5).t(), r(5, 6), 2.0)),
    "pointwise on doubles": (pointwise, lambda r: (r(5, 7).double(), r(7).double(), 0.7)),
    "integers": (integers, lambda r: (r(4, 9), (r(4, 9) * 3).long())),
    "narrow integers": (integers, lambda r: (r(19), (r(19) * 3).to(torch.int32))),
    "views": (views, lambda r: (r(4, 6), r(2, 4))),
    "joined": (joined, lambda r: (r(3, 5), r(2, 5))),
    "folds": (folds, lambda r: (r(6, 37), r(6, 37))),
    "folds of columns": (folds, lambda r: (r(37, 6).t(), r(6, 37))),
    "softmax": (softmaxes, lambda r: (r(5, 70), r(5, 70) > 1)),
    "norms": (norms, lambda r: (r(4, 50), r(50), r(50))),
    "products": (products, lambda r: (r(3, 4), r(4, 4), r(4))),
    "larger products": (products, lambda r: (r(19, 33), r(33, 33), r(33))),
    "attention": (attention, lambda r: (r(2, 3, 10, 16), r(2, 3, 10, 16), r(2, 3, 10, 16))),
    "triangles": (triangles, lambda r: (r(3, 3),)),
}


@pytest.mark.parametrize("name", CASES)
def test_kernels_give_what_eager_gives(name):
    function, make = CASES[name]
    torch.manual_seed(3)
    arguments = make(torch.randn)
    expected = function(*arguments)
    special = Specialized(function, arguments)
    assert special.changed and not set(special.left) - VIEWS, special.left
    for found in (special.interpret(*arguments), special.run(*arguments)):
        torch.testing.assert_close(found, expected)
        leaves = zip(found, expected, strict=True) if isinstance(expected, tuple) else []
        assert all(a.stride() == b.stride() for a, b in leaves)


def same(function, *arguments):
    """Special code gives what eager gives, by kernels."""
    expected = function(*arguments)
    special = Specialized(function, arguments)
    assert special.changed
    for found in (special.interpret(*arguments), special.run(*arguments)):
        torch.testing.assert_close(found, expected)


def test_special_values_travel_through():
    def function(x: Tensor, y: Tensor):
        return x.max(0)[0], torch.maximum(x, y).sum(1), (x / y).sign(), x.argmin(1), y.relu()

    odd = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, 3e38, -1.0]
    x = torch.tensor([odd, odd[::-1]])
    y = torch.tensor([odd[3:] + odd[:3], odd[1:] + odd[:1]])
    special = Specialized(function, (x, y))
    torch.testing.assert_close(special.run(x, y), function(x, y), equal_nan=True)


def test_an_index_out_of_bounds_is_torchs_error():
    def function(x: Tensor, i: int):
        return (x[i] * 2).sum()

    x = torch.randn(4, 3)
    special = Specialized(function, (x, 1))
    for i in (0, 3, -1, -4):
        torch.testing.assert_close(special.run(x, i), function(x, i))
    for i in (4, -5):
        with pytest.raises(IndexError):
            special.run(x, i)


def test_views_of_arguments_stay_views_and_writes_keep_their_order():
    def function(x: Tensor, y: Tensor):
        a = x * 2
        x.add_(1.0)
        b = x * 2 + a
        return x.t(), b, (y + 1).t()

    x, y = torch.randn(3, 4), torch.randn(3, 4)
    expected = function(x.clone(), y)
    special = Specialized(function, (x, y))
    own = x.clone()
    view, b, turned = special.run(own, y)
    torch.testing.assert_close((view, b, turned), expected)
    assert view.data_ptr() == own.data_ptr() and turned.stride() == expected[2].stride()


def test_other_tensors_than_known_ones_go_through_torch():
    def function(x: Tensor, n: int):
        s = x
        for _ in range(n):
            s = torch.cumsum(s, 0)[: n + 1] + 1
        return s * 2

    x = torch.randn(6)
    special = Specialized(function, (x, 2))
    torch.testing.assert_close(special.run(x, 2), function(x, 2))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.clamp(max=1e300) * 2,
        lambda x: torch.where(x > 0, x, 1e39) * 2,
        lambda x: x.masked_fill(x > 0, 1e39) * 2,
        lambda x: torch.full_like(x, 1e39) + x,
    ],
    ids=["clamp", "where", "masked_fill", "full_like"],
)
def test_a_number_that_does_not_fit_is_torchs_error(function):
    x = torch.randn(6)
    with pytest.raises(RuntimeError, match="overflow"):
        function(x)
    with pytest.raises(RuntimeError, match="overflow"):
        Specialized(function, (x,)).run(x)


def test_folds_of_one_element() -> None:
    def f(a, b):
        return (
            torch.softmax(a * b, 1), a + a.sum(1, keepdim=True), (a * b).amax(1), a.mean(1),
            torch.log_softmax(a, -1), torch.var(a, 1, unbiased=False), (a * b).prod(0), a.argmax(1),
        )  # fmt: skip

    for shape in ((3, 1, 5), (1, 1, 5), (1, 4, 1), (5, 1, 1), (2, 1, 16)):
        same(f, torch.randn(shape), torch.randn(shape))


def test_products_over_one_element() -> None:
    def bmm(a, b):
        return torch.bmm(a, b)

    def matmul(a, b):
        return a @ b

    def linear(a, b):
        return F.linear(a, b)

    same(bmm, torch.randn(2, 16, 1), torch.randn(2, 1, 32))
    same(bmm, torch.randn(2, 1, 1), torch.randn(2, 1, 8))
    same(matmul, torch.randn(16, 1), torch.randn(1, 32))
    same(matmul, torch.randn(1, 1), torch.randn(1, 8))
    same(matmul, torch.randn(4, 16, 1), torch.randn(4, 1, 32))
    same(linear, torch.randn(7, 1), torch.randn(9, 1))


def test_an_array_that_meets_none_stays_a_tensor() -> None:
    def f(x):
        y = x * 2
        return x, (y + 1 if bool(x.sum() > 0) else None)

    same(f, torch.ones(2))
    same(f, -torch.ones(2))
