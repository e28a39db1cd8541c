"""Call native functions through ctypes with Python values, for tests of the native library.

``Slot(type, value)`` is the memory of a value; strs, lists, dicts and tuples are built by hand, so
that the tests do not depend on the Python boundary.
"""

from __future__ import annotations

import contextlib
import ctypes
import struct

from scriptmode.abi import convention, layouts, objects
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors, errors, nativelib

C_TYPES = {
    "i8": ctypes.c_int8, "i16": ctypes.c_int16, "i32": ctypes.c_int32, "i64": ctypes.c_int64,
    "f64": ctypes.c_double, "ptr": ctypes.c_void_p,
}  # fmt: skip
_prototypes: dict[str, object] = {}


def word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


def set_word(address: int, value: int) -> None:
    ctypes.c_int64.from_address(address).value = value


def raw(name: str):
    """The ctypes function of a native function."""
    if name not in _prototypes:
        function = nativelib.functions()[name]
        result = None if function.result is None else C_TYPES[function.result.name]
        kinds = [C_TYPES[k.name] for _, k in function.parameters]
        _prototypes[name] = ctypes.CFUNCTYPE(result, *kinds)(nativelib.address(name))
    return _prototypes[name]


class Context:
    """A ctx with one error slot."""

    def __init__(self) -> None:
        self.block = ctypes.create_string_buffer(convention.CTX_SIZE)
        self.address = ctypes.addressof(self.block)

    def take_error(self) -> BaseException:
        assert word(self.address) == convention.ERROR_SCRIPT
        cls = errors.exception_class(word(self.address + 8))
        value = word(self.address + 16)
        set_word(self.address, 0)
        if not value:
            return cls()
        found = decode_object(value)
        raw("sm_release")(value)
        return cls(found)


CTX = Context()


def new_str(value: str) -> int:
    """An owned native str."""
    data = value.encode("utf-32-le", "surrogatepass")
    result = Slot(T.STR)
    assert (
        raw("sm_str_from_utf32")(CTX.address, data_address(data), len(value), result.address) == 0
    )
    return word(result.address)


_kept: list[object] = []


def data_address(data: bytes) -> int:
    block = ctypes.create_string_buffer(data, len(data) + 1)
    _kept.append(block)
    if len(_kept) > 64:
        del _kept[:32]
    return ctypes.addressof(block)


def read_str(address: int) -> str:
    length = word(address + objects.STR_LENGTH)
    width = ctypes.c_int32.from_address(address + objects.STR_WIDTH).value
    data = ctypes.string_at(address + objects.STR_DATA, length * width)
    codec = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
    text = data.decode(codec, "surrogatepass")
    assert ctypes.string_at(address + objects.STR_DATA + length * width, width) == bytes(width)
    if width > 1:
        assert max(map(ord, text)) >= {2: 256, 4: 65536}[width], "not the smallest width"
    return text


def offsets(t: T.Type) -> list[int]:
    address = descriptors.descriptor(t)
    n = word(address + objects.DESC_N_CHILDREN)
    return [word(word(address + objects.DESC_OFFSETS) + 8 * i) for i in range(n)]


def encode(t: T.Type, value: object, at: int) -> None:
    """Write an owned value into a slot."""
    if t == T.INT:
        set_word(at, value)
    elif t == T.FLOAT:
        ctypes.c_double.from_address(at).value = value
    elif t == T.BOOL:
        ctypes.c_int8.from_address(at).value = value
    elif t == T.COMPLEX:
        ctypes.memmove(at, struct.pack("<dd", value.real, value.imag), 16)
    elif t == T.NONE:
        pass
    elif t == T.STR:
        set_word(at, new_str(value))
    elif t in (T.TENSOR, T.DEVICE, T.DTYPE) or isinstance(t, T.EnumType):
        size = layouts.size_of(t)
        ctypes.memmove(at, value.to_bytes(size, "little"), size)
    elif isinstance(t, T.OptionalType) and layouts.size_of(t) == 8:
        set_word(at, 0)
        if value is not None:
            encode(t.element, value, at)
    elif isinstance(t, T.OptionalType):
        ctypes.c_int8.from_address(at).value = value is not None
        if value is not None:
            encode(t.element, value, at + offsets(t)[0])
    elif isinstance(t, T.TupleType):
        for item, part, offset in zip(t.elements, value, offsets(t), strict=True):
            encode(item, part, at + offset)
    elif t == T.ANY:
        kind = type_for(value)
        with Slot(kind, value) as inner:
            assert raw("sm_any_new")(at, inner.address, descriptors.descriptor(kind))
    elif isinstance(t, T.DictType):
        encode_dict(t, value, at)
    else:
        encode_list(t, value, at)


def encode_list(t, value, at: int) -> None:
    element = t.element if t != T.SIZE else T.INT
    address = raw("sm_list_new")(descriptors.descriptor(t), len(value))
    set_word(at, address)
    for i, item in enumerate(value):
        encode(element, item, word(address + objects.LIST_DATA) + i * layouts.size_of(element))
    set_word(address + objects.LIST_LENGTH, len(value))


def encode_dict(t: T.DictType, value, at: int) -> None:
    assert raw("sm_dict_new")(CTX.address, descriptors.descriptor(t), at) == 0
    for k, v in value.items():
        with Slot(t.key, k) as key, Slot(t.value, v) as item:
            assert raw("sm_dict_setitem")(CTX.address, word(at), key.address, item.address) == 0


def type_for(value: object) -> T.Type:
    """A type for a value inside Any."""
    if isinstance(value, tuple):
        return T.TupleType([type_for(v) for v in value])
    if isinstance(value, list):
        return T.ListType([T.ANY])
    simple = {int: T.INT, float: T.FLOAT, bool: T.BOOL, str: T.STR, complex: T.COMPLEX}
    return simple.get(type(value), T.NONE)


def decode(t: T.Type, at: int) -> object:
    """The Python value of a slot."""
    if t == T.INT:
        return word(at)
    if t == T.FLOAT:
        return ctypes.c_double.from_address(at).value
    if t == T.BOOL:
        return bool(ctypes.c_int8.from_address(at).value)
    if t == T.COMPLEX:
        return complex(*struct.unpack("<dd", ctypes.string_at(at, 16)))
    if t == T.NONE:
        return None
    if t in (T.TENSOR, T.DEVICE, T.DTYPE) or isinstance(t, T.EnumType):
        return int.from_bytes(ctypes.string_at(at, layouts.size_of(t)), "little")
    if isinstance(t, T.OptionalType) and layouts.size_of(t) == 8:
        return decode(t.element, at) if word(at) else None
    if isinstance(t, T.OptionalType):
        return (
            decode(t.element, at + offsets(t)[0]) if ctypes.c_int8.from_address(at).value else None
        )
    if isinstance(t, T.TupleType):
        return tuple(decode(e, at + o) for e, o in zip(t.elements, offsets(t), strict=True))
    if t == T.ANY:
        kind = descriptors.type_of(word(at))
        inner = at + 8 if layouts.size_of(kind) <= 8 else word(at + 8) + objects.HEAP_PAYLOAD
        return decode(kind, inner)
    return decode_object(word(at))


def decode_object(address: int) -> object:
    """The Python value of a heap object."""
    t = descriptors.type_of(word(address + objects.HEAP_DESCRIPTOR))
    if t == T.STR:
        return read_str(address)
    if t == T.SIZE or isinstance(t, (T.ListType, T.VarTupleType)):
        element = T.INT if t == T.SIZE else t.element
        data, n = word(address + objects.LIST_DATA), word(address + objects.LIST_LENGTH)
        assert n <= word(address + objects.LIST_CAPACITY)
        items = [decode(element, data + i * layouts.size_of(element)) for i in range(n)]
        return items if isinstance(t, T.ListType) else tuple(items)
    if isinstance(t, T.DictType):
        return decode_dict(t, address)
    return decode(t, address + objects.HEAP_PAYLOAD)


def decode_dict(t: T.DictType, address: int) -> dict:
    key_size = -(-layouts.size_of(t.key) // 8) * 8
    step = 8 + key_size + -(-layouts.size_of(t.value) // 8) * 8
    found = {}
    for i in range(word(address + objects.DICT_USED)):
        entry = word(address + objects.DICT_ENTRIES) + i * step
        if word(entry) != objects.ENTRY_ERASED:
            found[decode(t.key, entry + 8)] = decode(t.value, entry + 8 + key_size)
    assert len(found) == word(address + objects.DICT_LENGTH)
    return found


class Slot:
    """Memory of a value; owns it until ``drop`` or the end of a ``with``."""

    def __init__(self, t: T.Type, *value: object) -> None:
        self.type = t
        self.block = ctypes.create_string_buffer(max(16, layouts.size_of(t)))
        self.address = ctypes.addressof(self.block)
        self.full = False
        if value:
            encode(t, value[0], self.address)
            self.full = True

    @property
    def value(self) -> object:
        return decode(self.type, self.address)

    def drop(self) -> None:
        if self.full:
            raw("sm_slot_drop")(self.address, descriptors.descriptor(self.type))
            self.full = False

    def take(self) -> object:
        found = self.value
        self.full = True
        self.drop()
        return found

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *exception: object) -> None:
        self.drop()


class BySlot:
    """An argument that native code takes by the address of its slot, of a given type."""

    def __init__(self, t: T.Type, value: object) -> None:
        self.type, self.value = t, value


class Typed:
    """An argument of a given type, flattened as native code takes it."""

    def __init__(self, t: T.Type, value: object) -> None:
        self.type, self.value = t, value


def _arguments(stack: contextlib.ExitStack, values: tuple) -> list:
    flat: list = []
    for value in values:
        if isinstance(value, (BySlot, Typed)):
            slot = stack.enter_context(Slot(value.type, value.value))
            flat.append(slot.address if isinstance(value, BySlot) else word(slot.address))
        elif isinstance(value, Slot):
            flat.append(word(value.address))
        elif isinstance(value, str):
            flat.append(word(stack.enter_context(Slot(T.STR, value)).address))
        elif isinstance(value, complex):
            flat += [value.real, value.imag]
        else:
            flat.append(value)
    return flat


def opt(value: int | None) -> tuple[int, int]:
    """An optional int as native code takes it: has, value."""
    return (0, 0) if value is None else (1, value)


def op(name: str, *values: object, returns: T.Type | None = None) -> object:
    """Call ``i32 sm_x(ctx, values..., result)``; raise its error or return the result."""
    with contextlib.ExitStack() as stack:
        arguments = _arguments(stack, values)
        result = None if returns is None else Slot(returns)
        if result is not None:
            arguments.append(result.address)
        if raw(name)(CTX.address, *arguments):
            raise CTX.take_error()
        return None if result is None else result.take()


def outcome(function, *values):
    """The value of a call, or its exception's type and text."""
    try:
        return ("value", repr(function(*values)))
    except Exception as error:
        return ("error", type(error).__name__, str(error))


@contextlib.contextmanager
def no_leaks():
    """Fail when the block leaves native objects alive."""
    before = nativelib.live_objects()
    yield
    assert nativelib.live_objects() == before
