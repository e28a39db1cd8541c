"""Functions, methods, operators, views and in-place ops: traced on one shape, run on others."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.frontend.trace.helpers import quiet_trace, run, trace_agrees

R = torch.randn


def ints(hi, *shape):
    return torch.randint(0, hi, shape)


def assign(x):
    x[:, 0] = 1.0
    x[0, ...] += 2.0
    return x


def augmented(x):
    x += 1
    x *= x
    return x


def written_through_a_view(x):
    y = x.clone()
    y[0].add_(1)
    y.view(-1)[1:3].zero_()
    return y, y.t()


def no_grad_inside(x):
    with torch.no_grad():
        y = x * 2
        with torch.enable_grad():
            z = y * x
    return z * x, y


@torch.no_grad()
def decorated(x):
    return x * 2


def generic_attention(q, k):
    return F.scaled_dot_product_attention(q, k, k, is_causal=True, scale=1 / math.sqrt(q.size(-1)))


CASES = {
    "view": (lambda x: x.view(x.size(0), -1), R(2, 3, 4), R(5, 2, 2)),
    "arange": (lambda x: x + torch.arange(x.shape[1]), R(2, 3), R(4, 5)),
    "interpolate": (
        lambda x: F.interpolate(x, size=(x.shape[2] * 2, x.shape[3] * 2)),
        R(1, 2, 3, 4), R(2, 2, 5, 6),
    ),
    "interpolate_scale": (
        lambda x: F.interpolate(x, scale_factor=0.5, mode="bilinear", recompute_scale_factor=True),
        R(1, 2, 4, 6), R(1, 2, 8, 5),
    ),
    "true_division": (lambda x: x / (x.shape[0] / 2), R(2, 3), R(4, 5)),
    "math": (lambda x: x * math.sqrt(x.shape[1]) + math.log(x.shape[0], 2), R(2, 3), R(4, 5)),
    "rounding": (
        lambda x: x[: round(x.shape[0] * 0.5)] + math.floor(x.shape[0] / 3) - math.ceil(x.shape[1] / 2),
        R(4, 3), R(8, 4),
    ),
    "min_max": (
        lambda x: x[: min(x.shape[0], x.shape[1]), : max(1, x.shape[0] - 1)], R(2, 3), R(5, 4)
    ),
    "min_of_a_list": (lambda x: x[: min([*x.shape, 7])], R(2, 3), R(9, 8)),
    "sum_of_sizes": (lambda x: torch.zeros(sum(x.shape)), R(2, 3), R(9, 8)),
    "product_of_sizes": (lambda x: x.reshape(math.prod(x.shape[:2]), -1), R(2, 3, 2), R(4, 5, 1)),
    "divmod": (lambda x: x + divmod(x.shape[0], 2)[0] - (-x.shape[1] % 3), R(2, 3), R(5, 4)),
    "int_arithmetic": (
        lambda x: x + (abs(-x.shape[0]) ** 2 - (x.shape[1] << 1 | 1)) * 3 // 2, R(2, 3), R(5, 4)
    ),
    "numel_stride": (lambda x: x.sum() / x.numel() + x.stride(0), R(2, 3), R(5, 4)),
    "size_of_ints": (lambda x: x.view(*x.shape[:-1], 2, -1), R(2, 3, 4), R(1, 5, 6)),
    "shape_concat": (lambda x: x.view(x.shape[:2] + (1, x.shape[2])), R(2, 3, 4), R(1, 5, 6)),
    "split": (lambda x: torch.cat([y * 2 for y in x.split(2)]), R(4, 3), R(3, 4)),
    "chunk": (lambda x: x.chunk(2, -1)[1] + x.chunk(2, -1)[0], R(4, 6), R(3, 4)),
    "unpack_chunks": (lambda x: sum(x.tensor_split(3)), R(3, 6), R(6, 4)),
    "index": (lambda x: x[..., None, 1:, 0] + x[0, 0, 0], R(4, 6, 2), R(3, 4, 2)),
    "boolean_index": (lambda x: x[x > 0], R(4, 6), R(3, 4)),
    "tensor_index": (lambda x: x[torch.arange(x.shape[0]), 0], R(4, 6), R(3, 4)),
    "size_as_index": (lambda x: x[x.shape[0] - 1, : x.shape[1] // 2], R(4, 6), R(3, 4)),
    "assign": (assign, R(4, 6), R(3, 4)),
    "augmented": (augmented, R(4, 6), R(3, 4)),
    "in_place_chain": (lambda x: x.add_(1).mul_(2).t_(), R(4, 6), R(3, 4)),
    "through_a_view": (written_through_a_view, R(4, 6), R(3, 4)),
    "out": (lambda x: torch.add(x, x, out=torch.empty_like(x)), R(4, 6), R(3, 4)),
    "max_dim": (lambda x: x.max(1), R(4, 6), R(3, 2)),
    "topk": (lambda x: torch.topk(x, 2), R(4, 6), R(3, 2)),
    "einsum": (lambda x: torch.einsum("ij,kj->ik", x, x), R(4, 6), R(3, 2)),
    "norms": (
        lambda x: x.norm(dim=1) + torch.norm(x) + torch.linalg.norm(x), R(4, 6), R(2, 2)
    ),
    "reflected": (
        lambda x: 1 - x + 2**x + 3 / x + x // 1 + 1.5 % x, R(4, 6).abs() + 0.1, R(2, 2).abs() + 0.1
    ),
    "grad_modes": (no_grad_inside, R(3).requires_grad_(), R(3)),
    "decorated_no_grad": (decorated, R(3).requires_grad_(), R(3)),
    "tensor_of_numbers": (lambda x: x * torch.tensor([1.0, 2.0]), R(2), R(3, 2)),
    "tensor_of_a_size": (
        lambda x: x * torch.tensor(x.shape[0]) + torch.full((x.shape[0],), 2.0), R(2), R(3)
    ),
    "random": (
        lambda x: x + torch.rand_like(x) + torch.randn(x.shape) + torch.bernoulli(x.sigmoid()),
        R(2), R(3),
    ),
    "contiguous": (
        lambda x: x.contiguous().view(-1) + x.t().contiguous().view(-1), R(2, 2), R(3, 3).t()
    ),
    "same_object_later_written": (
        lambda x: [y := x.contiguous(), y.add_(1), x][::2], R(2, 2), R(3, 3).t()
    ),
    "dtype": (lambda x: x.to(torch.float64).float().to(x), R(2, 2), R(3, 3).double()),
    "where": (
        lambda x: torch.where(x > 0, x, 0.0) + x.masked_fill(x > 0, -1e9).clamp(min=0), R(2), R(3)
    ),
    "vmap": (lambda x: torch.vmap(lambda y: y.sin() * 2)(x), R(3, 2), R(3, 2)),
    "functional_grad": (
        lambda x: torch.func.grad(lambda y: y.sin().dot(y * 2))(x), R(3), R(4)
    ),
    "reorder": (
        lambda x: torch.stack([x[i] for i in range(3)]).cumsum(0).flip(0).roll(1), R(3, 2), R(4, 5)
    ),
    "fft": (lambda x: torch.fft.rfft(x).abs() + torch.special.erf(x)[:, :2], R(3, 2), R(1, 2)),
    "stft": (
        lambda x: torch.stft(x, 8, window=torch.hann_window(8), return_complex=True).abs(),
        R(64), R(80),
    ),
    "pad": (lambda x: F.pad(x, (1, x.shape[0])), R(3, 2), R(4, 4)),
    "expand": (
        lambda x: x[:, None].expand(x.shape[0], 4, -1).reshape(-1, x.shape[-1]), R(3, 2), R(4, 4)
    ),
    "one_hot": (lambda x: F.one_hot(x, 5).float(), ints(5, 4), ints(5, 3, 2)),
    "meshgrid": (lambda x: torch.meshgrid(x, x, indexing="ij")[0], R(3), R(4)),
    "sort": (lambda x: x.sort(descending=True)[0] + x.argsort().float(), R(3), R(4)),
    "unique": (lambda x: torch.unique(x), ints(3, 5), ints(3, 9)),
    "new": (lambda x: x.new_zeros(x.shape[0], 2) + x.new_full((x.shape[0], 2), 3.0), R(3), R(4)),
    "repeat": (lambda x: x.repeat(2, x.shape[0]).repeat_interleave(2, 0).tile(2), R(3, 3), R(2, 4)),
    "attention": (generic_attention, (R(1, 2, 3, 4), R(1, 2, 3, 4)), (R(2, 2, 5, 8), R(2, 2, 5, 8))),
    "aten": (lambda x: torch.ops.aten.relu(x) + torch.ops.aten.add.Tensor(x, x, alpha=2), R(2), R(3)),
    "inverse": (lambda x: torch.linalg.inv(x @ x.mT + torch.eye(x.shape[-1])), R(3, 3), R(4, 4)),
    "transposes": (lambda x: x.T + x.mT + x.real, R(3, 3), R(4, 4)),
    "data": (lambda x: x.data + x.detach(), R(3), R(4)),
    "logical": (lambda x: (x > 0).any() & (x > 0).all(), R(3), R(4)),
    "functional": (
        lambda x: F.dropout(F.gelu(F.layer_norm(x, (x.shape[-1],))), 0.5, training=False),
        R(3, 4), R(2, 7),
    ),
    "pooling": (lambda x: F.max_pool2d(x, 2, return_indices=True), R(1, 2, 4, 4), R(2, 2, 6, 8)),
    "gumbel": (lambda x: F.gumbel_softmax(x, hard=True), R(3, 4), R(2, 7)),
    "same_twice": (lambda x: (x, x, x + 1), R(2), R(3)),
    "numbers": (lambda x, n, s: x * n + torch.zeros(n).sum() + s, (R(2), 3, 0.5), (R(2), 5, 2.0)),
    "number_results": (lambda x, n: (x, x.shape[0] * n, n / 2), (R(2), 3), (R(4), 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_function_traces_as_it_runs(name):
    function, first, second = CASES[name]
    calls = [c if isinstance(c, tuple) else (c,) for c in (first, second)]
    trace_agrees(function, *calls)


def test_returned_inputs_stay_aliases():
    result = quiet_trace(lambda x, y: (x, {"y": y, "again": x}), R(2), R(2))
    x, y = R(2), R(2)
    got = run(result, x, y)
    assert got[0] is x and got[1]["again"] is x and got[1]["y"] is y


def test_one_tensor_given_twice_is_two_inputs():
    x = R(3)
    result = quiet_trace(lambda a, b: a - b, x, x)
    torch.testing.assert_close(run(result, torch.ones(2), torch.zeros(2)), torch.ones(2))
