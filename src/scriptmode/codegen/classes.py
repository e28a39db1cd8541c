"""Functions that the descriptors of user classes point to: equality, hash and repr of instances.

A class whose methods ``__eq__``, ``__hash__`` or ``__repr__`` containers need has graphs for them
in ``ClassType.methods``; each gets an LLVM function of the form that ``abi.objects`` gives::

    i32 (ctx, ptr slot, ptr other, ptr descriptor of the other, ptr result)    DESC_EQ
    i32 (ctx, ptr slot, ptr descriptor, ptr result)                            DESC_HASH, DESC_REPR
"""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi import objects
from scriptmode.abi.convention import I32, I64, PTR, STATUS_ERROR
from scriptmode.abi.layouts import ANY_TYPE
from scriptmode.codegen.unit import Unit
from scriptmode.ir import types as T

_OFFSETS = {
    "__eq__": objects.DESC_EQ, "__hash__": objects.DESC_HASH, "__repr__": objects.DESC_REPR,
}  # fmt: skip


def emit_class_functions(unit: Unit) -> None:
    """Emit the functions of every class of the program."""
    for t in unit.program.classes.values():
        if t.is_module:
            continue
        for name, offset in _OFFSETS.items():
            if name in t.methods:
                symbol = f"sm.slot.{t.name}.{name}"
                emit = _emit_equality if name == "__eq__" else _emit_unary
                emit(unit, symbol, unit.functions[t.methods[name]])
                unit.descriptor(t)
                unit.class_functions[t, offset] = symbol


def _function(unit: Unit, symbol: str, arguments: int) -> tuple[ir.IRBuilder, ir.Function]:
    function = ir.Function(unit.module, ir.FunctionType(I32, [PTR] * arguments), symbol)
    function.attributes.add("nounwind")
    return ir.IRBuilder(function.append_basic_block("entry")), function


def _emit_unary(unit: Unit, symbol: str, method: ir.Function) -> None:
    b, function = _function(unit, symbol, 4)
    ctx, slot, _, result = function.args
    b.ret(b.call(method, [ctx, b.load(slot, typ=PTR), result]))


def _emit_equality(unit: Unit, symbol: str, method: ir.Function) -> None:
    """The other operand is passed as an Any, boxed where it is larger than a word."""
    b, function = _function(unit, symbol, 5)
    ctx, slot, other, descriptor, result = function.args
    place = b.alloca(ANY_TYPE)
    place.type = PTR
    made = b.call(unit.native("sm_any_new", I64, [PTR, PTR, PTR]), [place, other, descriptor])
    with b.if_then(b.icmp_signed("==", made, ir.Constant(I64, 0))):
        b.call(unit.native("sm_raise_memory_error", I32, [PTR]), [ctx])
        b.ret(ir.Constant(I32, STATUS_ERROR))
    status = b.call(method, [ctx, b.load(slot, typ=PTR), b.load(place, typ=ANY_TYPE), result])
    drop = unit.native("sm_slot_drop", ir.VoidType(), [PTR, PTR])
    b.call(drop, [place, unit.descriptor(T.ANY)])
    b.ret(status)
