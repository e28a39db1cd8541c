"""Ops that rearrange elements: views, and what joins or repeats tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from scriptmode.analysis.facts import Shape, TensorFact, contiguous_strides
from scriptmode.loops.expr import Expr, apply, cast, const, position
from scriptmode.loops.index import Affine, linear
from scriptmode.loops.kernel import (
    Indices,
    KernelBuilder,
    Lazy,
    NotLowered,
    Strided,
    in_memory,
    select,
)
from scriptmode.loops.lowering import fixed, lowers, wrap


def viewed(
    x: Lazy,
    shape: Shape,
    indices_of: Callable[[Indices], Indices],
    strides: Callable[[Shape], Sequence[int]] | None = None,
    start: Affine | None = None,
) -> Lazy:
    """A tensor whose element lies at other indices of ``x``.

    ``strides`` gives those of the view from those of ``x``, where it is plain strided memory, and
    ``start`` the indices of its first element, as an offset in terms of these.
    """
    if x.memory is not None and strides is not None:
        memory = Strided(
            x.memory.buffer,
            tuple(strides(x.memory.strides)),
            x.memory.start if start is None else x.memory.start + start,
        )
        return in_memory(memory, shape)
    return Lazy(shape, x.dtype, lambda i: x.at(indices_of(i)))


def permuted(x: Lazy, dims: Sequence[int]) -> Lazy:
    """Dimension ``d`` of the result is dimension ``dims[d]`` of ``x``."""
    shape = tuple(x.shape[d] for d in dims)

    def indices(i: Indices) -> Indices:
        source = [Affine()] * len(dims)
        for index, d in zip(i, dims, strict=True):
            source[d] = index
        return tuple(source)

    return viewed(x, shape, indices, lambda s: [s[d] for d in dims])


@lowers("aten::t", "aten::numpy_T")
def t(k: KernelBuilder, out: TensorFact, x: Lazy) -> Lazy:
    """Dimensions in reverse order."""
    if x.rank > 2:
        raise NotLowered("torch warns of this")
    return permuted(x, list(reversed(range(x.rank))))


@lowers("aten::transpose.int", "aten::swapaxes")
def transpose(k: KernelBuilder, out: TensorFact, x: Lazy, a: int, b: int) -> Lazy:
    """Two dimensions exchanged."""
    if x.rank == 0:
        return x
    dims = list(range(x.rank))
    first, second = wrap(a, x.rank), wrap(b, x.rank)
    dims[first], dims[second] = dims[second], dims[first]
    return permuted(x, dims)


@lowers("aten::permute")
def permute(k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any) -> Lazy:
    """Dimensions in another order."""
    return permuted(x, [wrap(d, x.rank) for d in fixed(dims)])


@lowers("aten::select.int")
def select_int(k: KernelBuilder, out: TensorFact, x: Lazy, dim: int, index: Any) -> Lazy:
    """One index of a dimension."""
    d = wrap(dim, x.rank)
    at = index_of(k, index, x.shape[d])

    def indices(i: Indices) -> Indices:
        return (*i[:d], at, *i[d:])

    start = at * x.memory.strides[d] if x.memory is not None else None
    return viewed(x, out.shape, indices, lambda s: [*s[:d], *s[d + 1 :]], start)


def index_of(k: KernelBuilder, index: Any, size: int) -> Affine:
    """An index that may count from the end; one known at run time is checked at the start."""
    if isinstance(index, int):
        if not -size <= index < size:
            raise NotLowered("an index is out of range")
        return Affine(index % size)
    name = getattr(index, "name", None)
    if name is None:
        raise NotLowered("an index is computed")
    return k.known(name, 0, size - 1)


@lowers("aten::slice.Tensor")
def slice_tensor(
    k: KernelBuilder, out: TensorFact, x: Lazy, dim: int, start: Any, end: Any, step: Any
) -> Lazy:
    """A range of a dimension."""
    d = wrap(dim, x.rank)
    size = x.shape[d]
    first = 0 if fixed(start) is None else min(max(start + size if start < 0 else start, 0), size)
    stride = int(fixed(step))

    def indices(i: Indices) -> Indices:
        return (*i[:d], i[d] * stride + first, *i[d + 1 :])

    offset = Affine(first * x.memory.strides[d]) if x.memory is not None else None
    return viewed(x, out.shape, indices, lambda s: [*s[:d], s[d] * stride, *s[d + 1 :]], offset)


@lowers("aten::narrow")
def narrow(k: KernelBuilder, out: TensorFact, x: Lazy, dim: int, start: Any, length: Any) -> Lazy:
    """``length`` indices of a dimension."""
    return slice_tensor(k, out, x, dim, fixed(start), None, 1)


@lowers("aten::unsqueeze", "aten::squeeze", "aten::squeeze.dim", "aten::squeeze.dims")
def squeeze(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """Dimensions of size 1 come or go."""
    return reshaped(k, x, out.shape)


@lowers(
    "aten::view", "aten::reshape", "aten::flatten.using_ints", "aten::unflatten.int",
    "aten::_unsafe_view", "aten::view_as", "aten::reshape_as",
)  # fmt: skip
def reshape(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """The same elements in another shape."""
    return reshaped(k, x, out.shape)


def reshaped(k: KernelBuilder, x: Lazy, shape: Shape) -> Lazy:
    """The elements in row-major order, in another shape."""
    if shape == x.shape:
        return x
    memory = x.memory
    if memory is not None:
        strides = reshaped_strides(x.shape, memory.strides, shape)
        if strides is not None:
            return in_memory(Strided(memory.buffer, strides, memory.start), shape)
    steps = contiguous_strides(shape)
    sizes = x.shape

    def indices(i: Indices) -> Indices:
        rest = linear(i, steps)
        found: list[Affine] = []
        for step, size in zip(contiguous_strides(sizes), sizes, strict=True):
            index = rest.divided(step) if step > 1 else rest
            found.append(index.modulo(size) if size > 1 else Affine())
        return tuple(found)

    return Lazy(shape, x.dtype, lambda i: x.at(indices(i)))


def reshaped_strides(shape: Shape, strides: Shape, target: Shape) -> Shape | None:
    """Strides of the view of another shape; None where the elements would have to move."""
    if math.prod(shape) == 0:
        return contiguous_strides(target)
    old = [(n, s) for n, s in zip(shape, strides, strict=True) if n != 1]
    merged: list[tuple[int, int]] = []
    for size, stride in old:
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    found: list[int] = []
    groups = list(reversed(merged))
    left, step = groups.pop(0) if groups else (1, 1)
    for size in reversed(target):
        if size == 1:
            found.append(step)
            continue
        if left == 1 and groups:
            left, step = groups.pop(0)
        if left % size:
            return None
        found.append(step)
        step *= size
        left //= size
    return tuple(reversed(found)) if left == 1 and not groups else None


@lowers("aten::expand", "aten::expand_as", "aten::broadcast_to")
def expand(k: KernelBuilder, out: TensorFact, x: Lazy, *rest: Any) -> Lazy:
    """Dimensions of size 1 repeated."""
    new = len(out.shape) - x.rank

    def indices(i: Indices) -> Indices:
        return tuple(
            Affine() if n == 1 else index for n, index in zip(x.shape, i[new:], strict=True)
        )

    def strides(s: Shape) -> Shape:
        kept = [0 if n == 1 else step for n, step in zip(x.shape, s, strict=True)]
        return (*[0] * new, *kept)

    return viewed(x, out.shape, indices, strides)


@lowers("aten::repeat")
def repeat(k: KernelBuilder, out: TensorFact, x: Lazy, repeats: Any) -> Lazy:
    """The tensor several times along each dimension."""
    new = len(out.shape) - x.rank

    def indices(i: Indices) -> Indices:
        return tuple(index.modulo(n) for n, index in zip(x.shape, i[new:], strict=True))

    return Lazy(out.shape, x.dtype, lambda i: x.at(indices(i)))


@lowers("aten::roll")
def roll(k: KernelBuilder, out: TensorFact, x: Lazy, shifts: Any, dims: Any) -> Lazy:
    """Elements moved on along dimensions; what leaves at the end comes back at the start."""
    shifts, dims = (v if isinstance(v, list) else [v] for v in (fixed(shifts), fixed(dims)))
    if len(dims) != len(shifts) or x.numel == 0:
        raise NotLowered("a roll of all elements in a row")
    moved = [0] * x.rank
    for shift, dim in zip(shifts, dims, strict=True):
        moved[wrap(dim, x.rank)] += shift

    def indices(i: Indices) -> Indices:
        return tuple(
            (index + -shift % size).modulo(size)
            for index, shift, size in zip(i, moved, x.shape, strict=True)
        )

    return Lazy(x.shape, x.dtype, lambda i: x.at(indices(i)))


@lowers("aten::flip")
def flip(k: KernelBuilder, out: TensorFact, x: Lazy, dims: Any) -> Lazy:
    """Dimensions in reverse."""
    wanted = {wrap(d, x.rank) for d in fixed(dims)}

    def indices(i: Indices) -> Indices:
        return tuple(
            index * -1 + (n - 1) if d in wanted else index
            for d, (n, index) in enumerate(zip(x.shape, i, strict=True))
        )

    return Lazy(out.shape, x.dtype, lambda i: x.at(indices(i)))


# ---- joining ----


@lowers("aten::cat")
def cat(k: KernelBuilder, out: TensorFact, parts: Sequence[Lazy], dim: int) -> Lazy:
    """Tensors one after the other along a dimension; each is written to its place."""
    d = wrap(dim, len(out.shape))
    parts = [p for p in parts if p.shape != (0,)]
    buffer = k.buffer(out.dtype, out.numel, "temporary")
    strides = contiguous_strides(out.shape)
    start = 0
    for part in parts:
        k.store(part, buffer, strides, start * strides[d])
        start += part.shape[d]
    return in_memory(Strided(buffer, strides), out.shape)


@lowers("aten::stack")
def stack(k: KernelBuilder, out: TensorFact, parts: Sequence[Lazy], dim: int) -> Lazy:
    """Tensors along a new dimension."""
    d = wrap(dim, len(out.shape))
    buffer = k.buffer(out.dtype, out.numel, "temporary")
    strides = contiguous_strides(out.shape)
    inner = (*strides[:d], *strides[d + 1 :])
    for number, part in enumerate(parts):
        k.store(part, buffer, inner, number * strides[d])
    return in_memory(Strided(buffer, strides), out.shape)


def _register_triangle(name: str, comparison: str) -> None:
    @lowers(f"aten::{name}")
    def lowering(k: KernelBuilder, out: TensorFact, x: Lazy, diagonal: Any) -> Lazy:
        shift = int(fixed(diagonal))

        def at(i: Indices) -> Expr:
            column, row = position(i[-1]), position(i[-2] + shift)
            kept = apply(comparison, column, row, dtype=torch.bool)
            return select(kept, x.at(i), const(0, x.dtype))

        return Lazy(out.shape, x.dtype, at)


_register_triangle("tril", "le")
_register_triangle("triu", "ge")


@lowers("aten::pad")
def pad_by_mode(
    k: KernelBuilder, out: TensorFact, x: Lazy, amounts: Any, mode: Any, value: Any
) -> Lazy:
    """A border of one value, 0 unless it is given."""
    if fixed(mode) != "constant":
        raise NotLowered("padding by reflection")
    return pad(k, out, x, amounts, 0 if value is None else value)


@lowers("aten::constant_pad_nd")
def pad(k: KernelBuilder, out: TensorFact, x: Lazy, amounts: Any, value: Any) -> Lazy:
    """A border of one value."""
    before = [0] * x.rank
    for number, amount in enumerate(fixed(amounts)):
        if amount < 0:
            raise NotLowered("negative padding")
        if number % 2 == 0:
            before[x.rank - 1 - number // 2] = amount
    buffer = k.buffer(out.dtype, out.numel, "temporary")
    strides = contiguous_strides(out.shape)
    filling = cast(value, out.dtype) if isinstance(value, Expr) else const(value, out.dtype)
    k.store(Lazy(out.shape, out.dtype, lambda i: filling), buffer, strides)
    start = sum(b * s for b, s in zip(before, strides, strict=True))
    k.store(x, buffer, strides, start)
    return in_memory(Strided(buffer, strides), out.shape)
