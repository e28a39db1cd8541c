"""Put B into panels, the order in which kernels read it: for weights that are used many times."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from scriptmode.codegen.dense import machine as machines
from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.product import Product

BLOCK = 8  # rows and columns that are transposed in registers at a time, at most


def emit_pack(
    b: ir.IRBuilder,
    product: Product,
    b_ptr: ir.Value,
    packed_ptr: ir.Value,
    *,
    machine: machines.Machine | None = None,
) -> None:
    """Write ``product.packed_size`` elements at ``packed_ptr``: the B of ``with_packed()``."""
    p = product
    element = V.FLOATS[p.dtype]
    lanes = min((machine or machines.host()).lanes(p.dtype), BLOCK)
    k_stride, n_stride = p.b_strides
    b_ptr, packed_ptr = V.untyped(b, b_ptr), V.untyped(b, packed_ptr)
    # columns and rows that are read as vectors; the rest one by one
    height, width = (lanes, lanes) if k_stride == 1 else (1, lanes if n_stride == 1 else 1)

    def block(source: ir.Value, target: ir.Value) -> None:
        if k_stride == 1:
            at = [V.at(b, source, element, i * n_stride) for i in range(width)]
            rows = V.transpose(b, [V.load(b, pointer, element, height) for pointer in at])
        else:
            rows = [V.load(b, source, element, width)]
        for k, row in enumerate(rows):
            V.store(b, row, V.at(b, target, element, k * p.panel), element)

    def single(source: ir.Value, target: ir.Value) -> None:
        V.store(b, V.load(b, source, element), target, element)

    def panel(turn: V.Index, valid: int) -> None:
        source = V.at(b, b_ptr, element, V.times(b, turn, p.panel * n_stride))
        target = V.at(b, packed_ptr, element, V.times(b, turn, p.panel_stride))

        def cover(
            rows: tuple[int, int], columns: tuple[int, int], height: int, width: int,
            copy: Callable[[ir.Value, ir.Value], None],
        ) -> None:  # fmt: skip
            def at_row(i: V.Index) -> None:
                def at_column(j: V.Index) -> None:
                    k = V.plus(b, V.times(b, i, height), rows[0])
                    n = V.plus(b, V.times(b, j, width), columns[0])
                    offset = V.plus(b, V.times(b, k, k_stride), V.times(b, n, n_stride))
                    place = V.plus(b, V.times(b, k, p.panel), n)
                    copy(V.at(b, source, element, offset), V.at(b, target, element, place))

                V.each(b, (columns[1] - columns[0]) // width, at_column)

            V.each(b, (rows[1] - rows[0]) // height, at_row)

        low, left = p.k // height * height, valid // width * width
        cover((0, low), (0, left), height, width, block)
        cover((low, p.k), (0, left), 1, 1, single)
        cover((0, p.k), (left, valid), 1, 1, single)
        cover((0, p.k), (valid, p.panel), 1, 1,
              lambda _, to: V.store(b, V.zero(element, 1), to, element))  # fmt: skip

    V.each(b, p.n // p.panel, lambda turn: panel(turn, p.panel))
    if p.n % p.panel:
        panel(p.n // p.panel, p.n % p.panel)
