"""New tensors of one value or of a sequence, and tensors of Python numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.kernel import Indices, KernelBuilder, Lazy, NotLowered, fitting, select
from scriptmode.loops.lowering import fixed, lowers
from scriptmode.loops.lowerings.pointwise import SUPPORTED


def filled(out: TensorFact, value: Any) -> Lazy:
    """One value everywhere."""
    if out.dtype not in SUPPORTED or not out.is_contiguous:
        raise NotLowered(f"kernels do not make {out.text}")
    element = fitting(value, out.dtype)
    return Lazy(out.shape, out.dtype, lambda i: element)


@lowers("aten::zeros", "aten::zeros_like", "aten::new_zeros")
def zeros(k: KernelBuilder, out: TensorFact, *rest: Any) -> Lazy:
    """0 everywhere."""
    return filled(out, 0)


@lowers("aten::ones", "aten::ones_like", "aten::new_ones")
def ones(k: KernelBuilder, out: TensorFact, *rest: Any) -> Lazy:
    """1 everywhere."""
    return filled(out, 1)


@lowers("aten::full", "aten::full_like", "aten::new_full")
def full(k: KernelBuilder, out: TensorFact, shape: Any, value: Any, *rest: Any) -> Lazy:
    """One value everywhere."""
    return filled(out, value)


@lowers("aten::arange", "aten::arange.start", "aten::arange.start_step")
def arange(k: KernelBuilder, out: TensorFact, *rest: Any) -> Lazy:
    """Integers in sequence."""
    numbers = [v for v in map(fixed, rest) if isinstance(v, int) and not isinstance(v, bool)]
    if out.dtype != torch.int64 or len(numbers) > 3:
        raise NotLowered("a sequence of floats")
    start = numbers[0] if len(numbers) > 1 else 0
    step = numbers[2] if len(numbers) > 2 else 1
    return Lazy(out.shape, out.dtype, lambda i: position(i[0] * step + start))


@lowers("tensor::from_data")
def from_data(k: KernelBuilder, out: TensorFact, data: Any, *rest: Any) -> Lazy:
    """``torch.tensor`` of a number or a short list of numbers."""
    items = list(data) if isinstance(data, Sequence) else [data]
    if len(items) > 16 or out.dtype not in SUPPORTED:
        raise NotLowered("many numbers")
    values = [v if isinstance(v, Expr) else const(v, out.dtype) for v in items]
    values = [cast(v, out.dtype) for v in values]

    def at(indices: Indices) -> Expr:
        found = values[-1]
        for place in reversed(range(len(values) - 1)):
            here = apply("eq", position(indices[0]), const(place, torch.int64), dtype=torch.bool)
            found = select(here, values[place], found)
        return found

    return Lazy(out.shape, out.dtype, at)
