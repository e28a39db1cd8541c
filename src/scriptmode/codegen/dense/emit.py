"""Emit the product of two matrices with the kernel that suits its shape.

Tiny products have no loops: their operands may live in registers.  Larger ones run tiles of
registers along k, with vectors along n, or along k where both operands lie that way.  Large ones
are calls of the BLAS inside libtorch.  NaN and infinities propagate as in any other order of the
sums; nothing is skipped because it is zero.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from llvmlite import ir

from scriptmode.codegen.dense import machine as machines
from scriptmode.codegen.dense import mkl
from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.dots import emit_dots
from scriptmode.codegen.dense.machine import BYTES, Machine
from scriptmode.codegen.dense.pack import emit_pack
from scriptmode.codegen.dense.product import Product
from scriptmode.codegen.dense.tiles import Emission, Epilogue, emit_tiles


class Form(Enum):
    """The kernels."""

    UNROLLED = "unrolled"
    TILES = "tiles"
    DOTS = "dots"
    PACKED_TILES = "packed tiles"
    CALL = "call"


UNROLLED_OPERATIONS = 96  # vector multiplications of a product without loops, at most
# when a call of the BLAS pays: so many multiplications, and either both sides of C as long as this
CALL_OPERATIONS = 500_000
CALL_SIDE = 65
CALL_DEPTH = 2048  # or so many rows of B, as they lie
CALL_ROWS = 16  # and so many rows of A
# where the BLAS has only general kernels, it pays for more rows of A, or of such length
OWN_ROWS = 256
OWN_DEPTH = 1024
BLOCK_BYTES = 1 << 19  # of A, that stay in the cache while B passes by
ROUND = 12  # rows of a block, a multiple of those of most tiles
SCRATCH_BYTES = 1 << 16  # of the stack, for A in rows or B in panels, at most


def choose_form(p: Product, machine: Machine) -> Form:
    """The kernel for a product."""
    vectors = -(-p.n // machine.lanes(p.dtype))
    if p.m * vectors * p.k <= UNROLLED_OPERATIONS and vectors * p.k <= machine.registers:
        return Form.UNROLLED
    if p.m * p.n * p.k >= CALL_OPERATIONS and mkl.is_possible(p):
        # the BLAS packs B first: that pays for many rows, and where rows of B lie on many pages
        scattered = p.b_strides[1] == 1 and p.k >= CALL_DEPTH and p.m >= CALL_ROWS
        along_k = p.b_strides[0] == p.a_strides[1] == 1
        is_short = p.m <= OWN_ROWS and p.k <= OWN_DEPTH and p.dtype == "f32"
        is_ours = along_k and is_short and not machine.has_blas
        if (min(p.m, p.n) >= CALL_SIDE or scattered) and not is_ours:
            return Form.CALL
    if p.packed or p.b_strides[1] in (0, 1):
        return Form.TILES
    small_a = p.m * p.k * BYTES[p.dtype] <= SCRATCH_BYTES
    if p.b_strides[0] == 1 and (p.a_strides[1] == 1 or small_a):
        return Form.DOTS
    if p.m > 1 and p.packed_size * BYTES[p.dtype] <= SCRATCH_BYTES:
        return Form.PACKED_TILES
    return Form.TILES


def emit_product(
    b: ir.IRBuilder,
    product: Product,
    a_ptr: ir.Value,
    b_ptr: ir.Value,
    c_ptr: ir.Value,
    *,
    epilogue: Epilogue | None = None,
    accumulate: bool = False,
    machine: Machine | None = None,
    form: Form | None = None,
) -> None:
    """Emit C = A * B, or C += A * B, at the builder's place; it is left behind the product.

    ``epilogue(b, values, row, column)`` gets each element once, as a scalar or as a vector of
    2**i neighbours in a row of C that start at ``column``, and returns what is stored.  The rows
    of a batch are counted on from those of the one before.
    """
    p = product.normalized()
    machine = machine or machines.host()
    pointers = [V.untyped(b, pointer) for pointer in (a_ptr, b_ptr, c_ptr)]
    if 0 in (p.m, p.n, p.batch):
        return
    # vectors run along the rows of C, or along those of the transposed C
    swapped = not p.packed and (p.n == 1 < p.m or p.c_strides[1] != 1 == p.c_strides[0] < p.m)
    if swapped:
        p = p.transposed().normalized()
        pointers[:2] = pointers[1::-1]
    form = form or choose_form(p, machine)
    element = V.FLOATS[p.dtype]
    scratch = None
    if form is Form.PACKED_TILES:
        scratch = _stack(b, element, p.packed_size)
    elif form is Form.DOTS and p.a_strides[1] != 1:
        scratch = _stack(b, element, p.m * p.k)

    def one(turn: V.Index) -> None:
        a, bp, c = (
            V.at(b, pointer, element, V.times(b, turn, stride))
            for pointer, stride in zip(pointers, p.batch_strides, strict=True)
        )
        last = _below(epilogue, V.times(b, turn, product.m))
        last = _by_element(last) if swapped else last
        shape = p
        if scratch is not None and form is Form.DOTS:
            _copy_rows(b, p, a, scratch)
            shape, a = replace(p, a_strides=(p.k, 1)), scratch
        elif scratch is not None:
            emit_pack(b, p, bp, scratch, machine=machine)
            shape, bp = p.with_packed(), scratch
        if form is Form.CALL:
            mkl.emit_call(Emission(b, shape, machine, last, accumulate), a, bp, c)
            return

        def block(row: V.Index, rows: int) -> None:
            part = replace(shape, m=rows)
            e = Emission(b, part, machine, _below(last, row), accumulate)
            a_rows = V.at(b, a, element, V.times(b, row, shape.a_strides[0]))
            c_rows = V.at(b, c, element, V.times(b, row, shape.c_strides[0]))
            if form is Form.DOTS:
                emit_dots(e, a_rows, bp, c_rows)
            else:
                emit_tiles(e, a_rows, bp, c_rows, unrolled=form is Form.UNROLLED)

        V.cover(b, p.m, _rows_in_cache(p), block)

    V.each(b, p.batch, one)


def _copy_rows(b: ir.IRBuilder, p: Product, a: ir.Value, target: ir.Value) -> None:
    """Lay out A by rows."""
    element = V.FLOATS[p.dtype]

    def copy(i: V.Index, k: V.Index) -> None:
        offset = V.plus(b, V.times(b, i, p.a_strides[0]), V.times(b, k, p.a_strides[1]))
        place = V.plus(b, V.times(b, i, p.k), k)
        value = V.load(b, V.at(b, a, element, offset), element)
        V.store(b, value, V.at(b, target, element, place), element)

    V.each(b, p.m, lambda i: V.each(b, p.k, lambda k: copy(i, k)))


def _rows_in_cache(p: Product) -> int:
    """Rows of A that stay in the cache while all of B passes by."""
    parts = -(-p.m * p.k * BYTES[p.dtype] // BLOCK_BYTES)
    rows = -(-p.m // max(parts, 1))
    return min(-(-rows // ROUND) * ROUND, p.m)


def _below(epilogue: Epilogue | None, first_row: V.Index) -> Epilogue | None:
    """The epilogue for rows that are counted from ``first_row`` on."""
    if epilogue is None or (isinstance(first_row, int) and first_row == 0):
        return epilogue
    inner = epilogue

    def shifted(b: ir.IRBuilder, values: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
        return inner(b, values, V.index(V.plus(b, row, first_row)), column)

    return shifted


def _by_element(epilogue: Epilogue | None) -> Epilogue | None:
    """The epilogue of C for the transposed C."""
    if epilogue is None:
        return None
    inner = epilogue

    def transposed(b: ir.IRBuilder, values: ir.Value, row: ir.Value, column: ir.Value) -> ir.Value:
        made = [
            inner(b, V.lane(b, values, i), V.index(V.plus(b, column, i)), row)
            for i in range(V.lanes_of(values))
        ]
        return V.from_scalars(b, made)

    return transposed


def _stack(b: ir.IRBuilder, element: ir.Type, count: int) -> ir.Value:
    """Scratch memory on the stack, given back when the function returns."""
    with b.goto_entry_block():
        memory = b.alloca(ir.ArrayType(element, count))
    memory.align = machines.LINE
    return V.untyped(b, memory)
