"""Running sums and products of short rows, each element a fold over those before it.

::

    out[i] = sum over j of (x[j] if j <= i else 0)

Doubles are what torch adds floats up in.
"""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.kernel import Indices, KernelBuilder, Lazy, NotLowered, elementwise, select
from scriptmode.loops.lowering import lowers, wrap
from scriptmode.loops.lowerings.pointwise import SUPPORTED

MOST_TERMS = 1 << 14  # of all sums


def _register_scan(name: str, fold: str, start: int) -> None:
    @lowers(f"aten::{name}")
    def scan(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, dtype: Any) -> Lazy:
        if x.rank == 0 or x.dtype not in SUPPORTED or out.dtype not in SUPPORTED:
            raise NotLowered("no row of numbers")
        d = wrap(dim, x.rank)
        size = x.shape[d]
        if x.numel * size > MOST_TERMS:
            raise NotLowered("too much to add")
        wide = torch.float64 if out.dtype.is_floating_point else torch.int64
        x = k.keep(x, 2)

        def term(i: Indices) -> Expr:
            # numbers are converted to the result's dtype before
            value = cast(cast(x.at((*i[:d], i[-1], *i[d + 1 : -1])), out.dtype), wide)
            is_before = apply("le", position(i[-1]), position(i[d]), dtype=torch.bool)
            return select(is_before, value, const(start, wide))

        total = k.reduce(fold, Lazy((*x.shape, size), wide, term), [x.rank], wide, False)
        return elementwise(lambda a: cast(a, out.dtype), out.dtype, out.shape, total)


_register_scan("cumsum", "add", 0)
_register_scan("cumprod", "mul", 1)
