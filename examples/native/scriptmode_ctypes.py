"""Run a library made by ``scriptmode.export_library`` from Python, without scriptmode or torch.

Needs numpy; ``python scriptmode_ctypes.py out/libcell.so`` lists the library's methods::

    library = Library("out/libcell.so")
    y = library.call("forward", x, h, 100)      # numpy arrays for tensors
    library.close()

The structures are those of ``scriptmode.h``.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from typing import Any

import numpy as np

ABI = 1
NONE, BOOL, INT, FLOAT, STR, TENSOR, LIST, TUPLE, DICT, COMPLEX = range(10)
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class Tensor(ctypes.Structure):
    """DLPack's DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
    ]  # fmt: skip


class Value(ctypes.Structure):
    """One argument or result."""


class _Union(ctypes.Union):
    _fields_ = [
        ("integer", ctypes.c_int64), ("real", ctypes.c_double), ("text", ctypes.c_void_p),
        ("tensor", ctypes.POINTER(Tensor)), ("items", ctypes.POINTER(Value)),
    ]  # fmt: skip


Value._fields_ = [
    ("kind", ctypes.c_int32), ("reserved", ctypes.c_int32), ("value", _Union),
    ("n", ctypes.c_int64), ("owner", ctypes.c_void_p),
]  # fmt: skip


class Method(ctypes.Structure):
    """One row of the table of methods."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("signature", ctypes.c_char_p), ("n", ctypes.c_int64),
        ("reserved", ctypes.c_void_p * 5),
    ]  # fmt: skip


_ERROR = ctypes.POINTER(ctypes.c_void_p)


class Api(ctypes.Structure):
    """What a library exports."""

    _fields_ = [
        ("abi", ctypes.c_int64), ("name", ctypes.c_char_p), ("flavour", ctypes.c_char_p),
        ("weights_size", ctypes.c_int64), ("n_methods", ctypes.c_int64),
        ("methods", ctypes.POINTER(Method)),
        ("open", ctypes.CFUNCTYPE(
            ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, _ERROR, _ERROR)),
        ("close", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
        ("call", ctypes.CFUNCTYPE(
            ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(Value), ctypes.c_int64,
            ctypes.POINTER(Value), _ERROR)),
        ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(Value))),
        ("free_text", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ]  # fmt: skip


class LibraryError(RuntimeError):
    """What a library has answered instead of a result: a traceback as text."""


class Library:
    """A model in a shared library; calls may come from several threads."""

    def __init__(self, path: str, weights: str | None = None) -> None:
        self._loaded = ctypes.CDLL(os.path.abspath(path))
        self.api = Api.in_dll(self._loaded, "scriptmode_library")
        if self.api.abi != ABI:
            raise LibraryError(f"{path} is of another version of scriptmode.h")
        self._weights: Any = None
        address, size = None, 0
        if self.api.weights_size:
            beside = os.path.join(os.path.dirname(path), f"{self.api.name.decode()}.weights")
            with open(weights or beside, "rb") as file:
                self._weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            size = len(self._weights)
            address = ctypes.addressof(ctypes.c_char.from_buffer(self._weights))
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        if self.api.open(address, size, ctypes.byref(handle), ctypes.byref(error)):
            raise self._failed(error)
        self._handle: ctypes.c_void_p | None = handle

    @property
    def methods(self) -> dict[str, str]:
        """Signatures by name."""
        rows = [self.api.methods[i] for i in range(self.api.n_methods)]
        return {row.name.decode(): row.signature.decode() for row in rows}

    def call(self, method: str, *args: Any) -> Any:
        """Call a method; tensors are numpy arrays, of which results are copies."""
        kept: list[Any] = []
        values = (Value * max(1, len(args)))(*(_to_value(a, kept) for a in args))
        result, error = Value(), ctypes.c_void_p()
        number = list(self.methods).index(method)
        if self.api.call(
            self._handle, number, values, len(args), ctypes.byref(result), ctypes.byref(error)
        ):
            raise self._failed(error)
        try:
            return _from_value(result)
        finally:
            self.api.release(ctypes.byref(result))

    def close(self) -> None:
        """Give the model up."""
        if self._handle is not None:
            self.api.close(self._handle)
            self._handle = None

    def _failed(self, error: ctypes.c_void_p) -> LibraryError:
        text = ctypes.string_at(error.value or 0).decode() if error.value else "out of memory"
        self.api.free_text(error)
        return LibraryError(text)


def _to_value(given: Any, kept: list[Any]) -> Value:
    """A value of C; what it refers to goes to ``kept``."""
    value = Value()
    if isinstance(given, bool):
        value.kind, value.value.integer = BOOL, given
    elif isinstance(given, int):
        value.kind, value.value.integer = INT, given
    elif isinstance(given, float):
        value.kind, value.value.real = FLOAT, given
    elif isinstance(given, str):
        data = ctypes.create_string_buffer(given.encode())
        kept.append(data)
        value.kind, value.value.text, value.n = STR, ctypes.addressof(data), len(data) - 1
    elif isinstance(given, (list, tuple)):
        items = (Value * max(1, len(given)))(*(_to_value(v, kept) for v in given))
        kept.append(items)
        value.kind = LIST if isinstance(given, list) else TUPLE
        value.value.items, value.n = ctypes.cast(items, ctypes.POINTER(Value)), len(given)
    elif isinstance(given, np.ndarray):
        shape = (ctypes.c_int64 * max(1, given.ndim))(*given.shape)
        strides = (ctypes.c_int64 * max(1, given.ndim))(
            *(s // given.itemsize for s in given.strides)
        )
        tensor = Tensor(
            given.ctypes.data, 1, 0, given.ndim, _CODES[given.dtype.kind], 8 * given.itemsize, 1,
            shape, strides, 0,
        )  # fmt: skip
        kept += [given, shape, strides, tensor]
        value.kind, value.value.tensor = TENSOR, ctypes.pointer(tensor)
    elif given is not None:
        raise TypeError(f"a {type(given).__name__} has no form in C")
    return value


def _from_value(value: Value) -> Any:
    kind = value.kind
    if kind in (BOOL, INT):
        return bool(value.value.integer) if kind == BOOL else value.value.integer
    if kind == FLOAT:
        return value.value.real
    if kind == COMPLEX:
        imaginary = ctypes.c_double.from_buffer(ctypes.c_int64(value.n)).value
        return complex(value.value.real, imaginary)
    if kind == STR:
        return ctypes.string_at(value.value.text, value.n).decode(errors="surrogatepass")
    if kind == TENSOR:
        return _to_array(value.value.tensor.contents)
    if kind in (LIST, TUPLE, DICT):
        items = [_from_value(value.value.items[i]) for i in range(value.n)]
        if kind == DICT:
            return dict(zip(items[::2], items[1::2], strict=True))
        return items if kind == LIST else tuple(items)
    return None


def _to_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    shape = tensor.shape[: tensor.ndim]
    letter = {number: letter for letter, number in _CODES.items()}[tensor.code]
    dtype = np.dtype(f"{letter}{tensor.bits // 8}" if letter != "b" else "?")
    if 0 in shape:
        return np.empty(shape, dtype)
    strides = tensor.strides[: tensor.ndim]
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    memory = (ctypes.c_char * (extent * dtype.itemsize)).from_address(tensor.data)
    flat = np.frombuffer(memory, dtype, extent)
    stepped = np.lib.stride_tricks.as_strided(flat, shape, [s * dtype.itemsize for s in strides])
    return stepped.copy()


if __name__ == "__main__":
    for signature in Library(sys.argv[1]).methods.values():
        print(signature)
