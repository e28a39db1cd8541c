"""Reads and writes of heap objects that say what they cannot alias, and reference counts inline.

Each access names what it touches: a header field, or elements of one type.  Different ones are
different memory (LLVM's type-based alias analysis), so that a store to a list's elements does not
make its length unknown.  Accesses without a name may touch anything.

Counts of objects that cannot be part of a cycle are changed inline; the native library drops them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I64, PTR
from scriptmode.abi.layouts import llvm_type
from scriptmode.codegen import tensors
from scriptmode.codegen.unit import NULL, VOID, Unit
from scriptmode.ir import types as T
from scriptmode.ir.types import Type

COUNT = "count"
LENGTH = "length"
CAPACITY = "capacity"
DATA = "data"
SLOT = "slot"  # of a frame

_ROOT = "scriptmode"
_LIMITS, _NOTHING = ("limits",), ()
_IMMORTAL = ir.Constant(I64, objects.IMMORTAL)


def once(module: ir.Module, key: object, make: Callable[[], list[Any]]) -> ir.MDValue:
    """A metadata node of a module, made when it is first asked for: llvmlite compares texts."""
    known = vars(module).setdefault("known_metadata", {})  # goes with the module
    found = known.get(key)
    if found is None:
        found = known[key] = module.add_metadata(make())
    return found


def mark(module: ir.Module, access: ir.Instruction, name: str) -> None:
    """Say that a load or store touches the memory called ``name``."""

    def tag() -> list[Any]:
        root = module.add_metadata([_ROOT])
        kind = module.add_metadata([name, root, ir.Constant(I64, 0)])
        return [kind, kind, ir.Constant(I64, 0)]

    access.set_metadata("tbaa", once(module, name, tag))


def load_field(b: ir.IRBuilder, pointer: ir.Value, t: ir.Type, offset: int, name: str) -> ir.Value:
    """Load a header field."""
    found = b.load(tensors.byte_gep(b, pointer, offset), typ=t)
    mark(b.module, found, name)
    return found


def store_field(
    b: ir.IRBuilder, value: ir.Value, pointer: ir.Value, offset: int, name: str
) -> None:
    """Store a header field."""
    mark(b.module, b.store(value, tensors.byte_gep(b, pointer, offset)), name)


def list_length(b: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """A list's length, which is not negative."""
    found = load_field(b, pointer, I64, objects.LIST_LENGTH, LENGTH)
    limits = once(b.module, _LIMITS, lambda: [ir.Constant(I64, 0), ir.Constant(I64, 2**63 - 1)])
    found.set_metadata("range", limits)
    return found


def list_data(b: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    """The address of a list's elements."""
    return load_field(b, pointer, PTR, objects.LIST_DATA, DATA)


def mark_element(module: ir.Module, access: ir.Instruction, t: ir.Type) -> None:
    """Say that a load or store touches an element of LLVM type ``t``, if one name can say it."""
    if not isinstance(t, ir.LiteralStructType):
        mark(module, access, f"{t} element")


def load_element(b: ir.IRBuilder, place: ir.Value, t: Type) -> ir.Value:
    """Load an element of type ``t``."""
    found = b.load(place, typ=llvm_type(t))
    mark_element(b.module, found, llvm_type(t))
    mark_readable(b.module, found, t)
    return found


def mark_readable(module: ir.Module, loaded: ir.Instruction, t: Type) -> None:
    """Say that an object whose address was loaded can be read, so that reads may be hoisted."""
    size = readable_bytes(t)
    if size:
        loaded.set_metadata("dereferenceable", _number(module, size))
        loaded.set_metadata("align", _number(module, 8))
        loaded.set_metadata("nonnull", once(module, _NOTHING, list))


def _number(module: ir.Module, n: int) -> ir.MDValue:
    return once(module, n, lambda: [ir.Constant(I64, n)])


def readable_bytes(t: Type) -> int:
    """How many bytes of an object of ``t`` can always be read; 0 when it is no object of ours."""
    if isinstance(t, (T.ListType, T.VarTupleType)) or t == T.SIZE:
        return objects.LIST_SIZE
    if isinstance(t, T.DictType):
        return objects.DICT_SIZE
    return objects.STR_DATA if t == T.STR else 0


def store_element(b: ir.IRBuilder, value: ir.Value, place: ir.Value) -> None:
    """Store an element."""
    mark_element(b.module, b.store(value, place), value.type)


# ---- reference counts ----


@functools.cache
def is_acyclic(t: Type) -> bool:
    """Whether an object of ``t`` can never be reached from itself, so that its count is all."""
    plain = (T.ListType, T.DictType, T.VarTupleType, T.TupleType, T.OptionalType)
    return all(isinstance(p, plain) or p in _SIMPLE for p in T.walk(t))


_SIMPLE = frozenset([T.STR, T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.SIZE, T.DTYPE, T.DEVICE])


def retain(
    b: ir.IRBuilder, unit: Unit, pointer: ir.Value, t: Type, *, inline: bool = False
) -> None:
    """Count one more owner of an object; null is allowed."""
    if inline and is_acyclic(t):
        b.call(_inline_function(unit, "sm.retain", _define_retain), [pointer])
    else:
        b.call(unit.native("sm_retain", VOID, [PTR]), [pointer])


def release(
    b: ir.IRBuilder, unit: Unit, pointer: ir.Value, t: Type, *, inline: bool = False
) -> None:
    """Count one owner less of an object; null is allowed."""
    if inline and is_acyclic(t):
        b.call(_inline_function(unit, "sm.release", _define_release), [pointer])
    else:
        b.call(unit.native("sm_release", VOID, [PTR]), [pointer])


def _inline_function(unit: Unit, name: str, define: object) -> ir.Function:
    found = unit.module.globals.get(name)
    if found is None:
        found = ir.Function(unit.module, ir.FunctionType(VOID, [PTR]), name)
        found.linkage = "internal"
        found.attributes.add("nounwind")
        found.attributes.add("alwaysinline")
        assert callable(define)
        define(unit, found)
    return found


def _counted(b: ir.IRBuilder, pointer: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The count, and whether the object is counted at all."""
    count = load_field(b, pointer, I64, objects.HEAP_COUNT, COUNT)
    return count, b.icmp_signed("<", count, _IMMORTAL)


def _define_retain(unit: Unit, function: ir.Function) -> None:
    (pointer,) = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    with b.if_then(b.icmp_unsigned("!=", pointer, NULL), likely=True):
        count, is_counted = _counted(b, pointer)
        with b.if_then(is_counted, likely=True):
            more = b.add(count, ir.Constant(I64, 1), flags=["nsw"])
            store_field(b, more, pointer, objects.HEAP_COUNT, COUNT)
    b.ret_void()


def _define_release(unit: Unit, function: ir.Function) -> None:
    (pointer,) = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    with b.if_then(b.icmp_unsigned("!=", pointer, NULL), likely=True):
        count, is_counted = _counted(b, pointer)
        is_shared = b.icmp_signed(">", count, ir.Constant(I64, 1))
        with b.if_then(b.and_(is_counted, is_shared), likely=True):
            less = b.sub(count, ir.Constant(I64, 1), flags=["nsw"])
            store_field(b, less, pointer, objects.HEAP_COUNT, COUNT)
        with b.if_then(b.not_(is_shared)):
            b.call(unit.native("sm_release", VOID, [PTR]), [pointer])
    b.ret_void()
