"""Ops that read at computed places.  An index that is out of range is left to torch's error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import TensorFact
from scriptmode.loops.expr import Argument, Expr, apply, cast, const, position
from scriptmode.loops.index import Affine, Element
from scriptmode.loops.kernel import (
    Indices,
    KernelBuilder,
    Lazy,
    NotLowered,
    aligned,
    broadcast,
    elementwise,
    select,
)
from scriptmode.loops.lowering import lowers, wrap

_INTEGERS = (torch.int64, torch.int32)
Places = list[Any]  # for each dimension an index as a function of the result's, or None


def element(value: Expr, size: int) -> Affine:
    """What an expression computes, as an index that is known to be below ``size``."""
    return Affine.of(Element(cast(value, torch.int64), 0, size - 1))


def gathered(k: KernelBuilder, indices: Lazy, size: int, *, negative: bool) -> Any:
    """An index tensor as a function from its own indices to an index below ``size``.

    One that is a number the kernel was given is checked when it starts.  Others are checked beside
    the work, which reads at the nearest valid place instead; its results count only if all of them
    are valid.
    """
    if indices.dtype not in _INTEGERS:
        raise NotLowered("indices of another dtype")
    if size == 0 or indices.numel == 0:
        raise NotLowered("nothing to read")
    if indices.numel == 1:
        value = cast(indices.at((Affine(),) * indices.rank), torch.int64)
        if isinstance(value, Argument):
            if not negative:
                _require(k, elementwise(lambda: value, torch.int64, ()), 0, size)
            found = k.known(value.name, 0, size - 1)
            return lambda i: found
    indices = k.keep(indices, 2)
    _require(k, indices, -size if negative else 0, size)
    most, zero = const(size - 1, torch.int64), const(0, torch.int64)

    def at(i: Indices) -> Affine:
        value = cast(indices.at(i), torch.int64)
        if negative:
            below = apply("lt", value, zero, dtype=torch.bool)
            wrapped = apply("add", value, const(size, torch.int64))
            value = select(below, wrapped, value)
        return element(apply("maximum", apply("minimum", value, most), zero), size)

    return at


def _require(k: KernelBuilder, indices: Lazy, low: int, size: int) -> None:
    """Let the kernel's results count only if the indices lie from ``low`` on below ``size``."""

    def inside(value: Expr) -> Expr:
        value = cast(value, torch.int64)
        least = apply("ge", value, const(low, torch.int64), dtype=torch.bool)
        most = apply("lt", value, const(size, torch.int64), dtype=torch.bool)
        return apply("and", least, most)

    k.require(elementwise(inside, torch.bool, indices.shape, indices))


@lowers("aten::embedding")
def embedding(
    k: KernelBuilder, out: TensorFact, weight: Lazy, indices: Lazy, padding: Any, scale: Any,
    sparse: Any,
) -> Lazy:  # fmt: skip
    """Rows of a table."""
    row = gathered(k, indices, weight.shape[0], negative=False)
    return Lazy(out.shape, weight.dtype, lambda i: weight.at((row(i[:-1]), i[-1])))


@lowers("aten::one_hot")
def one_hot(k: KernelBuilder, out: TensorFact, x: Lazy, classes: Any) -> Lazy:
    """1 at the place that an element names, else 0."""
    if not isinstance(classes, int) or classes <= 0 or x.numel == 0:
        raise NotLowered("the number of classes follows from the data")
    x = k.keep(x, 2)
    _require(k, x, 0, classes)

    def at(i: Indices) -> Expr:
        return cast(apply("eq", x.at(i[:-1]), position(i[-1]), dtype=torch.bool), torch.int64)

    return Lazy(out.shape, torch.int64, at)


@lowers("aten::index_select")
def index_select(k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, indices: Lazy) -> Lazy:
    """Slices along a dimension."""
    if x.rank == 0:
        raise NotLowered("no dimension")
    d = wrap(dim, x.rank)
    place = gathered(k, indices, x.shape[d], negative=False)

    def at(i: Indices) -> Expr:
        return x.at((*i[:d], place(i[d : d + 1] if indices.rank else ()), *i[d + 1 :]))

    return Lazy(out.shape, x.dtype, at)


@lowers("aten::gather")
def gather(
    k: KernelBuilder, out: TensorFact, x: Lazy, dim: Any, indices: Lazy, sparse: Any
) -> Lazy:
    """``x[i][index[i][j]]``, along a dimension."""
    if x.rank == 0 or indices.rank != x.rank:
        raise NotLowered("no dimension")
    d = wrap(dim, x.rank)
    place = gathered(k, indices, x.shape[d], negative=False)
    return Lazy(out.shape, x.dtype, lambda i: x.at((*i[:d], place(i), *i[d + 1 :])))


@lowers("aten::index.Tensor")
def index_by_tensors(k: KernelBuilder, out: TensorFact, x: Lazy, indices: Sequence[Any]) -> Lazy:
    """``x[a, :, b]``: the index tensors are broadcast, and stand where the first of them is.

    Where dimensions between them are kept, theirs come first.
    """
    dims = [d for d, index in enumerate(indices) if index is not None]
    if not dims or len(indices) > x.rank:
        raise NotLowered("no indices")
    shape: tuple[int, ...] = ()
    for d in dims:
        shape = broadcast(shape, indices[d].shape)
    places = {d: gathered(k, indices[d], x.shape[d], negative=True) for d in dims}
    is_together = dims == list(range(dims[0], dims[-1] + 1))
    start, count = dims[0] if is_together else 0, len(shape)

    def at(i: Indices) -> Expr:
        own, rest = i[start : start + count], iter((*i[:start], *i[start + count :]))
        read = [
            places[d](aligned(indices[d], own)) if d in places else next(rest)
            for d in range(x.rank)
        ]
        return x.at(tuple(read))

    return Lazy(out.shape, x.dtype, at)
