"""A kernel: the stages that a tensor region becomes, and the builder that lowerings use.

A *stage* fills a buffer: it computes ``value`` for every combination of its loop variables and
stores it, or folds it over the ``reduced`` variables first::

    for i, j:  out[4*i + j] = tanh(x[4*i + j])           a map
    for i:     out[i] = sum over j of x[4*i + j]         a reduction

A *lazy tensor* is not computed yet: ``at(indices)`` is the expression of an element.  Views change
indices, elementwise ops wrap expressions, and only what is worth storing becomes a stage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from scriptmode.analysis.facts import Shape, contiguous_strides
from scriptmode.loops.expr import Buffer, Expr, apply, cast, const, cost, load
from scriptmode.loops.index import Affine, Known, Var, linear

Indices = tuple[Affine, ...]
HEAVY = 6  # an expression of this cost that several ops use is stored


class NotLowered(Exception):
    """This node has no loop form with what is known; it stays an op of torch."""


@dataclass
class Strided:
    """Memory of a tensor: element ``indices`` lies at ``start + sum(index * stride)``."""

    buffer: Buffer
    strides: Shape
    start: Affine = field(default_factory=Affine)


@dataclass
class Lazy:
    """A tensor as a function of indices; ``memory`` is where it lies, if it does."""

    shape: Shape
    dtype: torch.dtype
    at: Callable[[Indices], Expr]
    memory: Strided | None = None

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def in_memory(memory: Strided, shape: Shape) -> Lazy:
    """The tensor of ``shape`` in memory."""

    def at(indices: Indices) -> Expr:
        return load(memory.buffer, memory.start + linear(indices, memory.strides))

    return Lazy(shape, memory.buffer.dtype, at, memory)


@dataclass(eq=False)
class Stage:
    """``out[offset] = value`` for all ``vars``, folded by ``fold`` over ``reduced``.

    The last ``whole`` of the ``vars`` are not shared with other stages: a product of matrices is
    faster as one than row by row.
    """

    vars: tuple[Var, ...]
    reduced: tuple[Var, ...]
    fold: str | None
    value: Expr
    out: Buffer
    offset: Affine
    whole: int = 0


@dataclass(eq=False)
class Kernel:
    """What a region computes.  ``inputs`` and ``outputs`` are in the region's order: buffers, or
    names of numbers among the inputs.  ``bounds`` must hold when it starts, else nothing is done;
    ``checks`` are flags that it computes, and one that is not true makes its results worthless: it
    must not write in place then.  ``writes`` counts how often memory of an input is written."""

    name: str
    inputs: list[Buffer | str] = field(default_factory=list)
    outputs: list[Buffer] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    bounds: list[Known] = field(default_factory=list)
    checks: list[Buffer] = field(default_factory=list)
    writes: dict[Buffer, int] = field(default_factory=dict)


class KernelBuilder:
    """Appends stages; one for each kernel."""

    def __init__(self, name: str) -> None:
        self.kernel = Kernel(name)
        self._names = 0

    def buffer(self, dtype: torch.dtype, size: int, role: str) -> Buffer:
        """New memory."""
        self._names += 1
        return Buffer(f"{role[0]}{self._names}", dtype, size, role)

    def variables(self, shape: Shape, prefix: str = "i") -> tuple[Var, ...]:
        """New loop variables."""
        self._names += 1
        return tuple(Var(f"{prefix}{self._names}_{d}", size) for d, size in enumerate(shape))

    def known(self, name: str, low: int, high: int) -> Affine:
        """An integer argument as an index, which is checked when the kernel starts."""
        for term in self.kernel.bounds:
            if (term.name, term.low, term.high) == (name, low, high):
                return Affine.of(term)
        term = Known(name, low, high)
        self.kernel.bounds.append(term)
        return Affine.of(term)

    def require(self, condition: Lazy) -> None:
        """Refuse the results unless a condition holds everywhere."""
        dims = range(condition.rank)
        found = self.realize(self.reduce("and", condition, dims, torch.bool, False))
        assert found.memory is not None
        self.kernel.checks.append(found.memory.buffer)

    # ---- stages ----

    def store(self, value: Lazy, out: Buffer, strides: Shape, start: Affine | int = 0) -> Lazy:
        """Compute all elements into ``out``, if there are any; the tensor in memory."""
        if value.numel == 0:  # a loop runs at least once
            return in_memory(Strided(out, strides, Affine() + start), value.shape)
        loops = self.variables(value.shape)
        indices = tuple(map(Affine.of, loops))
        expr = cast(value.at(indices), out.dtype)
        offset = linear(indices, strides) + start
        self.kernel.stages.append(Stage(loops, (), None, expr, out, offset))
        return in_memory(Strided(out, strides, Affine() + start), value.shape)

    def version(self, of: Buffer) -> Buffer:
        """The memory of a buffer after a write that is to come."""
        self._names += 1
        memory = of.memory
        if memory.role == "input":
            self.kernel.writes[memory] = self.kernel.writes.get(memory, 0) + 1
        return Buffer(f"w{self._names}", memory.dtype, memory.size, "written", memory)

    def copy(self, value: Lazy) -> Lazy:
        """The same elements in memory of their own."""
        out = self.buffer(value.dtype, value.numel, "temporary")
        return self.store(value, out, contiguous_strides(value.shape))

    def realize(self, value: Lazy) -> Lazy:
        """The same tensor in memory."""
        return value if value.memory is not None else self.copy(value)

    def keep(self, value: Lazy, uses: int) -> Lazy:
        """Store a value that several ops use where computing it again would cost more."""
        if value.memory is not None or uses < 2:
            return value
        loops = self.variables(value.shape)
        return (
            self.realize(value) if cost(value.at(tuple(map(Affine.of, loops)))) >= HEAVY else value
        )

    def _single(self, value: Lazy, kept: Sequence[int], dtype: torch.dtype) -> Lazy:
        """A tensor without its dimensions that are not ``kept``, which are of size 1."""

        def at(given: Indices) -> Expr:
            indices: list[Affine] = [Affine()] * value.rank
            for d, index in zip(kept, given, strict=True):
                indices[d] = index
            return cast(value.at(tuple(indices)), dtype)

        return Lazy(tuple(value.shape[d] for d in kept), dtype, at)

    def reduce(
        self, fold: str, value: Lazy, dims: Sequence[int], dtype: torch.dtype, keepdim: bool
    ) -> Lazy:
        """Fold over ``dims`` (not negative), computing in ``dtype``; the result is stored.

        Where one element is folded, the result is that element.
        """
        if value.numel == 0:
            raise NotLowered("nothing to fold")
        kept = [d for d in range(value.rank) if d not in dims]
        if all(value.shape[d] == 1 for d in dims):
            single = self._single(value, kept, dtype)
            return restored(single, dims, value.rank) if keepdim else single
        loops = self.variables(tuple(value.shape[d] for d in kept))
        reduced = self.variables(tuple(value.shape[d] for d in dims), "r")
        indices: list[Affine] = [Affine()] * value.rank
        for d, var in zip(kept, loops, strict=True):
            indices[d] = Affine.of(var)
        for d, var in zip(dims, reduced, strict=True):
            indices[d] = Affine.of(var)
        shape = tuple(v.extent for v in loops)
        out = self.buffer(dtype, math.prod(shape), "temporary")
        strides = contiguous_strides(shape)
        expr = cast(value.at(tuple(indices)), dtype)
        offset = linear(map(Affine.of, loops), strides)
        self.kernel.stages.append(Stage(loops, reduced, fold, expr, out, offset))
        result = in_memory(Strided(out, strides), shape)
        return restored(result, dims, value.rank) if keepdim else result


def restored(value: Lazy, dims: Sequence[int], rank: int) -> Lazy:
    """With dimensions of size 1 where ``dims`` were folded."""
    kept = [d for d in range(rank) if d not in dims]
    shape = [1] * rank
    strides = [0] * rank
    for position, d in enumerate(kept):
        shape[d] = value.shape[position]
        if value.memory is not None:
            strides[d] = value.memory.strides[position]
    if value.memory is not None:
        memory = Strided(value.memory.buffer, tuple(strides), value.memory.start)
        return in_memory(memory, tuple(shape))
    return Lazy(tuple(shape), value.dtype, lambda i: value.at(tuple(i[d] for d in kept)))


def elementwise(
    make: Callable[..., Expr], dtype: torch.dtype, shape: Shape, *operands: Lazy | Expr
) -> Lazy:
    """An op on each element of tensors that are broadcast to ``shape``, and of numbers."""

    def at(indices: Indices) -> Expr:
        return make(*(o.at(aligned(o, indices)) if isinstance(o, Lazy) else o for o in operands))

    return Lazy(shape, dtype, at)


def aligned(operand: Lazy, indices: Indices) -> Indices:
    """The indices of an operand that is broadcast."""
    last = indices[len(indices) - operand.rank :]
    return tuple(Affine() if n == 1 else i for n, i in zip(operand.shape, last, strict=True))


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of two operands together; raises NotLowered where they do not fit.

    ``torch.broadcast_shapes`` is the same, but imports sympy.
    """
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    sizes = [(m, n) if m != 1 else (n, n) for m, n in pairs]
    if any(n not in (m, 1) for m, n in sizes):
        raise NotLowered("shapes that do not fit")
    return tuple(m for m, _ in sizes)


def number(value: Any, dtype: torch.dtype) -> Expr:
    """A Python number, or a number that the kernel is given, in ``dtype``."""
    return cast(value, dtype) if isinstance(value, Expr) else const(value, dtype)


def fitting(value: Any, dtype: torch.dtype) -> Expr:
    """A number in ``dtype``; NotLowered where torch might say that it does not fit."""
    if isinstance(value, Expr):
        if value.dtype != dtype and dtype not in (torch.float64, torch.int64):
            raise NotLowered("a number whose fit is checked when it is known")
    elif dtype != torch.bool:
        limits = torch.finfo(dtype) if dtype.is_floating_point else torch.iinfo(dtype)
        if math.isfinite(value) and not limits.min <= value <= limits.max:
            raise NotLowered("a number that does not fit")
    return number(value, dtype)


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    """``a`` where the condition holds, else ``b``."""
    return apply("select", condition, a, b, dtype=a.dtype)
