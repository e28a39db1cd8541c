"""Sorts and the largest elements of short rows.

The rank of an element is the number of those that come before it, a fold over its row::

    rank[i]    = sum over j of (x[j] > x[i])
    indices[r] = max over i of (i if rank[i] == r else 0)
    values[r]  = x[indices[r]]

NaN counts as larger than anything.  Elements that are equal have no order that torch would keep to,
unless it is asked to; results in which such elements are do not count, and torch's op runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.kernel import Indices, KernelBuilder, Lazy, NotLowered, elementwise, select
from scriptmode.loops.lowering import fixed, lowers, wrap
from scriptmode.loops.lowerings.gathers import element
from scriptmode.loops.lowerings.pointwise import SUPPORTED

MOST_PAIRS = 1 << 16  # comparisons of an op
_RANK = torch.int32


@lowers("aten::topk")
def topk(
    k: KernelBuilder, outs: Sequence[TensorFact], x: Lazy, count: Any, dim: Any, largest: Any,
    is_sorted: Any,
) -> tuple[Lazy, Lazy]:  # fmt: skip
    """The first elements of a row in order, and where they are."""
    if not fixed(is_sorted):
        raise NotLowered("an order of torch's own")
    return _first(k, x, dim, fixed(count), bool(fixed(largest)), is_stable=False)


@lowers("aten::sort")
def sort(
    k: KernelBuilder, outs: Sequence[TensorFact], x: Lazy, dim: Any, descending: Any
) -> tuple[Lazy, Lazy]:
    """A row in order, and where its elements were."""
    return _first(k, x, dim, None, bool(fixed(descending)), is_stable=False)


@lowers("aten::sort.stable")
def sort_stable(
    k: KernelBuilder, outs: Sequence[TensorFact], x: Lazy, stable: Any, dim: Any, descending: Any
) -> tuple[Lazy, Lazy]:
    """The same; equal elements may be asked to stay in their order."""
    return _first(k, x, dim, None, bool(fixed(descending)), is_stable=bool(fixed(stable)))


@lowers("aten::argsort")
def argsort(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, descending: Any) -> Lazy:
    """Where the elements of a row in order are."""
    return _first(k, x, dim, None, bool(fixed(descending)), is_stable=False)[1]


@lowers("aten::argsort.stable")
def argsort_stable(
    k: KernelBuilder, out: TensorFact, x: Lazy, stable: Any, dim: Any, descending: Any
) -> Lazy:
    """The same; equal elements may be asked to stay in their order."""
    return _first(k, x, dim, None, bool(fixed(descending)), is_stable=bool(fixed(stable)))[1]


def _first(
    k: KernelBuilder, x: Lazy, dim: Any, count: int | None, descending: bool, *, is_stable: bool
) -> tuple[Lazy, Lazy]:
    """The first ``count`` elements in order along a dimension, and their indices."""
    if x.rank == 0 or x.dtype not in SUPPORTED or x.dtype == torch.bool:
        raise NotLowered("no row of numbers")
    d = wrap(dim, x.rank)
    size = x.shape[d]
    count = size if count is None else count
    if not 0 < count <= size or x.numel * (size + count) > MOST_PAIRS:
        raise NotLowered("too much to compare")
    x = k.realize(x)
    pairs = (*x.shape, size)

    def both(i: Indices) -> tuple[Expr, Expr, Expr]:
        """An element, another one of its row, and whether the other stands before it."""
        before = apply("lt", position(i[-1]), position(i[d]), dtype=torch.bool)
        return x.at(i[:-1]), x.at((*i[:d], i[-1], *i[d + 1 : -1])), before

    def comes_before(i: Indices) -> Expr:
        own, other, stands = both(i)
        first, second = (other, own) if descending else (own, other)
        # what is equal keeps its order
        found = apply("or", _exceeds(first, second), apply("and", _alike(own, other), stands))
        return cast(found, _RANK)

    ranks = k.reduce("add", Lazy(pairs, _RANK, comes_before), [x.rank], _RANK, False)
    if not is_stable and size > 1:
        _require_order(k, x, d, ranks, both, count)
    shape = (*x.shape[:d], count, *x.shape[d + 1 :])

    def candidate(i: Indices) -> Expr:
        rank = ranks.at((*i[:d], i[-1], *i[d + 1 : -1]))
        wanted = cast(position(i[d]), _RANK)
        hit = apply("eq", rank, wanted, dtype=torch.bool)
        return select(hit, position(i[-1]), const(0, torch.int64))

    indices = k.reduce(
        "maximum", Lazy((*shape, size), torch.int64, candidate), [x.rank], torch.int64, False
    )
    indices = k.realize(indices)

    def value(i: Indices) -> Expr:
        return x.at((*i[:d], element(indices.at(i), size), *i[d + 1 :]))

    return Lazy(shape, x.dtype, value), indices


def _require_order(k: KernelBuilder, x: Lazy, d: int, ranks: Lazy, both: Any, count: int) -> None:
    """Let results count only where no element among the first ``count`` equals another one."""

    def equals_another(i: Indices) -> Expr:
        own, other, _ = both(i)
        is_other = apply("ne", position(i[-1]), position(i[d]), dtype=torch.bool)
        return apply("and", _alike(own, other), is_other)

    pairs = Lazy((*x.shape, x.shape[d]), torch.bool, equals_another)
    repeated = k.reduce("or", pairs, [x.rank], torch.bool, False)

    def is_fine(rank: Expr, is_repeated: Expr) -> Expr:
        behind = apply("ge", rank, const(count, _RANK), dtype=torch.bool)
        return apply("or", behind, apply("not", is_repeated))

    k.require(elementwise(is_fine, torch.bool, x.shape, ranks, repeated))


def _exceeds(a: Expr, b: Expr) -> Expr:
    """Whether ``a`` is larger; NaN is larger than all that is not."""
    found = apply("gt", a, b, dtype=torch.bool)
    if not a.dtype.is_floating_point:
        return found
    return apply("or", found, apply("and", _is_nan(a), apply("not", _is_nan(b))))


def _alike(a: Expr, b: Expr) -> Expr:
    """Whether neither is larger."""
    found = apply("eq", a, b, dtype=torch.bool)
    if not a.dtype.is_floating_point:
        return found
    return apply("or", found, apply("and", _is_nan(a), _is_nan(b)))


def _is_nan(a: Expr) -> Expr:
    return apply("ne", a, a, dtype=torch.bool)
