"""Build native values from Python ones, call thunks on them and read the results back."""

import contextlib
import ctypes
import functools
import os
import struct
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from scriptmode.abi import dtypes, layouts
from scriptmode.abi.convention import CTX_FIELDS, ERROR_CPP
from scriptmode.abi.errors import raise_cpp_exception
from scriptmode.abi.libtorch import symbol
from scriptmode.codegen.engine import ThunkCache, thunks
from scriptmode.ir import types as T
from scriptmode.ir.schema import EnumDefault, OpSchema, parse_schema
from scriptmode.runtime import descriptors, nativelib

IMMORTAL = layouts.IMMORTAL
_malloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(symbol("malloc"))
_free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(symbol("free"))
_new = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(symbol("_Znwm"))
_delete = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(symbol("aoti_torch_delete_tensor_object"))
_wrap = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(
    symbol("_Z16THPVariable_WrapRKN2at10TensorBaseE")
)

TENSOR_LIST = T.ListType([T.TENSOR])


def provide_lists() -> None:
    """Load the runtime library, which thunks with list results call."""
    nativelib.ensure_loaded()
    descriptors.descriptor(TENSOR_LIST)


def schema_of(op: Any) -> OpSchema:
    """Schema of an op overload; an overload packet stands for its default overload."""
    op = getattr(op, "default", op)
    return parse_schema(str(op._schema))


class Arguments:
    """Flattened ctypes arguments, and whatever they point to."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.kept: list[Any] = []

    def add(self, t: T.Type, value: Any) -> None:
        self.values += [c(v) for c, v in self.words(t, value)]

    def words(self, t: T.Type, value: Any) -> list[tuple[Any, Any]]:
        """(ctypes type, value) of each scalar that the LLVM type of ``t`` is made of."""
        if isinstance(t, T.OptionalType):
            return self.optional(t, value)
        if t == T.TENSOR:
            self.kept.append(value)
            return [(ctypes.c_void_p, value._cdata)]
        if t == T.INT:
            return [(ctypes.c_int64, int(value))]
        if t == T.FLOAT:
            return [(ctypes.c_double, float(value))]
        if t == T.BOOL:
            return [(ctypes.c_uint8, int(value))]
        if t == T.NUMBER:
            return [(ctypes.c_int64, w) for w in number_words(value)]
        if t in (T.DTYPE, T.LAYOUT, T.MEMORY_FORMAT):
            return [(ctypes.c_int8, enum_number(value))]
        if t == T.DEVICE:
            return [(ctypes.c_uint16, device_word(value))]
        if t == T.STR:
            return [(ctypes.c_void_p, self.string(value))]
        if t == T.GENERATOR:
            self.kept.append(value)
            return [(ctypes.c_void_p, generator_impl(value))]
        if isinstance(t, T.ListType):
            return [(ctypes.c_void_p, self.list(t, value))]
        raise NotImplementedError(str(t))

    def optional(self, t: T.OptionalType, value: Any) -> list[tuple[Any, Any]]:
        if layouts.llvm_type(t) == layouts.PTR:
            return [(ctypes.c_void_p, None)] if value is None else self.words(t.element, value)
        stand_in = {T.DTYPE: torch.float32, T.LAYOUT: torch.strided, T.DEVICE: "cpu",
                    T.MEMORY_FORMAT: torch.contiguous_format}.get(t.element, 0)  # fmt: skip
        inner = self.words(t.element, stand_in if value is None else value)
        return [(ctypes.c_uint8, int(value is not None)), *inner]

    def keep(self, content: bytes) -> int:
        buffer = ctypes.create_string_buffer(content, len(content) + 8)
        self.kept.append(buffer)
        return ctypes.addressof(buffer)

    def string(self, text: str) -> int:
        width = (
            4 if max(text, default="") > "\uffff" else 2 if max(text, default="") > "\xff" else 1
        )
        encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width]
        header = struct.pack("<qqqqq", IMMORTAL, 0, len(text), -1, width)
        return self.keep(header + text.encode(encoding))

    def list(self, t: T.ListType, values: Sequence[Any]) -> int:
        element = t.element
        size = layouts.size_of(element)
        content = b"".join(self.element(element, v).ljust(size, b"\0") for v in values)
        data = self.keep(content)
        return self.keep(struct.pack("<qqqqq", IMMORTAL, 0, len(values), len(values), data))

    def element(self, t: T.Type, value: Any) -> bytes:
        return b"".join(bytes(c(v)) for c, v in self.words(t, value))


def number_words(value: Any) -> tuple[int, int, int]:
    if isinstance(value, bool):
        return (4, int(value), 0)
    if isinstance(value, int):
        return (1, value, 0)
    if isinstance(value, complex):
        return (3, *struct.unpack("<qq", struct.pack("<dd", value.real, value.imag)))
    return (0, struct.unpack("<q", struct.pack("<d", value))[0], 0)


def enum_number(value: Any) -> int:
    if isinstance(value, EnumDefault):
        value = getattr(torch, value.name)
    if isinstance(value, int):
        return value
    for table in (dtypes.DTYPE_NUMBERS, dtypes.LAYOUT_NUMBERS, dtypes.MEMORY_FORMAT_NUMBERS):
        if value in table:
            return table[value]
    raise KeyError(value)


def device_word(value: Any) -> int:
    device = torch.device(value)
    kinds = {"cpu": 0, "cuda": 1, "meta": 14}
    index = -1 if device.index is None else device.index
    return kinds[device.type] | (index & 0xFF) << 8


def generator_impl(generator: torch.Generator) -> int:
    # the Python object holds an at::Generator after its header
    return ctypes.c_uint64.from_address(id(generator) + object.__basicsize__).value


def wrap_tensor(impl: int) -> torch.Tensor:
    """A Python tensor that takes over an owned TensorImpl."""
    handle = _new(8)
    ctypes.c_uint64.from_address(handle).value = impl
    wrapped = _wrap(handle)
    _delete(handle)
    return wrapped


def read_result(t: T.Type, address: int) -> Any:
    if T.unwrap_optional(t) == T.TENSOR:
        impl = ctypes.c_uint64.from_address(address).value
        return wrap_tensor(impl) if impl else None
    if t == T.INT:
        return ctypes.c_int64.from_address(address).value
    if t == T.FLOAT:
        return ctypes.c_double.from_address(address).value
    if t == T.BOOL:
        return bool(ctypes.c_uint8.from_address(address).value)
    if t == T.DTYPE:
        return dtypes.DTYPES[ctypes.c_uint8.from_address(address).value]
    if t == T.NUMBER:
        tag, low, high = (ctypes.c_int64 * 3).from_address(address)
        raw = struct.pack("<qq", low, high)
        doubles = struct.unpack("<dd", raw)
        return {0: doubles[0], 1: low, 3: complex(*doubles), 4: bool(low)}[tag]
    if t == TENSOR_LIST:
        made = ctypes.c_uint64.from_address(address).value
        _, _, length, _, data = (ctypes.c_int64 * 5).from_address(made)
        found = [wrap_tensor(ctypes.c_uint64.from_address(data + 8 * i).value)
                 for i in range(length)]  # fmt: skip
        _free(data)
        _free(made)
        return found
    raise NotImplementedError(str(t))


class Caller:
    """Calls the thunk of one op with Python values."""

    def __init__(self, op: Any, cache: ThunkCache = thunks) -> None:
        provide_lists()
        self.schema = schema_of(op)
        self.address = cache.get([self.schema])[self.schema]

    def bind(self, *values: Any, **named: Any) -> Arguments:
        arguments = Arguments()
        positional = list(values)
        for formal in self.schema.arguments:
            if formal.name in named:
                value = named[formal.name]
            elif positional and not formal.kwarg_only:
                value = positional.pop(0)
            else:
                value = formal.default
            arguments.add(formal.type, value)
        return arguments

    def raw(self, ctx: Any, arguments: Arguments) -> tuple[int, list[Any]]:
        """Call; returns the status and the result buffers."""
        results = [(ctypes.c_int64 * 4)() for _ in self.schema.returns]
        pointers = [ctypes.c_void_p(ctypes.addressof(r)) for r in results]
        values = [ctypes.c_void_p(ctypes.addressof(ctx)), *arguments.values, *pointers]
        function = ctypes.CFUNCTYPE(ctypes.c_int32, *map(type, values))(self.address)
        return function(*values), results

    def __call__(self, *values: Any, **named: Any) -> Any:
        ctx = (ctypes.c_int64 * len(CTX_FIELDS))()
        status, results = self.raw(ctx, self.bind(*values, **named))
        if status:
            assert ctx[0] == ERROR_CPP
            raise_cpp_exception(ctx[2] % (1 << 64))
        assert ctx[0] == 0
        found = [
            read_result(r.type, ctypes.addressof(b))
            for r, b in zip(self.schema.returns, results, strict=True)
        ]
        return found[0] if len(found) == 1 else tuple(found) if found else None


@contextlib.contextmanager
def unchanged_counts(*tensors: torch.Tensor) -> Iterator[None]:
    """The strong and weak counts of ``tensors`` are the same after the block."""
    before = [ctypes.c_uint64.from_address(t._cdata + 8).value for t in tensors]
    yield
    after = [ctypes.c_uint64.from_address(t._cdata + 8).value for t in tensors]
    assert [hex(a) for a in after] == [hex(b) for b in before]


def in_a_child_process(test: Any) -> Any:
    """Run a test in a forked process: it registers symbols that later tests must not see."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            text = ""
            try:
                test(*args, **kwargs)
            except BaseException:  # whatever it is, the parent reports it
                text = traceback.format_exc()
            os.write(writer, text.encode()[:60_000])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            text = stream.read()
        _, status = os.waitpid(child, 0)
        assert status == 0, f"the child process ended with status {status}"
        assert not text, text

    return wrapper
