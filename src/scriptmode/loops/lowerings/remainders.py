"""Remainders and quotients that are rounded; of integers by positive constants only."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, const
from scriptmode.loops.kernel import KernelBuilder, Lazy, NotLowered, select
from scriptmode.loops.lowering import fixed, lowers
from scriptmode.loops.lowerings.pointwise import computed

_SIGNED = (torch.int64, torch.int32, torch.int16, torch.int8)


def _divisor(out: TensorFact, divisor: Any) -> int:
    """A constant by which integers of the result's dtype may be divided in any case."""
    if out.dtype not in _SIGNED or isinstance(divisor, bool) or not isinstance(divisor, int):
        raise NotLowered("a divisor that is no constant")
    if not 0 < divisor <= torch.iinfo(out.dtype).max:
        raise NotLowered("a divisor that is not positive")
    return divisor


def _modulo(a: Expr, divisor: Expr) -> Expr:
    """What is left of an integer, not negative."""
    left = apply("rem", a, divisor)
    is_negative = apply("lt", left, const(0, a.dtype), dtype=torch.bool)
    return select(is_negative, apply("add", left, divisor), left)


@lowers("aten::remainder.Scalar", "aten::remainder.Tensor")
def remainder(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """``a % b``, with the sign of the divisor."""
    if out.dtype.is_floating_point:
        return computed(out, lambda x, y: apply("remainder", x, y), out.dtype, a, b)
    divisor = const(_divisor(out, b), out.dtype)
    return computed(out, lambda x: _modulo(x, divisor), out.dtype, a)


@lowers("aten::fmod.Scalar", "aten::fmod.Tensor")
def fmod(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """The remainder with the sign of the dividend."""
    if out.dtype.is_floating_point:
        return computed(out, lambda x, y: apply("fmod", x, y), out.dtype, a, b)
    divisor = const(_divisor(out, b), out.dtype)
    return computed(out, lambda x: apply("rem", x, divisor), out.dtype, a)


@lowers("aten::floor_divide", "aten::floor_divide.Scalar")
def floor_divide(k: KernelBuilder, out: TensorFact, a: Any, b: Any) -> Lazy:
    """``a // b`` of integers."""
    divisor = const(_divisor(out, b), out.dtype)

    def element(x: Expr) -> Expr:
        return apply("quot", apply("sub", x, _modulo(x, divisor)), divisor)

    return computed(out, element, out.dtype, a)


@lowers("aten::div.Scalar_mode", "aten::div.Tensor_mode")
def div_by_mode(k: KernelBuilder, out: TensorFact, a: Any, b: Any, mode: Any) -> Lazy:
    """A quotient that is rounded down, to zero or not at all."""
    mode = fixed(mode)
    if mode == "floor":
        return floor_divide(k, out, a, b)
    if out.dtype.is_floating_point:

        def element(x: Expr, y: Expr) -> Expr:
            quotient = apply("div", x, y)
            return quotient if mode is None else apply("trunc", quotient)

        return computed(out, element, out.dtype, a, b)
    divisor = const(_divisor(out, b), out.dtype)
    return computed(out, lambda x: apply("quot", x, divisor), out.dtype, a)
