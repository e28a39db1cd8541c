"""Representation of values: their counted parts, and conversions along subtype edges.

A *leaf* is a counted pointer inside a value: the tensor in a ``Tuple[Tensor, int]`` at path (0,).
``coerce`` widens, ``narrow`` goes the other way and trusts the program.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from enum import Enum

from llvmlite import ir

from scriptmode.abi.convention import F64, I1, I8, I64, PTR
from scriptmode.abi.layouts import (
    ANY_TYPE,
    COMPLEX_TYPE,
    NUMBER_BOOL,
    NUMBER_COMPLEX,
    NUMBER_FLOAT,
    NUMBER_INT,
    NUMBER_TYPE,
    llvm_type,
    size_of,
)
from scriptmode.abi.objects import HEAP_DESCRIPTOR, HEAP_PAYLOAD
from scriptmode.analysis.ownership import is_any_like, is_counted
from scriptmode.codegen import tensors
from scriptmode.codegen.nans import plain_float
from scriptmode.codegen.unit import NULL, Unit
from scriptmode.ir import types as T
from scriptmode.ir.types import Type


class Count(Enum):
    """Who counts a leaf's references."""

    TENSOR = "tensor"
    OBJECT = "object"
    COUNTED = "counted"  # libtorch's Generator and Storage
    ANY = "any"  # as the descriptor beside the payload says


@dataclass(frozen=True)
class Leaf:
    """A counted part: its place, and the places of the flags that say whether it is there."""

    count: Count
    path: tuple[int, ...]
    flags: tuple[tuple[int, ...], ...] = ()
    nullable: bool = False


@functools.cache
def leaves(t: Type) -> tuple[Leaf, ...]:
    """The counted parts of values of ``t``."""
    return tuple(_find_leaves(t, (), (), False))


def _find_leaves(
    t: Type, path: tuple[int, ...], flags: tuple[tuple[int, ...], ...], nullable: bool
) -> list[Leaf]:
    if not is_counted(t):
        return []
    if isinstance(t, T.OptionalType):
        if isinstance(llvm_type(t), ir.PointerType):
            return _find_leaves(t.element, path, flags, True)
        return _find_leaves(t.element, (*path, 1), (*flags, (*path, 0)), True)
    if isinstance(t, T.TupleType):
        found = []
        for index, element in enumerate(t.elements):
            found += _find_leaves(element, (*path, index), flags, nullable)
        return found
    if is_any_like(t):
        count = Count.ANY
    elif t == T.TENSOR:
        count = Count.TENSOR
    elif t in (T.GENERATOR, T.STORAGE):
        count = Count.COUNTED
    else:
        count = Count.OBJECT
    return [Leaf(count, path, flags, nullable)]


def truth(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The i1 of a bool."""
    if isinstance(value, ir.Constant) and isinstance(value.constant, int):
        return ir.Constant(I1, value.constant & 1)
    return b.icmp_unsigned("!=", value, ir.Constant(I8, 0))


def boolean(b: ir.IRBuilder, flag: ir.Value) -> ir.Value:
    """The bool of an i1."""
    return b.zext(flag, I8)


def extract(b: ir.IRBuilder, value: ir.Value, path: tuple[int, ...]) -> ir.Value:
    """The part of an aggregate at ``path``."""
    return b.extract_value(value, list(path)) if path else value


def leaf_value(b: ir.IRBuilder, value: ir.Value, leaf: Leaf) -> ir.Value:
    """The counted pointer (or descriptor and payload); null when a flag says that it is absent."""
    found = extract(b, value, leaf.path)
    for flag in leaf.flags:
        there = truth(b, extract(b, value, flag))
        found = b.select(there, found, ir.Constant(found.type, None))
    return found


def zero(t: ir.Type) -> ir.Constant:
    """The all-zero constant of a type."""
    return ir.Constant(t, None)


def make_struct(b: ir.IRBuilder, t: ir.Type, parts: list[ir.Value]) -> ir.Value:
    """An aggregate of parts."""
    if all(isinstance(p, ir.Constant) for p in parts):
        return ir.Constant(t, parts)
    found: ir.Value = ir.Constant(t, ir.Undefined)
    for index, part in enumerate(parts):
        found = b.insert_value(found, part, index)
    return found


def is_null(b: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """Whether a pointer is null."""
    return b.icmp_unsigned("==", pointer, NULL)


def is_none(b: ir.IRBuilder, unit: Unit, value: ir.Value, t: Type) -> ir.Value:
    """Whether a value is None, as i1."""
    if t == T.NONE:
        return ir.Constant(I1, 1)
    if isinstance(t, T.OptionalType):
        if isinstance(value.type, ir.PointerType):
            return is_null(b, value)
        return b.not_(truth(b, b.extract_value(value, 0)))
    if t == T.ANY:
        descriptor = b.extract_value(value, 0)
        return b.icmp_unsigned("==", descriptor, unit.descriptor(T.NONE))
    return ir.Constant(I1, 0)


# ---- widening ----


def coerce(b: ir.IRBuilder, unit: Unit, value: ir.Value, source: Type, target: Type) -> ir.Value:
    """``value`` of type ``source`` in the representation of its supertype ``target``."""
    if source == target:
        return value
    wanted = llvm_type(target)
    if source == T.NEVER:
        return zero(wanted)
    if isinstance(target, T.OptionalType):
        return _to_optional(b, unit, value, source, target, wanted)
    if is_any_like(target):
        return _to_any(b, unit, value, source)
    if is_any_like(source) and T.is_instance_type(target):
        return from_payload(b, b.extract_value(value, 1), wanted)
    if target == T.NUMBER:
        return to_number(b, unit, value, source)
    if isinstance(target, T.TupleType) and isinstance(source, T.TupleType):
        parts = [
            coerce(b, unit, b.extract_value(value, i), s, t)
            for i, (s, t) in enumerate(zip(source.elements, target.elements, strict=True))
        ]
        return make_struct(b, wanted, parts)
    assert value.type == wanted, f"{source} does not flow into {target}"
    return value


def _to_optional(
    b: ir.IRBuilder,
    unit: Unit,
    value: ir.Value,
    source: Type,
    target: T.OptionalType,
    wanted: ir.Type,
) -> ir.Value:
    if source == T.NONE:
        return zero(wanted)
    if isinstance(source, T.OptionalType):
        if value.type == wanted and source.element == target.element:
            return value
        if isinstance(value.type, ir.PointerType):
            there = b.not_(is_null(b, value))
            inner = coerce(b, unit, value, source.element, target.element)
        else:
            there = truth(b, b.extract_value(value, 0))
            inner = coerce(b, unit, b.extract_value(value, 1), source.element, target.element)
        if isinstance(wanted, ir.PointerType):
            return inner
        full = make_struct(b, wanted, [ir.Constant(I8, 1), inner])
        return b.select(there, full, zero(wanted))
    inner = coerce(b, unit, value, source, target.element)
    if isinstance(wanted, ir.PointerType):
        return inner
    return make_struct(b, wanted, [ir.Constant(I8, 1), inner])


def _to_any(b: ir.IRBuilder, unit: Unit, value: ir.Value, source: Type) -> ir.Value:
    if is_any_like(source):
        return value
    if source == T.NONE:
        return make_struct(b, ANY_TYPE, [unit.descriptor(T.NONE), ir.Constant(I64, 0)])
    if isinstance(source, T.OptionalType):
        nothing = make_struct(b, ANY_TYPE, [unit.descriptor(T.NONE), ir.Constant(I64, 0)])
        inner = value if isinstance(value.type, ir.PointerType) else b.extract_value(value, 1)
        some = _to_any(b, unit, inner, source.element)
        return b.select(is_none(b, unit, value, source), nothing, some)
    assert size_of(source) <= 8, f"{source} in an Any needs a box"
    descriptor = unit.descriptor(source)
    if T.is_instance_type(source):
        descriptor = dynamic_descriptor(b, unit, value)
    return make_struct(b, ANY_TYPE, [descriptor, to_payload(b, value)])


def dynamic_descriptor(b: ir.IRBuilder, unit: Unit, instance: ir.Value) -> ir.Value:
    """The descriptor of the class that an instance is of; None's for null.

    Null comes from the side of an Optional that is not taken.
    """
    place = b.select(is_null(b, instance), unit.none_object(), instance)
    return tensors.load(b, place, PTR, HEAP_DESCRIPTOR)


def is_instance_of(
    b: ir.IRBuilder, unit: Unit, descriptor: ir.Value, t: Type, *, exact: bool = False
) -> ir.Value:
    """Whether a descriptor is that of ``t``, or of a subclass, as i1."""
    found: ir.Value = ir.Constant(I1, 0)
    below = t.subclasses if isinstance(t, T.ClassType) and not exact else []
    for candidate in (t, *below):
        same = b.icmp_unsigned("==", descriptor, unit.descriptor(candidate))
        found = b.or_(found, same)
    return found


def to_payload(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Up to eight bytes as the word that has the same bytes in memory."""
    if isinstance(value.type, ir.PointerType):
        return b.ptrtoint(value, I64)
    if isinstance(value.type, ir.DoubleType):
        return b.bitcast(value, I64)
    if isinstance(value.type, ir.IntType):
        return value if value.type.width == 64 else b.zext(value, I64)
    place = tensors.stack_slot(b, 8)
    b.store(ir.Constant(I64, 0), place)
    b.store(value, place)
    return b.load(place, typ=I64)


def from_payload(b: ir.IRBuilder, payload: ir.Value, t: ir.Type) -> ir.Value:
    """The value whose bytes ``to_payload`` made a word."""
    if isinstance(t, ir.PointerType):
        return b.inttoptr(payload, t)
    if isinstance(t, ir.DoubleType):
        return b.bitcast(payload, t)
    if isinstance(t, ir.IntType):
        return payload if t.width == 64 else b.trunc(payload, t)
    place = tensors.stack_slot(b, 8)
    b.store(payload, place)
    return b.load(place, typ=t)


def to_number(b: ir.IRBuilder, unit: Unit, value: ir.Value, source: Type) -> ir.Value:
    """A number from int, float, bool, complex or a union of them."""
    none = ir.Constant(I64, 0)
    if source == T.NUMBER:
        return value
    if source == T.INT:
        return make_struct(b, NUMBER_TYPE, [ir.Constant(I64, NUMBER_INT), value, none])
    if source == T.BOOL:
        wide = (
            ir.Constant(I64, value.constant)
            if isinstance(value, ir.Constant)
            else b.zext(value, I64)
        )
        return make_struct(b, NUMBER_TYPE, [ir.Constant(I64, NUMBER_BOOL), wide, none])
    if source == T.FLOAT:
        bits = float_bits(b, plain_float(b, value))
        return make_struct(b, NUMBER_TYPE, [ir.Constant(I64, NUMBER_FLOAT), bits, none])
    if source == T.COMPLEX:
        bits = [b.bitcast(b.extract_value(value, i), I64) for i in (0, 1)]
        return make_struct(b, NUMBER_TYPE, [ir.Constant(I64, NUMBER_COMPLEX), *bits])
    assert isinstance(source, T.UnionType)
    found: ir.Value = zero(NUMBER_TYPE)
    for member in source.contained:
        converted = to_number(b, unit, narrow(b, unit, value, source, member), member)
        found = b.select(has_descriptor(b, unit, value, member), converted, found)
    return found


def float_bits(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The bits of a float as an int; a constant stays one."""
    if isinstance(value, ir.Constant) and isinstance(value.constant, float):
        return ir.Constant(I64, struct.unpack("<q", struct.pack("<d", value.constant))[0])
    return b.bitcast(value, I64)


def has_descriptor(b: ir.IRBuilder, unit: Unit, value: ir.Value, t: Type) -> ir.Value:
    """Whether an Any or Union holds a ``t``, or an instance of a subclass of it."""
    return is_instance_of(b, unit, b.extract_value(value, 0), t)


# ---- narrowing ----


def narrow(b: ir.IRBuilder, unit: Unit, value: ir.Value, source: Type, target: Type) -> ir.Value:
    """``value`` as the ``target`` that it is known to be."""
    if source == target:
        return value
    if target == T.NONE:
        return zero(llvm_type(T.NONE))
    if T.is_subtype(source, target):
        return coerce(b, unit, value, source, target)
    if isinstance(source, T.OptionalType) and not isinstance(target, T.OptionalType):
        inner = value if isinstance(value.type, ir.PointerType) else b.extract_value(value, 1)
        return narrow(b, unit, inner, source.element, target)
    if isinstance(target, T.OptionalType):
        return _narrow_to_optional(b, unit, value, source, target)
    if is_any_like(source):
        if is_any_like(target):
            return value
        return _from_any(b, unit, value, target)
    if is_any_like(target) and T.is_instance_type(source):
        return _to_any(b, unit, value, source)
    if source == T.NUMBER:
        return _from_number(b, value, target)
    if isinstance(target, T.TupleType) and isinstance(source, T.TupleType):
        parts = [
            narrow(b, unit, b.extract_value(value, i), s, t)
            for i, (s, t) in enumerate(zip(source.elements, target.elements, strict=True))
        ]
        return make_struct(b, llvm_type(target), parts)
    assert value.type == llvm_type(target), f"{source} cannot be a {target}"
    return value


def _narrow_to_optional(
    b: ir.IRBuilder, unit: Unit, value: ir.Value, source: Type, target: T.OptionalType
) -> ir.Value:
    wanted = llvm_type(target)
    there = b.not_(is_none(b, unit, value, source))
    inner_type = T.unwrap_optional(source)
    inner = value
    if isinstance(source, T.OptionalType) and not isinstance(value.type, ir.PointerType):
        inner = b.extract_value(value, 1)
    inner = narrow(b, unit, inner, inner_type, target.element)
    if isinstance(wanted, ir.PointerType):
        return b.select(there, inner, NULL)
    full = make_struct(b, wanted, [ir.Constant(I8, 1), inner])
    return b.select(there, full, zero(wanted))


def _from_any(b: ir.IRBuilder, unit: Unit, value: ir.Value, target: Type) -> ir.Value:
    wanted = llvm_type(target)
    payload = b.extract_value(value, 1)
    if size_of(target) <= 8:
        return from_payload(b, payload, wanted)
    # the box may be absent when this is evaluated on a path that does not use it
    held = has_descriptor(b, unit, value, target)
    place = tensors.stack_slot(b, size_of(target))
    b.store(zero(wanted), place)
    box = tensors.byte_gep(b, b.inttoptr(payload, PTR), HEAP_PAYLOAD)
    return b.load(b.select(held, box, place), typ=wanted)


def _from_number(b: ir.IRBuilder, value: ir.Value, target: Type) -> ir.Value:
    low = b.extract_value(value, 1)
    if target == T.INT:
        return low
    if target == T.FLOAT:
        return b.bitcast(low, F64)
    if target == T.BOOL:
        return b.trunc(low, I8)
    assert target == T.COMPLEX
    parts = [b.bitcast(b.extract_value(value, i), F64) for i in (1, 2)]
    return make_struct(b, COMPLEX_TYPE, parts)
