"""Arithmetic of a tensor with a constant number, without making a tensor of the number each time.

``aten::add.Scalar(x, 2)`` makes a 0-d tensor of int64, promotes types and converts it.  For a plain
float32 tensor of the CPU, a 0-d float32 tensor made at compile time gives the same result from
``aten::add.Tensor``, which is also the op that eager mode runs and records; other tensors take the
general op.
"""

from __future__ import annotations

import math

import torch
from llvmlite import ir

from scriptmode.abi.convention import I1, I32, I64, PTR
from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.tensorkeys import key_set_offset, plain_key_set, without_modes
from scriptmode.codegen import tensors
from scriptmode.codegen.aten import emit_thunk_call, issue_warnings
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.metadata import REQUIRES_GRAD, query
from scriptmode.ir.graph import Node
from scriptmode.ops.aten import aten_schema

_EXACT = 1 << 53  # ints up to here are rounded once on their way to float32
_LARGEST = torch.finfo(torch.float32).max

# with a tape these save the number's tensor, which hooks on saved tensors would see
_SAVES_OTHER = ("aten::mul.Scalar", "aten::div.Scalar")

_made: dict[float, torch.Tensor] = {}


@lower("aten::add.Scalar", "aten::sub.Scalar", "aten::mul.Scalar", "aten::div.Scalar")
def with_number(
    f: FunctionEmitter, node: Node, self: ir.Value, other: ir.Value, *rest: ir.Value
) -> object:
    """The op of two tensors where the number is known and the tensor plain, else as it is."""
    value = node.inputs[1]
    number = value.constant if value.is_constant else None
    if number is None or not _is_convertible(number):
        return emit_thunk_call(f, node, self, other, *rest)
    quick_schema = aten_schema(node.kind.replace(".Scalar", ".Tensor"))
    assert quick_schema is not None and node.schema is not None
    quick, general = f.unit.thunk(quick_schema), f.unit.thunk(node.schema)
    cell = f.unit.cell(_tensor_of(number))

    def call(places: list[ir.Value]) -> ir.Value:
        quick_block, general_block, joined = (
            f.llvm.append_basic_block(name) for name in ("quick", "general", "joined")
        )
        is_quick = _is_plain_float(f, self)
        if node.kind in _SAVES_OTHER:
            requires = f.b.call(f.unit.external(REQUIRES_GRAD, I1, [PTR]), [self])
            is_quick = f.b.and_(is_quick, f.b.not_(requires))
        f.b.cbranch(is_quick, quick_block, general_block)
        f.b.position_at_end(joined)
        status = f.b.phi(I32)
        for block, callee in ((quick_block, quick), (general_block, general)):
            f.b.position_at_end(block)
            operand = f.b.load(cell, typ=PTR) if callee is quick else other
            status.add_incoming(f.b.call(callee, [f.ctx, self, operand, *rest, *places]), block)
            f.b.branch(joined)
        f.b.position_at_end(joined)
        return status

    f.checked(call, node.outputs)
    issue_warnings(f, node)
    return DEFINED


def _is_convertible(number: object) -> bool:
    if type(number) is int:
        return abs(number) <= _EXACT
    return type(number) is float and math.isfinite(number) and abs(number) <= _LARGEST


def _is_plain_float(f: FunctionEmitter, tensor: ir.Value) -> ir.Value:
    keys = tensors.load(f.b, tensor, I64, key_set_offset())
    is_plain = f.b.icmp_unsigned("==", keys, ir.Constant(I64, plain_key_set()))
    dtype = ir.Constant(I32, DTYPE_NUMBERS[torch.float32])
    return f.b.and_(is_plain, f.b.icmp_signed("==", query(f, "dtype", tensor, I32), dtype))


def _tensor_of(number: float) -> torch.Tensor:
    """The shared float32 tensor of a number, never written."""
    key = float(number)
    # 0.0 == -0.0
    found = _made.get(key) if key else None
    if found is None:
        # whatever mode this thread is in, the tensor is a plain one
        found = without_modes(lambda: torch.tensor(key, dtype=torch.float32, device="cpu"))
        if key:
            found = _made.setdefault(key, found)
    return found
