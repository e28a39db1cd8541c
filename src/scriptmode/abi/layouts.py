"""Native representation of the IR's types: LLVM types, sizes, heap object offsets, symbol names.

A heap object is ``{i64 count, ptr descriptor, payload...}``; a list's payload is ``{i64 length, i64
capacity, ptr data}`` with unboxed elements, a string's is ``{i64 length, i64 hash, i32 width,
i32 room, code points...}``, where room is how many more code points its memory surely holds.
"""

from __future__ import annotations

from functools import cache

from llvmlite import ir

from scriptmode.abi.convention import F64, I8, I16, I64, PTR
from scriptmode.ir import types as T

HEAP_COUNT = 0
HEAP_DESCRIPTOR = 8
HEAP_PAYLOAD = 16
IMMORTAL = 1 << 62  # counts at or above this never change

LIST_LENGTH = HEAP_PAYLOAD
LIST_CAPACITY = HEAP_PAYLOAD + 8
LIST_DATA = HEAP_PAYLOAD + 16
LIST_SIZE = HEAP_PAYLOAD + 24

STR_LENGTH = HEAP_PAYLOAD
STR_HASH = HEAP_PAYLOAD + 8
STR_WIDTH = HEAP_PAYLOAD + 16
STR_ROOM = HEAP_PAYLOAD + 20
STR_DATA = HEAP_PAYLOAD + 24

CELL_BOUND = HEAP_PAYLOAD
CELL_VALUE = HEAP_PAYLOAD + 8

# Tags of a number, those of c10::Scalar.
NUMBER_FLOAT = 0
NUMBER_INT = 1
NUMBER_COMPLEX = 3
NUMBER_BOOL = 4

NUMBER_TYPE = ir.LiteralStructType([I64, I64, I64])
COMPLEX_TYPE = ir.LiteralStructType([F64, F64])
ANY_TYPE = ir.LiteralStructType([PTR, I64])
RANGE_TYPE = ir.LiteralStructType([I64, I64, I64])  # start, stop, step
STREAM_TYPE = ir.LiteralStructType([I64, I64])
NONE_TYPE = ir.LiteralStructType([])

_SIMPLE: dict[T.Type, ir.Type] = {
    T.TENSOR: PTR,
    T.INT: I64,
    T.FLOAT: F64,
    T.BOOL: I8,
    T.COMPLEX: COMPLEX_TYPE,
    T.STR: PTR,
    T.NONE: NONE_TYPE,
    T.NEVER: NONE_TYPE,
    T.NUMBER: NUMBER_TYPE,
    T.DEVICE: I16,
    T.DTYPE: I8,
    T.LAYOUT: I8,
    T.MEMORY_FORMAT: I8,
    T.QSCHEME: I8,
    T.GENERATOR: PTR,
    T.STORAGE: PTR,
    T.PYTHON: PTR,
    T.STREAM: STREAM_TYPE,
    T.BYTES: PTR,
    T.RANGE: RANGE_TYPE,
    T.ANY: ANY_TYPE,
}


@cache
def llvm_type(t: T.Type) -> ir.Type:
    """LLVM type of a value of IR type ``t``."""
    found = _SIMPLE.get(t)
    if found is not None:
        return found
    if isinstance(t, T.OptionalType):
        inner = llvm_type(t.element)
        return PTR if isinstance(inner, ir.PointerType) else ir.LiteralStructType([I8, inner])
    if isinstance(t, T.UnsetType):
        return ir.LiteralStructType([I8, llvm_type(t.element)])
    if isinstance(t, T.TupleType):
        return ir.LiteralStructType([llvm_type(e) for e in t.elements])
    if isinstance(t, T.UnionType):
        return ANY_TYPE
    if isinstance(t, T.TypeVar):
        raise TypeError(f"the type variable {t} has no native representation")
    return PTR


def align_of_llvm(t: ir.Type) -> int:
    """ABI alignment of an LLVM type used here."""
    if isinstance(t, ir.IntType):
        return max(1, int(t.width) // 8)
    if isinstance(t, ir.LiteralStructType):
        return max((align_of_llvm(e) for e in t.elements), default=1)
    if isinstance(t, (ir.PointerType, ir.DoubleType)):
        return 8
    if isinstance(t, ir.FloatType):
        return 4
    raise TypeError(f"no layout is known for {t}")


def size_of_llvm(t: ir.Type) -> int:
    """Allocation size in bytes of an LLVM type used here."""
    if isinstance(t, ir.IntType):
        return max(1, int(t.width) // 8)
    if isinstance(t, ir.LiteralStructType):
        offset = 0
        for element in t.elements:
            align = align_of_llvm(element)
            offset = -(-offset // align) * align + size_of_llvm(element)
        align = align_of_llvm(t)
        return -(-offset // align) * align
    if isinstance(t, (ir.PointerType, ir.DoubleType)):
        return 8
    if isinstance(t, ir.FloatType):
        return 4
    raise TypeError(f"no layout is known for {t}")


def size_of(t: T.Type) -> int:
    """Allocation size in bytes of a value of IR type ``t``, as a list element for example."""
    if isinstance(t, T.ArrayType):
        return t.numel * t.dtype.itemsize  # as an element: the array itself, not its address
    return size_of_llvm(llvm_type(t))


def align_of(t: T.Type) -> int:
    """Alignment in bytes of a value of IR type ``t``."""
    return align_of_llvm(llvm_type(t))


def is_heap(t: T.Type) -> bool:
    """Whether values of ``t`` are reference-counted heap objects of our own."""
    heap = (
        *T.CONTAINERS, T.IteratorType, T.CellType, T.ClassType, T.FutureType, T.FunctionType,
    )  # fmt: skip
    return isinstance(t, heap) or t in (T.STR, T.BYTES)


def descriptor_symbol(t: T.Type) -> str:
    """Name of the global that describes heap objects of type ``t``."""
    return f"desc.{t}"
