"""Calls of the BLAS that libtorch exports, on raw pointers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from scriptmode.abi import libtorch
from scriptmode.abi.convention import I8, I32, PTR
from scriptmode.codegen import tensors
from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.product import Product, Strides
from scriptmode.codegen.dense.tiles import Emission
from scriptmode.codegen.object_code import target

SYMBOLS = {"f32": "sgemm_", "f64": "dgemm_"}
LARGEST = 2**31 - 1  # its integers have 32 bits


def _leading(strides: Strides, rows: int, columns: int) -> tuple[bool, int] | None:
    """Whether a matrix lies by columns, and the distance of its lines; None: neither way."""
    row, column = strides
    if column == 1 and row >= max(columns, 1):
        return False, row
    if row == 1 and column >= max(rows, 1):
        return True, column
    return None


def is_possible(p: Product) -> bool:
    """Whether the BLAS is there and takes operands with such strides."""
    if p.packed or not target().has_libtorch or libtorch.find_symbol(SYMBOLS[p.dtype]) is None:
        return False
    a = _leading(p.a_strides, p.m, p.k)
    b = _leading(p.b_strides, p.k, p.n)
    c = _leading(p.c_strides, p.m, p.n)
    if a is None or b is None or c is None or c[0]:
        return False
    return max(p.m, p.n, p.k, a[1], b[1], c[1]) <= LARGEST


def _constant(module: ir.Module, type: ir.Type, value: Any) -> ir.Value:
    """The address of a constant."""
    name = f"sm.dense.{type}.{value}"
    found = module.globals.get(name)
    if found is None:
        found = ir.GlobalVariable(module, type, name)
        found.linkage = "internal"
        found.global_constant = True
        found.initializer = ir.Constant(type, value)
    return tensors.address(found)


def emit_call(e: Emission, a: ir.Value, bp: ir.Value, c: ir.Value) -> None:
    """C by one call, then the epilogue over C."""
    p, b, module = e.product, e.b, e.b.module
    name = SYMBOLS[p.dtype]
    function = tensors.extern_function(module, name, ir.FunctionType(ir.VoidType(), [PTR] * 13))
    a_line = _leading(p.a_strides, p.m, p.k)
    b_line = _leading(p.b_strides, p.k, p.n)
    assert a_line is not None and b_line is not None

    def number(value: int) -> ir.Value:
        return _constant(module, I32, value)

    def letter(by_columns: bool) -> ir.Value:
        return _constant(module, I8, ord("T" if by_columns else "N"))

    # its matrices lie by columns: it computes the transposed C from the transposed operands
    b.call(function, [
        letter(b_line[0]), letter(a_line[0]), number(p.n), number(p.m), number(p.k),
        _constant(module, e.element, 1.0), bp, number(b_line[1]), a, number(a_line[1]),
        _constant(module, e.element, 1.0 if e.accumulate else 0.0), c, number(p.c_strides[0]),
    ])  # fmt: skip
    if e.epilogue is not None:
        _epilogue(e, c)


def _epilogue(e: Emission, c: ir.Value) -> None:
    p, b, lanes = e.product, e.b, e.lanes
    assert e.epilogue is not None
    epilogue = e.epilogue

    def row(i: V.Index) -> None:
        line = V.at(b, c, e.element, V.times(b, i, p.c_strides[0]))

        def part(column: V.Index, width: int) -> None:
            where = V.at(b, line, e.element, column)
            value = V.load(b, where, e.element, width)
            V.store(b, epilogue(b, value, V.index(i), V.index(column)), where, e.element)

        V.each(b, p.n // lanes, lambda i: part(V.times(b, i, lanes), lanes))
        for start, width in V.pieces(p.n % lanes, lanes):
            part(p.n // lanes * lanes + start, width)

    V.each(b, p.m, row)
