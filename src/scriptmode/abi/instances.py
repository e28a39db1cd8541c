"""Layout of native instances of modules and of user classes.

A module is a heap object whose slots follow the header in the order of ``ClassType.attributes``,
aligned as in a literal LLVM struct ``{i64, ptr, slot types...}``.  The slot of a Tensor or
Optional[Tensor] attribute is an i64: the index of the tensor in the table that each call gets
(``ctx.tensors``), whose entries are ``{ptr TensorImpl or null, i64 dirty}``.

An instance of a user class has the slots of its whole family, tensors among them as pointers.  The
slot of an attribute that may lack a value is ``{i8 has, value}``.
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


def slot_types(class_type: T.ClassType) -> list[ir.Type]:
    """LLVM types of all slots."""
    if class_type.is_module:
        return [slot_type(t) for t in class_type.attributes.values()]
    return [llvm_type(t) for t in class_type.family]


def instance_type(class_type: T.ClassType) -> ir.LiteralStructType:
    """LLVM type of a whole instance, header included; slot i is element ``2 + i``."""
    return ir.LiteralStructType([I64, PTR, *slot_types(class_type)])


def slot_places(class_type: T.ClassType) -> list[int]:
    """Byte offset of every slot from the object's start."""
    offset, places = HEAP_PAYLOAD, []
    for slot in slot_types(class_type):
        align = align_of_llvm(slot)
        offset = -(-offset // align) * align
        places.append(offset)
        offset += size_of_llvm(slot)
    return places


def slot_offsets(class_type: T.ClassType) -> dict[str, int]:
    """Byte offset of every attribute's slot from the object's start."""
    places = slot_places(class_type)
    if class_type.is_module:
        return dict(zip(class_type.attributes, places, strict=True))
    return {name: places[index] for name, index in class_type.slots.items()}


def value_offset(t: T.Type) -> int:
    """Where the value of type ``t`` lies in a slot ``{i8 has, value}``."""
    align = align_of_llvm(llvm_type(t))
    return -(-1 // align) * align


def instance_size(class_type: T.ClassType) -> int:
    """Bytes of an instance."""
    return size_of_llvm(instance_type(class_type))
