"""Normalisation layers and losses, from moments and folds."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply
from scriptmode.loops.kernel import KernelBuilder, Lazy, NotLowered, broadcast, elementwise, number
from scriptmode.loops.lowering import fixed, lowers
from scriptmode.loops.lowerings.reductions import divided, moments
from scriptmode.loops.lowerings.views import reshaped


def _float(out: TensorFact) -> None:
    if out.dtype not in (torch.float32, torch.float64):
        raise NotLowered(f"kernels do not compute in {out.dtype}")


def normalized(
    k: KernelBuilder, x: Lazy, mean: Lazy | None, spread: Lazy, eps: Any, weight: Lazy | None,
    bias: Lazy | None,
) -> Lazy:  # fmt: skip
    """``(x - mean) / sqrt(spread + eps) * weight + bias``."""
    dtype = x.dtype
    scale = k.realize(
        elementwise(
            lambda v: apply("rsqrt", apply("add", v, number(eps, dtype))),
            dtype, spread.shape, spread,
        )
    )  # fmt: skip
    given = [o for o in (mean, weight, bias) if o is not None]

    def element(a: Expr, s: Expr, *rest: Expr) -> Expr:
        values = list(rest)
        if mean is not None:
            a = apply("sub", a, values.pop(0))
        a = apply("mul", a, s)
        if weight is not None:
            a = apply("mul", a, values.pop(0))
        return apply("add", a, values.pop(0)) if bias is not None else a

    return elementwise(element, dtype, x.shape, x, scale, *given)


@lowers("aten::layer_norm")
def layer_norm(
    k: KernelBuilder, out: TensorFact, x: Lazy, shape: Any, weight: Any, bias: Any, eps: Any,
    cudnn: Any,
) -> Lazy:  # fmt: skip
    """Normalised over the last dimensions."""
    _float(out)
    rank = len(fixed(shape))
    x = k.keep(x, 3)
    mean, spread = moments(k, x, list(range(x.rank - rank, x.rank)))
    return normalized(k, x, mean, spread, eps, weight, bias)


@lowers("aten::rms_norm")
def rms_norm(k: KernelBuilder, out: TensorFact, x: Lazy, shape: Any, weight: Any, eps: Any) -> Lazy:
    """Scaled by the root of the mean square over the last dimensions."""
    _float(out)
    rank = len(fixed(shape))
    dims = list(range(x.rank - rank, x.rank))
    x = k.keep(x, 2)
    squares = elementwise(lambda a: apply("mul", a, a), x.dtype, x.shape, x)
    count = 1
    for d in dims:
        count *= x.shape[d]
    spread = divided(k.reduce("add", squares, dims, x.dtype, True), count)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return normalized(k, x, None, spread, eps, weight, None)


def per_channel(x: Lazy | None, rank: int) -> Lazy | None:
    """A vector of one element per channel, along dimension 1 of ``rank`` dimensions."""
    if x is None:
        return None
    vector = x
    shape = (1, vector.shape[0], *[1] * (rank - 2))
    return Lazy(shape, vector.dtype, lambda i: vector.at((i[1],)))


@lowers("aten::batch_norm")
def batch_norm(
    k: KernelBuilder, out: TensorFact, x: Lazy, weight: Any, bias: Any, mean: Any, var: Any,
    training: Any, momentum: Any, eps: Any, cudnn: Any,
) -> Lazy:  # fmt: skip
    """Normalised by running statistics."""
    _float(out)
    if fixed(training) or mean is None or var is None:
        raise NotLowered("batch statistics")
    parts = [per_channel(v, x.rank) for v in (mean, var, weight, bias)]
    assert parts[1] is not None
    return normalized(k, x, parts[0], parts[1], eps, parts[2], parts[3])


@lowers("aten::group_norm")
def group_norm(
    k: KernelBuilder, out: TensorFact, x: Lazy, groups: Any, weight: Any, bias: Any, eps: Any,
    cudnn: Any,
) -> Lazy:  # fmt: skip
    """Normalised over groups of channels and all places."""
    _float(out)
    groups = fixed(groups)
    grouped = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    split = reshaped(k, k.keep(x, 3), grouped)
    mean, spread = moments(k, split, list(range(2, len(grouped))))
    plain = normalized(k, split, mean, spread, eps, None, None)
    result = reshaped(k, plain, x.shape)
    scale, shift = per_channel(weight, x.rank), per_channel(bias, x.rank)
    if scale is not None:
        result = elementwise(lambda a, w: apply("mul", a, w), x.dtype, x.shape, result, scale)
    if shift is not None:
        result = elementwise(lambda a, b: apply("add", a, b), x.dtype, x.shape, result, shift)
    return result


_MEAN, _SUM = 1, 2


def _reduced(k: KernelBuilder, losses: Lazy, reduction: Any) -> Lazy:
    reduction = fixed(reduction)
    if reduction not in (_MEAN, _SUM):
        return losses
    total = k.reduce("add", losses, list(range(losses.rank)), losses.dtype, False)
    return divided(total, losses.numel) if reduction == _MEAN else total


@lowers("aten::mse_loss")
def mse_loss(k: KernelBuilder, out: TensorFact, x: Lazy, y: Lazy, reduction: Any) -> Lazy:
    """Squared differences."""
    _float(out)

    def element(a: Expr, b: Expr) -> Expr:
        difference = apply("sub", a, b)
        return apply("mul", difference, difference)

    shape = broadcast(x.shape, y.shape)
    return _reduced(k, elementwise(element, out.dtype, shape, x, y), reduction)


@lowers("aten::l1_loss")
def l1_loss(k: KernelBuilder, out: TensorFact, x: Lazy, y: Lazy, reduction: Any) -> Lazy:
    """Absolute differences."""
    _float(out)
    shape = broadcast(x.shape, y.shape)
    losses = elementwise(lambda a, b: apply("abs", apply("sub", a, b)), out.dtype, shape, x, y)
    return _reduced(k, losses, reduction)
