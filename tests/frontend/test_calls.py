"""Calls of torch built by ``frontend.calls`` and evaluated give what eager gives."""

from __future__ import annotations

import warnings
from typing import Any

import numpy
import pytest
import torch
import torch.nn.functional as F

from scriptmode.frontend import calls
from scriptmode.frontend.operands import ValueOperand
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import CompileError, NotBuiltError, ScriptTypeError
from scriptmode.support.source import UNKNOWN
from tests.opinfo.building import Building
from tests.opinfo.table import difference

TT = torch.Tensor
f32, f64, i64 = torch.float32, torch.float64, torch.int64


def t(*shape: int) -> torch.Tensor:
    return torch.linspace(-1.5, 2.0, max(1, int(torch.tensor(shape).prod()))).reshape(shape)


X, Y, V, S = t(2, 3), t(2, 3) + 0.25, t(3), torch.tensor(0.5)
I, B, K = torch.tensor([[3, -2, 7], [1, 5, -4]]), X > 0, torch.tensor(2)
M, SQ, C4 = t(3, 2), t(3, 3) + 2 * torch.eye(3), t(1, 2, 6, 6)
Z = torch.complex(X, Y)
H = X.to(torch.bfloat16)

# (target, args, kwargs)
ROWS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    # numbers for tensors, and where they stand
    (torch.add, (X, 2), {}), (torch.add, (X, 2.5), {"alpha": 3}), (torch.add, (2, X), {}),
    (torch.add, (X, Y), {"alpha": 2}), (torch.add, (X, 2, Y), {}), (torch.add, (I, 2.5), {}),
    (torch.add, (2.5, I), {}), (torch.add, (B, 1), {}), (torch.add, (True, I), {}),
    (torch.add, (H, 0.1), {}), (torch.add, (X, 2j), {}), (torch.add, (2, 3), {}),
    (torch.add, (2, 3.5), {}), (torch.add, (), {"input": X, "other": Y}),
    (torch.add, (X,), {"x2": Y}), (torch.add, (), {"a": X, "other": 1}),
    (torch.sub, (X, 1), {}), (torch.sub, (1, X), {}), (torch.sub, (1, I), {"alpha": 2}),
    (torch.sub, (X, 2, Y), {}), (torch.rsub, (X, 1), {}), (torch.rsub, (X, Y), {"alpha": 3}),
    (torch.mul, (X, 3), {}), (torch.mul, (3.5, I), {}), (torch.mul, (X, B), {}),
    (torch.multiply, (X, 3), {}), (torch.div, (X, 3), {}), (torch.div, (3, X + 9), {}),
    (torch.div, (I, 2), {}), (torch.div, (I, 2), {"rounding_mode": "floor"}),
    (torch.div, (I, 2), {"rounding_mode": None}), (torch.div, (7, I), {"rounding_mode": "trunc"}),
    (torch.div, (X, Y), {"rounding_mode": "trunc"}), (torch.true_divide, (I, 2), {}),
    (torch.floor_divide, (I, 2), {}), (torch.floor_divide, (7, I), {}),
    (torch.remainder, (I, 3), {}), (torch.remainder, (7, I), {}), (torch.fmod, (X, 0.7), {}),
    (torch.pow, (X, 2), {}), (torch.pow, (2, X), {}), (torch.pow, (X, Y + 3), {}),
    (torch.pow, (X, torch.tensor(2)), {}), (torch.float_power, (X, 2), {}),
    (torch.eq, (X, 0.5), {}), (torch.lt, (X, Y), {}), (torch.bitwise_and, (I, 3), {}),
    (torch.bitwise_left_shift, (1, I.abs()), {}), (torch.copysign, (X, -1), {}),
    (torch.where, (B, X, Y), {}), (torch.where, (B, X, 0.5), {}), (torch.where, (B, 1, Y), {}),
    (torch.where, (B, 1, 2), {}), (torch.where, (B,), {}), (TT.where, (X, B, Y), {}),
    (TT.where, (X, B, 0.0), {}), (torch.clamp, (X, 0), {}), (torch.clamp, (X, 0, 1), {}),
    (torch.clamp, (X,), {"max": 0.5}), (torch.clamp, (X, X, Y), {}),
    (torch.clamp, (X,), {"min": S}), (torch.clip, (X, -1, 1), {}), (torch.xlogy, (2, Y + 3), {}),
    (torch.lerp, (X, Y, 0.3), {}), (torch.lerp, (X, Y, Y), {}), (torch.addcmul, (X, Y, Y), {}),
    (torch.addcmul, (X, Y, Y), {"value": 2}), (torch.addcmul, (X, 2, Y, Y), {}),
    (torch.addcdiv, (X, Y, Y + 9), {"value": 0.5}), (torch.heaviside, (X, Y), {}),
    # the old positional forms
    (torch.addmm, (SQ, SQ, SQ), {}), (torch.addmm, (SQ, SQ, SQ), {"beta": 2, "alpha": 0.5}),
    (torch.addmm, (2, SQ, SQ, SQ), {}), (torch.addmm, (2, SQ, 3, SQ, SQ), {}),
    (TT.addmm, (SQ, SQ, SQ), {}), (TT.addmm, (SQ, 2, 3, SQ, SQ), {}),
    (torch.addmv, (V, SQ, V), {}), (torch.addmv, (2, V, SQ, V), {}), (torch.addr, (SQ, V, V), {}),
    (torch.baddbmm, (t(1, 2, 2), t(1, 2, 2), t(1, 2, 2)), {}),
    # dimensions
    (torch.sum, (X,), {}), (torch.sum, (X, 1), {}), (torch.sum, (X,), {"axis": 1}),
    (torch.sum, (X, (0, 1)), {"keepdim": True}), (torch.sum, (X, [0]), {"keepdims": True}),
    (torch.sum, (X, None), {}), (torch.sum, (I,), {"dtype": f32}), (torch.sum, (X, 0), {"dtype": f64}),
    (torch.sum, (X, 1, True), {}), (torch.sum, (B,), {}), (torch.sum, (X,), {"dim": -1, "dtype": float}),
    (torch.mean, (X,), {}), (torch.mean, (X, 0), {}), (torch.mean, (X, (0, 1), True), {}),
    (torch.prod, (X,), {}), (torch.prod, (X, 1), {}), (torch.any, (B,), {}), (torch.any, (B, 1), {}),
    (torch.any, (B, (0, 1)), {}), (torch.all, (B, -1, True), {}), (torch.amax, (X, 1), {}),
    (torch.amin, (X,), {"dim": (0, 1)}), (torch.logsumexp, (X, 1), {}), (torch.std, (X,), {}),
    (torch.std, (X, False), {}), (torch.std, (X, 1), {}), (torch.std, (X, 1, False), {}),
    (torch.std, (X, 1, True, True), {}), (torch.std, (X,), {"dim": 1, "correction": 0}),
    (torch.std, (X, (0, 1)), {"correction": None}), (torch.var, (X,), {"unbiased": False}),
    (torch.var_mean, (X, 1), {}), (torch.std_mean, (X,), {}), (torch.norm, (X,), {}),
    (torch.norm, (X, 1), {}), (torch.norm, (X, 2, 1), {}), (torch.norm, (X, "fro", (0, 1), True), {}),
    (torch.norm, (X, "nuc"), {}), (torch.norm, (X,), {"p": float("inf"), "dim": [0]}),
    (torch.norm, (X, None), {}), (torch.norm, (I.float(), 2), {"dtype": f64}),
    (torch.argmax, (X,), {}), (torch.argmax, (X, 1), {}), (torch.argmax, (X, None, True), {}),
    (torch.argmin, (X, -1), {"keepdim": True}), (torch.argsort, (X, 1, True), {}),
    (torch.argsort, (X,), {"stable": True}), (torch.count_nonzero, (X,), {}),
    (torch.cumsum, (X, 1), {}), (torch.cumsum, (X,), {"dim": 0, "dtype": f64}),
    (torch.cumprod, (X,), {"axis": 0}), (torch.diff, (X,), {}), (torch.median, (X,), {}),
    (torch.quantile, (X, 0.3), {}), (torch.quantile, (X, V.sigmoid(), 1), {}),
    (torch.nanmean, (X, 1), {}), (torch.squeeze, (t(1, 2, 1),), {}),
    (torch.squeeze, (t(1, 2, 1), 0), {}), (torch.squeeze, (t(1, 2, 1), (0, 2)), {}),
    (torch.unsqueeze, (X, -1), {}), (torch.transpose, (X, 0, 1), {}), (torch.flip, (X, (0, 1)), {}),
    (torch.flip, (X, [1]), {}), (torch.roll, (X, 1), {}), (torch.roll, (X, (1, 2), (0, 1)), {}),
    (torch.roll, (X,), {"shifts": 1, "dims": 1}), (torch.permute, (X, (1, 0)), {}),
    (torch.movedim, (X, 0, 1), {}), (torch.movedim, (t(1, 2, 3), (0, 1), (1, 2)), {}),
    (torch.rot90, (X,), {}), (torch.tile, (X, (2, 1)), {}), (torch.flatten, (t(1, 2, 3), 1), {}),
    (torch.unflatten, (t(2, 6), 1, (2, 3)), {}), (torch.broadcast_to, (V, (2, 3)), {}),
    (torch.repeat_interleave, (X, 2), {}), (torch.repeat_interleave, (X, 2, 1), {}),
    (torch.repeat_interleave, (V, torch.tensor([1, 0, 2]), 0), {}),
    (torch.repeat_interleave, (torch.tensor([1, 0, 2]),), {}),
    # named results
    (torch.max, (X,), {}), (torch.max, (X, 1), {}), (torch.max, (X, Y), {}),
    (torch.max, (X,), {"dim": 0, "keepdim": True}), (torch.min, (X, -1), {}),
    (torch.median, (X, 1), {}), (torch.mode, (I, 1), {}), (torch.kthvalue, (X, 2, 1), {}),
    (torch.sort, (X,), {}), (torch.sort, (X, 0, True), {}), (torch.sort, (X,), {"stable": True}),
    (torch.topk, (X, 2), {}), (torch.topk, (X, 2), {"largest": False}), (torch.aminmax, (X,), {"dim": 1}),
    (torch.cummax, (X, 1), {}), (torch.frexp, (X,), {}), (torch.linalg.svd, (SQ,), {}),
    (torch.linalg.qr, (SQ,), {}), (torch.linalg.slogdet, (SQ,), {}), (torch.linalg.eigh, (SQ,), {}),
    (torch.linalg.inv_ex, (SQ,), {}), (torch.linalg.lu, (SQ,), {}), (torch.slogdet, (SQ,), {}),
    (torch.svd, (SQ,), {}), (torch.qr, (SQ,), {}), (torch.triangular_solve, (M, SQ), {}),
    (torch.lu, (SQ,), {}), (torch.lu, (SQ,), {"get_infos": True}), (TT.lu, (SQ,), {}),
    (torch.lu_unpack, (SQ, torch.tensor([1, 2, 3], dtype=torch.int32)), {}),
    # several results
    (torch.split, (X, 1), {}), (torch.split, (X, 2, 1), {}), (torch.split, (X, [1, 2], 1), {}),
    (TT.split, (X, 2), {"dim": 1}), (TT.split, (X, (1, 2), -1), {}), (torch.chunk, (X, 2), {}),
    (torch.unbind, (X,), {}), (torch.unbind, (X, 1), {}), (torch.tensor_split, (X, 2, 1), {}),
    (torch.tensor_split, (X, (1,), 1), {}), (torch.hsplit, (X, 3), {}), (torch.vsplit, (X, [1]), {}),
    (torch.meshgrid, (V, V), {"indexing": "ij"}), (torch.meshgrid, ([V, V],), {"indexing": "xy"}),
    (torch.broadcast_tensors, (X, V), {}), (torch.atleast_1d, (S,), {}), (torch.atleast_2d, (V, S), {}),
    (torch.atleast_3d, ([V, S],), {}), (torch.block_diag, (X, V), {}), (torch.cartesian_prod, (V, V), {}),
    (torch.unique, (I,), {}), (torch.unique, (I, True, True), {}),
    (torch.unique, (I,), {"return_counts": True, "dim": 0}),
    (torch.unique_consecutive, (I,), {"return_inverse": True, "return_counts": True}),
    (TT.unique, (I,), {"return_inverse": True}), (torch.histogram, (V, 3), {}),
    (torch.nonzero, (B,), {}), (torch.nonzero, (B,), {"as_tuple": True}), (TT.nonzero, (B,), {}),
    # sequences of tensors
    (torch.cat, ([X, Y],), {}), (torch.cat, ((X, Y), 1), {}), (torch.cat, ([X, Y],), {"axis": -1}),
    (torch.concat, ([X, X],), {"dim": 1}), (torch.stack, ([X, Y],), {}), (torch.stack, ((X, Y), 2), {}),
    (torch.hstack, ([X, Y],), {}), (torch.column_stack, ((V, V),), {}),
    (torch.einsum, ("ij,kj->ik", X, Y), {}), (torch.einsum, ("ii->i", SQ), {}),
    (torch.einsum, ("ij,jk", [X, M]), {}), (torch.linalg.multi_dot, ([X, M, X],), {}),
    (torch.chain_matmul, (X, M, X), {}), (torch._foreach_add, ([X, Y], 1), {}),
    # linear algebra
    (torch.matmul, (X, M), {}), (torch.mm, (X, M), {}), (torch.bmm, (t(1, 2, 2), t(1, 2, 2)), {}),
    (torch.mv, (SQ, V), {}), (torch.dot, (V, V), {}), (torch.tensordot, (X, M, 1), {}),
    (torch.tensordot, (X, Y), {"dims": ([1], [1])}), (torch.cdist, (X, Y), {}),
    (torch.cdist, (X, Y, 1.0), {}), (torch.cdist, (X, Y), {"compute_mode": "use_mm_for_euclid_dist"}),
    (torch.linalg.norm, (X,), {}), (torch.linalg.norm, (X, 2), {}), (torch.linalg.norm, (X, "fro"), {}),
    (torch.linalg.vector_norm, (X, 2, 1), {}), (torch.linalg.matrix_norm, (SQ,), {}),
    (torch.linalg.matrix_norm, (SQ, "nuc"), {}), (torch.linalg.inv, (SQ,), {}),
    (torch.linalg.solve, (SQ, V), {}), (torch.linalg.det, (SQ,), {}), (torch.det, (SQ,), {}),
    (torch.linalg.pinv, (X,), {}), (torch.linalg.pinv, (X,), {"rtol": 0.1}), (torch.tril, (SQ, -1), {}),
    (torch.linalg.matrix_rank, (SQ,), {}), (torch.trace, (SQ,), {}), (torch.diag, (V, 1), {}),
    (torch.cross, (X, Y), {"dim": 1}), (torch.kron, (X, V), {}), (torch.outer, (V, V), {}),
    # fft, special
    (torch.fft.fft, (X,), {}), (torch.fft.fft, (X, 4, 0), {"norm": "ortho"}), (torch.fft.rfft2, (X,), {}),
    (torch.fft.fftn, (X,), {"dim": (0, 1)}), (torch.fft.fftfreq, (4,), {}), (torch.fft.fftshift, (X, 1), {}),
    (torch.special.erf, (X,), {}), (torch.special.xlog1py, (2, Y), {}), (torch.special.polygamma, (1, Y + 3), {}),
    (torch.special.softmax, (X, 1), {}), (torch.stft, (t(40), 8), {"return_complex": True}),
    (TT.stft, (t(2, 40), 8, 4), {"window": t(8), "return_complex": True}),
    # selection
    (torch.gather, (X, 1, torch.tensor([[0], [2]])), {}), (torch.index_select, (X, 1, torch.tensor([0, 2])), {}),
    (torch.masked_select, (X, B), {}), (torch.take, (X, torch.tensor([0, 5])), {}),
    (torch.masked_fill, (X, B, 0.0), {}), (torch.masked_fill, (X, B, S), {}), (torch.select, (X, 1, 0), {}),
    (torch.narrow, (X, 1, 0, 2), {}), (torch.narrow, (X, 1, torch.tensor(1), 2), {}),
    (torch.scatter, (X, 1, torch.tensor([[0], [2]]), Y), {}), (torch.scatter, (X, 1, torch.tensor([[0], [2]]), 9.0), {}),
    (torch.scatter, (X, 1, torch.tensor([[0], [2]]), Y), {"reduce": "add"}),
    (torch.scatter_reduce, (X, 1, torch.tensor([[0], [2]]), Y, "amax"), {}),
    (torch.index_add, (X, 0, torch.tensor([0]), Y[:1]), {"alpha": 2}),
    (torch.index_fill, (X, 1, torch.tensor([0]), 3), {}), (torch.index_put, (X, (torch.tensor([0]),), V), {}),
    (torch.bucketize, (X, V), {}), (torch.bucketize, (0.3, V), {}), (torch.searchsorted, (V, 0.2), {}),
    (torch.isin, (I, 3), {}), (torch.isin, (I, I[:1]), {}), (torch.bincount, (I.abs().flatten(),), {}),
    # factories
    (torch.tensor, ([[True, 2], [2.5, 1]],), {}), (torch.tensor, ([1, 2j],), {}), (torch.tensor, ([[], []],), {}),
    (torch.tensor, ([True, 2],), {}), (torch.tensor, ([S, S],), {}), (torch.tensor, (((1, 2), [3, 4]),), {}),
    (torch.add, (X, numpy.float32(2)), {}), (torch.sum, (X, numpy.int64(1)), {}),
    (torch.zeros, (2, 3), {}), (torch.zeros, ((2, 3),), {}), (torch.zeros, ([2, 3],), {"dtype": i64}),
    (torch.zeros, (), {"size": (2,)}), (torch.zeros, (2, torch.tensor(3)), {}), (torch.zeros, (torch.Size([2]),), {}),
    (torch.ones, (2,), {"dtype": float}), (torch.ones, (2,), {"dtype": bool}), (torch.ones, ((),), {}),
    (torch.ones, (2,), {"device": "cpu", "requires_grad": True}), (torch.full, ((2,), 3), {}),
    (torch.full, ((2,), 3.5), {}), (torch.full, ((2,), True), {}), (torch.full, ([2], 1), {"dtype": f32}),
    (torch.arange, (5,), {}), (torch.arange, (1, 5), {}), (torch.arange, (0, 1, 0.25), {}),
    (torch.arange, (5,), {"dtype": f32}), (torch.arange, (), {"end": 4}), (torch.arange, (1.5,), {}),
    (torch.linspace, (0, 1, 5), {}), (torch.linspace, (0, 1), {"steps": 3, "dtype": f64}),
    (torch.logspace, (0, 1, 3), {}), (torch.eye, (3,), {}), (torch.eye, (2, 3), {"dtype": i64}),
    (torch.zeros_like, (X,), {}), (torch.full_like, (X, 2), {"dtype": i64}), (torch.scalar_tensor, (3,), {}),
    (torch.tensor, (3,), {}), (torch.tensor, ([1, 2.5],), {}), (torch.tensor, ([[1, 2], [3, 4]],), {"dtype": f64}),
    (torch.tensor, ((True, False),), {}), (torch.tensor, ([],), {}), (torch.tensor, (2.0,), {"requires_grad": True}),
    (torch.as_tensor, ([1, 2],), {}), (torch.as_tensor, (X,), {"dtype": f64}), (torch.tril_indices, (3, 3), {}),
    (torch.hann_window, (5,), {}), (torch.complex, (X, Y), {}), (torch.polar, (Y.abs(), X), {}),
    (TT.new_zeros, (X, 2, 3), {}), (TT.new_zeros, (I, (2,)), {}), (TT.new_full, (X, (2,), 3), {}),
    (TT.new_ones, (X, 2), {"dtype": i64}), (TT.new_tensor, (H, [1, 2]), {}), (torch.vander, (V, 3), {}),
    # random numbers
    (torch.rand, (2, 3), {}), (torch.randn, ((2, 3),), {}), (torch.randint, (5, (2,)), {}),
    (torch.randint, (1, 5, (2,)), {"dtype": f32}), (torch.randint, (5, (2,)), {"dtype": None}), (torch.randperm, (5,), {}),
    (torch.rand_like, (X,), {}), (torch.bernoulli, (Y.sigmoid(),), {}), (torch.bernoulli, (X, 0.3), {}),
    (torch.normal, (0.0, 1.0, (2, 3)), {}), (torch.normal, (X, 1.0), {}), (torch.normal, (X, Y.abs()), {}),
    (torch.normal, (0.0, Y.abs()), {}), (torch.multinomial, (Y.sigmoid(), 2), {}), (torch.dropout, (X, 0.5, True), {}),
    (torch.poisson, (Y.abs(),), {}), (TT.uniform_, (t(2),), {}), (TT.normal_, (t(2), 1, 2), {}),
    (TT.bernoulli_, (t(2), 0.5), {}), (TT.exponential_, (t(2),), {}), (TT.random_, (t(2), 5), {}),
    # functional builtins
    (F.gelu, (X,), {}), (F.gelu, (X,), {"approximate": "tanh"}), (F.linear, (X, Y), {}), (F.linear, (X, Y, t(2)), {}),
    (F.conv2d, (C4, t(3, 2, 2, 2)), {}), (F.conv2d, (C4, t(3, 2, 2, 2), None, 2, 1), {}),
    (F.conv2d, (C4, t(3, 2, 2, 2)), {"padding": "same"}), (F.conv2d, (C4, t(3, 2, 2, 2), t(3), (1, 2), [0, 1]), {}),
    (F.conv1d, (t(1, 2, 5), t(2, 2, 3)), {"dilation": 2}), (F.avg_pool2d, (C4, 2), {}), (F.avg_pool2d, (C4, (2, 3), 1), {}),
    (torch.max_pool2d, (C4, 2), {}), (torch.max_pool2d, (C4, 2, None), {}), (torch._C._nn.max_pool2d_with_indices, (C4, 2), {}),
    (torch._C._nn.adaptive_avg_pool2d, (C4, (2, 3)), {}), (torch.batch_norm, (C4, None, None, None, None, True, 0.1, 1e-5, True), {}),
    (torch.layer_norm, (X, (3,)), {}), (torch.embedding, (SQ, torch.tensor([0, 2])), {}), (F.softplus, (X,), {}),
    (torch._C._nn.pad, (X, (1, 1)), {}), (torch._C._nn.pad, (X, [1, 0]), {"value": 2.0}), (torch._C._nn.pad, (C4, (1, 1, 1, 1), "reflect"), {}),
    (F.scaled_dot_product_attention, (t(1, 2, 3), t(1, 2, 3), t(1, 2, 3)), {}), (F.one_hot, (torch.tensor([0, 2]),), {}),
    (F.pixel_shuffle, (t(1, 4, 2, 2), 2), {}), (torch.softmax, (X, 1), {}), (torch.softmax, (X, -1, f64), {}),
    (torch.log_softmax, (X,), {"dim": 0}), (torch.relu, (X,), {}), (torch.cosine_similarity, (X, Y), {}),
    (torch._C._nn.cross_entropy_loss, (X, torch.tensor([0, 2])), {}), (torch._C._nn.hardtanh, (X,), {}),
    (torch.group_norm, (C4, 2), {}), (torch.prelu, (X, S.reshape(1)), {}), (torch.threshold, (X, 0, 1), {}),
    # out=
    (torch.add, (X, Y), {"out": torch.empty(2, 3)}), (torch.add, (X, 2), {"out": torch.empty(2, 3)}),
    (torch.sum, (X, 1), {"out": torch.empty(2)}), (torch.zeros, (2,), {"out": torch.ones(2)}),
    (torch.max, (X, 1), {"out": (torch.empty(2), torch.empty(2, dtype=i64))}), (torch.cat, ([X, Y],), {"out": torch.empty(4, 3)}),
    (torch.sort, (X,), {"out": (torch.empty(2, 3), torch.empty(2, 3, dtype=i64))}), (torch.matmul, (X, M), {"out": None}),
    # predicates and types
    (torch.is_tensor, (X,), {}), (torch.is_floating_point, (X,), {}), (torch.is_complex, (Z,), {}), (torch.equal, (X, X), {}),
    (torch.allclose, (X, Y), {"atol": 0.1}), (torch.numel, (X,), {}), (torch.numel, (), {"input": X}),
    (torch.result_type, (X, 2), {}), (torch.result_type, (I, 2.5), {}), (torch.promote_types, (i64, f32), {}),
    (torch.can_cast, (f32, i64), {}), (torch.is_grad_enabled, (), {}), (torch.get_default_dtype, (), {}), (torch.is_nonzero, (S,), {}),
    (torch.Size, ([2, 3],), {}), (torch.device, ("cpu",), {}), (torch.isclose, (X, Y), {}),
    # sizes and numbers of a tensor
    (TT.size, (X,), {}), (TT.size, (X, 0), {}), (TT.size, (X,), {"dim": -1}), (TT.stride, (X,), {}), (TT.stride, (X, 0), {}),
    (TT.dim, (X,), {}), (TT.ndimension, (X,), {}), (TT.numel, (X,), {}), (TT.nelement, (X,), {}), (TT.__len__, (X,), {}),
    (TT.item, (S,), {}), (TT.item, (K,), {}), (TT.item, (B[0, 0],), {}), (TT.tolist, (X,), {}), (TT.__int__, (S,), {}), (TT.__bool__, (S,), {}),
    (TT.__float__, (K,), {}), (TT.element_size, (X,), {}), (TT.is_contiguous, (X.T,), {}), (TT.storage_offset, (X[1],), {}),
    (TT.is_contiguous, (C4,), {"memory_format": torch.channels_last}), (TT.get_device, (X,), {}),
    # conversions
    *[(getattr(TT, n), (X,), {}) for n in ("float", "double", "half", "bfloat16", "int", "long", "short", "char", "byte", "bool", "cfloat", "cpu")],
    (TT.to, (X, f64), {}), (TT.to, (X, "cpu"), {}), (TT.to, (X, torch.device("cpu"), f64), {}), (TT.to, (X, I), {}), (TT.to, (X,), {"dtype": i64}),
    (TT.to, (X,), {"device": "cpu", "dtype": f64, "copy": True}), (TT.to, (X, f64, True, True), {}), (TT.to, (X,), {"tensor": I}),
    (TT.to, (C4,), {"memory_format": torch.channels_last}), (TT.to, (X, float), {}), (TT.to, (X,), {"device": None, "dtype": f64}),
    (TT.type, (X, f64), {}), (TT.type, (X, "torch.DoubleTensor"), {}), (TT.type, (X, torch.LongTensor), {}), (TT.type_as, (X, I), {}),
    (TT.contiguous, (X.T,), {}), (TT.contiguous, (C4,), {"memory_format": torch.channels_last}), (TT.clone, (X.T,), {}), (TT.detach, (X,), {}),
    (TT.clone, (X,), {"memory_format": torch.contiguous_format}), (TT.requires_grad_, (t(2),), {}), (TT.copy_, (t(2, 3), V), {}), (TT.copy_, (t(2, 3), 2), {}),
    # methods with numbers of ints
    (TT.view, (X, 3, 2), {}), (TT.view, (X, (3, 2)), {}), (TT.view, (X, -1), {}), (TT.view, (X, torch.int32), {}), (TT.view, (X,), {"size": (6,)}),
    (TT.reshape, (X, 3, 2), {}), (TT.reshape, (X, [-1]), {}), (TT.expand, (V, 2, 3), {}), (TT.expand, (V, (2, -1)), {}), (TT.expand, (V, torch.Size([2, 3])), {}),
    (TT.permute, (X, 1, 0), {}), (TT.permute, (X, (1, 0)), {}), (TT.repeat, (X, 2, 1), {}), (TT.repeat, (X, (2, 2)), {}), (TT.flip, (X, 0, 1), {}),
    (TT.sum, (X, 1), {}), (TT.sum, (X, (0, 1)), {}), (TT.sum, (X,), {"axis": 0}), (TT.mean, (X, -1), {"keepdim": True}), (TT.max, (X, 0), {}), (TT.max, (X,), {}),
    (TT.tile, (X, 2, 2), {}), (TT.unflatten, (t(2, 6), 1, (2, 3)), {}), (TT.unflatten, (t(2, 6), -1, [3, -1]), {}), (TT.norm, (X,), {}), (TT.norm, (X, 2, 1), {}),
    (TT.std, (X, 1), {}), (TT.argmax, (X,), {}), (TT.softmax, (X, 1), {}), (TT.chunk, (X, 2, 1), {}), (TT.unbind, (X,), {}), (TT.t, (X,), {}), (TT.transpose, (X, 0, 1), {}),
    (TT.squeeze, (t(1, 2),), {}), (TT.unsqueeze, (X, 0), {}), (TT.flatten, (X,), {}), (TT.clamp, (X,), {"min": 0}), (TT.masked_fill, (X, B, -1e9), {}), (TT.eq, (X, Y), {}),
    (TT.add, (X, 1), {}), (TT.add, (X, Y), {"alpha": 2}), (TT.pow, (X, 2), {}), (TT.matmul, (X, M), {}), (TT.index_select, (X, 0, torch.tensor([1])), {}), (TT.diff, (X,), {}),
    (TT.topk, (X, 1), {}), (TT.sort, (X,), {"descending": True}), (TT.cumsum, (X, 0), {}), (TT.gather, (X, 1, torch.tensor([[0], [1]])), {}), (TT.swapaxes, (X, 0, 1), {}),
    (TT.unfold, (V, 0, 2, 1), {}), (TT.narrow, (X, 1, 0, 1), {}), (TT.fill_, (t(2), 3), {}), (TT.zero_, (t(2),), {}), (TT.add_, (t(2), 1), {}), (TT.mul_, (t(2), t(2)), {}),
    (TT.addcmul_, (t(3), V, V), {"value": 2}), (TT.clamp_, (t(3), 0, 1), {}), (TT.masked_fill_, (t(2, 3), B, 0), {}), (TT.__contains__, (I, 3), {}), (TT.__reversed__, (V,), {}),
    (TT.scatter_, (t(2, 3), 1, torch.tensor([[0], [2]]), 1.0), {}), (TT.index_copy_, (t(2, 3), 0, torch.tensor([0]), X[:1]), {}), (TT.is_floating_point, (X,), {}),
    (TT.__getitem__, (X, 0), {}), (TT.__getitem__, (X, (slice(None), 1)), {}), (TT.__and__, (I, 3), {}), (TT.__rsub__, (X, 2), {}), (TT.__rpow__, (X, 2), {}), (TT.__rdiv__, (Y, X), {}),
    # attributes as __torch_function__ sees them
    *[(getattr(TT, n).__get__, (X,), {}) for n in ("shape", "dtype", "device", "layout", "ndim", "requires_grad", "is_leaf", "is_cuda", "is_cpu", "is_sparse",
      "is_quantized", "is_meta", "T", "mT", "H", "mH", "real", "data", "grad", "itemsize", "nbytes", "is_nested", "is_sparse_csr", "_version", "retains_grad")],
    (TT.imag.__get__, (Z,), {}), (TT.real.__get__, (Z,), {}), (TT.H.__get__, (Z,), {}),
    # torch.ops
    (torch.ops.aten.add, (X, Y), {}), (torch.ops.aten.add.Tensor, (X, Y), {"alpha": 2}), (torch.ops.aten.sum.dim_IntList, (X, [1]), {}),
    (torch.ops.aten.max.dim, (X, 1), {}), (torch.ops.aten.split.Tensor, (X, 1), {}), (torch.ops.aten.add, (X, 2), {}), (torch.ops.aten.add.Tensor, (X, 2), {}),
]  # fmt: skip


def build(building: Building, target: Any, args: Any, kwargs: Any) -> Any:
    operands = [building.operand(a) for a in args]
    named = {k: building.operand(v) for k, v in kwargs.items()}
    return calls.call_torch(building.builder, target, operands, named, UNKNOWN)


def copied(tree: Any) -> Any:
    def one(x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return x.clone(memory_format=torch.preserve_format)
        return x

    return torch.utils._pytree.tree_map(one, tree)


def row_name(row: Any) -> str:
    target, args, kwargs = row
    name = getattr(target, "__name__", str(target))
    if name == "__get__":
        name = target.__self__.__name__
    shown = [tuple(a.shape) if isinstance(a, torch.Tensor) else a for a in args]
    return f"{name}{shown}{kwargs or ''}"[:80]


@pytest.mark.parametrize("row", ROWS, ids=[f"{i}-{row[0].__name__}" for i, row in enumerate(ROWS)])
def test_a_call_gives_what_eager_gives(row: Any) -> None:
    target, args, kwargs = row
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected_args, expected_kwargs = copied((args, kwargs))
        torch.manual_seed(3)
        expected = target(*expected_args, **expected_kwargs)
        our_args, our_kwargs = copied((args, kwargs))
        building = Building()
        value = build(building, target, our_args, our_kwargs)
        assert calls.is_torch_callable(target)
        torch.manual_seed(3)
        actual = building.run(value)
        assert difference(actual, expected) is None
        if isinstance(expected, torch.Tensor):
            assert actual.requires_grad == expected.requires_grad
            if target is not torch.hann_window:  # whose inner view torch.ops shows
                assert actual._is_view() == expected._is_view()
        for ours, eagers in zip(our_args, expected_args, strict=True):
            assert difference(ours, eagers) is None


BINARY = {
    "add": "__add__", "sub": "__sub__", "mul": "__mul__", "truediv": "__truediv__",
    "floordiv": "__floordiv__", "mod": "__mod__", "pow": "__pow__", "matmul": "__matmul__",
    "and": "__and__", "or": "__or__", "xor": "__xor__", "lshift": "__lshift__",
    "rshift": "__rshift__", "eq": "__eq__", "ne": "__ne__", "lt": "__lt__", "le": "__le__",
    "gt": "__gt__", "ge": "__ge__",
}  # fmt: skip
OPERANDS = [X, Y + 3, I, B, H, S, K, 2, 2.5, True, 2j, -3, 0.1]


@pytest.mark.parametrize("name", BINARY)
def test_a_binary_operator_gives_what_python_gives(name: str) -> None:
    import operator

    spelled = {"and": "and_", "or": "or_"}.get(name, name)
    for left in OPERANDS:
        for right in OPERANDS:
            if not (isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor)):
                continue
            building = Building()
            operands = [building.operand(left), building.operand(right)]
            try:
                expected = getattr(operator, spelled)(left, right)
            except (RuntimeError, TypeError):
                with pytest.raises((RuntimeError, TypeError)):
                    building.run(calls.binary(building.builder, name, *operands, UNKNOWN))
                continue
            actual = building.run(calls.binary(building.builder, name, *operands, UNKNOWN))
            assert difference(actual, expected) is None, (left, right)


@pytest.mark.parametrize(
    "name", [n for n in BINARY if n not in ("eq", "ne", "lt", "le", "gt", "ge")]
)
def test_an_augmented_operator_changes_the_left_tensor(name: str) -> None:
    import operator

    for left in OPERANDS:
        for right in OPERANDS:
            if not (isinstance(left, torch.Tensor) or isinstance(right, torch.Tensor)):
                continue
            eager_left, our_left = copied((left, left))
            building = Building()
            operands = [building.operand(our_left), building.operand(right)]
            try:
                expected = getattr(operator, f"i{name}")(eager_left, right)
            except (RuntimeError, TypeError):
                with pytest.raises((RuntimeError, TypeError)):
                    building.run(calls.inplace_binary(building.builder, name, *operands, UNKNOWN))
                continue
            actual = building.run(calls.inplace_binary(building.builder, name, *operands, UNKNOWN))
            if isinstance(expected, torch.Tensor) and expected.dtype == torch.bfloat16:
                # aten::mul_.Scalar multiplies the other way around
                torch.testing.assert_close(actual, expected, equal_nan=True)
                continue
            assert difference(actual, expected) is None, (left, right)
            assert difference(our_left, eager_left) is None


@pytest.mark.parametrize("name", ["neg", "pos", "invert", "abs", "not"])
def test_a_unary_operator_gives_what_python_gives(name: str) -> None:
    import operator

    spelled = {"not": "not_"}.get(name, name)
    for item in (X, I, S, K, B[0, 0], B):
        building = Building()
        operand = building.operand(item)
        try:
            expected = getattr(operator, spelled)(item)
        except (RuntimeError, TypeError):
            with pytest.raises((RuntimeError, TypeError)):
                building.run(calls.unary(building.builder, name, operand, UNKNOWN))
            continue
        actual = building.run(calls.unary(building.builder, name, operand, UNKNOWN))
        assert difference(actual, expected) is None


def test_equality_with_none_is_a_bool() -> None:
    building = Building()
    x, none = building.operand(X), building.operand(None)
    value = calls.compare(building.builder, "eq", x, none, UNKNOWN)
    assert value.constant is False
    assert calls.compare(building.builder, "ne", none, x, UNKNOWN).constant is True


@pytest.mark.parametrize(
    ("kind", "value", "target", "after"),
    [
        (T.ListType([T.INT]), [3, 2], TT.view, None),
        (T.SIZE, torch.Size([3, 2]), TT.view, None),
        (T.VarTupleType([T.INT]), (3, 2), TT.reshape, None),
        (T.TupleType([T.INT, T.INT]), (3, 2), TT.view, None),
        (T.INT, 6, TT.view, None),
        (T.INT, 2, TT.mul, None),
        (T.FLOAT, 2.5, TT.mul, None),
        (T.BOOL, True, TT.add, None),
        (T.NUMBER, 2.5, TT.add, None),
        (T.optional_of(T.INT), None, TT.sum, None),
        (T.optional_of(T.INT), 1, TT.sum, None),
        (T.optional_of(T.TENSOR), None, F.linear, Y),
        (T.optional_of(T.TENSOR), t(2), F.linear, Y),
        (T.ListType([T.TENSOR]), [X, Y], torch.cat, ()),
        (T.VarTupleType([T.TENSOR]), (X, Y), torch.stack, ()),
        (T.TupleType([T.TENSOR, T.TENSOR]), (X, Y), torch.cat, ()),
        (T.DTYPE, f64, TT.to, None),
        (T.STR, "cpu", TT.to, None),
        (T.DEVICE, torch.device("cpu"), TT.to, None),
        (T.optional_of(T.DTYPE), None, torch.randint, (5, (2,))),
    ],
)  # fmt: skip
def test_a_typed_value_is_converted(kind: Any, value: Any, target: Any, after: Any) -> None:
    building = Building()
    given = building.parameter(value, kind)
    if target is torch.randint:
        operands = [building.operand(a) for a in after]
        result = calls.call_torch(building.builder, target, operands, {"dtype": given}, UNKNOWN)
        expected_call = lambda: target(*after, dtype=value)  # noqa: E731
    else:
        before = [] if after == () else [X] if after is None else [X, after]
        operands = [*map(building.operand, before), given]
        result = calls.call_torch(building.builder, target, operands, {}, UNKNOWN)
        expected_call = lambda: target(*before, value)  # noqa: E731
    torch.manual_seed(0)
    expected = expected_call()
    torch.manual_seed(0)
    assert difference(building.run(result), expected) is None


@pytest.mark.parametrize(
    ("target", "args", "kwargs", "error"),
    [
        (torch.add, (X,), {}, ScriptTypeError),
        (torch.add, (X, "a"), {}, ScriptTypeError),
        (torch.add, (X, Y), {"beta": 1}, ScriptTypeError),
        (torch.sum, (X, 0.5), {}, ScriptTypeError),
        (torch.sum, (X, True), {}, ScriptTypeError),
        (torch.zeros, ("a",), {}, ScriptTypeError),
        (torch.relu, (2,), {}, ScriptTypeError),
        (TT.view, (X, 1.5), {}, ScriptTypeError),
        (TT.numpy, (X,), {}, NotBuiltError),
        (TT.register_hook, (X, 1), {}, NotBuiltError),
        (torch.from_numpy, (X,), {}, NotBuiltError),
        (torch.cat, ([X, 1],), {}, ScriptTypeError),
        (TT.cuda, (X,), {}, NotBuiltError),
        (TT.grad_fn.__get__, (X,), {}, NotBuiltError),
    ],
    ids=lambda a: getattr(a, "__name__", None),
)
def test_a_wrong_call_is_refused(target: Any, args: Any, kwargs: Any, error: Any) -> None:
    with pytest.raises(CompileError) as caught:
        build(Building(), target, args, kwargs)
    assert isinstance(caught.value, error)


def test_named_results_have_torchs_class() -> None:
    building = Building()
    value = build(building, torch.max, (X, 1), {})
    assert isinstance(value.type, T.NamedTupleType)
    assert value.type.python_class is torch.return_types.max
    assert value.type.fields == ("values", "indices")


def test_a_tensor_of_no_dimensions_serves_as_a_number() -> None:
    building = Building()
    dim = building.operand(torch.tensor(1))
    value = calls.call_torch(building.builder, torch.sum, [building.operand(X), dim], {}, UNKNOWN)
    assert torch.equal(building.run(value), X.sum(1))
    assert isinstance(dim, ValueOperand)
