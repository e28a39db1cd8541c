"""Type descriptors in native memory, one per type, immortal.

``descriptor(parse_type("List[int]"))`` is the address of a block laid out by ``abi.objects``; its
symbol is ``abi.layouts.descriptor_symbol``.  Also here: immortal native strs and enum members made
from Python.  The native library hands its generic functions over with ``bind``.
"""

from __future__ import annotations

import ctypes
import struct
import threading
import types
from collections.abc import Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from scriptmode.abi import dtypes, layouts, objects
from scriptmode.interp.values import factory_of
from scriptmode.ir import enumerations
from scriptmode.ir import types as T
from scriptmode.support.locks import held_while_forking

_INT64 = range(-(2**63), 2**63)
_lock = held_while_forking(threading.RLock())
_memory: list[ctypes.Array[ctypes.c_char]] = []
_texts: dict[str, int] = {}
_descriptors: dict[tuple[str, tuple[int, ...]], tuple[T.Type, int]] = {}
_symbols: dict[str, int] = {}
_types: dict[int, T.Type] = {}
_members: dict[tuple[str, str], int] = {}
_functions: dict[int, int] = {}
_exception_functions: dict[int, int] = {}

_KINDS: Mapping[T.Type, int] = {
    T.NONE: objects.KIND_NONE,
    T.NEVER: objects.KIND_NONE,
    T.INT: objects.KIND_INT,
    T.FLOAT: objects.KIND_FLOAT,
    T.BOOL: objects.KIND_BOOL,
    T.COMPLEX: objects.KIND_COMPLEX,
    T.NUMBER: objects.KIND_NUMBER,
    T.STR: objects.KIND_STR,
    T.TENSOR: objects.KIND_TENSOR,
    T.ANY: objects.KIND_UNION,
    T.DEVICE: objects.KIND_DEVICE,
    T.DTYPE: objects.KIND_CODE,
    T.LAYOUT: objects.KIND_CODE,
    T.MEMORY_FORMAT: objects.KIND_CODE,
    T.QSCHEME: objects.KIND_CODE,
    T.GENERATOR: objects.KIND_GENERATOR,
    T.STORAGE: objects.KIND_GENERATOR,
    T.STREAM: objects.KIND_FOREIGN,
    T.SIZE: objects.KIND_SIZE,
    T.BYTES: objects.KIND_BYTES,
    T.RANGE: objects.KIND_RANGE,
    T.PYTHON: objects.KIND_PYTHON,
}
_PLAIN = {
    objects.KIND_NONE, objects.KIND_INT, objects.KIND_FLOAT, objects.KIND_BOOL,
    objects.KIND_COMPLEX, objects.KIND_NUMBER, objects.KIND_ENUM, objects.KIND_DEVICE,
    objects.KIND_CODE, objects.KIND_FOREIGN, objects.KIND_RANGE,
}  # fmt: skip
_OBJECTS = {
    objects.KIND_STR, objects.KIND_LIST, objects.KIND_DICT, objects.KIND_CLASS,
    objects.KIND_ARRAY_TUPLE, objects.KIND_SIZE, objects.KIND_CELL,
    objects.KIND_FUTURE,
    objects.KIND_ARRAY_TUPLE, objects.KIND_SIZE, objects.KIND_SET, objects.KIND_FROZEN_SET,
    objects.KIND_DEQUE, objects.KIND_BYTES, objects.KIND_ITERATOR,
}  # fmt: skip

_WITHOUT_OFFSETS = {
    objects.KIND_UNION, objects.KIND_LIST, objects.KIND_DICT, objects.KIND_FOREIGN,
    objects.KIND_SET, objects.KIND_FROZEN_SET, objects.KIND_DEQUE, objects.KIND_ITERATOR,
}  # fmt: skip
_FLAVORS: Mapping[type[T.Type], int] = {
    T.OrderedDictType: objects.FLAVOR_ORDERED,
    T.DefaultDictType: objects.FLAVOR_DEFAULT,
    T.CounterType: objects.FLAVOR_COUNTER,
}

_PYTHON_NAMES: Mapping[T.Type, str] = {
    T.NONE: "NoneType", T.TENSOR: "Tensor", T.DEVICE: "torch.device", T.DTYPE: "torch.dtype",
    T.LAYOUT: "torch.layout", T.MEMORY_FORMAT: "torch.memory_format", T.QSCHEME: "torch.qscheme",
    T.SIZE: "torch.Size",
}  # fmt: skip


def _names(*lines: str) -> Sequence[str]:
    return " ".join(lines).split()


# names by number, in the order of c10's enumerations
_CODES: Mapping[T.Type, Sequence[str]] = {
    T.DTYPE: _names(
        "uint8 int8 int16 int32 int64 float16 float32 float64 complex32 complex64 complex128 bool",
        "qint8 quint8 qint32 bfloat16 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 bits8 bits16",
        "float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz uint16 uint32 uint64 uint1",
        "uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7 float8_e8m0fnu",
        "float4_e2m1fn_x2",
    ),
    T.LAYOUT: _names(
        "strided sparse_coo sparse_csr _mkldnn sparse_csc sparse_bsr sparse_bsc jagged"
    ),
    T.MEMORY_FORMAT: _names("contiguous_format preserve_format channels_last channels_last_3d"),
    T.QSCHEME: _names(
        "per_tensor_affine per_channel_affine per_tensor_symmetric per_channel_symmetric",
        "per_channel_affine_float_qparams",
    ),
}
_DEVICES = _names(
    "cpu cuda mkldnn opengl opencl ideep hip fpga maia xla vulkan metal xpu mps meta hpu ve lazy",
    "ipu mtia privateuseone",
)
CODE_LIMIT = 256
DEVICE_COUNT = len(_DEVICES)
_NUMBERED: Mapping[T.Type, Mapping[int, object]] = {
    T.DTYPE: dtypes.DTYPES, T.LAYOUT: dtypes.LAYOUTS, T.MEMORY_FORMAT: dtypes.MEMORY_FORMATS,
}  # fmt: skip


def immortal(content: bytes) -> int:
    """The address of memory with this content that is never given back."""
    block = ctypes.create_string_buffer(content, len(content) + 16)
    _memory.append(block)
    # values in the block are read as 8-byte words: round up within the spare bytes
    start = ctypes.addressof(block)
    shift = -start % 16
    if shift:
        ctypes.memmove(start + shift, content, len(content))
    return start + shift


def _words(values: Sequence[int]) -> int:
    return immortal(struct.pack(f"<{len(values)}q", *values)) if values else 0


def native_text(value: str) -> int:
    """An immortal native str with this value."""
    with _lock:
        if value not in _texts:
            widest = max(map(ord, value), default=0)
            width = 1 if widest < 256 else 2 if widest < 65536 else 4
            codec = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
            # a lone surrogate is one code unit in each of these codecs
            data = value.encode(codec, "surrogatepass") + bytes(width)
            data = data.ljust(8, b"\0")  # eight bytes of any str can be read
            head = (objects.IMMORTAL, descriptor(T.STR), len(value), 0, width)
            _texts[value] = immortal(struct.pack("<5q", *head) + data)
        return _texts[value]


def bind(functions: Mapping[int, int], of_exceptions: Mapping[int, int]) -> None:
    """Fill the function fields (byte offset -> address) of every descriptor, now and later.

    Descriptors of exception classes get those ``of_exceptions`` besides.
    """
    with _lock:
        _functions.update(functions)
        _exception_functions.update(of_exceptions)
        for _, address in _descriptors.values():
            _fill_functions(address)


def _fill_functions(address: int) -> None:
    kind = ctypes.c_int64.from_address(address + objects.DESC_KIND).value
    for offset, function in _functions.items():
        # instances compare, hash and print by functions of their class
        own = kind == objects.KIND_CLASS and offset in (
            objects.DESC_EQ, objects.DESC_HASH, objects.DESC_REPR
        )  # fmt: skip
        if not own:
            ctypes.c_int64.from_address(address + offset).value = function
    if T.is_exception(_types[address]):
        for offset, function in _exception_functions.items():
            ctypes.c_int64.from_address(address + offset).value = function


def descriptor(t: T.Type) -> int:
    """The address of the type's descriptor, made and registered as a symbol on first use.

    A class type is known by its object: another class of the same name gets a descriptor of its
    own and takes over the symbol.
    """
    with _lock:
        key = _key(t)
        held = _descriptors.get(key)
        if held is None:
            address = immortal(bytes(objects.DESC_BYTES))
            # registered before it is filled: class types may contain themselves
            held = _descriptors[key] = (t, address)
            _types[address] = t
            _fill(address, t)
            _fill_functions(address)
        symbol = layouts.descriptor_symbol(t)
        if _symbols.get(symbol) != held[1]:
            _symbols[symbol] = held[1]
            llvm.add_symbol(symbol, held[1])
        return held[1]


def set_function(t: T.ClassType, offset: int, function: int) -> None:
    """Enter a function of a user class into its descriptor."""
    ctypes.c_int64.from_address(descriptor(t) + offset).value = function


def of_symbol(symbol: str) -> int:
    """The address of a descriptor that was made, by its symbol."""
    return _symbols[symbol]


def type_of(address: int) -> T.Type:
    """The type of a descriptor."""
    return _types[address]


def _key(t: T.Type) -> tuple[str, tuple[int, ...]]:
    """A type's text, and which classes of those names it speaks of."""
    owners = (T.ClassType, T.EnumType)
    return str(t), tuple(id(inner) for inner in T.walk(t) if isinstance(inner, owners))


def _kind(t: T.Type) -> int:
    if t in _KINDS:
        return _KINDS[t]
    if isinstance(t, T.UnsetType):
        return objects.KIND_OPTIONAL_VALUE
    if isinstance(t, T.OptionalType):
        is_pointer = isinstance(layouts.llvm_type(t), ir.PointerType)
        return objects.KIND_OPTIONAL_POINTER if is_pointer else objects.KIND_OPTIONAL_VALUE
    for constructor, kind in (
        (T.ListType, objects.KIND_LIST),
        (T.DictType, objects.KIND_DICT),
        (T.CellType, objects.KIND_CELL),
        (T.FrozenSetType, objects.KIND_FROZEN_SET),
        (T.SetType, objects.KIND_SET),
        (T.DequeType, objects.KIND_DEQUE),
        (T.IteratorType, objects.KIND_ITERATOR),
        (T.TupleType, objects.KIND_TUPLE),
        (T.VarTupleType, objects.KIND_ARRAY_TUPLE),
        (T.UnionType, objects.KIND_UNION),
        (T.EnumType, objects.KIND_ENUM),
        (T.FutureType, objects.KIND_FUTURE),
        ((T.ClassType, T.FunctionType), objects.KIND_CLASS),
    ):
        if isinstance(t, constructor):
            return kind
    return objects.KIND_FOREIGN


def _children(t: T.Type, kind: int) -> tuple[Sequence[T.Type], list[int], int]:
    """Contained types, their offsets, and the bytes up to the end of the last."""
    if kind == objects.KIND_CLASS and not isinstance(t, T.ClassType):
        return (), [], objects.HEAP_PAYLOAD
    if kind in (objects.KIND_ARRAY_TUPLE, objects.KIND_SIZE):
        element = t.contained[0] if t.contained else T.INT
        return (element, T.ListType([element])), [0, 0], 0
    if kind == objects.KIND_FUTURE:
        return t.contained, [0], objects.HEAP_PAYLOAD + 8
    if kind == objects.KIND_CELL:
        return t.contained, [objects.CELL_VALUE], 0
    if kind in _WITHOUT_OFFSETS:
        return t.contained, [0] * len(t.contained), 0
    contained: Sequence[T.Type] = t.contained
    at = 0
    if isinstance(t, T.ClassType):
        contained, at = t.family or list(t.attributes.values()), objects.HEAP_PAYLOAD
    elif kind == objects.KIND_OPTIONAL_VALUE:
        at = 1
    offsets = []
    for c in contained:
        align = layouts.align_of(c)
        at = -(-at // align) * align
        offsets.append(at)
        at += layouts.size_of(c)
    return contained, offsets, -(-at // 8) * 8


def _flags(kind: int, children: Sequence[int]) -> int:
    flags = 0
    if kind in _PLAIN:
        flags |= objects.FLAG_PLAIN
    if kind in _OBJECTS:
        flags |= objects.FLAG_OBJECT
    inner = [ctypes.c_int64.from_address(c + objects.DESC_FLAGS).value for c in children]
    if kind in (objects.KIND_TUPLE, objects.KIND_OPTIONAL_VALUE):
        flags |= objects.FLAG_PLAIN if all(f & objects.FLAG_PLAIN for f in inner) else 0
    if kind == objects.KIND_OPTIONAL_POINTER:
        flags |= inner[0] & (objects.FLAG_PLAIN | objects.FLAG_OBJECT) | objects.FLAG_NULLABLE
    return flags


def _cycle_flags(t: T.Type) -> int:
    """Whether values of ``t`` may reach a cycle, and objects of ``t`` be part of one."""
    reached = _reached(t)
    cyclic = T.ANY in reached or any(_is_tracked(r) for r in reached)
    tracked = objects.FLAG_TRACKED if _is_tracked(t) else 0
    return tracked | (objects.FLAG_CYCLIC if cyclic else 0)


def _is_tracked(t: T.Type) -> bool:
    if not isinstance(t, T.CellType) and not T.is_instance_type(t):
        return False
    reached = {r for held in _held(t) for r in _reached(held)}
    return t in reached or T.ANY in reached


def _held(t: T.Type) -> Sequence[T.Type]:
    """The types of what values of ``t`` refer to."""
    if isinstance(t, T.ClassType):
        classes = [] if t.is_module else [t, *t.subclasses]
        return [slot for c in classes for slot in (*c.family, *c.subclasses)]
    return t.contained


def _reached(t: T.Type) -> set[T.Type]:
    """``t`` and the types of all that its values lead to."""
    found: set[T.Type] = set()
    pending = [t]
    while pending:
        part = pending.pop()
        if part not in found:
            found.add(part)
            pending += _held(part)
    return found


def _python_name(t: T.Type) -> str:
    if t in _PYTHON_NAMES:
        return _PYTHON_NAMES[t]
    if isinstance(t, T.ClassType):
        return t.original_name
    if isinstance(t, (T.NamedTupleType, T.EnumType)):
        return t.name.rpartition(".")[2]
    if isinstance(t, (T.OrderedDictType, T.CounterType)):
        return f"collections.{t.constructor}"
    if isinstance(t, (T.DefaultDictType, T.DequeType)):
        return f"collections.{t.constructor.lower()}"
    if isinstance(t, (T.TupleType, T.VarTupleType, *T.CONTAINERS)):
        return t.constructor.lower()
    return str(t)


def _fill(address: int, t: T.Type) -> None:
    kind = _kind(t)
    # class types may contain themselves: their flags do not depend on what they contain
    cycles = _cycle_flags(t)
    early = (_flags(kind, ()) if kind in _OBJECTS else 0) | cycles
    ctypes.c_int64.from_address(address + objects.DESC_KIND).value = kind
    ctypes.c_int64.from_address(address + objects.DESC_FLAGS).value = early
    contained, offsets, nbytes = _children(t, kind)
    ctypes.c_int64.from_address(address + objects.DESC_SIZE).value = layouts.size_of(t)
    children = [descriptor(c) for c in contained]
    python_class = getattr(t, "python_class", None)
    fields = {
        objects.DESC_ALIGN: layouts.align_of(t),
        objects.DESC_FLAGS: _flags(kind, children) | cycles,
        objects.DESC_N_CHILDREN: len(children),
        objects.DESC_CHILDREN: _words(children),
        objects.DESC_OFFSETS: _words(offsets),
        objects.DESC_NAME: native_text(_python_name(t)),
        objects.DESC_PYTHON_CLASS: 0 if python_class is None else id(python_class),
        objects.DESC_FLAVOR: _FLAVORS.get(type(t), objects.FLAVOR_DICT),
        objects.DESC_HASHES: _hashes(t),
        objects.DESC_OBJECT_SIZE: nbytes,
        objects.DESC_MEMBERS: _word_texts(t),
    }
    for offset, value in fields.items():
        ctypes.c_int64.from_address(address + offset).value = value


def _hashes(t: T.Type) -> int:
    """The hashes of dtypes and the like by number."""
    numbered = _NUMBERED.get(t)
    if numbered is None:
        return 0
    return _words([hash(numbered.get(code)) for code in range(CODE_LIMIT)])


def _word_texts(t: T.Type) -> int:
    if isinstance(t, T.NamedTupleType):
        return _words([native_text(name) for name in t.fields])
    if t == T.DEVICE:
        return _words([native_text(name) for name in _DEVICES])
    if isinstance(t, T.DefaultDictType):
        return native_text(repr(factory_of(t.made)))
    if t in _CODES:
        names = [f"torch.{name}" for name in _CODES[t]]
        names += ["torch.unknown"] * (CODE_LIMIT - len(names))
        return _words([native_text(name) for name in names])
    return 0


def _member_data(member: Any) -> tuple[int, int]:
    """What a member of an IntEnum and the like is compared as: a descriptor and a slot."""
    compared = (getattr(type(member), name, None) for name in ("__eq__", "__lt__"))
    own = any(isinstance(function, types.FunctionType) for function in compared)
    match member:
        case int() if not own and int(member) in _INT64:
            return descriptor(T.INT), int(member)
        case float() if not own:
            return descriptor(T.FLOAT), struct.unpack("<q", struct.pack("<d", member))[0]
        case str() if not own:
            return descriptor(T.STR), native_text(str.__str__(member))
    return 0, 0


def enum_member(t: T.EnumType, name: str) -> int:
    """The immortal object of an enum's member."""
    with _lock:
        owner = descriptor(t)
        key = (f"{owner:x}", name)
        if key not in _members:
            member = enumerations.member(t, name) if t.python_class is not None else None
            short = t.name.rpartition(".")[2]
            shown = f"<{short}.{name}: {t.members[name]!r}>" if member is None else repr(member)
            written = f"{short}.{name}" if member is None else str(member)
            hashed = hash(name if member is None else member)
            words = (objects.IMMORTAL, owner, native_text(name), native_text(shown),
                     native_text(written), *_member_data(member), hashed)  # fmt: skip
            _members[key] = _words(words)
        return _members[key]
