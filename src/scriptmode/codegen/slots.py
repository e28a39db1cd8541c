"""Slots: the places of a frame that own references, so that an error can release them all.

One array for each way of counting lies in the entry block.  A free slot is null at run time, on
every path; slots are used again as soon as their value is given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from scriptmode.abi.convention import I8, I64, PTR
from scriptmode.codegen import heap, tensors
from scriptmode.codegen.unit import NULL, VOID, Unit
from scriptmode.codegen.values import Count
from scriptmode.ir import types as T

ANY_SIZE = 16


@dataclass(frozen=True)
class Slot:
    """Place number ``index`` of an array."""

    count: Count
    index: int
    address: ir.Value


class SlotArray:
    """The slots of one way of counting; each one taken is entered into every set of ``taken``."""

    def __init__(self, count: Count, entry: ir.IRBuilder, taken: list[set[Slot]]) -> None:
        self.count = count
        self.entry = entry
        self.size = ANY_SIZE if count is Count.ANY else 8
        self.slots: list[Slot] = []
        self.free: list[Slot] = []
        self.taken = taken
        self.memory = entry.alloca(ir.ArrayType(I64, 0))
        self.memory.align = 8
        self.memory.type = PTR

    def take(self) -> Slot:
        """A free slot, made if there is none."""
        if self.free:
            slot = self.free.pop()
        else:
            index = len(self.slots)
            address = tensors.byte_gep(self.entry, self.memory, index * self.size)
            slot = Slot(self.count, index, address)
            self.slots.append(slot)
        for taken in self.taken:
            taken.add(slot)
        return slot

    def finish(self) -> None:
        """Fix the array's size and make all slots null; called last, in the entry block."""
        nbytes = len(self.slots) * self.size
        self.memory.allocated_type = ir.ArrayType(I64, nbytes // 8)
        if nbytes > 64:
            fill = tensors.extern_function(
                self.entry.module, "llvm.memset.p0.i64",
                ir.FunctionType(VOID, [PTR, I8, I64, ir.IntType(1)]),
            )  # fmt: skip
            zero, false = ir.Constant(I8, 0), ir.Constant(ir.IntType(1), 0)
            self.entry.call(fill, [self.memory, zero, ir.Constant(I64, nbytes), false])
            return
        for offset in range(0, nbytes, 8):
            tensors.store(self.entry, NULL, self.memory, offset)


def store_slot(b: ir.IRBuilder, value: ir.Value, slot: Slot) -> None:
    """Write a slot."""
    stored = b.store(value, slot.address)
    if slot.count is Count.OBJECT:
        heap.mark(b.module, stored, heap.SLOT)


def emit_release_all(b: ir.IRBuilder, unit: Unit, array: SlotArray) -> None:
    """Release every slot that is not null."""
    n = ir.Constant(I64, len(array.slots))
    if array.count is Count.TENSOR:
        b.call(tensors.tensor_function(unit.module, tensors.RELEASE_MANY), [array.memory, n])
    elif array.count is Count.OBJECT:
        b.call(unit.native("sm_release_objects", VOID, [PTR, I64]), [array.memory, n])
    elif array.count is Count.ANY:
        drop = unit.native("sm_slots_drop", VOID, [PTR, I64, PTR])
        b.call(drop, [array.memory, n, unit.descriptor(T.ANY)])
    else:
        release = tensors.tensor_function(unit.module, tensors.RELEASE_COUNTED)
        for slot in array.slots:
            b.call(release, [b.load(slot.address, typ=PTR)])
