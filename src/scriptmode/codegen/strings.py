"""Lowerings of str ops that are inlined, or that take over their operands."""

from __future__ import annotations

import functools

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I1, I8, I16, I32, I64, PTR
from scriptmode.analysis.ownership import is_narrow_text
from scriptmode.codegen import heap, tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.library import emit_native
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.unit import VOID
from scriptmode.codegen.values import boolean
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value

WIDTH = "width"
ROOM = "room"
TEXT = "text"
HASH = "hash"
ONES = 0x0101010101010101


def load_length(b: ir.IRBuilder, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    return heap.load_field(b, self, I64, objects.STR_LENGTH, heap.LENGTH)


def is_narrow(b: ir.IRBuilder, self: ir.Value) -> ir.Value:
    """Whether all code points are below 256, as an i1."""
    width = heap.load_field(b, self, I32, objects.STR_WIDTH, WIDTH)
    return b.icmp_signed("==", width, ir.Constant(I32, 1))


def is_character(value: Value) -> bool:
    """Whether a str is known to have one code point."""
    return value.node is not None and value.node.kind == "str::getitem"


@lower("str::len")
def str_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    (text,) = node.inputs
    return length_of(f, text, self)


def length_of(f: FunctionEmitter, text: Value, self: ir.Value) -> ir.Value:
    """``len(self)``, a constant where it is known."""
    if text.is_constant:
        return ir.Constant(I64, len(text.constant))
    return load_length(f.b, self)


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
    if not f.unit.level:
        f.give_up(node.inputs[0])
        f.native_call("sm_str_append", [a, b], node.outputs)
        return DEFINED
    append_inline(f, node, a, b)
    return DEFINED


@lower("str::next_piece")
def str_next_piece(
    f: FunctionEmitter, node: Node, old: ir.Value, text: ir.Value, sep: ir.Value, at: ir.Value
) -> object:
    """A piece of a text, in the memory of ``old`` when that is not needed any more."""
    name = "sm_str_next_piece"
    if node.attributes.get("moved"):
        if f.unit.level and is_one_byte(node.inputs[2]):
            next_piece_inline(f, node, old, text, at)
            return DEFINED
        f.give_up(node.inputs[0])
        name += "_moved"
    pair = f.native_result(name, [old, text, sep, at], ir.LiteralStructType([PTR, I64]))
    return [f.b.extract_value(pair, 0), f.b.extract_value(pair, 1)]


def is_one_byte(value: Value) -> bool:
    """Whether a str is a constant of one narrow character."""
    if value.type != T.STR or not is_narrow_text(value):
        return False
    return len(value.constant) == 1


def next_piece_inline(
    f: FunctionEmitter, node: Node, old: ir.Value, text: ir.Value, at: ir.Value
) -> None:
    """``sm_str_next_piece_moved`` between bytes: fewer than eight go into the same slot."""
    b, sep = f.b, node.inputs[2]
    near, inside, other, both = (
        f.llvm.append_basic_block(n) for n in ("near", "inside", "other", "both")
    )
    eight = ir.Constant(I64, 8)
    count = heap.load_field(b, old, I64, objects.HEAP_COUNT, heap.COUNT)
    tests = [
        b.icmp_signed("==", count, ir.Constant(I64, 1)),
        b.icmp_signed("<=", b.add(at, eight), load_length(b, text)),
        is_narrow(b, text),
    ]
    b.cbranch(functools.reduce(b.and_, tests), near, other).set_weights([100, 1])
    b.position_at_end(near)
    word = heap.load_field(b, tensors.byte_gep(b, text, at), I64, objects.STR_DATA, TEXT)
    word.align = 1
    differs = b.xor(word, ir.Constant(I64, ONES * ord(sep.constant)))
    below = b.and_(b.sub(differs, ir.Constant(I64, ONES)), b.not_(differs))
    flags = b.and_(below, ir.Constant(I64, ONES << 7))  # the lowest one is right
    b.cbranch(b.icmp_unsigned("!=", flags, ir.Constant(I64, 0)), inside, other)
    b.position_at_end(inside)
    zeros = b.call(f.unit.intrinsic("llvm.cttz.i64", I64, [I64, I1]), [flags, ir.Constant(I1, 1)])
    length = b.lshr(zeros, ir.Constant(I64, 3))
    bits = b.and_(zeros, ir.Constant(I64, 56))
    mask = b.sub(b.shl(ir.Constant(I64, 1), bits), ir.Constant(I64, 1))
    heap.store_field(b, length, old, objects.STR_LENGTH, heap.LENGTH)
    heap.store_field(b, ir.Constant(I64, 0), old, objects.STR_HASH, HASH)
    heap.store_field(b, ir.Constant(I32, 1), old, objects.STR_WIDTH, WIDTH)
    heap.store_field(b, ir.Constant(I32, 0), old, objects.STR_ROOM, ROOM)
    heap.store_field(b, b.and_(word, mask), old, objects.STR_DATA, TEXT)
    near_end = b.add(b.add(at, length, flags=["nsw"]), ir.Constant(I64, 1), flags=["nsw"])
    b.branch(both)
    b.position_at_end(other)
    (slot,) = f.held.pop(node.inputs[0])
    f.clear(slot)
    arguments = [old, text, f.values[sep], at]
    kind = ir.LiteralStructType([PTR, I64])
    pair = f.native_result("sm_str_next_piece_moved", arguments, kind)
    made, far_end = b.extract_value(pair, 0), b.extract_value(pair, 1)
    b.store(made, slot.address)
    after = b.block
    b.branch(both)
    b.position_at_end(both)
    piece, following = b.phi(PTR), b.phi(I64)
    for phi, here, there in ((piece, old, made), (following, near_end, far_end)):
        phi.add_incoming(here, inside)
        phi.add_incoming(there, after)
    for output, value in zip(node.outputs, (piece, following), strict=True):
        f.values[output] = value
    f.held[node.outputs[0]] = (slot,)


def append_inline(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> None:
    """``sm_str_append``: few narrow characters that have room go in here, in the same slot."""
    build = f.b
    appended = node.inputs[1]
    is_short = appended.is_constant and is_narrow_text(appended) and 0 < len(appended.constant) < 16
    m = len(appended.constant) if is_short else 1
    count = heap.load_field(build, a, I64, objects.HEAP_COUNT, heap.COUNT)
    room = heap.load_field(build, a, I32, objects.STR_ROOM, ROOM)
    tests = [
        build.icmp_signed("==", count, ir.Constant(I64, 1)),
        build.icmp_unsigned(">=", room, ir.Constant(I32, m)),
        is_narrow(build, a),
    ]
    if not is_short:
        tests.append(is_narrow(build, b))
        if not is_character(appended):
            one = ir.Constant(I64, 1)
            tests.append(build.icmp_signed("==", load_length(build, b), one))
    fits = functools.reduce(build.and_, tests)
    inside, other, both = (f.llvm.append_basic_block(n) for n in ("inside", "other", "both"))
    build.cbranch(fits, inside, other).set_weights([100, 1])
    build.position_at_end(inside)
    length = load_length(build, a)
    place = tensors.byte_gep(build, tensors.byte_gep(build, a, length), objects.STR_DATA)
    copy_short(f, place, b, m)
    longer = build.add(length, ir.Constant(I64, m), flags=["nsw"])
    heap.store_field(build, longer, a, objects.STR_LENGTH, heap.LENGTH)
    less = build.sub(room, ir.Constant(I32, m))
    heap.store_field(build, less, a, objects.STR_ROOM, ROOM)
    build.branch(both)
    build.position_at_end(other)
    (slot,) = f.held.pop(node.inputs[0])
    f.clear(slot)
    append = f.unit.native("sm_str_append", I32, [PTR] * 4)
    f.check(build.call(append, [f.ctx, a, b, slot.address]))
    grown = build.load(slot.address, typ=PTR)
    after = build.block
    build.branch(both)
    build.position_at_end(both)
    result = build.phi(PTR)
    result.add_incoming(a, inside)
    result.add_incoming(grown, after)
    f.values[node.output] = result
    f.held[node.output] = (slot,)


def copy_short(f: FunctionEmitter, place: ir.Value, text: ir.Value, length: int) -> None:
    """Copy narrow characters, few of a constant or one, and the zero behind them."""
    source = tensors.byte_gep(f.b, text, objects.STR_DATA)
    if length == 1:  # of characters that are text too, other code units may follow
        unit = f.b.load(source, typ=I8)
        heap.mark(f.b.module, unit, TEXT)
        both = f.b.store(f.b.zext(unit, I16), place)
        both.align = 1
        heap.mark(f.b.module, both, TEXT)
        return
    copy = f.unit.intrinsic("llvm.memcpy.p0.p0.i64", VOID, [PTR, PTR, I64, ir.IntType(1)])
    size = ir.Constant(I64, length + 1)
    f.b.call(copy, [place, source, size, ir.Constant(ir.IntType(1), 0)])


@lower("str::getitem")
def str_getitem(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> object:
    """``self[index]``: for the first 256 characters a str that is there already."""
    if not f.unit.level:
        return emit_native(f, node, self, index)
    b = f.b
    text = node.inputs[0]
    length = length_of(f, text, self)
    at = index
    if f.intervals.inputs_of(node)[1][0] < 0:
        negative = b.icmp_signed("<", index, ir.Constant(I64, 0))
        at = b.select(negative, b.add(index, length), index)
    is_plain = b.icmp_unsigned("<", at, length)
    if not is_narrow_text(text):
        is_plain = b.and_(is_plain, is_narrow(b, self))
    narrow, other, both = (f.llvm.append_basic_block(n) for n in ("narrow", "other", "both"))
    b.cbranch(is_plain, narrow, other).set_weights([100, 1])
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


@lower("str::contains")
def str_contains(f: FunctionEmitter, node: Node, self: ir.Value, part: ir.Value) -> object:
    """``part in self``: one character of a constant is looked up in a table."""
    text = node.inputs[0]
    if not (f.unit.level and is_narrow_text(text) and is_character(node.inputs[1])):
        return emit_native(f, node, self, part)
    marks = [int(chr(c) in text.constant) for c in range(objects.N_CHARACTERS)]
    kind = ir.ArrayType(I8, len(marks))
    table = f.unit.private("characters", ir.Constant(kind, bytearray(marks)), constant=True)
    unit = heap.load_field(f.b, part, I8, objects.STR_DATA, TEXT)
    place = tensors.byte_gep(f.b, tensors.address(table), f.b.zext(unit, I64))
    mark = f.b.load(place, typ=I8)
    return f.b.select(is_narrow(f.b, part), mark, ir.Constant(I8, 0))


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
    is_plain = is_narrow(b, self)
    if not is_character(node.inputs[0]):
        is_plain = b.and_(is_plain, b.icmp_signed("==", load_length(b, self), one))
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
