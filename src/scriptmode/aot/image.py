"""What native code refers to by address in this process, as data of a module.

Descriptors, strs, enum members, exception classes and the state of modules are read where they lie
in memory, and written as constants that refer to each other by symbol; whoever links the module
gets them at addresses of his own::

    image = Image(module, class_functions)
    image.descriptor(address)          # i64* @"desc.List[int]"
    image.instance(address, t)         # a module's native instance with all that is below

What a constant cannot be (dicts, sets, objects of user classes, Python objects) is refused with a
``CannotExport``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

from llvmlite import ir

from scriptmode.abi import layouts, objects
from scriptmode.abi.convention import I8, I64, PTR
from scriptmode.abi.instances import is_tensor_slot, slot_offsets
from scriptmode.abi.python import OB_SIZE, TP_FLAGS, TP_MRO, TP_STR, TUPLE_ITEMS
from scriptmode.aot.layouts import CLASS_NAME, CLASS_SIZE
from scriptmode.codegen import tensors
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors

NULL = ir.Constant(PTR, None)
VOID = ir.VoidType()
Fields = Mapping[int, ir.Constant]  # by byte offset

_FUNCTIONS: Mapping[int, str] = {
    objects.DESC_DROP: "sm_slot_drop",
    objects.DESC_RETAIN: "sm_slot_retain",
    objects.DESC_EQ: "sm_slot_eq",
    objects.DESC_HASH: "sm_slot_hash",
    objects.DESC_REPR: "sm_slot_repr",
}
_OF_CLASS = (objects.DESC_EQ, objects.DESC_HASH, objects.DESC_REPR)
_NUMBERS = (
    objects.DESC_KIND, objects.DESC_SIZE, objects.DESC_ALIGN, objects.DESC_FLAGS,
    objects.DESC_N_CHILDREN, objects.DESC_OBJECT_SIZE, objects.DESC_FLAVOR,
)  # fmt: skip
_RAW = (
    T.INT, T.FLOAT, T.BOOL, T.COMPLEX, T.NUMBER, T.DTYPE, T.LAYOUT, T.MEMORY_FORMAT, T.QSCHEME,
    T.DEVICE, T.RANGE,
)  # fmt: skip


class CannotExport(Exception):
    """A value has no form as a constant; the text says which."""


def word(address: int) -> int:
    """The word at an address."""
    return ctypes.c_int64.from_address(address).value


class Image:
    """Data of one module; ``class_functions`` are those of user classes, by class and offset."""

    def __init__(
        self, module: ir.Module, class_functions: Mapping[tuple[T.ClassType, int], str]
    ) -> None:
        self.module = module
        self._class_functions = class_functions
        self._made: dict[tuple[str, int], ir.Constant] = {}
        self._classes: dict[type, ir.Constant] = {}

    # ---- building blocks ----

    def data(
        self, name: str, fields: Fields, size: int, *, constant: bool = False, public: bool = False
    ) -> ir.Constant:
        """The address of a global with fields at byte offsets, zero elsewhere.

        One that is ``public`` has exactly this name.
        """
        symbol = name if public else self.module.get_unique_name(name)
        made = ir.GlobalVariable(self.module, _type(fields, size), symbol)
        made.linkage = "" if public else "internal"
        made.align = 16
        made.global_constant = constant
        made.initializer = _value(fields, size)
        return _address(made)

    def words(self, name: str, values: Sequence[int]) -> ir.Constant:
        """The address of constant integers; null when there are none."""
        fields = {8 * i: ir.Constant(I64, v) for i, v in enumerate(values)}
        return self.data(name, fields, 8 * len(values), constant=True) if values else NULL

    def pointers(self, name: str, values: Sequence[ir.Constant]) -> ir.Constant:
        """The address of pointers; null when there are none."""
        fields = {8 * i: v for i, v in enumerate(values)}
        return self.data(name, fields, 8 * len(values)) if values else NULL

    def c_text(self, text: str) -> ir.Constant:
        """The address of a C string in UTF-8."""
        return self.bytes(text.encode() + b"\0")

    def bytes(self, content: bytes) -> ir.Constant:
        """The address of bytes, which may be written to."""
        return self.data("bytes", {0: _bytes(content)}, len(content)) if content else NULL

    # ---- strs ----

    def text(self, address: int) -> ir.Constant:
        """The immortal str at an address of this process."""
        return self._once("str", address, self._make_text)

    def new_text(self, text: str) -> ir.Constant:
        """An immortal str with this value."""
        return self.text(descriptors.native_text(text))

    def _make_text(self, address: int) -> ir.Constant:
        length, width = word(address + layouts.STR_LENGTH), word(address + layouts.STR_WIDTH)
        width &= 0xFF
        content = ctypes.string_at(address + layouts.STR_DATA, max((length + 1) * width, 8))
        owner = word(address + layouts.HEAP_DESCRIPTOR)
        fields = {
            layouts.HEAP_COUNT: ir.Constant(I64, layouts.IMMORTAL),
            layouts.HEAP_DESCRIPTOR: self.descriptor(owner),
            layouts.STR_LENGTH: ir.Constant(I64, length),
            layouts.STR_HASH: ir.Constant(I64, 0),
            layouts.STR_WIDTH: ir.Constant(I64, width),
            layouts.STR_DATA: _bytes(content),
        }
        return self.data("str", fields, layouts.STR_DATA + len(content))

    # ---- descriptors ----

    def descriptor(self, address: int) -> ir.Constant:
        """The descriptor at an address of this process."""
        known = self._made.get(("descriptor", address))
        if known is not None:
            return known
        t = descriptors.type_of(address)
        name = layouts.descriptor_symbol(t)
        if name in self.module.globals:
            raise CannotExport(f"two classes are called {t}")
        size = objects.DESC_BYTES
        pointers = (
            *_FUNCTIONS, objects.DESC_CHILDREN, objects.DESC_OFFSETS, objects.DESC_NAME,
            objects.DESC_PYTHON_CLASS, objects.DESC_MEMBERS, objects.DESC_HASHES,
        )  # fmt: skip
        shape: Fields = {
            **{at: ir.Constant(I64, 0) for at in _NUMBERS}, **dict.fromkeys(pointers, NULL)
        }  # fmt: skip
        made = ir.GlobalVariable(self.module, _type(shape, size), name)
        made.align = 16
        found = self._made["descriptor", address] = _address(made)
        fields = {at: ir.Constant(I64, word(address + at)) for at in _NUMBERS}
        fields |= self._references(address, t)
        made.initializer = _value({at: fields.get(at, NULL) for at in shape}, size)
        return found

    def _references(self, address: int, t: T.Type) -> dict[int, ir.Constant]:
        n = word(address + objects.DESC_N_CHILDREN)
        children, offsets = (
            _words(word(address + at), n) for at in (objects.DESC_CHILDREN, objects.DESC_OFFSETS)
        )
        found = {
            objects.DESC_CHILDREN: self.pointers("children", list(map(self.descriptor, children))),
            objects.DESC_OFFSETS: self.words("offsets", offsets),
            objects.DESC_NAME: self.text(word(address + objects.DESC_NAME)),
            objects.DESC_MEMBERS: self._members(address, t),
        }
        if word(address + objects.DESC_HASHES):
            found[objects.DESC_HASHES] = self.words("hashes", range(1, descriptors.CODE_LIMIT + 1))
        python_class = getattr(t, "python_class", None)
        if T.is_exception(t) and python_class is not None:
            found[objects.DESC_PYTHON_CLASS] = self.class_record(python_class)
        for at in _FUNCTIONS:
            name = self._function_of(address, t, at)
            if name is not None:
                found[at] = self.function(name)
        return found

    def _function_of(self, address: int, t: T.Type, at: int) -> str | None:
        """The symbol of a function of a descriptor; see ``runtime.descriptors.bind``."""
        if word(address + objects.DESC_KIND) != objects.KIND_CLASS or at not in _OF_CLASS:
            return _FUNCTIONS[at]
        if T.is_exception(t):
            return "sm_exception_slot_repr" if at == objects.DESC_REPR else None
        return self._class_functions.get((t, at)) if isinstance(t, T.ClassType) else None

    def _members(self, address: int, t: T.Type) -> ir.Constant:
        place = word(address + objects.DESC_MEMBERS)
        if not place:
            return NULL
        if isinstance(t, T.DefaultDictType):
            return self.text(place)
        n = descriptors.CODE_LIMIT
        if isinstance(t, T.NamedTupleType):
            n = len(t.fields)
        elif t == T.DEVICE:
            n = descriptors.DEVICE_COUNT
        return self.pointers("members", [self.text(a) for a in _words(place, n)])

    def function(self, name: str) -> ir.Constant:
        """A function that another module defines."""
        found = self.module.globals.get(name)
        if found is None:
            found = ir.Function(self.module, ir.FunctionType(VOID, []), name)
        return found.bitcast(PTR)

    # ---- classes of Python ----

    def class_record(self, cls: type) -> ir.Constant:
        """A Python class, as far as native code looks at one."""
        known = self._classes.get(cls)
        if known is not None:
            return known
        name = self.module.get_unique_name(f"class.{cls.__qualname__}")
        is_plain = _text_function(cls) is _text_function(Exception)
        if not is_plain and _is_python(_text_function(cls)):
            raise CannotExport(f"the exception class {cls.__qualname__} has a __str__ of its own")
        mro = [c for c in cls.__mro__ if issubclass(c, BaseException)]
        shape: Fields = {TP_STR: NULL, TP_FLAGS: ir.Constant(I64, 0), TP_MRO: NULL,
                         CLASS_NAME: NULL}  # fmt: skip
        made = ir.GlobalVariable(self.module, _type(shape, CLASS_SIZE), name)
        made.linkage, made.align = "internal", 16
        found = self._classes[cls] = _address(made)
        others = {TUPLE_ITEMS + 8 * i: self.class_record(c) for i, c in enumerate(mro)}
        size = TUPLE_ITEMS + 8 * len(mro)
        listed = self.data("mro", {OB_SIZE: ir.Constant(I64, len(mro)), **others}, size)
        own = {
            TP_STR: found if not is_plain else self._plain_text(),
            TP_FLAGS: ir.Constant(I64, word(id(cls) + TP_FLAGS)),
            TP_MRO: listed,
            CLASS_NAME: self.new_text(cls.__name__),
        }
        made.initializer = _value(own, CLASS_SIZE)
        return found

    def _plain_text(self) -> ir.Constant:
        """What stands for ``Exception.__str__``."""
        return self._once("plain", 0, lambda _: self.data("plain", {0: _bytes(bytes(8))}, 8))

    def class_cell(self, cls: type, symbol: str) -> None:
        """Define the cell that native code reads a class from."""
        made = ir.GlobalVariable(self.module, PTR, symbol)
        made.initializer = self.class_record(cls)

    # ---- values ----

    def enum_member(self, address: int) -> ir.Constant:
        """The immortal object of an enum's member."""
        return self._once("member", address, self._make_member)

    def _make_member(self, address: int) -> ir.Constant:
        data = word(address + objects.ENUM_DATA)
        slot = word(address + objects.ENUM_DATA + 8)
        t = descriptors.type_of(data) if data else None
        fields = {
            layouts.HEAP_COUNT: ir.Constant(I64, layouts.IMMORTAL),
            layouts.HEAP_DESCRIPTOR: self.descriptor(word(address + layouts.HEAP_DESCRIPTOR)),
            **{
                at: self.text(word(address + at))
                for at in (objects.ENUM_NAME, objects.ENUM_REPR, objects.ENUM_TEXT)
            },
            objects.ENUM_DATA: self.descriptor(data) if data else NULL,
            objects.ENUM_DATA + 8: self.text(slot) if t == T.STR else ir.Constant(I64, slot),
            # by its name and not as in this process, whose hashes are its own
            objects.ENUM_HASH: ir.Constant(I64, _hash_of(word(address + objects.ENUM_NAME))),
        }
        return self.data("member", fields, objects.ENUM_SIZE)

    def instance(self, address: int, t: T.ClassType) -> ir.Constant:
        """A module's native instance."""
        return self._once("instance", address, lambda a: self._make_instance(a, t))

    def _make_instance(self, address: int, t: T.ClassType) -> ir.Constant:
        fields = {
            layouts.HEAP_COUNT: ir.Constant(I64, layouts.IMMORTAL),
            layouts.HEAP_DESCRIPTOR: self.descriptor(word(address + layouts.HEAP_DESCRIPTOR)),
        }
        end = layouts.HEAP_PAYLOAD
        for name, at in slot_offsets(t).items():
            kind = t.attributes[name]
            if is_tensor_slot(kind):
                fields[at] = ir.Constant(I64, word(address + at))
                end = max(end, at + 8)
                continue
            try:
                fields |= self.slot(address + at, kind, at)
            except CannotExport as error:
                raise CannotExport(f"attribute `{name}` of {t.original_name}: {error}") from None
            end = max(end, at + layouts.size_of(kind))
        return self.data("instance", fields, -(-end // 8) * 8)

    def slot(self, address: int, t: T.Type, at: int = 0) -> dict[int, ir.Constant]:
        """The fields that the value of type ``t`` at an address is; they lie at ``at``."""
        size = layouts.size_of(t)
        if t in _RAW:
            return {at: _bytes(ctypes.string_at(address, size))} if size else {}
        if t == T.NONE:
            return {}
        if t in (T.STR, T.BYTES):
            return {at: self.text(word(address))}
        if isinstance(t, T.EnumType):
            return {at: self.enum_member(word(address))}
        if isinstance(t, (T.OptionalType, T.UnsetType)):
            return self._optional(address, t, at)
        if isinstance(t, T.TupleType):
            owner = descriptors.descriptor(t)
            offsets = _words(word(owner + objects.DESC_OFFSETS), len(t.contained))
            fields: dict[int, ir.Constant] = {}
            for inner, offset in zip(t.contained, offsets, strict=True):
                fields |= self.slot(address + offset, inner, at + offset)
            return fields
        if isinstance(t, (T.ListType, T.VarTupleType)) or t == T.SIZE:
            return {at: self._once("list", word(address), lambda a: self._make_list(a, t))}
        if isinstance(t, T.ClassType) and t.is_module:
            return {at: self.instance(word(address), t)}
        raise CannotExport(f"a value of type {t} cannot be kept in a library yet")

    def _optional(self, address: int, t: T.Type, at: int) -> dict[int, ir.Constant]:
        inner = t.contained[0]
        owner = descriptors.descriptor(t)
        if word(owner + objects.DESC_KIND) == objects.KIND_OPTIONAL_POINTER:
            return self.slot(address, inner, at) if word(address) else {at: NULL}
        has = ctypes.c_int8.from_address(address).value
        if not has:
            return {}
        offset = word(word(owner + objects.DESC_OFFSETS))
        return {at: ir.Constant(I8, 1), **self.slot(address + offset, inner, at + offset)}

    def _make_list(self, address: int, t: T.Type) -> ir.Constant:
        element = t.contained[0] if t.contained else T.INT
        n, size = word(address + layouts.LIST_LENGTH), layouts.size_of(element)
        data = word(address + layouts.LIST_DATA)
        fields: dict[int, ir.Constant] = {}
        for i in range(n):
            fields |= self.slot(data + i * size, element, i * size)
        header = {
            layouts.HEAP_COUNT: ir.Constant(I64, layouts.IMMORTAL),
            layouts.HEAP_DESCRIPTOR: self.descriptor(word(address + layouts.HEAP_DESCRIPTOR)),
            layouts.LIST_LENGTH: ir.Constant(I64, n),
            layouts.LIST_CAPACITY: ir.Constant(I64, n),
            layouts.LIST_DATA: self.data("items", fields, n * size) if n * size else NULL,
        }
        return self.data("list", header, layouts.LIST_SIZE)

    def _once(self, kind: str, address: int, make: object) -> ir.Constant:
        key = (kind, address)
        if key not in self._made:
            assert callable(make)
            self._made[key] = make(address)
        return self._made[key]


def _words(address: int, n: int) -> list[int]:
    return [word(address + 8 * i) for i in range(n)]


def _hash_of(text: int) -> int:
    """A hash of the str at an address that is the same in each process."""
    found = 5381
    for byte in ctypes.string_at(text + layouts.STR_DATA, word(text + layouts.STR_LENGTH)):
        found = (found * 33 + byte) & (1 << 62) - 1
    return found


def _text_function(cls: type) -> object:
    return cls.__str__


def _is_python(function: object) -> bool:
    return hasattr(function, "__code__")


def _address(variable: ir.GlobalVariable) -> ir.Constant:
    found: ir.Constant = tensors.address(variable)
    return found


def _bytes(content: bytes) -> ir.Constant:
    return ir.Constant(ir.ArrayType(I8, len(content)), bytearray(content))


def _size(t: ir.Type) -> int:
    return t.count * _size(t.element) if isinstance(t, ir.ArrayType) else layouts.size_of_llvm(t)


def _parts(fields: Fields, size: int) -> list[ir.Constant]:
    """The fields in order, with zero bytes between them."""
    parts: list[ir.Constant] = []
    at = 0
    for offset in sorted(fields):
        assert offset >= at, "fields overlap"
        if offset > at:
            parts.append(_bytes(bytes(offset - at)))
        parts.append(fields[offset])
        at = offset + _size(fields[offset].type)
    assert at <= size, "fields go beyond the end"
    if at < size:
        parts.append(_bytes(bytes(size - at)))
    return parts


def _type(fields: Fields, size: int) -> ir.Type:
    types = [PTR if isinstance(p.type, ir.PointerType) else p.type for p in _parts(fields, size)]
    return ir.LiteralStructType(types, packed=True)


def _value(fields: Fields, size: int) -> ir.Constant:
    return ir.Constant(_type(fields, size), _parts(fields, size))
