"""Kernels that keep a tile of C in registers while they run along k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llvmlite import ir

from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.machine import Machine
from scriptmode.codegen.dense.product import Product, choose_tile

Epilogue = Callable[[ir.IRBuilder, ir.Value, ir.Value, ir.Value], ir.Value]

LONG_SUM = 512  # steps of a block of sums
UNROLLED_STEPS = 32  # multiplications in the body of the loop along k, at most


@dataclass
class Emission:
    """What the kernels of one product share."""

    b: ir.IRBuilder
    product: Product
    machine: Machine
    epilogue: Epilogue | None
    accumulate: bool

    @property
    def element(self) -> ir.Type:
        """The type of an element."""
        return V.FLOATS[self.product.dtype]

    @property
    def lanes(self) -> int:
        """Elements in a vector."""
        return self.machine.lanes(self.product.dtype)

    def finish(
        self, value: ir.Value, valid: int, c: ir.Value, row: V.Index, column: V.Index
    ) -> None:
        """Store sums of a row of C, from ``column`` on; ``c`` is their address."""
        b = self.b
        stride = self.product.c_strides[1]
        for start, width in V.pieces(valid, V.lanes_of(value)):
            part = V.take(b, value, start, width)
            where = V.at(b, c, self.element, start * stride)
            if self.accumulate:
                part = b.fadd(part, self._load_strided(where, stride, width))
            if self.epilogue is not None:
                at = V.index(V.plus(b, column, start))
                part = self.epilogue(b, part, V.index(row), at)
            if stride == 1 or width == 1:
                V.store(b, part, where, self.element)
                continue
            for i in range(width):
                V.store(b, V.lane(b, part, i), V.at(b, where, self.element, i * stride),
                        self.element)  # fmt: skip

    def _load_strided(self, pointer: ir.Value, stride: int, width: int) -> ir.Value:
        return load_strided(self.b, pointer, self.element, stride, width)


def load_strided(
    b: ir.IRBuilder, pointer: ir.Value, element: ir.Type, stride: int, lanes: int
) -> ir.Value:
    """Load elements ``stride`` apart."""
    if stride == 1 or lanes == 1:
        return V.load(b, pointer, element, lanes)
    if stride == 0:
        return V.splat(b, V.load(b, pointer, element), lanes)
    scalars = [V.load(b, V.at(b, pointer, element, i * stride), element) for i in range(lanes)]
    return V.from_scalars(b, scalars)


def along_k(
    e: Emission,
    steps: int,
    zeros: Sequence[ir.Value],
    chains: int,
    step: Callable[[V.Index, list[ir.Value]], list[ir.Value]],
    *,
    unrolled: bool = False,
) -> list[ir.Value]:
    """Accumulate ``steps`` steps; ``step`` gets its number and accumulators, returns new ones."""
    b, width = e.b, len(zeros)
    turns = max(1, UNROLLED_STEPS // max(1, width))
    turns = max(min(8, 1 << (turns.bit_length() - 1)), chains)

    def take_steps(first: V.Index, count: int, values: list[ir.Value]) -> list[ir.Value]:
        for i in range(count):
            chain = i % chains
            part = slice(chain * width, (chain + 1) * width)
            values[part] = step(V.plus(b, first, i), values[part])
        return values

    def run(first: V.Index, count: int) -> list[ir.Value]:
        def turn(i: V.Index, carried: list[ir.Value]) -> list[ir.Value]:
            return take_steps(V.plus(b, first, V.times(b, i, turns)), turns, carried)

        values = list(zeros) * chains
        rest = count
        if not unrolled and count >= 2 * turns:
            values = V.repeat(b, count // turns, turn, values)
            rest = count % turns
        values = take_steps(V.plus(b, first, count - rest), rest, values)
        while len(values) > width:
            half = len(values) // 2
            values = [b.fadd(x, y) for x, y in zip(values[:half], values[half:], strict=True)]
        return values

    return V.sum_in_blocks(b, steps, LONG_SUM, run, zeros)


def outer_product(
    b: ir.IRBuilder,
    rows: int,
    columns: int,
    row: Callable[[int], ir.Value],
    column: Callable[[int], ir.Value],
    sums: Sequence[ir.Value],
) -> list[ir.Value]:
    """Add the products of some rows and some columns; scalars meet all lanes of vectors.

    The fewer of them are held in registers, the others are loaded one at a time.
    """

    def wide(value: ir.Value, lanes: int) -> ir.Value:
        return V.splat(b, value, lanes) if V.lanes_of(value) == 1 else value

    made = list(sums)

    def add(i: int, j: int, x: ir.Value, y: ir.Value) -> None:
        at = i * columns + j
        lanes = V.lanes_of(sums[at])
        made[at] = V.multiply_add(b, wide(x, lanes), wide(y, lanes), sums[at])

    if rows < columns:
        held = [row(i) for i in range(rows)]
        for j in range(columns):
            y = column(j)
            for i, x in enumerate(held):
                add(i, j, x, y)
    else:
        held = [column(j) for j in range(columns)]
        for i in range(rows):
            x = row(i)
            for j, y in enumerate(held):
                add(i, j, x, y)
    return made


@dataclass(frozen=True)
class Chunk:
    """Columns of a tile that lie in one vector; ``lanes`` of it are computed."""

    start: int
    lanes: int
    valid: int


def chunks_of(e: Emission, columns: int, *, plain: bool) -> list[Chunk]:
    """The vectors that hold so many columns; ``plain`` ones are read without masks."""
    lanes = e.lanes
    full = [Chunk(i, lanes, lanes) for i in range(0, columns - lanes + 1, lanes)]
    start, left = len(full) * lanes, columns % lanes
    if not left:
        return full
    if e.product.packed:
        return [*full, Chunk(start, lanes, left)]
    if left & (left - 1) and not plain and e.product.b_strides[1] == 1:
        return [*full, Chunk(start, lanes, left)]
    return full + [Chunk(start + at, w, w) for at, w in V.pieces(left, lanes)]


def emit_tiles(
    e: Emission, a: ir.Value, bp: ir.Value, c: ir.Value, *, unrolled: bool = False
) -> None:
    """Tiles of rows and of vectors along n: elements of A in all lanes times rows of B."""
    p, b, lanes = e.product, e.b, e.lanes
    line = p.panel // lanes if p.packed else 1  # vectors that stay together
    total = -(-p.n // lanes)
    tile = choose_tile(p.m, total, p.k, e.machine.registers, line=line)
    wide = tile.columns * lanes
    count = p.n // wide

    def columns_from(first: V.Index, tile_number: V.Index, width: int) -> None:
        if p.packed:
            b_tile = V.at(b, bp, e.element,
                          V.times(b, tile_number, wide // p.panel * p.panel_stride))  # fmt: skip
        else:
            b_tile = V.at(b, bp, e.element, V.times(b, first, p.b_strides[1]))
        c_tile = V.at(b, c, e.element, V.times(b, first, p.c_strides[1]))
        chunks = chunks_of(e, width, plain=unrolled)
        rows_of_b = _columns_in_registers(e, b_tile, chunks) if unrolled else None
        # a narrow rest has registers for more rows and chains
        high = tile if width == wide else choose_tile(p.m, len(chunks), p.k, e.machine.registers)

        def rows_from(row: V.Index, height: int) -> None:
            a_tile = V.at(b, a, e.element, V.times(b, row, p.a_strides[0]))
            c_rows = V.at(b, c_tile, e.element, V.times(b, row, p.c_strides[0]))
            _emit_tile(e, a_tile, b_tile, c_rows, height, chunks, high.chains, row, first,
                       rows_of_b)  # fmt: skip

        V.cover(b, p.m, high.rows, rows_from, unrolled=unrolled)

    V.each(b, count, lambda i: columns_from(V.times(b, i, wide), i, wide), unrolled=unrolled)
    if p.n % wide:
        columns_from(count * wide, count, p.n % wide)


def _emit_tile(
    e: Emission, a: ir.Value, bp: ir.Value, c: ir.Value,
    height: int, chunks: list[Chunk], chains: int,
    row: V.Index, column: V.Index, rows_of_b: list[list[ir.Value]] | None,
) -> None:  # fmt: skip
    p, b = e.product, e.b

    def step(k: V.Index, sums: list[ir.Value]) -> list[ir.Value]:
        a_column = V.at(b, a, e.element, V.times(b, k, p.a_strides[1]))
        b_row = V.at(b, bp, e.element, V.times(b, k, p.b_strides[0]))

        def scalar(i: int) -> ir.Value:
            return V.load(b, V.at(b, a_column, e.element, i * p.a_strides[0]), e.element)

        def vector(j: int) -> ir.Value:
            if rows_of_b is not None:
                assert isinstance(k, int)
                return rows_of_b[k][j]
            return _load_chunk(e, b_row, chunks[j])

        return outer_product(b, height, len(chunks), scalar, vector, sums)

    zeros = [V.zero(e.element, chunk.lanes) for _ in range(height) for chunk in chunks]
    sums = along_k(e, p.k, zeros, chains, step, unrolled=rows_of_b is not None)
    for i in range(height):
        for j, chunk in enumerate(chunks):
            where = V.at(b, c, e.element,
                         i * p.c_strides[0] + chunk.start * p.c_strides[1])  # fmt: skip
            e.finish(sums[i * len(chunks) + j], chunk.valid, where,
                     V.plus(b, row, i), V.plus(b, column, chunk.start))  # fmt: skip


def _load_chunk(e: Emission, b_row: ir.Value, chunk: Chunk) -> ir.Value:
    """A part of a row of B, of a tile that begins at ``b_row``."""
    p, b = e.product, e.b
    if p.packed:
        panel, within = divmod(chunk.start, p.panel)
        where = V.at(b, b_row, e.element, panel * p.panel_stride + within)
        return V.load(b, where, e.element, chunk.lanes)
    where = V.at(b, b_row, e.element, chunk.start * p.b_strides[1])
    if chunk.valid < chunk.lanes:
        return V.load_part(b, where, e.element, chunk.valid, chunk.lanes, masked=e.machine.masks)
    return load_strided(b, where, e.element, p.b_strides[1], chunk.lanes)


def _columns_in_registers(e: Emission, bp: ir.Value, chunks: list[Chunk]) -> list[list[ir.Value]]:
    """All rows of some columns of B, as vectors along n; transposed where B lies along k."""
    p, b = e.product, e.b
    if p.packed or p.b_strides[1] in (0, 1) or p.b_strides[0] != 1:
        return [
            [
                _load_chunk(e, V.at(b, bp, e.element, k * p.b_strides[0]), chunk)
                for chunk in chunks
            ]
            for k in range(p.k)
        ]  # fmt: skip
    rows: list[list[ir.Value]] = [[] for _ in range(p.k)]
    for chunk in chunks:
        for start, width in V.pieces(p.k, e.lanes):
            parts = [
                V.load(
                    b,
                    V.at(b, bp, e.element, (chunk.start + i) * p.b_strides[1] + start),
                    e.element,
                    width,
                )
                for i in range(chunk.lanes)
            ]
            for k, column in enumerate(V.transpose(b, parts)):
                rows[start + k].append(column)
    return rows
