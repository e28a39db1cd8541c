"""Emit one function of a program as LLVM code.

::

    graph(%x: Tensor):                   i32 sm.forward(ptr ctx, ptr x, ptr result) {
      %1: Tensor = aten::relu(%x)          %status = call i32 sm_op.aten::relu(ctx, x, slot0)
      return (%1)                          br (%status != 0), error, next
                                         next:
                                           %1 = load slot0; store %1, result; ret 0
                                         error:  note the place; release all slots; ret 1

A value that owns references has them in slots from its definition until it is released or moved.
Values are SSA values besides; slots are only read by the error path.  Control flow is in
``control``, ops are in the tables of ``lowering``.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from llvmlite import ir

from scriptmode.abi.convention import (
    HOST_FIELDS,
    I1,
    I8,
    I32,
    I64,
    PTR,
    STATUS_ERROR,
    STATUS_OK,
    TRACE_CAPACITY,
    ctx_field,
    ctx_offset,
)
from scriptmode.abi.layouts import llvm_type
from scriptmode.analysis.edges import Edges
from scriptmode.analysis.intervals import Intervals
from scriptmode.analysis.ownership import Ownership
from scriptmode.codegen import heap, lowering, tensors
from scriptmode.codegen.flow import Flow, Held, Landing
from scriptmode.codegen.slots import Slot, SlotArray, emit_release_all, store_slot
from scriptmode.codegen.unit import NULL, VOID, Unit
from scriptmode.codegen.values import Count, coerce, leaf_value, leaves
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Graph, Node, Value
from scriptmode.ir.types import Type
from scriptmode.ops import table
from scriptmode.support.diagnostics import Diagnostic, NotBuiltError

IS_GRAD_ENABLED = "aoti_torch_grad_mode_is_enabled"
SET_GRAD_ENABLED = "aoti_torch_grad_mode_set_enabled"
MOST_GUARDS = 24  # of tensors that are tested in line
NOTED = -1  # instead of a location: the error has passed this place before
_TYPE_OF_COUNT = {Count.OBJECT: T.STR, Count.TENSOR: T.TENSOR}


class FunctionEmitter:
    """State of one function: builder ``b``, values, slots, and the blocks of the error path."""

    def __init__(self, unit: Unit, graph: Graph, ownership: Ownership) -> None:
        self.unit = unit
        self.graph = graph
        self.ownership = ownership
        self.edges = Edges(unit.program, graph)
        self.intervals = Intervals(graph if unit.level else None)
        self.llvm = unit.functions[graph.name]
        self.ctx = self.llvm.args[0]
        self.result = self.llvm.args[-1]
        self.values: dict[Value, ir.Value] = {}
        self.held: Held = {}
        self.local_cells: dict[Value, tuple[ir.Value, ir.Value]] = {}  # in the frame: flag, value
        self.pending: Counter[Value] = Counter()  # references from prim::retain, not yet consumed
        self.entry = ir.IRBuilder(self.llvm.append_basic_block("entry"))
        self.b = ir.IRBuilder(self.llvm.append_basic_block("start"))
        self.error = self.new_landing("error")
        self.landing = self.error  # where errors of the code being emitted go
        self.arrays: dict[Count, SlotArray] = {}
        self.taken: list[set[Slot]] = []  # slots used by the blocks whose errors are caught
        self.flow = Flow()
        self.poll_flag: ir.Value | None = None
        self.grad_mode: ir.Value | None = None  # that an error brings back
        self._temporaries: dict[str, list[ir.Value]] = {}
        self._lent: list[tuple[str, ir.Value]] = []

    @functools.cached_property
    def has_many_guards(self) -> bool:
        """Whether tests of tensors would make most of the function, which LLVM takes long for."""
        kinds = ("tensor::fits", "prim::Region")
        return sum(len(self.graph.find_all(kind)) for kind in kinds) > MOST_GUARDS

    # ---- the whole ----

    def new_landing(self, name: str) -> Landing:
        """A block that errors may be sent to."""
        block = self.llvm.append_basic_block(name)
        return Landing(block, ir.IRBuilder(block).phi(I64, name="location"))

    def emit(self) -> None:
        """Emit the body; the function is complete afterwards."""
        for param, argument in zip(self.graph.params, self.llvm.args[1:-1], strict=True):
            self.values[param] = argument
            size = heap.readable_bytes(param.type)
            if size:
                argument.attributes.dereferenceable = size
                argument.attributes.align = 8
        if self.graph.name in self.unit.recursive:
            self._check_stack()
        if self.graph.find_all("torch::guard_grad_mode"):
            self.grad_mode = self.b.call(self.unit.external(IS_GRAD_ENABLED, I1, []), [])
        self.block(self.graph.block)
        self._finish()

    def block(self, block: Block) -> None:
        """Emit nodes and terminator; stops early where the rest cannot be reached."""
        node = block.first
        while node is not None and not self.b.block.is_terminated:
            self.node(node)
            node = node.next

    def node(self, node: Node) -> None:
        """Emit one node."""
        self.unit.current = node
        lowering_of = lowering_for(node)
        if lowering.is_raw(node.kind):
            results = lowering_of(self, node)
        else:
            results = lowering_of(self, node, *self.inputs(node))
        if results is not lowering.DEFINED:
            if results is None:
                results = []
            elif not isinstance(results, list):
                results = [results]
            for output, value in zip(node.outputs, results, strict=True):
                self.define(output, value)
        for key, place in self._lent:
            self._temporaries[key].append(place)
        self._lent.clear()

    def inputs(self, node: Node) -> list[ir.Value]:
        """Inputs in the representation of their places."""
        return [
            self.value_as(v, place)
            for v, place in zip(node.inputs, self.edges.places(node), strict=True)
        ]

    @property
    def may_repeat(self) -> bool:
        """Whether the code being emitted may run often in one call of the program.

        Only such code counts references inline: elsewhere the calls cost less than to compile it.
        """
        name, unit = self.graph.name, self.unit
        is_outermost = name == unit.program.root and name not in unit.recursive
        return unit.level > 0 and (self.flow.depth > 0 or not is_outermost)

    def edges_of_callee(self, node: Node) -> Edges:
        """The place types of the function that a ``prim::Call`` calls."""
        return Edges(self.unit.program, self.edges.callee(node))

    def value_as(self, value: Value, target: Type) -> ir.Value:
        """A value converted to a supertype."""
        return coerce(self.b, self.unit, self.values[value], value.type, target)

    def _finish(self) -> None:
        self._emit_error_path()
        # other builders may have appended to the entry block
        self.entry.position_at_end(self.entry.block)
        for array in self.arrays.values():
            array.finish()
        self.entry.branch(self.llvm.blocks[1])

    def _emit_error_path(self) -> None:
        if not self.error.location.incomings:
            self.llvm.blocks.remove(self.error.block)
            return
        b = ir.IRBuilder(self.error.block)
        b.call(trace_function(self.unit), [self.ctx, self.error.location])
        for array in self.arrays.values():
            emit_release_all(b, self.unit, array)
        if self.grad_mode is not None:
            b.call(self.unit.external(SET_GRAD_ENABLED, VOID, [I1]), [self.grad_mode])
        b.ret(ir.Constant(I32, STATUS_ERROR))

    # ---- values and ownership ----

    def define(self, value: Value, llvm: ir.Value) -> None:
        """Give a value its LLVM value, and slots if it owns references."""
        self.values[value] = llvm
        if self.ownership.is_owned(value):
            parts = leaves(value.type)
            self.hold(value, [self.array(leaf.count).take() for leaf in parts])

    def hold(self, value: Value, slots: Sequence[Slot]) -> None:
        """Store the counted parts of a value that has its LLVM value into slots."""
        llvm = self.values[value]
        for leaf, slot in zip(leaves(value.type), slots, strict=True):
            store_slot(self.b, leaf_value(self.b, llvm, leaf), slot)
        self.held[value] = tuple(slots)

    def array(self, count: Count) -> SlotArray:
        """The slots of one way of counting."""
        found = self.arrays.get(count)
        if found is None:
            found = self.arrays[count] = SlotArray(count, self.entry, self.taken)
        return found

    def give_up(self, value: Value) -> None:
        """Make the slots of a moved or released value null and free."""
        for slot in self.held.pop(value):
            self.clear(slot)
            self.arrays[slot.count].free.append(slot)

    def clear(self, slot: Slot) -> None:
        """Make a slot null."""
        store_slot(self.b, NULL, slot)

    def retain(self, llvm: ir.Value, t: Type) -> None:
        """Count one more owner of all parts of a value."""
        for leaf in leaves(t):
            part = leaf_value(self.b, llvm, leaf)
            if leaf.count is Count.ANY:
                place = self.spill(part)
                retain = self.unit.native("sm_slot_retain", VOID, [PTR, PTR])
                self.b.call(retain, [place, self.unit.descriptor(T.ANY)])
            elif leaf.count is Count.OBJECT:
                heap.retain(self.b, self.unit, part, t, inline=self.may_repeat)
            elif leaf.count is Count.COUNTED:
                self._call_tensor_function(tensors.RETAIN_COUNTED, part)
            elif leaf.nullable:
                with self.b.if_then(self.b.icmp_unsigned("!=", part, NULL)):
                    self._call_tensor_function(tensors.RETAIN, part)
            else:
                self._call_tensor_function(tensors.RETAIN, part)

    def release(self, llvm: ir.Value, t: Type, *, may_be_zero: bool = False) -> None:
        """Count one owner less of all parts of a value, which ``may_be_zero`` as a whole."""
        for leaf in leaves(t):
            part = leaf_value(self.b, llvm, leaf)
            if may_be_zero and leaf.count is Count.COUNTED:
                with self.b.if_then(self.b.icmp_unsigned("!=", part, NULL)):
                    self._call_tensor_function(tensors.RELEASE_COUNTED, part)
                continue
            if leaf.count is Count.ANY:
                place = self.spill(part)
                drop = self.unit.native("sm_slot_drop", VOID, [PTR, PTR])
                self.b.call(drop, [place, self.unit.descriptor(T.ANY)])
            elif leaf.count is Count.OBJECT:
                heap.release(self.b, self.unit, part, t, inline=self.may_repeat)
            elif leaf.count is Count.COUNTED:
                self._call_tensor_function(tensors.RELEASE_COUNTED, part)
            elif leaf.nullable or may_be_zero:
                with self.b.if_then(self.b.icmp_unsigned("!=", part, NULL)):
                    self._call_tensor_function(tensors.RELEASE, part)
            else:
                self._call_tensor_function(tensors.RELEASE, part)

    def _call_tensor_function(self, name: str, pointer: ir.Value) -> None:
        self.b.call(tensors.tensor_function(self.unit.module, name), [pointer])

    # ---- memory ----

    def temporary(self, t: ir.Type) -> ir.Value:
        """Memory for a ``t`` in the frame, until the current node is done."""
        key = str(t)
        free = self._temporaries.setdefault(key, [])
        if free:
            place = free.pop()
        else:
            place = self.entry.alloca(t)
            place.type = PTR
        self._lent.append((key, place))
        return place

    @contextlib.contextmanager
    def owned_slot(self, count: Count) -> Iterator[Slot]:
        """A slot for an object that only the current node needs; released at the end."""
        slot = self.array(count).take()
        yield slot
        self.release(self.b.load(slot.address, typ=PTR), _TYPE_OF_COUNT[count])
        self.clear(slot)
        self.arrays[count].free.append(slot)

    def spill(self, value: ir.Value) -> ir.Value:
        """Address of a value, until the current node is done."""
        place = self.temporary(value.type)
        self.b.store(value, place)
        return place

    # ---- calls and errors ----

    def checked_call(
        self, callee: ir.Value, arguments: Sequence[ir.Value], outputs: Sequence[Value]
    ) -> None:
        """Call a function that gives a status; define ``outputs`` from its result pointers."""
        self.checked(lambda places: self.b.call(callee, [self.ctx, *arguments, *places]), outputs)

    def checked(self, call: Callable[[list[ir.Value]], ir.Value], outputs: Sequence[Value]) -> None:
        """Define ``outputs`` by what ``call(result pointers)`` does, which gives a status.

        A result that is one counted pointer is written into its slot directly.
        """
        places: list[ir.Value] = []
        direct: dict[Value, Slot] = {}
        for output in outputs:
            parts = leaves(output.type)
            if len(parts) == 1 and not parts[0].path and self.ownership.is_owned(output):
                slot = self.array(parts[0].count).take()
                direct[output] = slot
                places.append(slot.address)
            else:
                places.append(self.temporary(llvm_type(output.type)))
        self.check(call(places))
        for output, place in zip(outputs, places, strict=True):
            llvm = self.b.load(place, typ=llvm_type(output.type))
            if output in direct:
                heap.mark_readable(self.b.module, llvm, output.type)
                self.values[output] = llvm
                self.held[output] = (direct[output],)
            else:
                self.define(output, llvm)

    def native_call(
        self, name: str, arguments: Sequence[ir.Value], outputs: Sequence[Value] = ()
    ) -> None:
        """``checked_call`` of a native library function ``i32 name(ctx, arguments, results)``."""
        types = [PTR, *(a.type for a in arguments), *([PTR] * len(outputs))]
        self.checked_call(self.unit.native(name, I32, types), arguments, outputs)

    def native_result(self, name: str, arguments: Sequence[ir.Value], result: ir.Type) -> ir.Value:
        """Call ``i32 name(ctx, arguments, ptr result)``; the (not counted) result."""
        place = self.temporary(result)
        types = [PTR, *(a.type for a in arguments), PTR]
        self.check(self.b.call(self.unit.native(name, I32, types), [self.ctx, *arguments, place]))
        return self.b.load(place, typ=result)

    def native_value(self, name: str, result: ir.Type, arguments: Sequence[ir.Value]) -> ir.Value:
        """Call a native library function that cannot fail."""
        return self.b.call(
            self.unit.native(name, result, [a.type for a in arguments]), list(arguments)
        )

    def check(self, status: ir.Value) -> None:
        """Go to the landing when a status is an error."""
        self.fail_if(self.b.icmp_unsigned("!=", status, ir.Constant(I32, STATUS_OK)))

    def fail_if(self, flag: ir.Value) -> None:
        """Go to the landing, with the error in the context, when ``flag`` (i1) is set."""
        following = self.llvm.append_basic_block("next")
        self._rarely(self.b.cbranch(flag, self.landing.block, following))
        self._error_from(self.b.block)
        self.b.position_at_end(following)

    def fail(self, *, noted: bool = False) -> None:
        """Go to the landing; the error is in the context, its place already ``noted`` or not."""
        self._error_from(self.b.block, noted=noted)
        self.b.branch(self.landing.block)

    def _error_from(self, block: ir.Block, *, noted: bool = False) -> None:
        node = self.unit.current
        location = NOTED if noted else 0 if node is None else self.unit.location(node.span)
        self.landing.location.add_incoming(ir.Constant(I64, location), block)

    def _rarely(self, branch: ir.ConditionalBranch) -> None:
        """Tell LLVM that a branch is rarely taken; pointless when nothing is optimised."""
        if self.unit.level:
            branch.set_weights([1, 1000])

    @contextlib.contextmanager
    def unlikely(self, flag: ir.Value) -> Iterator[None]:
        """Code for when ``flag`` is set; it may leave the function or run on."""
        inside = self.llvm.append_basic_block("unlikely")
        after = self.llvm.append_basic_block("next")
        self._rarely(self.b.cbranch(flag, inside, after))
        self.b.position_at_end(inside)
        yield
        if not self.b.block.is_terminated:
            self.b.branch(after)
        self.b.position_at_end(after)

    def raise_if(
        self, flag: ir.Value, exception: type[BaseException], message: str | None = None
    ) -> None:
        """Raise an exception with a constant message when ``flag`` is set."""
        with self.unlikely(flag):
            self.raise_(exception, NULL if message is None else self.unit.text(message))

    def raise_(self, exception: type[BaseException], message: ir.Value) -> None:
        """Raise; ``message`` is an owned (or immortal) str, or null."""
        raising = self.unit.native("sm_raise", I32, [PTR, PTR, PTR])
        cls = self.b.load(self.unit.cell(exception), typ=PTR)
        self.b.call(raising, [self.ctx, cls, message])
        self.fail()

    def raise_memory_error_if(self, flag: ir.Value) -> None:
        """Raise MemoryError when ``flag`` is set."""
        with self.unlikely(flag):
            self.b.call(self.unit.native("sm_raise_memory_error", I32, [PTR]), [self.ctx])
            self.fail()

    def raise_overflow_if(self, flag: ir.Value) -> None:
        """Raise OverflowError for an int that leaves 64 bits."""
        with self.unlikely(flag):
            self.b.call(self.unit.native("sm_raise_overflow", I32, [PTR]), [self.ctx])
            self.fail()

    def _check_stack(self) -> None:
        frame = self.unit.intrinsic("llvm.frameaddress.p0", PTR, [I32])
        here = self.b.ptrtoint(self.b.call(frame, [ir.Constant(I32, 0)]), I64)
        limit = self.b.load(ctx_field(self.b, self.ctx, "stack_limit"), typ=I64)
        used_up = self.b.icmp_unsigned("<", here, limit)
        self.raise_if(used_up, RecursionError, "maximum recursion depth exceeded")

    def poll(self) -> None:
        """Let the host handle signals when it has asked for it."""
        if self.poll_flag is None:
            self.poll_flag = self.entry.load(ctx_field(self.entry, self.ctx, "poll_flag"), typ=PTR)
        flag = self.b.load_atomic(self.poll_flag, "monotonic", 1, typ=I8)
        with self.unlikely(self.b.icmp_unsigned("!=", flag, ir.Constant(I8, 0))):
            if self.unit.level:
                self.check(self.b.call(poll_function(self.unit), [self.ctx]))
            else:
                self.check(self.host_call("poll", []))

    def host_call(self, field: str, arguments: Sequence[ir.Value]) -> ir.Value:
        """Call a function of the host table; its status."""
        return call_host(self.b, self.ctx, field, arguments)


def lowering_for(node: Node) -> lowering.Lowering:
    """The lowering of a node: its own, the thunk of a registered op, or the native library's."""
    found = lowering.find(node.kind)
    if found is None and node.schema is not None:
        is_ours = table.find(node.kind) is not None
        found = lowering.find("*" if is_ours else "aten::*")
    if found is None:
        raise not_built(node, f"no native code for {node.kind} yet")
    return found


def call_host(
    b: ir.IRBuilder, ctx: ir.Value, field: str, arguments: Sequence[ir.Value]
) -> ir.Value:
    """Call a function of the host table; its status."""
    table = b.load(ctx_field(b, ctx, "host"), typ=PTR)
    place = tensors.byte_gep(b, table, host_offset(field))
    ftype = ir.FunctionType(I32, [PTR, *(a.type for a in arguments)])
    # typed while it is loaded: llvmlite asks a callee for its type
    function = b.load(place, typ=ftype.as_pointer())
    return b.call(function, [ctx, *arguments])


def host_offset(field: str) -> int:
    """Byte offset of a function pointer in the host table."""
    return 8 * HOST_FIELDS.index(field)


def not_built(node: Node, message: str) -> NotBuiltError:
    """The error for an op that has no native code."""
    return NotBuiltError(Diagnostic("SM0901", message, node.span))


def refuse_tensors(node: Node) -> None:
    """Refuse to compare values that have tensors in them: that may be ambiguous in Python."""
    if any(T.TENSOR in T.walk(v.type) for v in node.inputs):
        raise not_built(node, f"comparing containers of tensors ({node.kind}) is not built yet")


def poll_function(unit: Unit) -> ir.Function:
    """The module's function that lets the host handle signals.

    It is said not to touch the heap, so that lengths stay in registers: a handler changes nothing
    that the running program looks at, but the exception in the context.
    """
    found = unit.module.globals.get("sm.poll")
    if found is not None:
        return found
    function = ir.Function(unit.module, ir.FunctionType(I32, [PTR]), "sm.poll")
    function.linkage = "internal"
    for attribute in ("nounwind", "noinline", "cold", "inaccessiblememonly"):
        function.attributes.add(attribute)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    b.ret(call_host(b, function.args[0], "poll", []))
    return function


def trace_function(unit: Unit) -> ir.Function:
    """The module's function that appends a location id to the trace of an error."""
    found = unit.module.globals.get("sm.trace")
    if found is not None:
        return found
    function = ir.Function(unit.module, ir.FunctionType(VOID, [PTR, I64]), "sm.trace")
    function.linkage = "internal"
    function.attributes.add("nounwind")
    function.attributes.add("noinline")
    ctx, location = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    length = b.load(ctx_field(b, ctx, "trace_length"), typ=I64)
    is_new = b.icmp_signed("!=", location, ir.Constant(I64, NOTED))
    has_room = b.icmp_unsigned("<", length, ir.Constant(I64, TRACE_CAPACITY))
    with b.if_then(b.and_(is_new, has_room)):
        data = tensors.load(b, ctx, PTR, ctx_offset("trace_data"))
        place = tensors.byte_gep(b, data, b.mul(length, ir.Constant(I64, 8)))
        b.store(location, place)
        b.store(b.add(length, ir.Constant(I64, 1)), ctx_field(b, ctx, "trace_length"))
    b.ret_void()
    return function
