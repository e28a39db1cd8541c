"""Matrix products."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast
from scriptmode.loops.index import Affine
from scriptmode.loops.kernel import Indices, KernelBuilder, Lazy, NotLowered, broadcast, elementwise
from scriptmode.loops.lowering import lowers
from scriptmode.loops.lowerings.pointwise import scaled
from scriptmode.loops.lowerings.views import permuted, reshaped


def product(k: KernelBuilder, a: Lazy, b: Lazy) -> Lazy:
    """``sum over k of a[..., i, k] * b[..., k, j]``, batch dimensions broadcast."""
    if a.dtype != b.dtype or a.dtype not in (torch.float32, torch.float64):
        raise NotLowered("a product of other dtypes")
    a, b = k.realize(a), k.realize(b)
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    m, n, depth = a.shape[-2], b.shape[-1], a.shape[-1]
    full = (*batch, m, n, depth)
    if 0 in full:
        raise NotLowered("an empty product")

    def last(x: Lazy, indices: Indices) -> Indices:
        own = indices[len(indices) - (x.rank - 2) :] if x.rank > 2 else ()
        return tuple(Affine() if s == 1 else i for s, i in zip(x.shape[:-2], own, strict=True))

    def at(i: Indices) -> Expr:
        *outer, row, column, inner = i
        first = a.at((*last(a, tuple(outer)), row, inner))
        second = b.at((*last(b, tuple(outer)), inner, column))
        return apply("mul", first, second)

    result = k.reduce("add", Lazy(full, a.dtype, at), [len(full) - 1], a.dtype, False)
    if depth > 1:
        k.kernel.stages[-1].whole = 2
    return result


@lowers("aten::mm", "aten::bmm")
def mm(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
    """Matrices, or batches of them."""
    return product(k, a, b)


@lowers("aten::matmul")
def matmul(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
    """Vectors count as matrices with one row, or one column."""
    if a.rank == 0 or b.rank == 0:
        raise NotLowered("a product with a scalar tensor")
    left = reshaped(k, a, (1, *a.shape)) if a.rank == 1 else a
    right = reshaped(k, b, (*b.shape, 1)) if b.rank == 1 else b
    return reshaped(k, product(k, left, right), out.shape)


@lowers("aten::mv", "aten::dot")
def mv(k: KernelBuilder, out: TensorFact, a: Lazy, b: Lazy) -> Lazy:
    """A matrix or vector times a vector."""
    return matmul(k, out, a, b)


@lowers("aten::linear")
def linear(k: KernelBuilder, out: TensorFact, x: Lazy, weight: Lazy, bias: Any) -> Lazy:
    """``x @ weight.T + bias``."""
    if weight.rank != 2:
        raise NotLowered("a linear layer with one output")
    left = reshaped(k, k.realize(x), (max(1, x.numel // max(1, x.shape[-1])), x.shape[-1]))
    result = reshaped(k, product(k, left, permuted(weight, [1, 0])), out.shape)
    if bias is None:
        return result
    return elementwise(lambda a, b: apply("add", a, b), out.dtype, out.shape, result, bias)


@lowers("aten::addmm", "aten::baddbmm")
def addmm(
    k: KernelBuilder, out: TensorFact, x: Lazy, a: Lazy, b: Lazy, beta: Any, alpha: Any
) -> Lazy:
    """``beta * x + alpha * a @ b``."""
    result = product(k, a, b)

    def element(value: Expr, added: Expr) -> Expr:
        return apply("add", scaled(value, alpha), scaled(cast(added, out.dtype), beta))

    return elementwise(element, out.dtype, out.shape, result, x)
