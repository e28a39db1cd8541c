"""Folds over dimensions, and what is made of them: softmax, norms, arguments of extrema."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.index import Affine
from scriptmode.loops.kernel import (
    Indices,
    KernelBuilder,
    Lazy,
    NotLowered,
    elementwise,
    select,
)
from scriptmode.loops.lowering import fixed, lowers, wrap
from scriptmode.loops.lowerings.pointwise import SUPPORTED, truth
from scriptmode.loops.lowerings.views import reshaped


def folded_dims(x: Lazy, dims: Any) -> list[int]:
    """The dimensions that an op folds; None and an empty list are all."""
    dims = fixed(dims)
    if dims is None or dims == []:
        return list(range(x.rank))
    found = sorted({wrap(d, x.rank) for d in ([dims] if isinstance(dims, int) else dims)})
    return found if x.rank else []


def fold(k: KernelBuilder, name: str, x: Lazy, dims: Any, keepdim: Any, dtype: torch.dtype) -> Lazy:
    """Fold in ``dtype``."""
    if dtype not in SUPPORTED or x.dtype not in SUPPORTED:
        raise NotLowered(f"kernels do not compute in {dtype}")
    if x.numel == 0:
        raise NotLowered("nothing to fold")
    return k.reduce(name, x, folded_dims(x, dims), dtype, bool(fixed(keepdim)))


def accumulating(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which torch adds up."""
    return dtype if dtype.is_floating_point else torch.int64


@lowers("aten::sum")
def sum_all(k: KernelBuilder, out: TensorFact, x: Lazy, dtype: Any) -> Lazy:
    """The sum of all elements."""
    return fold(k, "add", x, None, False, out.dtype)


@lowers("aten::sum.dim_IntList")
def sum_dims(
    k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, keepdim: Any, dtype: Any
) -> Lazy:
    """Sums over dimensions."""
    return fold(k, "add", x, dims, keepdim, out.dtype)


@lowers("aten::mean")
def mean_all(k: KernelBuilder, out: TensorFact, x: Lazy, dtype: Any) -> Lazy:
    """The mean of all elements."""
    return mean_dims(k, out, x, None, False, dtype)


@lowers("aten::mean.dim")
def mean_dims(
    k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, keepdim: Any, dtype: Any
) -> Lazy:
    """Means over dimensions."""
    if not out.dtype.is_floating_point:
        raise NotLowered("the mean of integers")
    total = fold(k, "add", x, dims, keepdim, out.dtype)
    count = math.prod(x.shape[d] for d in folded_dims(x, dims))
    return divided(total, count)


def divided(x: Lazy, count: int) -> Lazy:
    """By a count."""
    return elementwise(lambda a: apply("div", a, const(count, x.dtype)), x.dtype, x.shape, x)


@lowers("aten::prod")
def prod_all(k: KernelBuilder, out: TensorFact, x: Lazy, dtype: Any) -> Lazy:
    """The product of all elements."""
    return fold(k, "mul", x, None, False, out.dtype)


@lowers("aten::prod.dim_int")
def prod_dim(
    k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, keepdim: Any, dtype: Any
) -> Lazy:
    """Products over a dimension."""
    return fold(k, "mul", x, dim, keepdim, out.dtype)


def _register_extrema(name: str, function: str) -> None:
    @lowers(f"aten::{name}")
    def of_all(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
        return fold(k, function, x, None, False, out.dtype)

    @lowers(f"aten::a{name}")
    def over_dims(k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, keepdim: Any) -> Lazy:
        return fold(k, function, x, dims, keepdim, out.dtype)

    @lowers(f"aten::{name}.dim")
    def with_indices(
        k: KernelBuilder, outs: Sequence[TensorFact], x: Lazy, dim: Any, keepdim: Any
    ) -> tuple[Lazy, Lazy]:
        d = wrap(dim, x.rank)
        x = k.keep(x, 2)
        best = fold(k, function, x, d, True, x.dtype)
        found = first_index(k, x, best, d, bool(fixed(keepdim)))
        return (best if fixed(keepdim) else squeezed(best, d)), found

    @lowers(f"aten::arg{name}")
    def index_of(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, keepdim: Any) -> Lazy:
        if dim is None:
            if fixed(keepdim):
                raise NotLowered("the index among all elements, in dimensions of size 1")
            x, dim = reshaped(k, k.keep(x, 2), (x.numel,)), 0
        d = wrap(dim, x.rank)
        x = k.keep(x, 2)
        best = fold(k, function, x, d, True, x.dtype)
        return first_index(k, x, best, d, bool(fixed(keepdim)))


def squeezed(x: Lazy, dim: int) -> Lazy:
    """Without a dimension of size 1."""
    if x.rank == 0:
        return x
    shape = (*x.shape[:dim], *x.shape[dim + 1 :])
    return Lazy(shape, x.dtype, lambda i: x.at((*i[:dim], Affine(), *i[dim:])))


def first_index(k: KernelBuilder, x: Lazy, best: Lazy, dim: int, keepdim: bool) -> Lazy:
    """Where along a dimension the best element first is; NaN is the best."""
    if x.rank == 0:
        return Lazy((), torch.int64, lambda i: const(0, torch.int64))
    size = x.shape[dim]

    def at(i: Indices) -> Expr:
        value = x.at(i)
        extreme = best.at((*i[:dim], Affine(), *i[dim + 1 :]))
        hit = apply("eq", value, extreme, dtype=torch.bool)
        if x.dtype.is_floating_point:
            hit = apply("or", hit, apply("ne", value, value, dtype=torch.bool))
        return select(hit, position(i[dim]), const(size, torch.int64))

    candidates = Lazy(x.shape, torch.int64, at)
    return k.reduce("minimum", candidates, [dim], torch.int64, keepdim)


_register_extrema("max", "maximum")
_register_extrema("min", "minimum")


def _register_quantifier(name: str, function: str) -> None:
    def quantified(k: KernelBuilder, x: Lazy, dims: Any, keepdim: Any) -> Lazy:
        truths = elementwise(truth, torch.bool, x.shape, x)
        return fold(k, function, truths, dims, keepdim, torch.bool)

    @lowers(f"aten::{name}")
    def of_all(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
        return quantified(k, x, None, False)

    @lowers(f"aten::{name}.dim", f"aten::{name}.dims")
    def over_dims(k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, keepdim: Any) -> Lazy:
        return quantified(k, x, dims, keepdim)


_register_quantifier("any", "or")
_register_quantifier("all", "and")


# ---- softmax ----


@lowers("aten::softmax.int", "aten::_softmax")
def softmax(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, dtype: Any) -> Lazy:
    """``exp(x - max) / sum(exp(x - max))`` along a dimension."""
    shifted_x, _, d = shifted(k, out, x, dim)
    powers = k.realize(elementwise(lambda a: apply("exp", a), out.dtype, out.shape, shifted_x))
    total = k.reduce("add", powers, [d], out.dtype, True)
    inverse = k.realize(
        elementwise(lambda t: apply("div", const(1, out.dtype), t), out.dtype, total.shape, total)
    )
    return elementwise(lambda e, s: apply("mul", e, s), out.dtype, out.shape, powers, inverse)


@lowers("aten::log_softmax.int", "aten::_log_softmax")
def log_softmax(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, dtype: Any) -> Lazy:
    """``x - max - log(sum(exp(x - max)))`` along a dimension."""
    shifted_x, _, d = shifted(k, out, x, dim)
    powers = elementwise(lambda a: apply("exp", a), out.dtype, out.shape, shifted_x)
    total = k.reduce("add", powers, [d], out.dtype, True)
    logs = k.realize(elementwise(lambda t: apply("log", t), out.dtype, total.shape, total))
    return elementwise(lambda a, s: apply("sub", a, s), out.dtype, out.shape, shifted_x, logs)


def shifted(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any) -> tuple[Lazy, Lazy, int]:
    """``x`` less its maximum along a dimension, that maximum, and the dimension."""
    if out.dtype not in (torch.float32, torch.float64):
        raise NotLowered(f"kernels do not compute in {out.dtype}")
    if x.rank == 0 or x.numel == 0:
        raise NotLowered("no dimension")
    d = wrap(dim, x.rank)
    source = elementwise(lambda a: cast(a, out.dtype), out.dtype, x.shape, x)
    source = k.keep(source if x.dtype != out.dtype else x, 2)
    top = k.reduce("maximum", source, [d], out.dtype, True)
    less = elementwise(lambda a, m: apply("sub", a, m), out.dtype, out.shape, source, top)
    return less, top, d


@lowers("aten::logsumexp")
def logsumexp(k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, keepdim: Any) -> Lazy:
    """``log(sum(exp(x)))``, from the maximum on where that is finite."""
    if out.dtype not in (torch.float32, torch.float64) or x.numel == 0:
        raise NotLowered(f"kernels do not compute in {out.dtype}")
    wanted = folded_dims(x, dims)
    x = k.keep(x, 2)
    top = k.reduce("maximum", x, wanted, out.dtype, True)

    def finite(m: Expr) -> Expr:
        infinite = apply("eq", apply("abs", m), const(math.inf, m.dtype), dtype=torch.bool)
        return select(infinite, const(0, m.dtype), m)

    base = k.realize(elementwise(finite, out.dtype, top.shape, top))
    powers = elementwise(lambda a, m: apply("exp", apply("sub", a, m)), out.dtype, x.shape, x, base)
    total = k.reduce("add", powers, wanted, out.dtype, True)
    result = elementwise(
        lambda t, m: apply("add", apply("log", t), m), out.dtype, total.shape, total, base
    )
    if fixed(keepdim):
        return result
    for d in reversed(wanted):
        result = squeezed(result, d)
    return result


# ---- moments ----


def moments(k: KernelBuilder, x: Lazy, dims: list[int]) -> tuple[Lazy, Lazy]:
    """Mean and mean square deviation over ``dims``, which stay as dimensions of size 1."""
    count = math.prod(x.shape[d] for d in dims)
    mean = k.realize(divided(k.reduce("add", x, dims, x.dtype, True), count))

    def deviation(a: Expr, m: Expr) -> Expr:
        difference = apply("sub", a, m)
        return apply("mul", difference, difference)

    squares = elementwise(deviation, x.dtype, x.shape, x, mean)
    return mean, divided(k.reduce("add", squares, dims, x.dtype, True), count)


def _register_spread(name: str, root: bool) -> None:
    def spread(k: KernelBuilder, x: Lazy, dims: Any, correction: Any, keepdim: Any) -> Lazy:
        if x.dtype not in (torch.float32, torch.float64) or x.numel == 0:
            raise NotLowered("a spread of no floats")
        wanted = folded_dims(x, dims)
        count = math.prod(x.shape[d] for d in wanted)
        correction = fixed(1 if correction is None else correction)
        if count <= correction:
            raise NotLowered("no degrees of freedom")
        x = k.keep(x, 2)
        _, variance = moments(k, x, wanted)
        factor = count / (count - correction)

        def element(v: Expr) -> Expr:
            v = apply("mul", v, const(factor, v.dtype)) if factor != 1 else v
            return apply("sqrt", v) if root else v

        result = elementwise(element, x.dtype, variance.shape, variance)
        if not fixed(keepdim):
            for d in reversed(wanted):
                result = squeezed(result, d)
        return result

    @lowers(f"aten::{name}")
    def of_all(k: KernelBuilder, out: TensorFact, x: Lazy, unbiased: Any) -> Lazy:
        return spread(k, x, None, 1 if fixed(unbiased) else 0, False)

    @lowers(f"aten::{name}.dim")
    def over_dims(
        k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, unbiased: Any, keepdim: Any
    ) -> Lazy:
        return spread(k, x, dims, 1 if fixed(unbiased) else 0, keepdim)

    @lowers(f"aten::{name}.correction")
    def corrected(
        k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any, correction: Any, keepdim: Any
    ) -> Lazy:
        return spread(k, x, dims, correction, keepdim)


_register_spread("var", root=False)
_register_spread("std", root=True)


@lowers("aten::linalg_vector_norm", "aten::norm.ScalarOpt_dim", "aten::norm.Scalar")
def norm(
    k: KernelBuilder, out: TensorFact, x: Lazy, p: Any = 2, dims: Any = None, keepdim: Any = False,
    dtype: Any = None,
) -> Lazy:  # fmt: skip
    """The 2-norm, 1-norm or maximum norm."""
    p = fixed(2 if p is None else p)
    if x.dtype not in (torch.float32, torch.float64) or dtype is not None:
        raise NotLowered("the norm in another dtype")
    if p == 2:
        squares = elementwise(lambda a: apply("mul", a, a), x.dtype, x.shape, x)
        total = fold(k, "add", squares, dims, keepdim, x.dtype)
        return elementwise(lambda t: apply("sqrt", t), x.dtype, total.shape, total)
    sizes = elementwise(lambda a: apply("abs", a), x.dtype, x.shape, x)
    if p == 1:
        return fold(k, "add", sizes, dims, keepdim, x.dtype)
    if p == math.inf:
        return fold(k, "maximum", sizes, dims, keepdim, x.dtype)
    raise NotLowered("another norm")
