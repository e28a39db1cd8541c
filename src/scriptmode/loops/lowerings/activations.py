"""Activations of neural networks that other functions make up, and questions about floats."""

from __future__ import annotations

import math
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, const
from scriptmode.loops.kernel import KernelBuilder, Lazy, NotLowered, elementwise
from scriptmode.loops.lowering import lowers
from scriptmode.loops.lowerings.pointwise import clamp, computed, elu


@lowers("aten::relu6")
def relu6(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """Between 0 and 6; NaN stays."""
    return clamp(k, out, x, 0, 6)


@lowers("aten::selu")
def selu(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``elu`` whose results keep mean and variance."""
    return elu(k, out, x, 1.6732632423543772, 1.0507009873554805, 1)


@lowers("aten::celu")
def celu(k: KernelBuilder, out: TensorFact, x: Lazy, alpha: Any) -> Lazy:
    """``elu`` with a continuous derivative."""
    if not isinstance(alpha, (int, float)) or alpha == 0:
        raise NotLowered("no constant")
    return elu(k, out, x, alpha, 1, 1 / alpha)


def _ramp(a: Expr) -> Expr:
    """``x + 3`` between 0 and 6."""
    shifted = apply("add", a, const(3, a.dtype))
    return apply("minimum", apply("maximum", shifted, const(0, a.dtype)), const(6, a.dtype))


def _sixth(a: Expr) -> Expr:
    return apply("div", a, const(6, a.dtype))


def _floats(out: TensorFact) -> None:
    if not out.dtype.is_floating_point:
        raise NotLowered("no floats")


@lowers("aten::hardsigmoid")
def hardsigmoid(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """A line between 0 and 1."""
    _floats(out)
    return computed(out, lambda a: _sixth(_ramp(a)), out.dtype, x)


@lowers("aten::hardswish")
def hardswish(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``x * (x + 3) / 6``, with the ramp between 0 and 6; the product may overflow, as eager's."""
    _floats(out)
    return computed(out, lambda a: _sixth(apply("mul", a, _ramp(a))), out.dtype, x)


@lowers("aten::log_sigmoid")
def log_sigmoid(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """``min(x, 0) - log(1 + exp(-abs(x)))``."""
    _floats(out)

    def element(a: Expr) -> Expr:
        power = apply("exp", apply("neg", apply("abs", a)))
        return apply("sub", apply("minimum", a, const(0, a.dtype)), apply("log1p", power))

    return computed(out, element, out.dtype, x)


@lowers("aten::isfinite")
def isfinite(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """Neither infinite nor NaN."""

    def element(a: Expr) -> Expr:
        if not a.dtype.is_floating_point:
            return const(True, torch.bool)
        return apply("lt", apply("abs", a), const(math.inf, a.dtype), dtype=torch.bool)

    return elementwise(element, torch.bool, out.shape, x)
