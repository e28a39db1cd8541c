"""Try: errors in the body go to a landing block, which makes the exception and runs the handler.

::

    body:      ...; br (status != 0), caught, next        Leave: br end
    caught:    release what the body holds; e = catch(ctx); ctx.handled = e
    handler:   ...; br (status != 0), unhandled, next
    unhandled: release what the handler holds; ctx.handled = before; br landing of the outside
    end:       out = phi

What was held at the start of the Try is held throughout.  Every way out of a handler makes what was
being handled before it the handled exception again.
"""

from __future__ import annotations

from collections.abc import Iterable

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR, ctx_field
from scriptmode.codegen import heap
from scriptmode.codegen.control import arrive, flatten, free_slots, make_exit
from scriptmode.codegen.flow import Handling, Landing
from scriptmode.codegen.function import FunctionEmitter, trace_function
from scriptmode.codegen.handlers import exception_descriptor
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.slots import Slot
from scriptmode.codegen.unit import NULL, VOID
from scriptmode.codegen.values import Count
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Node

_TYPES = {Count.TENSOR: T.TENSOR, Count.COUNTED: T.GENERATOR}


@lower("prim::Try", raw=True)
def emit_try(f: FunctionEmitter, node: Node) -> object:
    """The body, and the handler behind a landing block."""
    target = make_exit(f, f.llvm.append_basic_block("tried"), node.outputs)
    reserved = flatten(target.slots)
    f.flow.reserved |= reserved
    f.flow.branches[node] = target
    before, outside = dict(f.held), f.landing
    landing, taken = protect(f, node.blocks[0], "caught")
    f.landing = outside
    f.held = before
    if landing.location.incomings:
        f.b.position_at_end(landing.block)
        f.unit.current = node
        land(f, landing, taken)
        free_slots(f)
        emit_handler(f, node.blocks[1])
    else:
        f.llvm.blocks.remove(landing.block)
    f.flow.reserved -= reserved
    if target.held is None:
        f.b.position_at_end(target.block)
        f.b.unreachable()
    else:
        arrive(f, target, node.outputs)
    return DEFINED


def protect(f: FunctionEmitter, block: Block, name: str) -> tuple[Landing, set[Slot]]:
    """Emit a block whose errors go to a new landing; the slots that it has used."""
    landing = f.landing = f.new_landing(name)
    taken: set[Slot] = set()
    f.taken.append(taken)
    f.block(block)
    f.taken.pop()
    return landing, taken


def land(f: FunctionEmitter, landing: Landing, taken: Iterable[Slot]) -> None:
    """Note the place of the error and release what the protected code holds."""
    f.b.call(trace_function(f.unit), [f.ctx, landing.location])
    for slot in sorted(taken, key=lambda s: (s.count.value, s.index)):
        release_slot(f, slot)


def release_slot(f: FunctionEmitter, slot: Slot) -> None:
    """Release what is in a slot, if anything, and make it null."""
    if slot.count is Count.ANY:
        drop = f.unit.native("sm_slots_drop", VOID, [PTR, I64, PTR])
        f.b.call(drop, [slot.address, ir.Constant(I64, 1), f.unit.descriptor(T.ANY)])
        f.b.store(ir.Constant(I64, 0), slot.address)
        return
    held = f.b.load(slot.address, typ=PTR)
    if slot.count is Count.OBJECT:
        heap.release(f.b, f.unit, held, T.STR)
        f.clear(slot)
        return
    with f.b.if_then(f.b.icmp_unsigned("!=", held, NULL)):
        f.release(held, _TYPES[slot.count])
        f.clear(slot)


def emit_handler(f: FunctionEmitter, block: Block) -> None:
    """Take the error as an exception and run the handler."""
    (param,) = block.params
    place = ctx_field(f.b, f.ctx, "handled")
    before = f.b.load(place, typ=PTR)
    caught = f.native_value("sm_catch", PTR, [f.ctx, exception_descriptor(f, param.type)])
    handling = Handling(before, f.array(Count.OBJECT).take())
    f.flow.handlings[block] = handling
    f.flow.reserved.add(handling.slot)
    f.b.store(caught, place)
    f.b.store(caught, handling.slot.address)
    f.retain(caught, param.type)
    slot = f.array(Count.OBJECT).take()
    f.values[param] = caught
    f.hold(param, [slot])
    outside = f.landing
    landing, taken = protect(f, block, "unhandled")
    f.landing = outside
    if landing.location.incomings:
        f.b.position_at_end(landing.block)
        land(f, landing, {*taken, slot})
        leaving = f.unit.native("sm_leave_handler", VOID, [PTR, PTR, PTR])
        f.b.call(leaving, [f.ctx, exception_descriptor(f, param.type), before])
        release_slot(f, handling.slot)
        f.fail(noted=True)
    else:
        f.llvm.blocks.remove(landing.block)
    f.flow.reserved.discard(handling.slot)
