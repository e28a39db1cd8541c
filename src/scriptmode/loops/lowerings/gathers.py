"""Ops that read at computed places.  An index that is out of range is left to torch's error."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Argument, Expr, cast
from scriptmode.loops.index import Affine
from scriptmode.loops.kernel import KernelBuilder, Lazy, NotLowered
from scriptmode.loops.lowering import lowers


def gathered(k: KernelBuilder, value: Expr, size: int, *, negative: bool) -> Affine:
    """An element of an index tensor as an index below ``size``.

    One that is a number the kernel was given is checked when it starts.
    """
    value = cast(value, torch.int64)
    if isinstance(value, Argument):
        return k.known(value.name, 0, size - 1)
    raise NotLowered("indices are read from memory")


@lowers("aten::embedding")
def embedding(
    k: KernelBuilder, out: TensorFact, weight: Lazy, indices: Lazy, padding: Any, scale: Any,
    sparse: Any,
) -> Lazy:  # fmt: skip
    """Rows of a table."""
    row = gathered(k, indices.at((Affine(),) * indices.rank), weight.shape[0], negative=False)
    if indices.numel != 1:
        raise NotLowered("several rows")
    return Lazy(out.shape, weight.dtype, lambda i: weight.at((row, i[-1])))
