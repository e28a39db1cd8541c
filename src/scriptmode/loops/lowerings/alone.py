"""Ops that torch does better, and that code without libtorch has to do itself.

These lowerings are found only inside of ``lowering.without_torch()``: in a process with libtorch,
convolutions are oneDNN's.  Each is a fold over windows or products; nothing is tuned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.index import Affine, Quotient
from scriptmode.loops.kernel import Indices, KernelBuilder, Lazy, NotLowered, elementwise, select
from scriptmode.loops.lowering import fixed, lowers_alone
from scriptmode.loops.lowerings.layers import per_channel
from scriptmode.loops.lowerings.products import product
from scriptmode.loops.lowerings.reductions import softmax
from scriptmode.loops.lowerings.views import pad, permuted

_FLOATS = (torch.float32, torch.float64)


def _each(value: Any, rank: int) -> list[int]:
    """An int or list of ints as one for each dimension of space."""
    found = fixed(value)
    listed = [found] if isinstance(found, int) else list(found)
    return listed * rank if len(listed) == 1 else listed


def _padded(
    k: KernelBuilder, x: Lazy, before: Sequence[int], after: Sequence[int], value: float
) -> Lazy:
    """With a border around the last dimensions."""
    if not any((*before, *after)):
        return k.realize(x)
    amounts: list[int] = []
    for one, other in zip(reversed(before), reversed(after), strict=True):
        amounts += [one, other]
    rank = len(before)
    sizes = [n + a + b for n, a, b in zip(x.shape[-rank:], before, after, strict=True)]
    shape = (*x.shape[:-rank], *sizes)
    strides = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
    return pad(k, TensorFact(x.dtype, shape, tuple(strides)), x, amounts, value)


@lowers_alone("aten::conv1d", "aten::conv2d", "aten::conv3d")
def convolution(
    k: KernelBuilder, out: TensorFact, x: Lazy, weight: Lazy, bias: Any, stride: Any, padding: Any,
    dilation: Any, groups: Any,
) -> Lazy:  # fmt: skip
    """``sum over c, i of x[n, c, y * stride + i * dilation] * w[f, c, i]``, with a zero border."""
    rank = weight.rank - 2
    if x.dtype != weight.dtype or x.dtype not in _FLOATS or x.rank != weight.rank:
        raise NotLowered("a convolution of other dtypes, or of one image")
    steps, border, gaps = (_each(v, rank) for v in (stride, padding, dilation))
    groups = fixed(groups)
    source = _padded(k, x, border, border, 0.0)
    weight = k.realize(weight)
    filters, channels = weight.shape[:2]
    full = (x.shape[0], filters, *out.shape[2:], channels, *weight.shape[2:])

    def at(indices: Indices) -> Expr:
        image, number, *places = indices[: 2 + rank]
        channel, *taps = indices[2 + rank :]
        first = channel
        if groups > 1:
            first = Affine.of(Quotient(number, filters // groups)) * channels + channel
        at = [p * s + t * g for p, s, t, g in zip(places, steps, taps, gaps, strict=True)]
        a = source.at((image, first, *at))
        return apply("mul", a, weight.at((number, channel, *taps)))

    folded = list(range(2 + rank, 3 + 2 * rank))
    result = k.reduce("add", Lazy(full, x.dtype, at), folded, x.dtype, False)
    if bias is None:
        return result
    shift = per_channel(bias, x.rank)
    assert shift is not None
    return elementwise(lambda a, b: apply("add", a, b), out.dtype, out.shape, result, shift)


def _windows(
    k: KernelBuilder, out: TensorFact, x: Lazy, kernel: Any, stride: Any, padding: Any,
    dilation: Any, rank: int, fill: float,
) -> tuple[Lazy, list[int]]:  # fmt: skip
    """What each place of the result folds, and the dimensions to fold."""
    if x.dtype not in _FLOATS:
        raise NotLowered("pooling of other dtypes")
    sizes, border, gaps = (_each(v, rank) for v in (kernel, padding, dilation))
    steps = _each(stride, rank) if fixed(stride) else sizes
    after = []
    for d in range(rank):
        reach = (out.shape[d - rank] - 1) * steps[d] + (sizes[d] - 1) * gaps[d] + 1
        after.append(max(0, reach - x.shape[d - rank] - border[d]))
    source = _padded(k, x, border, after, fill)
    outer = x.rank - rank

    def at(indices: Indices) -> Expr:
        places, taps = indices[outer : x.rank], indices[x.rank :]
        at = [p * s + t * g for p, s, t, g in zip(places, steps, taps, gaps, strict=True)]
        return source.at((*indices[:outer], *at))

    full = Lazy((*out.shape, *sizes), x.dtype, at)
    return full, list(range(x.rank, x.rank + rank))


def _register_pools(rank: int) -> None:
    @lowers_alone(f"aten::max_pool{rank}d")
    def largest(
        k: KernelBuilder, out: TensorFact, x: Lazy, kernel: Any, stride: Any, padding: Any,
        dilation: Any, ceil: Any,
    ) -> Lazy:  # fmt: skip
        """The largest element in each window."""
        infinity = -math.inf
        full, dims = _windows(k, out, x, kernel, stride, padding, dilation, rank, infinity)
        return k.reduce("maximum", full, dims, x.dtype, False)

    @lowers_alone(f"aten::avg_pool{rank}d")
    def average(
        k: KernelBuilder, out: TensorFact, x: Lazy, kernel: Any, stride: Any, padding: Any,
        ceil: Any, counts_border: Any, divisor: Any = None,
    ) -> Lazy:  # fmt: skip
        """The mean of each window."""
        if fixed(ceil) or (any(_each(padding, rank)) and not fixed(counts_border)):
            raise NotLowered("windows of several sizes")
        full, dims = _windows(k, out, x, kernel, stride, padding, 1, rank, 0.0)
        count = fixed(divisor) or math.prod(_each(kernel, rank))
        return _divided(k, full, dims, out, count)

    @lowers_alone(f"aten::adaptive_avg_pool{rank}d")
    def adaptive(k: KernelBuilder, out: TensorFact, x: Lazy, size: Any) -> Lazy:
        """The mean of windows that are alike and do not overlap."""
        given, made = x.shape[-rank:], out.shape[-rank:]
        if any(n % m for n, m in zip(given, made, strict=True)):
            raise NotLowered("windows of several sizes")
        kernel = [n // m for n, m in zip(given, made, strict=True)]
        full, dims = _windows(k, out, x, kernel, kernel, 0, 1, rank, 0.0)
        return _divided(k, full, dims, out, math.prod(kernel))


for _rank in (1, 2, 3):
    _register_pools(_rank)


def _divided(k: KernelBuilder, full: Lazy, dims: list[int], out: TensorFact, count: int) -> Lazy:
    total = k.reduce("add", full, dims, out.dtype, False)
    by = const(count, out.dtype)
    return elementwise(lambda t: apply("div", t, by), out.dtype, out.shape, total)


@lowers_alone("aten::scaled_dot_product_attention")
def attention(
    k: KernelBuilder, out: TensorFact, q: Lazy, key: Lazy, value: Lazy, mask: Any, dropout: Any,
    is_causal: Any, scale: Any, has_groups: Any,
) -> Lazy:  # fmt: skip
    """``softmax(q @ key.T * scale) @ value``, each row up to its own number if it is causal."""
    if mask is not None or fixed(dropout) or fixed(has_groups) or q.dtype not in _FLOATS:
        raise NotLowered("attention with a mask, dropout or groups")
    last = [*range(key.rank - 2), key.rank - 1, key.rank - 2]
    scores = product(k, q, permuted(key, last))
    factor = const(1 / math.sqrt(q.shape[-1]) if scale is None else fixed(scale), q.dtype)
    hidden = const(-math.inf, q.dtype)
    causal = bool(fixed(is_causal))

    def at(indices: Indices) -> Expr:
        score = apply("mul", scores.at(indices), factor)
        if not causal:
            return score
        row, column = (cast(position(i), torch.int64) for i in indices[-2:])
        return select(apply("ge", row, column, dtype=torch.bool), score, hidden)

    fact = TensorFact(q.dtype, scores.shape, tuple(
        math.prod(scores.shape[d + 1 :]) for d in range(scores.rank)
    ))  # fmt: skip
    weights = softmax(k, fact, Lazy(scores.shape, q.dtype, at), -1, None)
    return product(k, weights, value)
