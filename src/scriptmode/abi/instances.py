"""Layout of native module instances.

An instance is a heap object whose slots follow the header in the order of ``ClassType.attributes``,
aligned as in a literal LLVM struct ``{i64, ptr, slot types...}``.  The slot of a Tensor or
Optional[Tensor] attribute is an i64: the index of the tensor in the table that each call gets
(``ctx.tensors``), whose entries are ``{ptr TensorImpl or null, i64 dirty}``.
"""

from __future__ import annotations

from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.abi.layouts import HEAP_PAYLOAD, align_of_llvm, llvm_type, size_of_llvm
from scriptmode.ir import types as T

TABLE_ENTRY_SIZE = 16
TABLE_TENSOR = 0
TABLE_DIRTY = 8  # not 0: the program assigned the attribute
NOT_IN_TABLE = -1


def is_tensor_slot(t: T.Type) -> bool:
    """Whether attributes of type ``t`` live in the tensor table."""
    return t == T.TENSOR or (isinstance(t, T.OptionalType) and t.element == T.TENSOR)


def slot_type(t: T.Type) -> ir.Type:
    """LLVM type of the slot of an attribute of type ``t``."""
    return I64 if is_tensor_slot(t) else llvm_type(t)


def instance_type(class_type: T.ClassType) -> ir.LiteralStructType:
    """LLVM type of a whole instance, header included; slot i is element ``2 + i``."""
    slots = [slot_type(t) for t in class_type.attributes.values()]
    return ir.LiteralStructType([I64, PTR, *slots])


def slot_offsets(class_type: T.ClassType) -> dict[str, int]:
    """Byte offset of every attribute's slot from the object's start."""
    offset, offsets = HEAP_PAYLOAD, {}
    for name, t in class_type.attributes.items():
        slot = slot_type(t)
        align = align_of_llvm(slot)
        offset = -(-offset // align) * align
        offsets[name] = offset
        offset += size_of_llvm(slot)
    return offsets


def instance_size(class_type: T.ClassType) -> int:
    """Bytes of an instance."""
    return size_of_llvm(instance_type(class_type))
