"""Lowerings of cells: variables that are shared, or that may be unbound.

A cell that its function alone knows lies in the frame: a flag and the value, whose counted parts
are in slots, so that an error releases them::

    %c: Cell[str] = prim::CellConstruct(%s)     flag = 1; value = s; slot0 = s (retained)

Any other one is a heap object ``{header, bound, value}``.  A value that is unbound reads as zero
bytes: to release it does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.abi.layouts import CELL_BOUND, CELL_VALUE, llvm_type, size_of
from scriptmode.analysis.ownership import is_local_cell
from scriptmode.codegen import tensors
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.values import boolean, coerce, is_null, leaf_value, leaves, zero
from scriptmode.ir import types as T
from scriptmode.ir.cells import unbound_error
from scriptmode.ir.graph import Node, Value
from scriptmode.ir.types import Type


@dataclass(frozen=True)
class CellPlace:
    """Where the parts of a cell are."""

    bound: ir.Value
    value: ir.Value
    type: Type


def element_of(cell: Value) -> Type:
    """The type of a cell's value."""
    assert isinstance(cell.type, T.CellType)
    return cell.type.element


def place_of(f: FunctionEmitter, cell: Value) -> CellPlace:
    """The places of a cell's parts."""
    local = f.local_cells.get(cell)
    if local is not None:
        return CellPlace(*local, element_of(cell))
    pointer = f.values[cell]
    bound = tensors.byte_gep(f.b, pointer, CELL_BOUND)
    return CellPlace(bound, tensors.byte_gep(f.b, pointer, CELL_VALUE), element_of(cell))


@lower("prim::CellConstruct", raw=True)
def construct(f: FunctionEmitter, node: Node) -> object:
    """A new cell, in the frame where nobody else sees it."""
    cell = node.output
    if is_local_cell(cell):
        _in_frame(f, cell)
    else:
        _on_heap(f, cell)
    place = place_of(f, cell)
    if not node.inputs:
        f.b.store(ir.Constant(I64, 0), place.bound)
        f.b.store(zero(llvm_type(place.type)), place.value)
        return DEFINED
    (source,) = node.inputs
    value = f.value_as(source, place.type)
    if node.attributes.get("moved"):
        f.give_up(source)
    else:
        f.retain(f.values[source], source.type)
    _write(f, cell, place, value)
    return DEFINED


def _in_frame(f: FunctionEmitter, cell: Value) -> None:
    t = element_of(cell)
    places = [f.entry.alloca(llvm) for llvm in (I64, llvm_type(t))]
    for place in places:
        place.type = PTR
    f.local_cells[cell] = (places[0], places[1])
    f.values[cell] = places[0]
    f.held[cell] = tuple(f.array(leaf.count).take() for leaf in leaves(t))


def _on_heap(f: FunctionEmitter, cell: Value) -> None:
    nbytes = CELL_VALUE + -(-size_of(element_of(cell)) // 8) * 8
    arguments = [ir.Constant(I64, nbytes), f.unit.descriptor(cell.type)]
    made = f.native_value("sm_object_new", PTR, arguments)
    f.raise_memory_error_if(is_null(f.b, made))
    f.define(cell, made)


def _write(f: FunctionEmitter, cell: Value, place: CellPlace, value: ir.Value) -> None:
    """Store an owned value."""
    f.b.store(ir.Constant(I64, 1), place.bound)
    f.b.store(value, place.value)
    _fill_slots(f, cell, place, value)


def _fill_slots(f: FunctionEmitter, cell: Value, place: CellPlace, value: ir.Value) -> None:
    """The slots of a cell in the frame own what it holds."""
    if cell in f.local_cells:
        for leaf, slot in zip(leaves(place.type), f.held[cell], strict=True):
            f.b.store(leaf_value(f.b, value, leaf), slot.address)


def _release_content(f: FunctionEmitter, place: CellPlace, value: ir.Value) -> None:
    """Release what a cell has held, which is nothing while it is unbound."""
    if leaves(place.type):
        bound = f.b.load(place.bound, typ=I64)
        with f.b.if_then(f.b.icmp_signed("!=", bound, ir.Constant(I64, 0))):
            f.release(value, place.type)


def release_local(f: FunctionEmitter, cell: Value) -> None:
    """Give up a cell in the frame and what it holds."""
    place = place_of(f, cell)
    if leaves(place.type):
        _release_content(f, place, f.b.load(place.value, typ=llvm_type(place.type)))
    f.give_up(cell)


def _check_bound(f: FunctionEmitter, node: Node, place: CellPlace) -> None:
    bound = f.b.load(place.bound, typ=I64)
    error = unbound_error(node.attributes["name"], node.attributes.get("is_free", False))
    f.raise_if(f.b.icmp_signed("==", bound, ir.Constant(I64, 0)), type(error), str(error))


@lower("prim::CellGet", "prim::CellRead", raw=True)
def read(f: FunctionEmitter, node: Node) -> ir.Value:
    """The value of a cell, for which the reader counts as one more owner."""
    place = place_of(f, node.inputs[0])
    if node.kind == "prim::CellGet":
        _check_bound(f, node, place)
    value = f.b.load(place.value, typ=llvm_type(place.type))
    f.retain(value, place.type)
    return coerce(f.b, f.unit, value, place.type, node.output.type)


@lower("prim::CellIsBound", raw=True)
def is_bound(f: FunctionEmitter, node: Node) -> ir.Value:
    """Whether a cell has a value."""
    bound = f.b.load(place_of(f, node.inputs[0]).bound, typ=I64)
    return boolean(f.b, f.b.icmp_signed("!=", bound, ir.Constant(I64, 0)))


@lower("prim::CellSet", raw=True)
def write(f: FunctionEmitter, node: Node) -> None:
    """Write a cell; the old value goes last, for its drop may run code."""
    cell, source = node.inputs
    place = place_of(f, cell)
    value = f.value_as(source, place.type)
    f.retain(f.values[source], source.type)
    if not leaves(place.type):
        _write(f, cell, place, value)
        return
    old = f.b.load(place.value, typ=llvm_type(place.type))
    was_bound = f.b.load(place.bound, typ=I64)
    _write(f, cell, place, value)
    with f.b.if_then(f.b.icmp_signed("!=", was_bound, ir.Constant(I64, 0))):
        f.release(old, place.type)


@lower("prim::CellDelete", raw=True)
def delete(f: FunctionEmitter, node: Node) -> None:
    """Unbind a cell."""
    (cell,) = node.inputs
    place = place_of(f, cell)
    if "name" in node.attributes:
        _check_bound(f, node, place)
    old = f.b.load(place.value, typ=llvm_type(place.type))
    was_bound = f.b.load(place.bound, typ=I64)
    f.b.store(ir.Constant(I64, 0), place.bound)
    f.b.store(zero(llvm_type(place.type)), place.value)
    if cell in f.local_cells:
        for slot in f.held[cell]:
            f.clear(slot)
    if leaves(place.type):
        with f.b.if_then(f.b.icmp_signed("!=", was_bound, ir.Constant(I64, 0))):
            f.release(old, place.type)
