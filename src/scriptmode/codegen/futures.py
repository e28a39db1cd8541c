"""Lowerings of futures: tasks are made with their arguments, then started or left for later."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from scriptmode.abi.convention import I8, I32, I64, PTR
from scriptmode.abi.layouts import align_of_llvm, llvm_type, size_of_llvm
from scriptmode.abi.tasks import FUTURE_TASK, IN_POOL, LATER, NOW, TASK_AREA
from scriptmode.analysis.ownership import is_counted
from scriptmode.analysis.tasks import is_independent, reached
from scriptmode.codegen import tensors
from scriptmode.codegen.aten import is_left_to_python
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.unit import NULL, VOID
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node
from scriptmode.ops import table


@lower("prim::Fork")
def fork(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """Make a task and start it."""
    how = IN_POOL if _needs_no_python(f, node) and is_independent(f.unit.program, node) else NOW
    return _start(f, node, arguments, how)


@lower("prim::Defer")
def defer(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """Make a task that the first wait runs."""
    return _start(f, node, arguments, LATER)


def _start(f: FunctionEmitter, node: Node, arguments: Sequence[ir.Value], how: int) -> object:
    graph = f.edges.callee(node)
    types = [p.type for p in graph.params]
    result = f.edges_of_callee(node).result_type
    offsets, size = area_offsets([a.type for a in arguments])
    counted = [f.unit.descriptor(t) if is_counted(t) else NULL for t in types]
    f.native_call(
        "sm_future_new",
        [
            f.unit.descriptor(node.output.type), _runner(f, node, arguments, offsets),
            ir.Constant(I64, len(types)), f.unit.pointer_array(counted),
            _words(f, offsets), ir.Constant(I64, size), f.unit.descriptor(result),
        ],
        node.outputs,
    )  # fmt: skip
    task = tensors.load(f.b, f.values[node.output], PTR, FUTURE_TASK)
    for value, t, offset in zip(arguments, types, offsets, strict=True):
        f.retain(value, t)
        tensors.store(f.b, value, task, TASK_AREA + offset)
    start = f.unit.native("sm_future_start", VOID, [PTR, PTR, I64])
    f.b.call(start, [f.ctx, f.values[node.output], ir.Constant(I64, how)])
    return DEFINED


def _needs_no_python(f: FunctionEmitter, task: Node) -> bool:
    """Whether no op of a task is left to Python, which threads of the pool know nothing of."""
    return not any(
        node.schema is not None and table.find(node.kind) is None and is_left_to_python(node.schema)
        for name in reached(f.unit.program, task.attributes["callee"])
        for node in f.unit.program.functions[name].walk()
    )


def area_offsets(types: Sequence[ir.Type]) -> tuple[list[int], int]:
    """Where the arguments of a task lie, and how many bytes they take."""
    offsets, at = [], 0
    for t in types:
        align = align_of_llvm(t)
        at = -(-at // align) * align
        offsets.append(at)
        at += size_of_llvm(t)
    return offsets, at


def _words(f: FunctionEmitter, values: Sequence[int]) -> ir.Value:
    constant = ir.Constant(ir.ArrayType(I64, len(values)), list(values))
    address: ir.Value = tensors.address(f.unit.private("words", constant, constant=True))
    return address


def _runner(
    f: FunctionEmitter, node: Node, arguments: Sequence[ir.Value], offsets: Sequence[int]
) -> ir.Value:
    """Code that calls the function with the arguments of a task."""
    name = f"sm.task.{node.attributes['callee']}"
    found = f.unit.module.globals.get(name)
    if found is None:
        signature = ir.FunctionType(I32, [PTR, PTR, PTR])
        found = ir.Function(f.unit.module, signature, name)
        found.linkage = "internal"
        found.attributes.add("nounwind")
        ctx, area, result = found.args
        b = ir.IRBuilder(found.append_basic_block("entry"))
        values = [
            tensors.load(b, area, a.type, offset)
            for a, offset in zip(arguments, offsets, strict=True)
        ]
        callee = f.unit.functions[node.attributes["callee"]]
        b.ret(b.call(callee, [ctx, *values, result]))
    address: ir.Value = tensors.address(found)
    return address


@lower("prim::Future", raw=True)
def future_of(f: FunctionEmitter, node: Node) -> object:
    """A future that owns its result from the start."""
    (value,) = node.inputs
    arguments = [
        f.unit.descriptor(node.output.type), f.spill(f.values[value]), f.unit.descriptor(value.type)
    ]  # fmt: skip
    f.native_call("sm_future_of", arguments, node.outputs)
    return DEFINED


@lower("prim::Wait")
def wait(f: FunctionEmitter, node: Node, future: ir.Value) -> object:
    """The result, of which the future keeps its own reference."""
    t = node.inputs[0].type
    assert isinstance(t, T.FutureType)
    if t.element != T.NONE:
        f.native_call("sm_future_wait", [future], node.outputs)
        return DEFINED
    place = f.temporary(llvm_type(T.NONE))
    status = f.unit.native("sm_future_wait", I32, [PTR, PTR, PTR])
    f.check(f.b.call(status, [f.ctx, future, place]))
    return f.b.load(place, typ=llvm_type(T.NONE))


@lower("prim::IsDone")
def is_done(f: FunctionEmitter, node: Node, future: ir.Value) -> ir.Value:
    """Whether a wait would return at once."""
    return f.native_value("sm_future_is_done", I8, [future])
