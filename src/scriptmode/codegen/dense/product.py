"""Products of matrices with static shapes and strides, and how the tiles of a kernel are chosen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from scriptmode.codegen.dense.machine import BYTES, LINE

Strides = tuple[int, int]
DType = Literal["f32", "f64"]


@dataclass(frozen=True)
class Product:
    """C[m, n] (+)= sum over k of A[m, k] * B[k, n]; strides count elements.

    ``batch`` such products follow each other at ``batch_strides`` of A, B and C.  A product whose
    B is ``packed`` finds it in the order in which ``emit_pack`` has put it: in panels of as many
    columns as fill a cache line, the last one padded with zeros.  C overlaps neither operand, and
    no two elements of C are the same.
    """

    m: int
    n: int
    k: int
    a_strides: Strides
    b_strides: Strides
    c_strides: Strides
    dtype: DType = "f32"
    batch: int = 1
    batch_strides: tuple[int, int, int] = (0, 0, 0)
    packed: bool = False

    @property
    def panel(self) -> int:
        """Columns in a panel of a packed B."""
        return LINE // BYTES[self.dtype]

    @property
    def panel_stride(self) -> int:
        """Elements between panels: an odd number of lines, so that they share no cache sets."""
        return (self.k | 1) * self.panel

    @property
    def packed_size(self) -> int:
        """Elements of a packed B."""
        return -(-self.n // self.panel) * self.panel_stride

    def with_packed(self) -> Product:
        """The product of one batch whose B is packed."""
        return replace(self, packed=True, b_strides=(self.panel, 1))

    def transposed(self) -> Product:
        """The product of the transposed matrices, in the other order; A and B change places."""
        assert not self.packed
        a, b, c = self.batch_strides
        return Product(
            self.n, self.m, self.k,
            self.b_strides[::-1], self.a_strides[::-1], self.c_strides[::-1],
            self.dtype, self.batch, (b, a, c),
        )  # fmt: skip

    def normalized(self) -> Product:
        """The same with strides of our choice where an extent is 1."""
        (am, ak), (bk, bn), (cm, cn) = self.a_strides, self.b_strides, self.c_strides
        if self.k == 1:
            ak = 1
            bk = self.n if bn == 1 else 1
        if self.m == 1:
            am, cm = self.k, self.n if cn == 1 else 1
        if self.n == 1 and not self.packed:
            bn = 1 if bk != 1 else self.k
            cn = 1
        return replace(self, a_strides=(am, ak), b_strides=(bk, bn), c_strides=(cm, cn))


@dataclass(frozen=True)
class Tile:
    """Rows and vectors (or, of dot products, columns) of C in registers at a time.

    Each has ``chains`` accumulators that take turns along k, so that no addition waits for the
    one before.
    """

    rows: int
    columns: int
    chains: int


Covers = Sequence[tuple[int, int]]  # how often tiles of which size

LOAD_COST = 0.1  # cycles of a load beside multiplications
LATENCY = 4  # cycles from an accumulator to itself
REST_COST = 0.03  # by how much code for a rest must be faster to be worth its size
TILE_COST = 8.0  # cycles to start and end a tile


def _cycles(rows: int, columns: int, chains: int, steps: int) -> float:
    """Estimated cycles of a tile: two multiplications and two loads may start in each."""
    operations = rows * columns
    step = max(operations / 2, (rows + columns) / 2, LATENCY / chains)
    step += LOAD_COST * (rows + columns)
    return steps * step + operations * chains + TILE_COST


def registers_of(rows: int, columns: int, chains: int) -> int:
    """Vector registers that a tile takes."""
    return rows * columns * chains + min(rows, columns) + 1


def covered(total: int, size: int) -> Covers:
    """How often tiles of which size cover ``total``."""
    return [(c, s) for c, s in ((total // size, size), (1, total % size)) if c * s]


def tiles_cost(heights: Covers, widths: Sequence[Covers], chains: int, steps: int) -> float:
    """Estimated cycles of all tiles: of some heights, and of widths that are products."""
    cost = 0.0
    for times, height in heights:
        for combination in itertools.product(*widths):
            over = math.prod(count for count, _ in combination)
            width = math.prod(size for _, size in combination)
            cost += times * over * _cycles(height, width, chains, steps)
    # each shape of rest is code of its own
    return cost * (1 + REST_COST * sum(len(cover) > 1 for cover in (heights, *widths)))


@lru_cache(maxsize=4096)
def choose_tile(
    rows: int, columns: int, steps: int, registers: int, *, dots: int = 0, line: int = 1
) -> Tile:
    """The cheapest tile for so many rows and vectors of C and so many steps along k.

    Of dot products in vectors of ``dots`` lanes, 2**i columns, one for each lane at most, are
    summed up together.  ``line`` vectors of a packed B lie side by side.
    """
    best, best_cost = Tile(1, 1, 1), float("inf")
    widths = [1, 2, 4, 8, 16] if dots else range(line, 13, line)
    for width in widths:
        if width > max(columns, line) or (dots and width > dots):
            break
        for height in range(1, rows + 1):
            if registers_of(height, width, 1) > registers:
                break
            for chains in (1, 2, 4, 8):
                if chains > max(steps, 1):
                    break
                if registers_of(height, width, chains) > registers:
                    break
                heights, across = covered(rows, height), [covered(columns, width)]
                cost = tiles_cost(heights, across, chains, steps)
                if dots:
                    # shuffles and additions of the sums over lanes
                    cost += rows * columns * max(3, 3 * dots / 2 / width)
                if cost < best_cost:
                    best, best_cost = Tile(height, width, chains), cost
    return best
