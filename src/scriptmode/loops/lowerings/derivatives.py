"""Ops that torch's own derivatives are made of: the backward of elementwise functions and folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, const
from scriptmode.loops.index import Affine
from scriptmode.loops.kernel import (
    KernelBuilder,
    Lazy,
    NotLowered,
    broadcast,
    elementwise,
    number,
    select,
)
from scriptmode.loops.lowering import fixed, lowers, wrap
from scriptmode.loops.lowerings.pointwise import computed, scaled

_MEAN = 1


def _is(name: str, a: Expr, b: Expr) -> Expr:
    return apply(name, a, b, dtype=torch.bool)


def _of_result(kind: str, element: Callable[[Expr, Expr], Expr]) -> None:
    @lowers(kind)
    def lowering(k: KernelBuilder, out: TensorFact, grad: Lazy, result: Lazy) -> Lazy:
        return computed(out, element, out.dtype, grad, result)


def _tanh(g: Expr, y: Expr) -> Expr:
    """``g * (1 - y * y)``."""
    return apply("mul", g, apply("sub", const(1, g.dtype), apply("mul", y, y)))


def _sigmoid(g: Expr, y: Expr) -> Expr:
    """``g * (1 - y) * y``."""
    return apply("mul", apply("mul", g, apply("sub", const(1, g.dtype), y)), y)


_of_result("aten::tanh_backward", _tanh)
_of_result("aten::sigmoid_backward", _sigmoid)


@lowers("aten::threshold_backward")
def threshold_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy, threshold: Any
) -> Lazy:
    """0 where ``x`` is at most the threshold, not where it is NaN."""

    def element(g: Expr, a: Expr) -> Expr:
        return select(_is("le", a, number(threshold, a.dtype)), const(0, g.dtype), g)

    return computed(out, element, out.dtype, grad, x)


@lowers("aten::leaky_relu_backward")
def leaky_relu_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy, slope: Any, is_result: Any
) -> Lazy:
    """``g`` where ``x`` is positive, else ``g * slope``."""

    def element(g: Expr, a: Expr) -> Expr:
        positive = _is("gt", a, const(0, a.dtype))
        return select(positive, g, apply("mul", g, number(slope, g.dtype)))

    return computed(out, element, out.dtype, grad, x)


@lowers("aten::silu_backward")
def silu_backward(k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy) -> Lazy:
    """``g * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``."""

    def element(g: Expr, a: Expr) -> Expr:
        one = const(1, a.dtype)
        s = apply("sigmoid", a)
        inner = apply("add", one, apply("mul", a, apply("sub", one, s)))
        return apply("mul", apply("mul", g, s), inner)

    return computed(out, element, out.dtype, grad, x)


@lowers("aten::gelu_backward")
def gelu_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy, approximate: str
) -> Lazy:  # fmt: skip
    """``g * (cdf(x) + x * pdf(x))``, or the derivative of tanh's approximation."""

    def exact(g: Expr, a: Expr) -> Expr:
        half, one = const(0.5, a.dtype), const(1, a.dtype)
        inner = apply("erf", apply("mul", a, const(math.sqrt(0.5), a.dtype)))
        cdf = apply("mul", half, apply("add", one, inner))
        square = apply("mul", apply("mul", a, a), const(-0.5, a.dtype))
        scale = const(1 / math.sqrt(2 * math.pi), a.dtype)
        pdf = apply("mul", apply("exp", square), scale)
        return apply("mul", g, apply("add", cdf, apply("mul", a, pdf)))

    if fixed(approximate) == "tanh":
        raise NotLowered("the derivative of the approximation by tanh")
    return computed(out, exact, out.dtype, grad, x)


@lowers("aten::hardtanh_backward")
def hardtanh_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy, low: Any, high: Any
) -> Lazy:
    """0 outside of two bounds and on them."""

    def element(g: Expr, a: Expr) -> Expr:
        below = _is("le", a, number(low, a.dtype))
        above = _is("ge", a, number(high, a.dtype))
        return select(apply("or", below, above), const(0, g.dtype), g)

    return computed(out, element, out.dtype, grad, x)


@lowers("aten::mse_loss_backward")
def mse_loss_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, x: Lazy, y: Lazy, reduction: Any
) -> Lazy:
    """``2 * (x - y) * g``, divided by the number of elements where their mean was taken."""
    norm = 2.0
    if fixed(reduction) == _MEAN:
        norm = 2.0 / math.prod(broadcast(x.shape, y.shape))

    def element(g: Expr, a: Expr, b: Expr) -> Expr:
        return apply("mul", scaled(apply("sub", a, b), norm), g)

    return computed(out, element, out.dtype, grad, x, y)


@lowers("aten::_softmax_backward_data")
def softmax_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, y: Lazy, dim: Any, dtype: Any
) -> Lazy:
    """``y * (g - sum(g * y))``."""
    _plain(out, grad, y)
    d = wrap(dim, y.rank)
    grad = k.keep(grad, 2)
    both = elementwise(lambda g, a: apply("mul", g, a), out.dtype, out.shape, grad, y)
    total = k.reduce("add", both, [d], out.dtype, True)

    def element(g: Expr, a: Expr, s: Expr) -> Expr:
        return apply("mul", a, apply("sub", g, s))

    return elementwise(element, out.dtype, out.shape, grad, y, total)


@lowers("aten::_log_softmax_backward_data")
def log_softmax_backward(
    k: KernelBuilder, out: TensorFact, grad: Lazy, y: Lazy, dim: Any, dtype: Any
) -> Lazy:
    """``g - exp(y) * sum(g)``."""
    _plain(out, grad, y)
    grad = k.keep(grad, 2)
    total = k.reduce("add", grad, [wrap(dim, y.rank)], out.dtype, True)

    def element(g: Expr, a: Expr, s: Expr) -> Expr:
        return apply("sub", g, apply("mul", apply("exp", a), s))

    return elementwise(element, out.dtype, out.shape, grad, y, total)


def _plain(out: TensorFact, *operands: Lazy) -> None:
    if any(o.dtype != out.dtype for o in operands) or not out.dtype.is_floating_point:
        raise NotLowered("operands of several dtypes")
    if any(o.rank == 0 for o in operands):
        raise NotLowered("no dimension")


@lowers("aten::sum_to_size")
def sum_to_size(k: KernelBuilder, out: TensorFact, x: Lazy, size: Any) -> Lazy:
    """Sums over the dimensions that another shape lacks, or in which it is 1."""
    if not x.dtype.is_floating_point:
        raise NotLowered("sums of integers")
    extra = x.rank - len(out.shape)
    dims = list(range(extra))
    kept = [d + extra for d, n in enumerate(out.shape) if n == 1 and x.shape[d + extra] != 1]
    if not dims and not kept:
        return x
    total = k.reduce("add", x, dims + kept, x.dtype, True)
    return Lazy(out.shape, x.dtype, lambda i: total.at((*[Affine()] * extra, *i)))
