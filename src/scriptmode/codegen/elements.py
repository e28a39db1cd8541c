"""Reading elements of tensors: where they lie in a plain tensor of the CPU, else by ATen's ops."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from llvmlite import ir

from scriptmode.abi.convention import F64, I1, I8, I64, PTR
from scriptmode.abi.layouts import NUMBER_BOOL, NUMBER_FLOAT, NUMBER_TYPE
from scriptmode.abi.tensorkeys import key_set_offset, plain_key_set
from scriptmode.codegen import tensors
from scriptmode.codegen.aten import emit_thunk_call, issue_warnings, thunk_result
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import lower
from scriptmode.codegen.values import Count, boolean, make_struct
from scriptmode.ir.graph import Node
from scriptmode.ops.aten import aten_schema

REQUIRES_GRAD = "_ZNK3c1010TensorImpl13requires_gradEv"
_ZERO = ir.Constant(I64, 0)


def read(
    f: FunctionEmitter,
    self: ir.Value,
    indices: Sequence[ir.Value],
    general: Callable[[], ir.Value],
) -> ir.Value:
    """An element as a number; ``general`` reads that of a tensor that is not plain.

    Where the tensor requires a gradient, torch may have something to say about it.
    """
    place = f.temporary(NUMBER_TYPE)
    plain, quick, other, joined = (
        f.llvm.append_basic_block(name) for name in ("plain", "quick", "general", "joined")
    )
    keys = tensors.load(f.b, self, I64, key_set_offset())
    is_plain = f.b.icmp_unsigned("==", keys, ir.Constant(I64, plain_key_set()))
    f.b.cbranch(is_plain, plain, other)
    f.b.position_at_end(plain)
    if f.unit.has_libtorch:
        requires = f.b.call(f.unit.external(REQUIRES_GRAD, I1, [PTR]), [self])
        f.b.cbranch(requires, other, quick)
    else:
        f.b.branch(quick)
    f.b.position_at_end(quick)
    i, j = [*indices, _ZERO, _ZERO][:2]
    arguments = [f.spill(self), ir.Constant(I64, len(indices)), i, j, place]
    found = f.native_value("sm_tensor_read", I64, arguments)
    f.b.cbranch(f.b.icmp_signed("!=", found, _ZERO), joined, other)
    f.b.position_at_end(other)
    if f.unit.has_libtorch:
        f.b.store(general(), place)
        f.b.branch(joined)
    else:
        f.raise_(RuntimeError, f.unit.text("this element cannot be read without libtorch"))
    f.b.position_at_end(joined)
    return f.b.load(place, typ=NUMBER_TYPE)


def read_item(f: FunctionEmitter, self: ir.Value) -> ir.Value:
    """``self.item()``."""
    return read(f, self, [], lambda: thunk_result(f, "aten::item", [self], NUMBER_TYPE))


@lower("aten::item")
def item(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """The only element as a number."""
    if not f.unit.level:
        return emit_thunk_call(f, node, self)
    number = read_item(f, self)
    issue_warnings(f, node)
    return number


@lower("tensor::element.one", "tensor::element.two")
def element(f: FunctionEmitter, node: Node, self: ir.Value, *indices: ir.Value) -> ir.Value:
    """``self[i].item()`` or ``self[i][j].item()``."""

    def general() -> ir.Value:
        schema = aten_schema("aten::select.int")
        assert schema is not None
        part = self
        with contextlib.ExitStack() as stack:
            for index in indices:
                slot = stack.enter_context(f.owned_slot(Count.TENSOR))
                f.check(f.b.call(f.unit.thunk(schema), [f.ctx, part, _ZERO, index, slot.address]))
                part = f.b.load(slot.address, typ=PTR)
            return thunk_result(f, "aten::item", [part], NUMBER_TYPE)

    number = read(f, self, indices, general)
    issue_warnings(f, node)
    return number


@lower("tensor::bool")
def tensor_bool(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``bool(self)``, with eager's errors for no or several elements."""
    if not f.unit.level:
        return thunk_result(f, "aten::is_nonzero", [self], I8)

    def general() -> ir.Value:
        flag = f.b.zext(thunk_result(f, "aten::is_nonzero", [self], I8), I64)
        return make_struct(f.b, NUMBER_TYPE, [ir.Constant(I64, NUMBER_BOOL), flag, _ZERO])

    number = read(f, self, [], general)
    tag, bits = (f.b.extract_value(number, k) for k in range(2))
    is_float = f.b.icmp_signed("==", tag, ir.Constant(I64, NUMBER_FLOAT))
    as_float = f.b.fcmp_unordered("!=", f.b.bitcast(bits, F64), ir.Constant(F64, 0.0))
    as_int = f.b.icmp_signed("!=", bits, _ZERO)
    return boolean(f.b, f.b.select(is_float, as_float, as_int))
