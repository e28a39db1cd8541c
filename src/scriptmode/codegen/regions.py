"""Regions: a kernel of our own in place of torch's ops.

The tensors that a region reads must be as its facts say, and those that it writes in place must not
overlap with others.  Where that is not so, or an index is out of bounds, the region's function runs
instead, op by op::

        fit?  ---no--------------------+
         | yes                         |
    new tensors for the results        |
    kernel(...)  ---refused: drop them-+
         |                        f(tensors)
         +----------- done ------------+
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from llvmlite import ir

from scriptmode.abi.convention import I1, I8, I16, I32, I64, PTR
from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.layouts import llvm_type
from scriptmode.analysis.facts import TensorFact, contiguous_fact
from scriptmode.codegen import guards, heap, tensors
from scriptmode.codegen.arrays import array_place, copy_elements
from scriptmode.codegen.containers import lent_list
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.metadata import query
from scriptmode.codegen.nests import emit_kernel
from scriptmode.codegen.outside import count_one
from scriptmode.codegen.slots import Slot
from scriptmode.codegen.unit import VOID, Unit
from scriptmode.codegen.values import Count, zero
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Program, Value
from scriptmode.loops.build import build_kernel
from scriptmode.loops.expr import Buffer
from scriptmode.loops.reuse import REUSES, may_reuse
from scriptmode.loops.schedule import Schedule, schedule
from scriptmode.ops.aten import aten_schema


def plans_of(program: Program, nodes: Sequence[Node]) -> dict[Node, Schedule]:
    """The loop nests of regions; those that do the same on tensors alike share them."""
    known: dict[object, Schedule] = {}
    found: dict[Node, Schedule] = {}
    for node in nodes:
        own = (
            node.attributes["callee"], node.attributes["facts"], node.attributes["results"],
            tuple(v.type for v in (*node.inputs, *node.outputs)), node.attributes.get(REUSES),
        )  # fmt: skip
        if own not in known:
            known[own] = plan_of(program, node)
        found[node] = known[own]
    return found


def plan_of(program: Program, node: Node) -> Schedule:
    """The loop nests of a region."""
    facts = node.attributes["facts"]
    inputs: list[TensorFact | None] = []
    for value, fact in zip(node.inputs, facts, strict=True):
        if isinstance(value.type, T.ArrayType):
            inputs.append(array_fact(value.type))
        else:
            inputs.append(None if fact is None else TensorFact(*fact))
    results = [None if f is None else TensorFact(*f) for f in node.attributes["results"]]
    plan = schedule(build_kernel(program.functions[node.attributes["callee"]], inputs, results))
    plan.in_place = dict(p for p in node.attributes.get(REUSES, ()) if may_reuse(plan, p))
    return plan


def array_fact(t: T.ArrayType) -> TensorFact:
    """What is known of an array's elements in memory."""
    return contiguous_fact(t.dtype, t.shape)


def functions_of(program: Program) -> frozenset[str]:
    """The functions that regions stand for."""
    found = (g.find_all("prim::Region") for g in program.functions.values())
    return frozenset(node.attributes["callee"] for nodes in found for node in nodes)


_DATA = "sm.data_of"
_MISFIT = "a tensor is not as the library was compiled for, or shares memory with another"
LEFT = "left "  # and the name of a region: counts how often it ran torch's ops
NEW_TENSOR = "aot_tensor_new"  # of libraries without libtorch
BUMP_VERSION = "_ZN5torch8autograd4impl12bump_versionERKN2at6TensorE"


@lower("prim::Region", raw=True)
def emit_region(f: FunctionEmitter, node: Node) -> object:
    """Run the kernel, or the ops one by one."""
    plan = f.unit.plans[node]
    kernel = f.unit.kernels.get(id(plan))
    if kernel is None:
        name = f.unit.module.get_unique_name(f"kernel.{node.attributes['callee']}")
        kernel = f.unit.kernels[id(plan)] = emit_kernel(f.unit.module, plan, name)
    places = [_result_place(f, o) for o in node.outputs]
    slots = [p for p in places if isinstance(p, Slot)]
    slow, done = (f.llvm.append_basic_block(n) for n in ("slow", "done"))
    fits = _fits(f, node)
    _go_on_if(f, fits, slow)
    arguments = [_argument(f, v) for v in node.inputs]
    apart = _is_apart(f, node, plan, arguments)
    _go_on_if(f, apart, slow)
    data: list[ir.Value] = []
    for index, (output, place) in enumerate(zip(node.outputs, places, strict=True)):
        if isinstance(place, Slot) and index in plan.in_place:
            argument = plan.in_place[index]
            tensor = f.values[node.inputs[argument]]
            f.retain(tensor, T.TENSOR)
            f.b.store(tensor, place.address)
            data.append(arguments[argument])
        elif isinstance(place, Slot):
            fact = result_fact(f.unit, node, output)
            data.append(allocate(f, place, fact))
        else:
            data.append(place)
    status = f.b.call(kernel, [*arguments, *data])
    may_refuse = plan.may_refuse
    if may_refuse:
        refused, ran = (f.llvm.append_basic_block(n) for n in ("refused", "ran"))
        failed = f.b.icmp_signed("!=", status, ir.Constant(I32, 0))
        f.b.cbranch(failed, refused, ran)
        f.b.position_at_end(refused)
        for slot in slots:
            f.release(f.b.load(slot.address, typ=PTR), T.TENSOR)
            f.clear(slot)
        if f.unit.has_libtorch:
            f.b.branch(slow)
        else:
            f.raise_(IndexError, f.unit.text("index out of range"))
        f.b.position_at_end(ran)
    _note_writes(f, node, plan)
    f.b.branch(done)
    leaves = fits is not None or apart is not None
    if leaves or (may_refuse and f.unit.has_libtorch):
        f.b.position_at_end(slow)
        if f.unit.has_libtorch:
            count_one(f, LEFT + node.attributes["callee"])
            _run_ops(f, node, places)
            f.b.branch(done)
        else:
            f.raise_(RuntimeError, f.unit.text(_MISFIT))
    else:
        f.llvm.blocks.remove(slow)
    f.b.position_at_end(done)
    for output, place in zip(node.outputs, places, strict=True):
        if isinstance(place, Slot):
            define_tensor(f, output, place)
        elif isinstance(output.type, T.ArrayType):
            f.values[output] = place
        else:
            f.define(output, f.b.load(place, typ=llvm_type(output.type)))
    return DEFINED


def _go_on_if(f: FunctionEmitter, condition: ir.Value | None, otherwise: ir.Block) -> None:
    """Leave for ``otherwise`` unless a condition holds, or there is none."""
    if condition is not None:
        following = f.llvm.append_basic_block("fast")
        f.b.cbranch(condition, following, otherwise)
        f.b.position_at_end(following)


def result_fact(unit: Unit, node: Node, output: Value) -> TensorFact:
    """The fact of a result that is a new tensor."""
    return TensorFact(*node.attributes["results"][node.outputs.index(output)])


def _result_place(f: FunctionEmitter, output: Value) -> Slot | ir.Value:
    if output.type == T.TENSOR:
        return f.array(Count.TENSOR).take()
    if isinstance(output.type, T.ArrayType):
        return array_place(f, output.type)
    return f.temporary(llvm_type(output.type))


def _argument(f: FunctionEmitter, value: Value) -> ir.Value:
    llvm = f.values[value]
    return f.b.call(_data_of(f.unit), [llvm]) if value.type == T.TENSOR else llvm


def _data_of(unit: Unit) -> ir.Function:
    """Where the elements of a tensor lie that is known to be a plain one."""
    known = unit.module.globals.get(_DATA)
    if known is not None:
        return known
    function = ir.Function(unit.module, ir.FunctionType(PTR, [PTR]), _DATA)
    function.linkage = "internal"
    for attribute in ("nounwind", "noinline"):
        function.attributes.add(attribute)
    b = ir.IRBuilder(function.append_basic_block("entry"))
    cell, place = b.alloca(PTR), b.alloca(PTR)
    cell.type = place.type = PTR
    b.store(function.args[0], cell)
    b.call(unit.external("aoti_torch_get_data_ptr", I32, [PTR, PTR]), [cell, place])
    b.ret(b.load(place, typ=PTR))
    return function


def _fits(f: FunctionEmitter, node: Node) -> ir.Value | None:
    """Whether the tensors are as the facts say; None where that is known."""
    known = set(node.attributes.get("known", ()))
    found: ir.Value | None = None
    for index, (value, fact) in enumerate(zip(node.inputs, node.attributes["facts"], strict=True)):
        if fact is None or index in known:
            continue
        wanted = TensorFact(*fact)
        if len(wanted.shape) > guards.MOST_DIMS:
            return ir.Constant(I1, 0)
        one = guards.fits(
            f, f.values[value], wanted.dtype, wanted.shape, wanted.strides, records=True
        )
        found = one if found is None else f.b.and_(found, one)
    return found


def _is_apart(
    f: FunctionEmitter, node: Node, plan: Schedule, arguments: Sequence[ir.Value]
) -> ir.Value | None:
    """Whether the memory of what is written is that of no other tensor."""
    b = f.b
    ranges: list[tuple[Buffer, ir.Value, ir.Value]] = []
    for buffer, value, data in zip(plan.kernel.inputs, node.inputs, arguments, strict=True):
        if isinstance(buffer, Buffer) and value.type == T.TENSOR:
            start = b.ptrtoint(data, I64)
            size = ir.Constant(I64, buffer.size * buffer.dtype.itemsize)
            ranges.append((buffer, start, b.add(start, size)))
    found: ir.Value | None = None
    for index, (buffer, start, end) in enumerate(ranges):
        for other, other_start, other_end in ranges[:index]:
            if buffer not in plan.kernel.writes and other not in plan.kernel.writes:
                continue
            behind = b.icmp_unsigned(">=", start, other_end)
            apart = b.or_(behind, b.icmp_unsigned(">=", other_start, end))
            found = apart if found is None else b.and_(found, apart)
    return found


def _note_writes(f: FunctionEmitter, node: Node, plan: Schedule) -> None:
    """Count the writes as torch does, so that autograd sees them."""
    for buffer, value in zip(plan.kernel.inputs, node.inputs, strict=True):
        if isinstance(buffer, Buffer) and value.type == T.TENSOR and f.unit.has_libtorch:
            bump = f.unit.external(BUMP_VERSION, VOID, [PTR])
            for _ in range(plan.kernel.writes.get(buffer, 0)):
                f.b.call(bump, [f.spill(f.values[value])])


# ---- new tensors ----


def new_tensor(
    f: FunctionEmitter, dtype: torch.dtype, shape: Sequence[int], strides: Sequence[int] | None
) -> tuple[Slot, ir.Value]:
    """A slot with a new tensor of the CPU, and where its elements lie."""
    slot = f.array(Count.TENSOR).take()
    fact = TensorFact(dtype, tuple(shape), tuple(strides or ()))
    return slot, allocate(f, slot, fact, dense=strides is None)


def allocate(f: FunctionEmitter, slot: Slot, fact: TensorFact, *, dense: bool = False) -> ir.Value:
    """Put a new tensor into a slot; where its elements lie."""
    sizes = [ir.Constant(I64, n) for n in fact.shape]
    strides = None
    if not (dense or fact.is_contiguous):
        strides = [ir.Constant(I64, n) for n in fact.strides]
    return allocate_sizes(f, slot, fact.dtype, sizes, strides)


def allocate_sizes(
    f: FunctionEmitter, slot: Slot, dtype: torch.dtype, sizes: Sequence[ir.Value],
    strides: Sequence[ir.Value] | None = None,
) -> ir.Value:  # fmt: skip
    """Put a new tensor of these sizes into a slot; where its elements lie."""
    if not f.unit.has_libtorch:
        return _allocate_own(f, slot, dtype, sizes, strides)
    some = ir.Constant(I8, 1)
    code = ir.Constant(I8, DTYPE_NUMBERS[dtype])
    options: list[ir.Value] = [ir.Constant(ir.LiteralStructType([I8, I8]), [some, code])]
    options.append(zero(llvm_type(T.optional_of(T.LAYOUT))))
    options.append(ir.Constant(ir.LiteralStructType([I8, I16]), [some, ir.Constant(I16, -256)]))
    options.append(zero(llvm_type(T.optional_of(T.BOOL))))
    shape = lent_list(f, I64, sizes)
    if strides is None:
        kind = "aten::empty.memory_format"
        arguments = [shape, *options, zero(llvm_type(T.optional_of(T.MEMORY_FORMAT)))]
    else:
        kind, arguments = "aten::empty_strided", [shape, lent_list(f, I64, strides), *options]
    schema = aten_schema(kind)
    assert schema is not None
    f.check(f.b.call(f.unit.thunk(schema), [f.ctx, *arguments, slot.address]))
    return query(f, "data_ptr", f.b.load(slot.address, typ=PTR), PTR)


def _allocate_own(
    f: FunctionEmitter, slot: Slot, dtype: torch.dtype, sizes: Sequence[ir.Value],
    strides: Sequence[ir.Value] | None,
) -> ir.Value:  # fmt: skip
    """The same in a library without libtorch, which has tensors of its own."""
    words = f.temporary(ir.ArrayType(I64, max(1, 2 * len(sizes))))
    for index, word in enumerate([*sizes, *(strides or ())]):
        tensors.store(f.b, word, words, 8 * index)
    number, dims = (ir.Constant(I64, n) for n in (DTYPE_NUMBERS[dtype], len(sizes)))
    has_strides = ir.Constant(I64, int(strides is not None))
    make = tensors.extern_function(
        f.unit.module, NEW_TENSOR, ir.FunctionType(I32, [PTR, I64, I64, PTR, I64, PTR])
    )
    f.check(f.b.call(make, [f.ctx, number, dims, words, has_strides, slot.address]))
    return f.b.call(_data_of(f.unit), [f.b.load(slot.address, typ=PTR)])


def define_tensor(f: FunctionEmitter, output: Value, slot: Slot) -> object:
    """Give a value the tensor in a slot."""
    f.values[output] = f.b.load(slot.address, typ=PTR)
    f.held[output] = (slot,)
    return DEFINED


# ---- the ops one by one ----


def _run_ops(f: FunctionEmitter, node: Node, places: Sequence[Slot | ir.Value]) -> None:
    """Call the region's function on tensors and take its results."""
    callee = f.unit.functions[node.attributes["callee"]]
    borrowed: list[Slot] = []
    arguments: list[ir.Value] = []
    for value in node.inputs:
        llvm = f.values[value]
        if isinstance(value.type, T.ArrayType):
            slot, data = new_tensor(f, value.type.dtype, value.type.shape, None)
            copy_elements(f, llvm, data, value.type)
            borrowed.append(slot)
            llvm = f.b.load(slot.address, typ=PTR)
        arguments.append(llvm)
    result_type = f.unit.program.functions[node.attributes["callee"]].return_type
    assert result_type is not None
    memory = f.temporary(llvm_type(result_type))
    f.check(f.b.call(callee, [f.ctx, *arguments, memory]))
    results = f.b.load(memory, typ=llvm_type(result_type))
    for index, (output, place) in enumerate(zip(node.outputs, places, strict=True)):
        one = f.b.extract_value(results, index)
        if isinstance(place, Slot):
            f.b.store(one, place.address)
        elif isinstance(output.type, T.ArrayType):
            copy_elements(f, query(f, "data_ptr", one, PTR), place, output.type)
            f.release(one, T.TENSOR)
        else:
            f.b.store(one, place)
    for slot in borrowed:
        f.release(f.b.load(slot.address, typ=PTR), T.TENSOR)
        f.clear(slot)
        f.arrays[slot.count].free.append(slot)


@lower("prim::ToArray")
def to_array(f: FunctionEmitter, node: Node, tensor: ir.Value) -> ir.Value:
    """The elements of a tensor, which is as the type says."""
    t = node.output.type
    assert isinstance(t, T.ArrayType)
    place = array_place(f, t)
    if not f.unit.has_libtorch:
        fact = array_fact(t)
        fits = guards.fits(f, tensor, fact.dtype, fact.shape, fact.strides, records=False)
        f.raise_if(f.b.not_(fits), RuntimeError, _MISFIT)
        copy_elements(f, f.b.call(_data_of(f.unit), [tensor]), place, t)
        return place
    schema = aten_schema("aten::contiguous")
    assert schema is not None
    slot = f.array(Count.TENSOR).take()
    form = ir.Constant(I8, 0)
    f.check(f.b.call(f.unit.thunk(schema), [f.ctx, tensor, form, slot.address]))
    dense = f.b.load(slot.address, typ=PTR)
    copy_elements(f, query(f, "data_ptr", dense, PTR), place, t)
    f.release(dense, T.TENSOR)
    f.clear(slot)
    f.arrays[slot.count].free.append(slot)
    return place


@lower("prim::ToTensor")
def to_tensor(f: FunctionEmitter, node: Node, array: ir.Value) -> object:
    """A new tensor with the elements."""
    t = node.inputs[0].type
    assert isinstance(t, T.ArrayType)
    slot, data = new_tensor(f, t.dtype, t.shape, None)
    copy_elements(f, array, data, t)
    return define_tensor(f, node.output, slot)


@lower("prim::StackArrays")
def stack_arrays(f: FunctionEmitter, node: Node, arrays: ir.Value) -> object:
    """A new tensor of all elements, which lie one after the other already."""
    t = node.inputs[0].type.contained[0]
    assert isinstance(t, T.ArrayType)
    length = heap.list_length(f.b, arrays)
    empty = f.b.icmp_signed("==", length, ir.Constant(I64, 0))
    f.raise_if(empty, RuntimeError, "stack expects a non-empty TensorList")
    slot = f.array(Count.TENSOR).take()
    sizes = [length, *(ir.Constant(I64, n) for n in t.shape)]
    data = allocate_sizes(f, slot, t.dtype, sizes)
    size = f.b.mul(length, ir.Constant(I64, t.numel * t.dtype.itemsize))
    copy = f.unit.external("memcpy", PTR, [PTR, PTR, I64])
    f.b.call(copy, [data, heap.list_data(f.b, arrays), size])
    return define_tensor(f, node.output, slot)
