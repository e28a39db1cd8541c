"""The handlers around the code being emitted, and the exceptions' descriptors."""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import PTR, ctx_field
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.ir import types as T
from scriptmode.ir.graph import Block, Node, ancestors
from scriptmode.ir.types import Type


def exception_descriptor(f: FunctionEmitter, t: Type) -> ir.Constant:
    """The descriptor that an exception of any class is laid out by."""
    assert isinstance(t, T.ClassType)
    return f.unit.descriptor(t.ancestors[-1] if t.ancestors else t)


def leave_handlers(f: FunctionEmitter, end: Node, target: Node | None) -> None:
    """End the handlers inside of ``target`` (None: the function) that ``end`` is in."""
    crossed = []
    for block in _blocks_inside(end, target):
        handling = f.flow.handlings.get(block)
        if handling is not None:
            crossed.append(handling)
    if not crossed:
        return
    f.b.store(crossed[-1].before, ctx_field(f.b, f.ctx, "handled"))
    for handling in crossed:
        held = f.b.load(handling.slot.address, typ=PTR)
        f.clear(handling.slot)
        f.release(held, T.STR)


def _blocks_inside(end: Node, target: Node | None) -> list[Block]:
    found = []
    for block in ancestors(end.block):
        found.append(block)
        if block.owner is target:
            break
    return found
