"""Kernels for operands that both lie along k: sums of products of vectors, added up at the end."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.product import choose_tile
from scriptmode.codegen.dense.tiles import Emission, along_k, outer_product


def emit_dots(e: Emission, a: ir.Value, bp: ir.Value, c: ir.Value) -> None:
    """Tiles of rows of A and columns of B, whose vectors run along k."""
    p, b = e.product, e.b
    tile = choose_tile(p.m, p.n, -(-p.k // e.lanes), e.machine.registers, dots=e.lanes)

    def columns_from(column: V.Index, width: int) -> None:
        b_tile = V.at(b, bp, e.element, V.times(b, column, p.b_strides[1]))
        c_tile = V.at(b, c, e.element, V.times(b, column, p.c_strides[1]))
        high = tile
        if width != tile.columns:
            high = choose_tile(p.m, width, -(-p.k // e.lanes), e.machine.registers, dots=e.lanes)

        def rows_from(row: V.Index, height: int) -> None:
            a_tile = V.at(b, a, e.element, V.times(b, row, p.a_strides[0]))
            c_rows = V.at(b, c_tile, e.element, V.times(b, row, p.c_strides[0]))
            _emit_tile(e, a_tile, b_tile, c_rows, height, width, high.chains, row, column)

        V.cover(b, p.m, high.rows, rows_from)

    count = p.n // tile.columns
    V.each(b, count, lambda i: columns_from(V.times(b, i, tile.columns), tile.columns))
    for start, width in V.pieces(p.n % tile.columns, tile.columns):
        columns_from(count * tile.columns + start, width)


def _emit_tile(
    e: Emission, a: ir.Value, bp: ir.Value, c: ir.Value,
    height: int, width: int, chains: int, row: V.Index, column: V.Index,
) -> None:  # fmt: skip
    p, b, lanes = e.product, e.b, e.lanes
    whole, left = divmod(p.k, lanes)

    def products(k: V.Index, valid: int, sums: list[ir.Value]) -> list[ir.Value]:
        def vector(base: ir.Value, offset: int) -> ir.Value:
            where = V.at(b, V.at(b, base, e.element, k), e.element, offset)
            return V.load_part(b, where, e.element, valid, lanes, masked=e.machine.masks)

        return outer_product(
            b, height, width,
            lambda i: vector(a, i * p.a_strides[0]), lambda j: vector(bp, j * p.b_strides[1]), sums,
        )  # fmt: skip

    def step(turn: V.Index, sums: list[ir.Value]) -> list[ir.Value]:
        return products(V.times(b, turn, lanes), lanes, sums)

    zeros = [V.zero(e.element, lanes)] * (height * width)
    sums = along_k(e, whole, zeros, chains, step)
    if left:
        sums = products(whole * lanes, left, sums)
    for i in range(height):
        value = V.sums(b, sums[i * width : (i + 1) * width])
        where = V.at(b, c, e.element, i * p.c_strides[0])
        e.finish(value, width, where, V.plus(b, row, i), column)
