"""Lowerings of list, dict and tuple ops.

Lists of unboxed plain elements (ints, floats, bools, ...) are read and written inline with a bounds
check; the rest goes to the native library.  A list that is only lent to ATen ops lies in the frame.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I32, I64, PTR
from scriptmode.abi.layouts import llvm_type, size_of, size_of_llvm
from scriptmode.analysis.ownership import is_counted, is_stack_list
from scriptmode.codegen import heap, tensors
from scriptmode.codegen.arrays import array_place, copy_elements
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.scalars import with_overflow
from scriptmode.codegen.structural import take_over
from scriptmode.codegen.unit import NULL, VOID
from scriptmode.codegen.values import boolean, is_null, truth, zero
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node

HEADER_WORDS = objects.LIST_SIZE // 8


def lent_list(f: FunctionEmitter, element: ir.Type, values: Sequence[ir.Value]) -> ir.Value:
    """An immortal list in the frame, for callees that only read it; it has no descriptor."""
    if all(isinstance(v, ir.Constant) for v in values):
        return f.unit.constant_list(element, values)
    size = size_of_llvm(element)
    words = HEADER_WORDS + -(-size * len(values) // 8)
    memory = f.entry.alloca(ir.ArrayType(I64, words))
    memory.align = 16
    memory.type = PTR
    data = tensors.byte_gep(f.entry, memory, objects.LIST_SIZE)
    count = ir.Constant(I64, len(values))
    for offset, field in (
        (objects.HEAP_COUNT, ir.Constant(I64, objects.IMMORTAL)),
        (objects.HEAP_DESCRIPTOR, NULL),
        (objects.LIST_LENGTH, count),
        (objects.LIST_CAPACITY, count),
        (objects.LIST_DATA, data),
    ):
        tensors.store(f.entry, field, memory, offset)
    for index, value in enumerate(values):
        tensors.store(f.b, value, data, index * size)
    return memory


@lower("prim::ListConstruct", "prim::VarTupleConstruct")
def list_construct(f: FunctionEmitter, node: Node, *values: ir.Value) -> ir.Value:
    """A new list, or one in the frame."""
    t = node.output.type
    held = t.contained[0] if t.contained else T.INT
    element = llvm_type(held)
    if is_stack_list(node):
        return lent_list(f, element, values)
    made = new_list(f, f.unit.descriptor(t), len(values))
    if values:
        data = tensors.load(f.b, made, PTR, objects.LIST_DATA)
        size = size_of(held)
        for index, value in enumerate(values):
            put_element(f, value, tensors.byte_gep(f.b, data, index * size), held)
        tensors.store(f.b, ir.Constant(I64, len(values)), made, objects.LIST_LENGTH)
    take_over(f, node)
    return made


def put_element(f: FunctionEmitter, value: ir.Value, place: ir.Value, t: T.Type) -> None:
    """Store an element; an array lies in its place as a whole."""
    if isinstance(t, T.ArrayType):
        copy_elements(f, value, place, t)
    else:
        heap.store_element(f.b, value, place)


def new_list(f: FunctionEmitter, descriptor: ir.Value, capacity: int) -> ir.Value:
    """An empty list with room; raises MemoryError."""
    made = f.native_value("sm_list_new", PTR, [descriptor, ir.Constant(I64, capacity)])
    f.raise_memory_error_if(is_null(f.b, made))
    return made


@lower("prim::DictConstruct")
def dict_construct(f: FunctionEmitter, node: Node, *values: ir.Value) -> object:
    """A new dict; later values replace those of equal keys."""
    descriptor = f.unit.descriptor(node.output.type)
    f.native_call("sm_dict_new", [descriptor], node.outputs)
    made = f.values[node.output]
    for key, value in zip(values[::2], values[1::2], strict=True):
        types = [PTR, PTR, PTR, PTR]
        insert = f.unit.native("sm_dict_setitem", I32, types)
        f.check(f.b.call(insert, [f.ctx, made, f.spill(key), f.spill(value)]))
    return DEFINED


# ---- lists ----


@lower("list::len")
def list_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    return heap.list_length(f.b, self)


_INSIDE = ("list::getitem_inside", "list::setitem_inside")


def place_of(
    f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value, size: int, error: str
) -> ir.Value:
    """Address of an element; a negative index counts from the end, one outside raises."""
    b = f.b
    if node.kind in _INSIDE:
        return tensors.byte_gep(b, heap.list_data(b, self), b.mul(index, ir.Constant(I64, size)))
    length = heap.list_length(b, self)
    if isinstance(index, ir.Constant):
        at = index if index.constant >= 0 else b.add(index, length)
    elif f.intervals.inputs_of(node)[1][0] >= 0:
        at = index
    else:
        negative = b.icmp_signed("<", index, ir.Constant(I64, 0))
        at = b.select(negative, b.add(index, length), index)
    with f.unlikely(b.icmp_unsigned(">=", at, length)):
        b.call(f.unit.native(error, I32, [PTR]), [f.ctx])
        f.fail()
    data = heap.list_data(b, self)
    return tensors.byte_gep(b, data, b.mul(at, ir.Constant(I64, size)))


@lower("list::getitem", "list::getitem_inside")
def list_getitem(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> ir.Value:
    """``self[index]``."""
    t = node.inputs[0].type.contained[0]
    place = place_of(f, node, self, index, size_of(t), "sm_list_index_error")
    if isinstance(t, T.ArrayType):
        copy = array_place(f, t)  # the list's memory may move
        copy_elements(f, place, copy, t)
        return copy
    value = heap.load_element(f.b, place, t)
    if f.ownership.is_owned(node.output):
        f.retain(value, t)
    return value


def list_index(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> ir.Value:
    """An index counted from the start, which may be outside."""
    if f.intervals.inputs_of(node)[1][0] >= 0:
        return index
    negative = f.b.icmp_signed("<", index, ir.Constant(I64, 0))
    return f.b.select(negative, f.b.add(index, heap.list_length(f.b, self)), index)


def is_inside(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> ir.Value:
    """Whether there is an element, as i1."""
    at = list_index(f, node, self, index)
    return f.b.icmp_unsigned("<", at, heap.list_length(f.b, self))


@lower("list::has_index")
def list_has_index(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> ir.Value:
    """Whether there is an element."""
    return boolean(f.b, is_inside(f, node, self, index))


@lower("list::covers")
def list_covers(
    f: FunctionEmitter,
    node: Node,
    self: ir.Value,
    low: ir.Value,
    end: ir.Value,
    plus: ir.Value,
    minus: ir.Value,
) -> ir.Value:
    """Whether ``low < end`` and all ints from one to the other, moved, are indices."""
    b, wide = f.b, ir.IntType(128)
    by = b.sub(b.sext(plus, wide), b.sext(minus, wide))
    first, last = b.add(b.sext(low, wide), by), b.add(b.sext(end, wide), by)
    starts = b.icmp_signed(">=", first, ir.Constant(wide, 0))
    ends = b.icmp_signed("<=", last, b.zext(heap.list_length(b, self), wide))
    return boolean(b, b.and_(b.and_(b.icmp_signed("<", low, end), starts), ends))


@lower("list::check_index")
def list_check_index(f: FunctionEmitter, node: Node, inside: ir.Value) -> None:
    """IndexError unless there is an element."""
    with f.unlikely(f.b.not_(truth(f.b, inside))):
        f.b.call(f.unit.native("sm_list_index_error", I32, [PTR]), [f.ctx])
        f.fail()


@lower("list::peek")
def list_peek(f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value) -> ir.Value:
    """The element, or an empty value of its type."""
    t = node.output.type
    data = heap.list_data(f.b, self)
    offset = f.b.mul(list_index(f, node, self, index), ir.Constant(I64, size_of_llvm(llvm_type(t))))
    place = tensors.byte_gep(f.b, data, offset)
    found = f.b.select(is_inside(f, node, self, index), place, empty_value(f, t))
    value = heap.load_element(f.b, found, t)
    if f.ownership.is_owned(node.output):
        f.retain(value, t)
    return value


def empty_value(f: FunctionEmitter, t: T.Type) -> ir.Value:
    """Address of an empty value of a type that has one."""
    value = zero(llvm_type(t))
    if t == T.STR:
        value = f.unit.text("")
    elif isinstance(t, T.ListType):
        value = f.unit.constant_list(llvm_type(t.element), [], f.unit.descriptor(t))
    return tensors.address(f.unit.private("empty", value, constant=True))


@lower("list::setitem", "list::setitem_inside")
def list_setitem(
    f: FunctionEmitter, node: Node, self: ir.Value, index: ir.Value, value: ir.Value
) -> None:
    """``self[index] = value``; the old value goes last."""
    t = node.inputs[0].type.contained[0]
    place = place_of(f, node, self, index, size_of(t), "sm_list_assignment_error")
    if not is_counted(t):
        put_element(f, value, place, t)
        return
    f.retain(value, t)
    old = heap.load_element(f.b, place, t)
    heap.store_element(f.b, value, place)
    f.release(old, t)


@lower("list::reserve")
def list_reserve(f: FunctionEmitter, node: Node, self: ir.Value, more: ir.Value) -> None:
    """Room for what a loop appends."""
    f.b.call(f.unit.native("sm_list_make_room", VOID, [PTR, I64]), [self, more])


@lower("list::append")
def list_append(f: FunctionEmitter, node: Node, self: ir.Value, value: ir.Value) -> None:
    """``self.append(value)``."""
    t = node.inputs[0].type.contained[0]
    length = heap.list_length(f.b, self)
    capacity = heap.load_field(f.b, self, I64, objects.LIST_CAPACITY, heap.CAPACITY)
    longer = f.b.add(length, ir.Constant(I64, 1), flags=["nsw"])
    with f.unlikely(f.b.icmp_signed(">=", length, capacity)):
        made = f.native_value("sm_list_reserve", I64, [self, longer])
        f.raise_memory_error_if(f.b.icmp_signed("==", made, ir.Constant(I64, 0)))
    f.retain(value, t)
    data = heap.list_data(f.b, self)
    size = ir.Constant(I64, size_of(t))
    put_element(f, value, tensors.byte_gep(f.b, data, f.b.mul(length, size)), t)
    heap.store_field(f.b, longer, self, objects.LIST_LENGTH, heap.LENGTH)


@lower("list::has_room")
def list_has_room(f: FunctionEmitter, node: Node, self: ir.Value, more: ir.Value) -> ir.Value:
    """Whether so many elements can be appended where the list lies."""
    capacity = heap.load_field(f.b, self, I64, objects.LIST_CAPACITY, heap.CAPACITY)
    return boolean(f.b, f.b.icmp_signed("<=", more, f.b.sub(capacity, heap.list_length(f.b, self))))


@lower("list::append_at")
def list_append_at(
    f: FunctionEmitter, node: Node, self: ir.Value, length: ir.Value, value: ir.Value
) -> None:
    """``self.append(value)`` where there is room, and the length is known."""
    t = node.inputs[0].type.contained[0]
    f.retain(value, t)
    offset = f.b.mul(length, ir.Constant(I64, size_of(t)))
    put_element(f, value, tensors.byte_gep(f.b, heap.list_data(f.b, self), offset), t)
    longer = f.b.add(length, ir.Constant(I64, 1), flags=["nsw"])
    heap.store_field(f.b, longer, self, objects.LIST_LENGTH, heap.LENGTH)


# ---- ranges ----


@lower("range::length")
def range_length(
    f: FunctionEmitter, node: Node, start: ir.Value, stop: ir.Value, step: ir.Value
) -> ir.Value:
    """``len(range(start, stop, step))``, at most the largest int."""
    if not (isinstance(step, ir.Constant) and step.constant > 0):
        return f.native_result("sm_range_length", [start, stop, step], I64)
    zero, one = ir.Constant(I64, 0), ir.Constant(I64, 1)
    width = f.b.sub(stop, start)  # unsigned: up to 2**64 - 1
    if step.constant != 1:
        width = f.b.add(f.b.udiv(f.b.sub(width, one), step), one)
    else:  # a loop of more trips than an int counts never ends
        width = f.b.select(f.b.icmp_signed("<", width, zero), ir.Constant(I64, 2**63 - 1), width)
    return f.b.select(f.b.icmp_signed("<", start, stop), width, zero)


@lower("range::item")
def range_item(
    f: FunctionEmitter, node: Node, start: ir.Value, stop: ir.Value, step: ir.Value, i: ir.Value
) -> ir.Value:
    """``start + i * step``, which lies between start and stop."""
    one = isinstance(step, ir.Constant) and step.constant == 1
    offset = i if one else f.b.mul(i, step, flags=["nsw"])
    return f.b.add(start, offset, flags=["nsw"])


# ---- Tuple[T, ...] and Size ----


@lower("tuple::as_list", raw=True)
def tuple_as_list(f: FunctionEmitter, node: Node) -> ir.Value:
    """The same object, read as a list."""
    return f.values[node.inputs[0]]


@lower("tuple::from_list", "size::from_list", raw=True)
def tuple_from_list(f: FunctionEmitter, node: Node) -> object:
    """A copy that nothing writes."""
    (source,) = node.inputs
    t = node.output.type
    pointer = f.values[source]
    data = tensors.load(f.b, pointer, PTR, objects.LIST_DATA)
    length = tensors.load(f.b, pointer, I64, objects.LIST_LENGTH)
    if isinstance(t, T.TupleType):  # of a known length
        return elements_of(f, node, pointer, data, length)
    f.native_call("sm_list_from", [f.unit.descriptor(t), data, length], node.outputs)
    return DEFINED


def elements_of(
    f: FunctionEmitter, node: Node, pointer: ir.Value, data: ir.Value, length: ir.Value
) -> ir.Value:
    """A tuple of fixed length from a list; ValueError when the lengths differ."""
    t = node.output.type
    element = node.inputs[0].type.contained[0]
    llvm = llvm_type(element)
    wrong = f.b.icmp_signed("!=", length, ir.Constant(I64, len(t.contained)))
    f.raise_if(wrong, ValueError, f"expected {len(t.contained)} values")
    found: ir.Value = ir.Constant(llvm_type(t), ir.Undefined)
    for index in range(len(t.contained)):
        value = tensors.load(f.b, data, llvm, index * size_of_llvm(llvm))
        f.retain(value, element)
        found = f.b.insert_value(found, value, index)
    return found


# ---- dicts ----


@lower("dict::len")
def dict_len(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """``len(self)``."""
    return tensors.load(f.b, self, I64, objects.DICT_LENGTH)


def entry_layout(t: T.Type) -> tuple[int, int]:
    """Where the value lies in an entry of a dict, and the entry's size."""
    key, value = (-(-size_of_llvm(llvm_type(e)) // 8) * 8 for e in t.contained)
    at = objects.ENTRY_KEY + key
    return at, at + value


@lower("dict::find")
def dict_find(f: FunctionEmitter, node: Node, self: ir.Value, key: ir.Value) -> ir.Value:
    """The number of a key's entry, or -1."""
    t = node.inputs[0].type
    step = ir.Constant(I64, entry_layout(t)[1])
    if t.contained[0] == T.STR:
        return f.native_value("sm_dict_find_str", I64, [self, key, step])
    if t.contained[0] != T.INT:
        return f.native_value("sm_dict_find_simple", I64, [self, f.spill(key), step])
    if not f.unit.level:
        return f.native_value("sm_dict_find_int", I64, [self, key, step])
    return _find_int(f, self, key, step)


def _find_int(f: FunctionEmitter, self: ir.Value, key: ir.Value, step: ir.Value) -> ir.Value:
    """Look inline where most ints are, and search only when another key or none is there.

    The place is right for ints that are their own hash; whatever it is, the index names live
    entries alone, and one with the key is the one that a search finds.
    """
    b = f.b
    mask = tensors.load(b, self, I64, objects.DICT_MASK)
    index = tensors.load(b, self, PTR, objects.DICT_INDEX)
    number = b.load(tensors.byte_gep(b, index, _eight_times(b, b.and_(key, mask))), typ=I64)
    live, other, both = (f.llvm.append_basic_block(n) for n in _FIND_BLOCKS)
    is_live = b.icmp_signed(">=", number, ir.Constant(I64, 0))
    b.cbranch(is_live, live, other).set_weights([100, 1])
    b.position_at_end(live)
    entries = heap.load_field(b, self, PTR, objects.DICT_ENTRIES, heap.DATA)
    entry = tensors.byte_gep(b, entries, b.mul(number, step))
    found = tensors.load(b, entry, I64, objects.ENTRY_KEY)
    b.cbranch(b.icmp_signed("==", found, key), both, other).set_weights([100, 1])
    b.position_at_end(other)
    searched = f.native_value("sm_dict_find_int", I64, [self, key, step])
    b.branch(both)
    b.position_at_end(both)
    result = b.phi(I64)
    result.add_incoming(number, live)
    result.add_incoming(searched, other)
    return result


_FIND_BLOCKS = ("live", "search", "searched")


def _eight_times(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return b.shl(value, ir.Constant(I64, 3))


@lower("dict::check_found")
def dict_check_found(
    f: FunctionEmitter, node: Node, self: ir.Value, key: ir.Value, entry: ir.Value
) -> None:
    """KeyError of the key when the entry is -1."""
    with f.unlikely(f.b.icmp_signed("<", entry, ir.Constant(I64, 0))):
        f.b.call(f.unit.native("sm_key_error", I32, [PTR] * 3), [f.ctx, self, f.spill(key)])
        f.fail()


def entry_value(f: FunctionEmitter, node: Node, self: ir.Value, entry: ir.Value) -> ir.Value:
    """Address of the value of an entry."""
    at, step = entry_layout(node.inputs[0].type)
    entries = heap.load_field(f.b, self, PTR, objects.DICT_ENTRIES, heap.DATA)
    start = f.b.mul(entry, ir.Constant(I64, step))
    return tensors.byte_gep(f.b, tensors.byte_gep(f.b, entries, start), at)


@lower("dict::value_at")
def dict_value_at(f: FunctionEmitter, node: Node, self: ir.Value, entry: ir.Value) -> ir.Value:
    """The value of an entry."""
    t = node.inputs[0].type.contained[1]
    value = f.b.load(entry_value(f, node, self, entry), typ=llvm_type(t))
    if f.ownership.is_owned(node.output):
        f.retain(value, t)
    return value


@lower("dict::set_at")
def dict_set_at(
    f: FunctionEmitter, node: Node, self: ir.Value, entry: ir.Value, value: ir.Value
) -> None:
    """Replace the value of an entry; the old one goes last."""
    t = node.inputs[0].type.contained[1]
    place = entry_value(f, node, self, entry)
    if not is_counted(t):
        f.b.store(value, place)
        return
    f.retain(value, t)
    old = f.b.load(place, typ=llvm_type(t))
    f.b.store(value, place)
    f.release(old, t)


@lower("dict::keys", "dict::values", "dict::items")
def dict_lists(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A new list, whose descriptor the library asks for."""
    name = f"sm_dict_{node.kind.partition('::')[2]}"
    f.native_call(name, [self, f.unit.descriptor(node.output.type)], node.outputs)
    return DEFINED


@lower("list::contains_any", "dict::contains_any", raw=True)
def contains_any(f: FunctionEmitter, node: Node) -> object:
    """``value in self`` of a value of another type."""
    self, value = node.inputs
    arguments = [f.values[self], f.spill(f.values[value]), f.unit.descriptor(value.type)]
    f.native_call(f"sm_{node.kind.replace('::', '_')}", arguments, node.outputs)
    return DEFINED


@lower("dict::plain")
def dict_plain(f: FunctionEmitter, node: Node, self: ir.Value) -> object:
    """A plain dict with the entries of any."""
    f.native_call("sm_dict_new", [f.unit.descriptor(node.output.type)], node.outputs)
    update = f.unit.native("sm_dict_update", I32, [PTR, PTR, PTR])
    f.check(f.b.call(update, [f.ctx, f.values[node.output], self]))
    return DEFINED


@lower("dict::get")
def dict_get(f: FunctionEmitter, node: Node, self: ir.Value, key: ir.Value) -> object:
    """``self.get(key)``: the library writes the Optional that the descriptor tells."""
    arguments = [self, f.spill(key), f.unit.descriptor(node.output.type)]
    f.native_call("sm_dict_get", arguments, node.outputs)
    return DEFINED


@lower("dict::popitem", "dict::popitem_first")
def dict_popitem(f: FunctionEmitter, node: Node, self: ir.Value) -> list[ir.Value]:
    """``self.popitem()``: key and value."""
    pair = T.TupleType([o.type for o in node.outputs])
    name = f"sm_{node.kind.replace('::', '_')}"
    result = f.native_result(name, [self, f.unit.descriptor(pair)], llvm_type(pair))
    return [f.b.extract_value(result, index) for index in range(2)]


@lower("size::numel")
def size_numel(f: FunctionEmitter, node: Node, self: ir.Value) -> ir.Value:
    """The product of the sizes."""
    data = heap.list_data(f.b, self)
    product = f.temporary(I64)
    f.b.store(ir.Constant(I64, 1), product)
    with tensors.for_range(f.b, heap.list_length(f.b, self)) as index:
        place = tensors.byte_gep(f.b, data, f.b.mul(index, ir.Constant(I64, 8)))
        size = f.b.load(place, typ=I64)
        f.b.store(with_overflow(f, "smul", f.b.load(product, typ=I64), size), product)
    return f.b.load(product, typ=I64)
