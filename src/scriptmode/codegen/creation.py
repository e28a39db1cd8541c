"""Lowering of ``torch.tensor(data)`` for numbers and nested lists of numbers.

The elements are copied into an int64, float64, bool or complex128 tensor, which is then converted
to the dtype that was asked for or that eager infers.  Conversions that eager checks for each
element (floats to integers, ints to narrow integers) and data with tensors in it are left to
Python; with a dtype that is known at run time only such a conversion is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import F64, I8, I16, I32, I64, PTR
from scriptmode.abi.dtypes import DTYPE_NUMBERS, DTYPES
from scriptmode.abi.layouts import llvm_type, size_of
from scriptmode.codegen import tensors
from scriptmode.codegen.containers import lent_list
from scriptmode.codegen.function import FunctionEmitter
from scriptmode.codegen.lowering import DEFINED, lower
from scriptmode.codegen.metadata import GET_DEFAULT_DTYPE, one_of, query
from scriptmode.codegen.nans import plain_float
from scriptmode.codegen.python_calls import call_python
from scriptmode.codegen.slots import Slot
from scriptmode.codegen.values import Count, coerce, make_struct, truth, zero
from scriptmode.ir import types as T
from scriptmode.ir.graph import Node, Value
from scriptmode.ir.types import Type
from scriptmode.ops.aten import aten_schema

_EXACT: Mapping[Type, torch.dtype] = {
    T.INT: torch.int64,
    T.FLOAT: torch.float64,
    T.BOOL: torch.bool,
    T.COMPLEX: torch.complex128,
}
_INEXACT = tuple(n for n, d in DTYPES.items() if d.is_floating_point or d.is_complex)
_BOOL = DTYPE_NUMBERS[torch.bool]
_CONVERTIBLE: Mapping[Type, tuple[int, ...]] = {
    T.INT: (*_INEXACT, _BOOL, DTYPE_NUMBERS[torch.int64]),
    T.FLOAT: (*_INEXACT, _BOOL),
    T.BOOL: tuple(DTYPES),
    T.COMPLEX: tuple(n for n, d in DTYPES.items() if d.is_complex),
}
MOST_DIMENSIONS = 4


@lower("tensor::from_data", raw=True)
def tensor_from_data(f: FunctionEmitter, node: Node) -> object:
    """``torch.tensor(data, dtype=, device=, requires_grad=)``."""
    data, dtype, device, requires_grad = node.inputs
    if data.node is not None and data.node.kind == "prim::box":
        data = data.node.inputs[0]
    value, t = f.values[data], data.type
    if isinstance(t, T.TupleType) and len(set(t.elements)) == 1 and t.elements[0] in _EXACT:
        items = [f.b.extract_value(value, i) for i in range(len(t.elements))]
        t = T.ListType([t.elements[0]])
        value = lent_list(f, items[0].type, items)
    element, depth = scalar_type(t)
    if element not in _EXACT or depth > MOST_DIMENSIONS or not converts(dtype, element, depth):
        return call_python(f, node, tensor_in_python)
    if depth == 0 and is_checked(dtype, element):
        converted = checked_scalar(f, value, element, dtype.constant)
    else:
        sizes = dimensions(f, value, t)
        exact = filled(f, value, t, element, sizes)
        target = target_dtype(f, node, dtype, element, sizes)
        converted = owned_result(f, "aten::to.dtype", [loaded(f, exact), target, *no_copy()])
        drop(f, exact)
    if device.type != T.NONE:
        here = converted
        place = f.value_as(device, T.optional_of(T.DEVICE))
        moved = owned_result(f, "aten::to.dtype_layout", to_device(f, loaded(f, here), place))
        drop(f, here)
        converted = moved
    if not (requires_grad.is_constant and requires_grad.constant is False):
        flag = f.values[requires_grad]
        marked = owned_result(f, "aten::requires_grad_", [loaded(f, converted), flag])
        drop(f, marked)
    f.values[node.output] = loaded(f, converted)
    f.held[node.output] = (converted,)
    return DEFINED


def tensor_in_python(data: Any, dtype: Any, device: Any, requires_grad: bool) -> torch.Tensor:
    """What native code does not make: nested tensors, elements whose fit is checked one by one."""
    return torch.tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)


def converts(dtype: Value, element: Type, depth: int) -> bool:
    """Whether native code converts the elements to the dtype, as far as it is known."""
    if not dtype.is_constant or dtype.constant is None:
        return True
    is_scalar = depth == 0 and is_checked(dtype, element)
    return is_scalar or DTYPE_NUMBERS[dtype.constant] in _CONVERTIBLE[element]


def is_checked(dtype: Value, element: Type) -> bool:
    """Whether a number has to be checked for its fit into the dtype: an integer one, narrower."""
    return (
        dtype.is_constant
        and dtype.constant is not None
        and element in (T.INT, T.FLOAT)
        and DTYPE_NUMBERS[dtype.constant] not in _CONVERTIBLE[element]
    )


def checked_scalar(f: FunctionEmitter, value: ir.Value, element: Type, dtype: torch.dtype) -> Slot:
    """A tensor of one number, whose range ATen checks."""
    number = coerce(f.b, f.unit, value, element, T.NUMBER)
    absent = [zero(llvm_type(T.optional_of(t))) for t in (T.LAYOUT, T.DEVICE, T.BOOL)]
    asked = make_struct(
        f.b,
        llvm_type(T.optional_of(T.DTYPE)),
        [ir.Constant(I8, 1), ir.Constant(I8, DTYPE_NUMBERS[dtype])],
    )
    return owned_result(f, "aten::full", [lent_list(f, I64, []), number, asked, *absent])


def scalar_type(t: Type) -> tuple[Type, int]:
    """The element type of nested lists, and how deep they are."""
    depth = 0
    while isinstance(t, (T.ListType, T.VarTupleType)) or t == T.SIZE:
        t = t.contained[0] if t.contained else T.INT
        depth += 1
    return t, depth


# ---- owned temporaries ----


def owned_result(f: FunctionEmitter, kind: str, arguments: list[ir.Value]) -> Slot:
    """The slot of the tensor that an ATen op gives."""
    schema = aten_schema(kind)
    assert schema is not None, kind
    slot = f.array(Count.TENSOR).take()
    f.check(f.b.call(f.unit.thunk(schema), [f.ctx, *arguments, slot.address]))
    return slot


def loaded(f: FunctionEmitter, slot: Slot) -> ir.Value:
    """The tensor in a slot."""
    return f.b.load(slot.address, typ=PTR)


def drop(f: FunctionEmitter, slot: Slot) -> None:
    """Release the tensor in a slot."""
    tensor = loaded(f, slot)
    f.clear(slot)
    f.release(tensor, T.TENSOR)
    f.arrays[slot.count].free.append(slot)


def no_copy() -> list[ir.Value]:
    """non_blocking, copy, memory_format."""
    off = ir.Constant(I8, 0)
    return [off, off, zero(llvm_type(T.optional_of(T.MEMORY_FORMAT)))]


def to_device(f: FunctionEmitter, tensor: ir.Value, device: ir.Value) -> list[ir.Value]:
    """Arguments of ``aten::to.dtype_layout`` that only move."""
    nothing = [zero(llvm_type(T.optional_of(t))) for t in (T.DTYPE, T.LAYOUT)]
    pinned = zero(llvm_type(T.optional_of(T.BOOL)))
    return [tensor, *nothing, device, pinned, *no_copy()]


# ---- shape and elements ----


def dimensions(f: FunctionEmitter, value: ir.Value, t: Type) -> list[ir.Value]:
    """Sizes as the first elements tell them; 0 below an empty list."""
    sizes: list[ir.Value] = []
    while scalar_type(t)[1]:
        length = tensors.load(f.b, value, I64, objects.LIST_LENGTH)
        sizes.append(length)
        t = t.contained[0] if t.contained else T.INT
        if scalar_type(t)[1]:
            value = first_or_empty(f, value, length)
    return sizes


def first_or_empty(f: FunctionEmitter, value: ir.Value, length: ir.Value) -> ir.Value:
    """The first list of a list; an empty one when there is none."""
    empty = f.unit.constant_list(PTR, [])
    data = tensors.load(f.b, value, PTR, objects.LIST_DATA)
    some = f.b.icmp_signed(">", length, ir.Constant(I64, 0))
    cell = f.spill(empty)
    return f.b.load(f.b.select(some, data, cell), typ=PTR)


def filled(
    f: FunctionEmitter, value: ir.Value, t: Type, element: Type, sizes: list[ir.Value]
) -> Slot:
    """A new tensor with the elements."""
    code = ir.Constant(I8, DTYPE_NUMBERS[_EXACT[element]])
    some = ir.Constant(I8, 1)
    dtype = f.b.insert_value(ir.Constant(ir.LiteralStructType([I8, I8]), [some, some]), code, 1)
    cpu = ir.Constant(ir.LiteralStructType([I8, I16]), [some, ir.Constant(I16, 0xFF00 - 0x10000)])
    rest = [zero(llvm_type(T.optional_of(x))) for x in (T.LAYOUT,)]
    end = [zero(llvm_type(T.optional_of(x))) for x in (T.BOOL, T.MEMORY_FORMAT)]
    shape = shape_list(f, sizes)
    slot = owned_result(f, "aten::empty.memory_format", [shape, dtype, *rest, cpu, *end])
    target = query(f, "data_ptr", loaded(f, slot), PTR)
    if not sizes:
        f.b.store(plain_float(f.b, value) if t == T.FLOAT else value, target)
    else:
        copy_elements(f, value, t, element, sizes, target, 0)
    return slot


def shape_list(f: FunctionEmitter, sizes: list[ir.Value]) -> ir.Value:
    """The shape; one dimension of size 0 when the outermost list is empty."""
    shape = lent_list(f, I64, sizes)
    if len(sizes) < 2:
        return shape
    flat = lent_list(f, I64, [ir.Constant(I64, 0)])
    empty = f.b.icmp_signed("==", sizes[0], ir.Constant(I64, 0))
    return f.b.select(empty, flat, shape)


def copy_elements(
    f: FunctionEmitter,
    value: ir.Value,
    t: Type,
    element: Type,
    sizes: list[ir.Value],
    target: ir.Value,
    dimension: int,
) -> None:
    """Copy one list, whose length must be that of its dimension, to ``target``."""
    check_length(f, value, sizes, dimension)
    data = tensors.load(f.b, value, PTR, objects.LIST_DATA)
    size: ir.Value = ir.Constant(I64, size_of(element))
    if dimension == len(sizes) - 1:
        if element == T.FLOAT:
            copy_floats(f, data, target, sizes[-1])
            return
        copy = f.unit.external("memcpy", PTR, [PTR, PTR, I64])
        f.b.call(copy, [target, data, f.b.mul(sizes[-1], size)])
        return
    for inner in sizes[dimension + 1 :]:
        size = f.b.mul(size, inner)
    with tensors.for_range(f.b, sizes[dimension]) as index:
        place = tensors.byte_gep(f.b, data, f.b.mul(index, ir.Constant(I64, 8)))
        row = f.b.load(place, typ=PTR)
        below = t.contained[0]
        start = tensors.byte_gep(f.b, target, f.b.mul(index, size))
        copy_elements(f, row, below, element, sizes, start, dimension + 1)


def copy_floats(f: FunctionEmitter, data: ir.Value, target: ir.Value, count: ir.Value) -> None:
    """Copy floats to a tensor of float64."""
    with tensors.for_range(f.b, count) as index:
        at = f.b.mul(index, ir.Constant(I64, 8))
        number = f.b.load(tensors.byte_gep(f.b, data, at), typ=F64)
        f.b.store(plain_float(f.b, number), tensors.byte_gep(f.b, target, at))


def check_length(f: FunctionEmitter, value: ir.Value, sizes: list[ir.Value], at: int) -> None:
    """ValueError with eager's text for a ragged list."""
    if at == 0:
        return
    length = tensors.load(f.b, value, I64, objects.LIST_LENGTH)
    with f.unlikely(f.b.icmp_signed("!=", length, sizes[at])):
        raise_ragged(f, sizes[at], length, at)


def raise_ragged(f: FunctionEmitter, wanted: ir.Value, got: ir.Value, at: int) -> None:
    """``expected sequence of length 2 at dim 1 (got 1)``."""
    slots = [f.array(Count.OBJECT).take() for _ in range(3)]
    to_text = f.unit.native("sm_int_str", I32, [PTR, I64, PTR])
    for number, slot in zip((wanted, got), slots, strict=False):
        f.check(f.b.call(to_text, [f.ctx, number, slot.address]))
    parts = [
        f.unit.text("expected sequence of length "),
        loaded(f, slots[0]),
        f.unit.text(f" at dim {at} (got "),
        loaded(f, slots[1]),
        f.unit.text(")"),
    ]
    join = f.unit.native("sm_str_join", I32, [PTR, PTR, PTR, PTR])
    f.check(f.b.call(join, [f.ctx, f.unit.text(""), lent_list(f, PTR, parts), slots[2].address]))
    message = loaded(f, slots[2])
    f.clear(slots[2])  # the context takes it over; the error path releases the others
    f.raise_(ValueError, message)
    for slot in slots:
        f.arrays[slot.count].free.append(slot)


# ---- dtype ----


def target_dtype(
    f: FunctionEmitter, node: Node, dtype: Value, element: Type, sizes: list[ir.Value]
) -> ir.Value:
    """The dtype asked for, else the one that eager infers."""
    inferred = inferred_dtype(f, element, sizes)
    if dtype.type == T.NONE or (dtype.is_constant and dtype.constant is None):
        return inferred
    given = f.value_as(dtype, T.optional_of(T.DTYPE))
    some, code = truth(f.b, f.b.extract_value(given, 0)), f.b.extract_value(given, 1)
    wanted = f.b.select(some, code, inferred)
    if not dtype.is_constant:
        fits = truth(f.b, one_of(f, wanted, _CONVERTIBLE[element]))
        message = f"torch.tensor of {element} with this dtype is not supported in compiled code"
        f.raise_if(f.b.not_(fits), NotImplementedError, message)
    return wanted


def inferred_dtype(f: FunctionEmitter, element: Type, sizes: list[ir.Value]) -> ir.Value:
    """Eager's dtype for the elements; the default one when there is none."""
    default = f.b.call(f.unit.external(GET_DEFAULT_DTYPE, I8, []), [])
    if element == T.FLOAT:
        return default
    exact: ir.Value = ir.Constant(I8, DTYPE_NUMBERS[_EXACT[element]])
    if element == T.COMPLEX:
        for real, paired in ((torch.float32, torch.complex64), (torch.float16, torch.complex32)):
            is_real = f.b.icmp_unsigned("==", default, ir.Constant(I8, DTYPE_NUMBERS[real]))
            exact = f.b.select(is_real, ir.Constant(I8, DTYPE_NUMBERS[paired]), exact)
    for size in sizes:
        empty = f.b.icmp_signed("==", size, ir.Constant(I64, 0))
        exact = f.b.select(empty, default, exact)
    return exact
