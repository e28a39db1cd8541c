"""Lowerings of str ops that are inlined, or that take over their operands."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I8, I64, PTR
from scriptmode.codegen import heap, tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.library import emit_native
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.values import boolean
from scriptmode.ir.graph import Node

WIDTH = "width"
TEXT = "text"


@lower("str::len")
def str_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    return heap.load_field(f.b, self, I64, objects.STR_LENGTH, heap.LENGTH)


@lower("str::bool")
def str_bool(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """Whether there is a character."""
    length = str_len(f, node, self)
    return boolean(f.b, f.b.icmp_signed("!=", length, ir.Constant(I64, 0)))


@lower("str::concat")
def str_concat(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> object:
    """``a + b``, in the memory of ``a`` when that is not needed any more."""
    if not node.attributes.get("moved"):
        return emit_native(f, node, a, b)
    f.give_up(node.inputs[0])
    f.native_call("sm_str_append", [a, b], node.outputs)
    return DEFINED


@lower("str::getitem")
def str_getitem(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> object:
    """``self[index]``: for the first 256 characters a str that is there already."""
    if not f.unit.level:
        return emit_native(f, node, self, index)
    b = f.b
    length = str_len(f, node, self)
    at = index
    if f.intervals.inputs_of(node)[1][0] < 0:
        negative = b.icmp_signed("<", index, ir.Constant(I64, 0))
        at = b.select(negative, b.add(index, length), index)
    inside = b.icmp_unsigned("<", at, length)
    width = heap.load_field(b, self, I64, objects.STR_WIDTH, WIDTH)
    is_narrow = b.and_(inside, b.icmp_signed("==", width, ir.Constant(I64, 1)))
    narrow, other, both = (f.llvm.append_basic_block(n) for n in ("narrow", "other", "both"))
    b.cbranch(is_narrow, narrow, other).set_weights([100, 1])
    b.position_at_end(narrow)
    unit = heap.load_field(b, tensors.byte_gep(b, self, at), I8, objects.STR_DATA, TEXT)
    offset = b.mul(b.zext(unit, I64), ir.Constant(I64, objects.CHARACTER_SIZE))
    table = tensors.address(tensors.extern_global(f.unit.module, "sm_characters", I64))
    found = tensors.byte_gep(b, table, offset)
    b.branch(both)
    b.position_at_end(other)  # this one raises, too
    made = f.native_result("sm_str_getitem", [self, index], PTR)
    after = b.block
    b.branch(both)
    b.position_at_end(both)
    result = b.phi(PTR)
    result.add_incoming(found, narrow)
    result.add_incoming(made, after)
    return result


def _register_equality() -> None:
    def is_equal(f: FunctionEmitter, a: ir.Value, b: ir.Value) -> ir.Value:
        """Whether two strs are equal, as an i8; the first code unit often tells."""
        if not f.unit.level:
            return f.native_value("sm_str_equal", I8, [a, b])
        build = f.b
        before = build.block
        rest, done = (f.llvm.append_basic_block(name) for name in ("rest", "done"))
        firsts = [heap.load_field(build, s, I8, objects.STR_DATA, TEXT) for s in (a, b)]
        lengths = [heap.load_field(build, s, I64, objects.STR_LENGTH, heap.LENGTH) for s in (a, b)]
        maybe = build.and_(build.icmp_signed("==", *firsts), build.icmp_signed("==", *lengths))
        build.cbranch(maybe, rest, done)
        build.position_at_end(rest)
        compared = f.native_value("sm_str_equal", I8, [a, b])
        build.branch(done)
        build.position_at_end(done)
        result = build.phi(I8)
        result.add_incoming(ir.Constant(I8, 0), before)
        result.add_incoming(compared, rest)
        return result

    @lower("str::eq")
    def str_eq(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
        return is_equal(f, a, b)

    @lower("str::ne")
    def str_ne(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
        return f.b.xor(is_equal(f, a, b), ir.Constant(I8, 1))


_register_equality()


@lower("str::ord")
def str_ord(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``ord(self)``."""
    b = f.b
    one = ir.Constant(I64, 1)
    length = str_len(f, node, self)
    width = heap.load_field(b, self, I64, objects.STR_WIDTH, WIDTH)
    is_plain = b.and_(b.icmp_signed("==", length, one), b.icmp_signed("==", width, one))
    before, (other, both) = b.block, (f.llvm.append_basic_block(n) for n in ("other", "both"))
    unit = b.zext(heap.load_field(b, self, I8, objects.STR_DATA, TEXT), I64)
    b.cbranch(is_plain, both, other).set_weights([100, 1])
    b.position_at_end(other)
    found = f.native_result("sm_str_ord", [self], I64)
    after = b.block
    b.branch(both)
    b.position_at_end(both)
    result = b.phi(I64)
    result.add_incoming(unit, before)
    result.add_incoming(found, after)
    return result
