"""Arrays: the elements of small tensors in the frame.

An array's value is the address of its elements.  Each place where one is made has memory of its
own in the frame, and so has each variable that a Loop or an If carries: going there copies, small
ones through registers, so that LLVM can keep them there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llvmlite import ir

from scriptmode.abi.convention import I1, I64, PTR
from scriptmode.codegen import lanes as L
from scriptmode.ir import types as T

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scriptmode.codegen.flow import Exit
    from scriptmode.codegen.function import FunctionEmitter

ALIGNMENT = 64
IN_REGISTERS = 64  # elements that are copied by one load and one store


def array_place(f: FunctionEmitter, t: T.ArrayType) -> ir.Value:
    """Memory for an array in the frame."""
    place = f.entry.alloca(ir.ArrayType(L.in_memory(t.dtype), max(t.numel, 1)))
    place.align = ALIGNMENT
    place.type = PTR
    return place


def copy_elements(f: FunctionEmitter, source: ir.Value, target: ir.Value, t: T.ArrayType) -> None:
    """Copy the elements of an array."""
    size = ir.Constant(I64, t.numel * t.dtype.itemsize)
    copy = f.unit.intrinsic("llvm.memcpy.p0.p0.i64", ir.VoidType(), [PTR, PTR, I64, I1])
    f.b.call(copy, [target, source, size, ir.Constant(I1, 0)])


def moved_arrays(f: FunctionEmitter, values: Sequence[ir.Value], target: Exit) -> list[ir.Value]:
    """The values at an exit: arrays are copied into its memory, all at once."""
    found = list(values)
    own = {id(p) for p in target.places if p is not None}
    loaded: list[tuple[ir.Value, ir.Value, T.ArrayType, bool]] = []
    for index, (value, t, place) in enumerate(
        zip(values, target.types, target.places, strict=False)
    ):
        if place is None or not isinstance(t, T.ArrayType):
            continue
        found[index] = place
        if value is place:
            continue
        if t.numel <= IN_REGISTERS:
            wide = L.with_lanes(L.in_memory(t.dtype), t.numel)
            loaded.append((f.b.load(value, typ=wide, align=t.dtype.itemsize), place, t, True))
        elif id(value) in own:
            spare = array_place(f, t)
            copy_elements(f, value, spare, t)
            loaded.append((spare, place, t, False))
        else:
            loaded.append((value, place, t, False))
    for value, place, t, in_register in loaded:
        if in_register:
            f.b.store(value, place, align=t.dtype.itemsize)
        else:
            copy_elements(f, value, place, t)
    return found
