"""Control flow: If and Loop as branches, terminators, calls.

Outputs of an If are phis of its end block; their slots are taken before the branches, so that each
branch moves its results there.  Carried values of a Loop are phis of its head, in slots that the
body's last step, ``Break`` and ``Continue`` move the new values into, and that become the slots of
the outputs::

    before:  br head
    head:    i = phi; x = phi; br (i < trips and c), body, done
    body:    poll; ...; br head            Break: br end
    done:    br end
    end:     out = phi
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llvmlite import ir

from scriptmode.abi.convention import I8, I32, I64, STATUS_OK
from scriptmode.abi.layouts import llvm_type
from scriptmode.analysis.ownership import is_counted
from scriptmode.codegen.arrays import array_place, moved_arrays
from scriptmode.codegen.cells import release_local
from scriptmode.codegen.flow import Exit, LoopExits
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.handlers import leave_handlers
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.slots import Slot, store_slot
from scriptmode.codegen.values import coerce, leaf_value, leaves, truth
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    UNREACHABLE,
    YIELD,
    Node,
    Value,
    innermost_loop,
    labelled_try,
)

FOREVER = 2**63 - 1  # trip count of a loop that its condition ends


def make_exit(f: FunctionEmitter, block: ir.Block, values: Sequence[Value]) -> Exit:
    """An exit at the start of ``block`` with a phi for each value."""
    b = ir.IRBuilder(block)
    types = [v.type for v in values]
    made = Exit(block, [b.phi(llvm_type(t)) for t in types], types, take_slots(f, values))
    made.places = [array_place(f, t) if isinstance(t, T.ArrayType) else None for t in types]
    return made


def take_slots(f: FunctionEmitter, values: Sequence[Value]) -> list[tuple[Slot, ...]]:
    """Slots for the counted parts of values that are yet to come."""
    return [tuple(f.array(leaf.count).take() for leaf in leaves(v.type)) for v in values]


def leave(f: FunctionEmitter, values: Sequence[Value], target: Exit) -> None:
    """Jump to an exit, moving the values' references into its slots."""
    converted = [
        coerce(f.b, f.unit, f.values[v], v.type, t)
        for v, t in zip(values, target.types, strict=True)
    ]
    converted = moved_arrays(f, converted, target)
    cleared: set[Slot] = set()
    stores: list[tuple[ir.Value, Slot]] = []
    for value, llvm, t, slots in zip(values, converted, target.types, target.slots, strict=True):
        if not slots:
            continue
        old: tuple[Slot, ...] = ()
        if f.pending[value] > 0:
            f.pending[value] -= 1
        elif is_counted(value.type):
            old = f.held.pop(value)
        if old == slots and value.type == t:
            continue
        cleared.update(old)
        stores += [
            (leaf_value(f.b, llvm, leaf), slot) for leaf, slot in zip(leaves(t), slots, strict=True)
        ]
    cleared.difference_update(slot for _, slot in stores)
    for slot in sorted(cleared, key=lambda s: (s.count.value, s.index)):
        f.clear(slot)
    for part, slot in stores:
        store_slot(f.b, part, slot)
    for phi, llvm in zip(target.phis, converted, strict=True):
        phi.add_incoming(llvm, f.b.block)
    f.b.branch(target.block)
    target.held = dict(f.held)


def arrive(f: FunctionEmitter, target: Exit, values: Sequence[Value]) -> None:
    """Continue at an exit: the phis are the values, which own what is in the slots."""
    assert target.held is not None
    f.held = dict(target.held)
    f.b.position_at_end(target.block)
    for value, found, slots in zip(values, target.values, target.slots, strict=True):
        f.values[value] = found
        if slots:
            f.held[value] = slots
    free_slots(f)


def free_slots(f: FunctionEmitter) -> None:
    """Make the free lists agree with what is held on the path that is emitted next."""
    taken = {slot for slots in f.held.values() for slot in slots} | f.flow.reserved
    for array in f.arrays.values():
        array.free = [slot for slot in reversed(array.slots) if slot not in taken]


def flatten(slots: Iterable[tuple[Slot, ...]]) -> set[Slot]:
    """All slots of several values."""
    return {slot for group in slots for slot in group}


@lower("prim::If", raw=True)
def emit_if(f: FunctionEmitter, node: Node) -> object:
    """Two branches, with phis where they meet."""
    target = make_exit(f, f.llvm.append_basic_block("fi"), node.outputs)
    reserved = flatten(target.slots)
    f.flow.reserved |= reserved
    f.flow.branches[node] = target
    blocks = [f.llvm.append_basic_block(name) for name in ("then", "else")]
    f.b.cbranch(truth(f.b, f.values[node.inputs[0]]), *blocks)
    before = dict(f.held)
    for block, branch in zip(blocks, node.blocks, strict=True):
        f.held = dict(before)
        free_slots(f)
        f.b.position_at_end(block)
        f.block(branch)
    f.flow.reserved -= reserved
    if target.held is None:  # no branch comes here: what follows is never emitted
        f.b.position_at_end(target.block)
        f.b.unreachable()
    else:
        arrive(f, target, node.outputs)
    return DEFINED


@lower("prim::Loop", raw=True)
def emit_loop(f: FunctionEmitter, node: Node) -> object:
    """A loop that runs its block while ``i < trips and condition``."""
    (body,) = node.blocks
    _, condition, *carried = node.inputs
    head_block, body_block, done_block, end_block = (
        f.llvm.append_basic_block(name) for name in ("head", "body", "done", "end")
    )
    index = ir.IRBuilder(head_block).phi(I64)
    head = make_exit(f, head_block, body.params[1:])
    end = make_end(f, end_block, node, head)
    is_conditional = not has_constant_condition(node)
    repeat = ir.IRBuilder(head_block).phi(I8) if is_conditional else None
    f.flow.loops[node] = LoopExits(head, end, index, repeat)
    index.add_incoming(ir.Constant(I64, 0), f.b.block)
    if repeat is not None:
        repeat.add_incoming(f.values[condition], f.b.block)
    leave(f, carried, head)
    outside = dict(f.held)
    for param, found, slots in zip(body.params[1:], head.values, head.slots, strict=True):
        f.values[param] = found
        if slots:
            f.held[param] = slots
    inside = dict(f.held)
    reserved = flatten(end.slots) - flatten(head.slots)
    f.flow.reserved |= reserved
    emit_head(f, node, head_block, body_block, done_block)
    f.b.position_at_end(body_block)
    free_slots(f)
    f.values[body.params[0]] = index
    f.unit.current = node
    f.flow.depth += 1
    f.poll()
    f.block(body)
    f.flow.depth -= 1
    f.flow.reserved -= reserved
    f.held = inside
    f.b.position_at_end(done_block)
    leave(f, body.params[1:], end)
    end.held = outside
    arrive(f, end, node.outputs)
    return DEFINED


def make_end(f: FunctionEmitter, block: ir.Block, node: Node, head: Exit) -> Exit:
    """The end of a Loop, whose outputs take over the slots of carried values of equal types."""
    b = ir.IRBuilder(block)
    types = [v.type for v in node.outputs]
    slots = [
        of_head if t == carried else take_slots(f, [output])[0]
        for output, t, carried, of_head in zip(
            node.outputs, types, head.types, head.slots, strict=True
        )
    ]
    made = Exit(block, [b.phi(llvm_type(t)) for t in types], types, slots)
    made.places = [
        of_head if t == carried else array_place(f, t) if isinstance(t, T.ArrayType) else None
        for t, carried, of_head in zip(types, head.types, head.places, strict=True)
    ]
    return made


def has_constant_condition(node: Node) -> bool:
    """Whether the condition of a Loop is true at all times."""
    (body,) = node.blocks
    pending = [body]
    conditions = [node.inputs[1]]
    while pending:
        block = pending.pop()
        for inner in block.nodes:
            # Continue of an inner Loop is its own
            if inner.kind != "prim::Loop":
                pending += inner.blocks
        end = block.terminator
        if end.kind == CONTINUE or (end.kind == YIELD and block is body):
            conditions.append(end.inputs[0])
    return all(c.is_constant and c.constant is True for c in conditions)


def emit_head(
    f: FunctionEmitter, node: Node, head: ir.Block, body: ir.Block, done: ir.Block
) -> None:
    """The test at the head of a Loop."""
    exits = f.flow.loops[node]
    f.b.position_at_end(head)
    trips = node.inputs[0]
    tests = []
    if not (trips.is_constant and trips.constant >= FOREVER):
        tests.append(f.b.icmp_signed("<", exits.index, f.values[trips]))
    if exits.condition is not None:
        tests.append(truth(f.b, exits.condition))
    if not tests:
        tests.append(ir.Constant(ir.IntType(1), 1))
    test = tests[0] if len(tests) == 1 else f.b.and_(*tests)
    f.b.cbranch(test, body, done)


@lower(YIELD, raw=True)
def emit_yield(f: FunctionEmitter, node: Node) -> object:
    """Go on after the If or Try, with the next iteration, or return."""
    assert node.block is not None
    owner = node.block.owner
    if owner is None:
        emit_return(f, node)
    elif owner.kind in ("prim::If", "prim::Try"):
        leave_handlers(f, node, owner)
        leave(f, node.inputs, f.flow.branches[owner])
    else:
        next_iteration(f, node, owner)
    return DEFINED


@lower(BREAK, raw=True)
def emit_break(f: FunctionEmitter, node: Node) -> object:
    """Leave the innermost Loop."""
    loop = loop_around(node)
    leave_handlers(f, node, loop)
    leave(f, node.inputs, f.flow.loops[loop].end)
    return DEFINED


@lower(CONTINUE, raw=True)
def emit_continue(f: FunctionEmitter, node: Node) -> object:
    """Go on with the next iteration of the innermost Loop."""
    loop = loop_around(node)
    leave_handlers(f, node, loop)
    next_iteration(f, node, loop)
    return DEFINED


def loop_around(node: Node) -> Node:
    """The innermost Loop around a terminator."""
    assert node.block is not None
    loop = innermost_loop(node.block)
    assert loop is not None, "Break or Continue outside a Loop"
    return loop


def next_iteration(f: FunctionEmitter, node: Node, loop: Node) -> None:
    """Jump to the head with new carried values."""
    exits = f.flow.loops[loop]
    condition, *carried = node.inputs
    following = f.b.add(exits.index, ir.Constant(I64, 1), flags=["nsw"])
    exits.index.add_incoming(following, f.b.block)
    if exits.condition is not None:
        exits.condition.add_incoming(f.values[condition], f.b.block)
    leave(f, carried, exits.head)


@lower(LEAVE, raw=True)
def emit_leave(f: FunctionEmitter, node: Node) -> object:
    """Leave the innermost labelled Try."""
    assert node.block is not None
    target = labelled_try(node.block)
    assert target is not None, "Leave in no labelled Try"
    leave_handlers(f, node, target)
    leave(f, node.inputs, f.flow.branches[target])
    return DEFINED


@lower(RETURN, raw=True)
def emit_return(f: FunctionEmitter, node: Node) -> object:
    """Store the result and leave the function."""
    if node.inputs:
        value = f.value_as(node.inputs[0], f.edges.result_type)
        f.b.store(value, f.result)
    leave_handlers(f, node, None)
    f.b.ret(ir.Constant(I32, STATUS_OK))
    return DEFINED


@lower(UNREACHABLE, raw=True)
def emit_unreachable(f: FunctionEmitter, node: Node) -> object:
    """Code that the front end says is never reached."""
    f.raise_(SystemError, f.unit.text("a function that never returns has returned"))
    return DEFINED


@lower("prim::retain", raw=True)
def emit_retain(f: FunctionEmitter, node: Node) -> object:
    """Take a reference that the next consumer takes over."""
    (value,) = node.inputs
    f.retain(f.values[value], value.type)
    f.pending[value] += 1
    return DEFINED


@lower("prim::release", raw=True)
def emit_release(f: FunctionEmitter, node: Node) -> object:
    """Give up a value's references."""
    (value,) = node.inputs
    if value in f.local_cells:
        release_local(f, value)
        return DEFINED
    f.give_up(value)
    f.release(f.values[value], value.type)
    return DEFINED


@lower("prim::Call")
def emit_call(f: FunctionEmitter, node: Node, *arguments: ir.Value) -> object:
    """A direct call of another function of the program."""
    callee = f.unit.functions[node.attributes["callee"]]
    result_type = f.edges_of_callee(node).result_type
    (output,) = node.outputs
    if output.type == result_type:
        f.checked_call(callee, arguments, node.outputs)
        return DEFINED
    place = f.temporary(llvm_type(result_type))
    f.check(f.b.call(callee, [f.ctx, *arguments, place]))
    result = f.b.load(place, typ=llvm_type(result_type))
    return coerce(f.b, f.unit, result, result_type, output.type)
