"""Vectors and counted loops in LLVM code: the words in which dense kernels are written.

A vector of one lane is a scalar.  Sums over lanes are reassociated; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from llvmlite import ir

from scriptmode.abi.convention import I8, I64, PTR
from scriptmode.codegen import tensors
from scriptmode.codegen.dense.machine import BYTES

I1 = ir.IntType(1)
I32 = ir.IntType(32)
FLOATS: dict[str, ir.Type] = {"f32": ir.FloatType(), "f64": ir.DoubleType()}
Index: TypeAlias = "int | ir.Value"


def vector_type(element: ir.Type, lanes: int) -> ir.Type:
    """The type of ``lanes`` elements."""
    return element if lanes == 1 else ir.VectorType(element, lanes)


def lanes_of(value: ir.Value) -> int:
    """The number of lanes of a vector or scalar."""
    return int(value.type.count) if isinstance(value.type, ir.VectorType) else 1


def zero(element: ir.Type, lanes: int) -> ir.Constant:
    """Zeros."""
    return ir.Constant(vector_type(element, lanes), None if lanes > 1 else 0.0)


def pieces(count: int, widest: int) -> list[tuple[int, int]]:
    """Starts and widths of vectors of 2**i lanes, at most ``widest``, that make up ``count``."""
    found, start, width = [], 0, widest
    while start < count:
        while width > count - start:
            width //= 2
        found.append((start, width))
        start += width
    return found


# ---- indices and addresses ----


def index(value: Index) -> ir.Value:
    """A number known now or at run time, as a value."""
    return ir.Constant(I64, value) if isinstance(value, int) else value


def plus(b: ir.IRBuilder, x: Index, y: Index) -> Index:
    """x + y, folded where both are known."""
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    if x == 0 and isinstance(x, int):
        return y
    if y == 0 and isinstance(y, int):
        return x
    return b.add(index(x), index(y), flags=["nsw"])


def times(b: ir.IRBuilder, x: Index, y: int) -> Index:
    """x * y, folded where x is known."""
    if isinstance(x, int):
        return x * y
    if y in (0, 1):
        return x if y else 0
    return b.mul(x, index(y), flags=["nsw"])


def untyped(b: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """The pointer, without the type that those of stack slots and globals have."""
    if pointer.type.is_opaque:
        return pointer
    # no cast: llvmlite takes both types for the same
    same = b.gep(pointer, [index(0)], source_etype=I8)
    same.type = PTR
    return same


def at(b: ir.IRBuilder, pointer: ir.Value, element: ir.Type, offset: Index) -> ir.Value:
    """The address ``offset`` elements after ``pointer``."""
    if isinstance(offset, int) and offset == 0:
        return pointer
    return b.gep(pointer, [index(offset)], inbounds=True, source_etype=element)


# ---- parts of vectors ----


def _shuffle(b: ir.IRBuilder, x: ir.Value, y: ir.Value, lanes: Sequence[int]) -> ir.Value:
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), [ir.Constant(I32, i) for i in lanes])
    return b.shuffle_vector(x, y, mask)


def splat(b: ir.IRBuilder, scalar: ir.Value, lanes: int) -> ir.Value:
    """The scalar in all lanes."""
    if lanes == 1:
        return scalar
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = b.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return _shuffle(b, first, undefined, [0] * lanes)


def lane(b: ir.IRBuilder, value: ir.Value, i: int) -> ir.Value:
    """One lane."""
    return b.extract_element(value, ir.Constant(I32, i)) if lanes_of(value) > 1 else value


def take(b: ir.IRBuilder, value: ir.Value, start: int, lanes: int) -> ir.Value:
    """Some lanes in a row."""
    if lanes == lanes_of(value):
        return value
    if lanes == 1:
        return lane(b, value, start)
    return _shuffle(b, value, value, range(start, start + lanes))


def from_scalars(b: ir.IRBuilder, scalars: Sequence[ir.Value]) -> ir.Value:
    """A vector of scalars."""
    if len(scalars) == 1:
        return scalars[0]
    made: ir.Value = ir.Constant(ir.VectorType(scalars[0].type, len(scalars)), ir.Undefined)
    for i, scalar in enumerate(scalars):
        made = b.insert_element(made, scalar, ir.Constant(I32, i))
    return made


def join(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The lanes of x, then those of y, as many."""
    if lanes_of(x) == 1:
        return from_scalars(b, [x, y])
    return _shuffle(b, x, y, range(2 * lanes_of(x)))


def evens(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    """The even lanes of x, then those of y."""
    return _shuffle(b, x, y, range(0, 2 * lanes_of(x), 2))


def widen(b: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """The vector followed by zeros."""
    have = lanes_of(value)
    if have == lanes:
        return value
    if have == 1:
        return b.insert_element(zero(value.type, lanes), value, ir.Constant(I32, 0))
    nothing = zero(value.type.element, have)
    return _shuffle(b, value, nothing, [i if i < have else have for i in range(lanes)])


def concatenate(b: ir.IRBuilder, parts: Sequence[ir.Value], lanes: int) -> ir.Value:
    """The lanes of all parts, followed by zeros."""
    whole = widen(b, parts[0], lanes)
    filled = lanes_of(parts[0])
    for part in parts[1:]:
        width = lanes_of(part)
        if width == 1:
            whole = b.insert_element(whole, part, ir.Constant(I32, filled))
        else:
            inside = range(filled, filled + width)
            where = [lanes + i - filled if i in inside else i for i in range(lanes)]
            whole = _shuffle(b, whole, widen(b, part, lanes), where)
        filled += width
    return whole


# ---- memory ----


def load(b: ir.IRBuilder, pointer: ir.Value, element: ir.Type, lanes: int = 1) -> ir.Value:
    """Load elements that lie in a row."""
    size = BYTES["f64" if isinstance(element, ir.DoubleType) else "f32"]
    return b.load(pointer, typ=vector_type(element, lanes), align=size)


def store(b: ir.IRBuilder, value: ir.Value, pointer: ir.Value, element: ir.Type) -> None:
    """Store elements in a row."""
    size = BYTES["f64" if isinstance(element, ir.DoubleType) else "f32"]
    b.store(value, pointer, align=size)


def load_part(
    b: ir.IRBuilder, pointer: ir.Value, element: ir.Type, valid: int, lanes: int, *, masked: bool
) -> ir.Value:
    """Load ``valid`` elements, followed by zeros up to ``lanes``; no others are touched."""
    parts = pieces(valid, lanes)
    if len(parts) == 1:
        return widen(b, load(b, pointer, element, valid), lanes)
    if masked:
        vector = ir.VectorType(element, lanes)
        flags = ir.VectorType(I1, lanes)
        kind = "f64" if isinstance(element, ir.DoubleType) else "f32"
        function = tensors.extern_function(
            b.module,
            f"llvm.masked.load.v{lanes}{kind}.p0",
            ir.FunctionType(vector, [PTR, I32, flags, vector]),
        )
        mask = ir.Constant(flags, [ir.Constant(I1, int(i < valid)) for i in range(lanes)])
        align = ir.Constant(I32, BYTES[kind])
        return b.call(function, [pointer, align, mask, zero(element, lanes)])
    loaded = [load(b, at(b, pointer, element, start), element, width) for start, width in parts]
    return concatenate(b, loaded, lanes)


# ---- arithmetic ----


def multiply_add(b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x * y + z, in one step where the machine has it."""
    lanes = lanes_of(x)
    element = x.type.element if lanes > 1 else x.type
    kind = "f64" if isinstance(element, ir.DoubleType) else "f32"
    name = f"llvm.fmuladd.v{lanes}{kind}" if lanes > 1 else f"llvm.fmuladd.{kind}"
    ftype = ir.FunctionType(x.type, [x.type] * 3)
    return b.call(tensors.extern_function(b.module, name, ftype), [x, y, z])


def _pair_sums(b: ir.IRBuilder, x: ir.Value, y: ir.Value, unit: int, group: int) -> ir.Value:
    """Sums of neighbours, of ``unit`` lanes each: in each group those of x, then those of y."""
    lanes = lanes_of(x)
    even: list[int] = []
    for base in range(0, lanes, group):
        for source in (0, lanes):
            for start in range(base, base + group, 2 * unit):
                even += range(source + start, source + start + unit)
    odd = [i + unit for i in even]
    return b.fadd(_shuffle(b, x, y, even), _shuffle(b, x, y, odd))


def _halves_sum(b: ir.IRBuilder, x: ir.Value, unit: int) -> ir.Value:
    """Sums of neighbours of ``unit`` lanes each: a vector half as wide."""
    lanes = lanes_of(x)
    even = [s + i for s in range(0, lanes, 2 * unit) for i in range(unit)]
    odd = [i + unit for i in even]
    if lanes == 2:
        return b.fadd(lane(b, x, 0), lane(b, x, 1))
    return b.fadd(_shuffle(b, x, x, even), _shuffle(b, x, x, odd))


def sums(b: ir.IRBuilder, vectors: Sequence[ir.Value]) -> ir.Value:
    """One vector with the sum over the lanes of each of 2**i vectors, at most one for each lane.

    Neighbours are added within groups of 128 bits first, where shuffles are cheap: pairs of
    vectors become one, until none is left to pair; what is left is folded.
    """
    left = list(vectors)
    lanes = lanes_of(left[0])
    if lanes == 1:
        return left[0]
    element = left[0].type.element
    group = min(lanes, 2 if isinstance(element, ir.DoubleType) else 4)
    wanted = len(left)
    inside = 1  # vectors whose sums share a group; each has group // inside lanes there
    while len(left) > 1 and inside < group:
        left = [_pair_sums(b, x, y, 1, group) for x, y in zip(left[::2], left[1::2], strict=True)]
        inside *= 2
    while len(left) > 1:
        left = [
            _pair_sums(b, x, y, group, lanes) for x, y in zip(left[::2], left[1::2], strict=True)
        ]
    (whole,) = left
    across = max(1, wanted // group)  # groups of different sums
    while lanes_of(whole) > across * group:
        whole = _halves_sum(b, whole, group)
    while lanes_of(whole) > wanted:
        whole = _halves_sum(b, whole, 1)
    return whole


def transpose(b: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """Columns of a matrix given by its rows; 2**i rows of 2**j lanes."""
    width = lanes_of(rows[0])
    height = len(rows)
    if width == 1:
        return [from_scalars(b, rows)]
    if height == 1:
        return [lane(b, rows[0], i) for i in range(width)]
    vectors = list(rows)
    low = [i // 2 + width * (i % 2) for i in range(width)]
    high = [i + width // 2 for i in low]
    for _ in range(height.bit_length() - 1):
        # the first half of the list and the second half, shuffled like a pack of cards
        half = height // 2
        vectors = [
            _shuffle(b, vectors[i], vectors[half + i], lanes)
            for i in range(half)
            for lanes in (low, high)
        ]
    if height > width:
        each = height // width
        columns = []
        for i in range(width):
            parts = vectors[i * each : (i + 1) * each]
            while len(parts) > 1:
                parts = [join(b, x, y) for x, y in zip(parts[::2], parts[1::2], strict=True)]
            columns += parts
        return columns
    return [
        take(b, vector, start, height) for vector in vectors for start in range(0, width, height)
    ]


# ---- loops ----


def repeat(
    b: ir.IRBuilder,
    count: int,
    body: Callable[[Index, list[ir.Value]], Sequence[ir.Value]],
    carried: Sequence[ir.Value] = (),
    *,
    unrolled: bool = False,
) -> list[ir.Value]:
    """Emit a loop of ``count`` turns; ``body`` gets the turn and the carried values, returns new.

    The builder is left behind the loop.
    """
    if unrolled or count <= 1:
        values = list(carried)
        for i in range(count):
            values = list(body(i, values))
        return values
    before = b.block
    head = b.append_basic_block("repeat")
    b.branch(head)
    b.position_at_end(head)
    turn = b.phi(I64)
    phis = [b.phi(v.type) for v in carried]
    for phi, value in zip(phis, carried, strict=True):
        phi.add_incoming(value, before)
    turn.add_incoming(index(0), before)
    values = list(body(turn, list(phis)))
    following = b.add(turn, index(1), flags=["nsw", "nuw"])
    more = b.icmp_unsigned("<", following, index(count))
    end = b.append_basic_block("done")
    last = b.block
    b.cbranch(more, head, end)
    turn.add_incoming(following, last)
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, last)
    b.position_at_end(end)
    return values


def each(
    b: ir.IRBuilder, count: int, body: Callable[[Index], None], *, unrolled: bool = False
) -> None:
    """Emit a loop of ``count`` turns that carries nothing."""

    def turn(i: Index, _: list[ir.Value]) -> Sequence[ir.Value]:
        body(i)
        return ()

    repeat(b, count, turn, unrolled=unrolled)


def cover(
    b: ir.IRBuilder,
    total: int,
    size: int,
    body: Callable[[Index, int], None],
    *,
    unrolled: bool = False,
) -> None:
    """Call ``body`` with start and size of pieces of ``size``, in a loop, and of the rest."""
    each(b, total // size, lambda i: body(times(b, i, size), size), unrolled=unrolled)
    if total % size:
        body(total // size * size, total % size)


def sum_in_blocks(
    b: ir.IRBuilder,
    total: int,
    size: int,
    run: Callable[[Index, int], list[ir.Value]],
    zeros: Sequence[ir.Value],
) -> list[ir.Value]:
    """The sums that ``run(first, count)`` makes of ``total`` steps, of some ``size`` at a time.

    The error of a long sum is that of its blocks: it grows with their size and their number, not
    with the product of both.
    """
    if total < 2 * size:
        return run(0, total)
    sizes = sorted(range(size // 2 + 1, size * 3 // 2), key=lambda s: abs(s - size))
    size = next((s for s in sizes if total % s == 0), size)

    def block(i: Index, totals: list[ir.Value]) -> list[ir.Value]:
        return [b.fadd(*pair) for pair in zip(totals, run(times(b, i, size), size), strict=True)]

    totals = repeat(b, total // size, block, zeros)
    if total % size:
        rest = run(total // size * size, total % size)
        totals = [b.fadd(*pair) for pair in zip(totals, rest, strict=True)]
    return totals
