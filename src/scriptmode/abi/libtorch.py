"""The boundary to the installed libtorch: libraries, symbols and the route to each operator."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import lru_cache

import torch

from scriptmode.abi import cxx
from scriptmode.abi.mangle import mangle_function
from scriptmode.ir.schema import OpSchema

_LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libtorch_python.so")

_dlsym = ctypes.CDLL(None).dlsym
_dlsym.restype = ctypes.c_void_p
_dlsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


@lru_cache(maxsize=None)
def libraries() -> tuple[ctypes.CDLL, ...]:
    """libtorch's shared libraries and the process itself, in the order they are searched."""
    folder = os.path.join(os.path.dirname(torch.__file__), "lib")
    found = [ctypes.CDLL(os.path.join(folder, name)) for name in _LIBRARIES]
    return (*found, ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL(None))


@lru_cache(maxsize=None)
def find_symbol(name: str) -> int | None:
    """Address of an exported symbol of libtorch, libstdc++, libc or Python; None when missing."""
    encoded = name.encode()
    for library in libraries():
        address = _dlsym(library._handle, encoded)
        if address:
            return int(address)
    return None


def symbol(name: str) -> int:
    """Address of an exported symbol; raises ImportError when the installed torch lacks it."""
    address = find_symbol(name)
    if address is None:
        raise ImportError(f"torch {torch.__version__} does not export {name}")
    return address


@dataclass(frozen=True)
class OpTarget:
    """The unboxed C++ function of an op: its symbol, arguments and results."""

    symbol: str
    arguments: tuple[cxx.CxxArgument, ...]
    results: tuple[cxx.CxxResult, ...]


@dataclass(frozen=True)
class Route:
    """How native code reaches an op: ``ops``, ``dispatcher``, or None with the reason."""

    name: str | None
    reason: str = ""
    target: OpTarget | None = None


@lru_cache(maxsize=None)
def find_target(schema: OpSchema) -> OpTarget | None:
    """The exported ``at::_ops::...::call`` whose signature follows from ``schema``."""
    if schema.namespace != "aten":
        return None
    results = cxx.result_types(schema)
    if results is None:
        return None
    base = schema.base_name
    struct = f"{base}_{schema.overload}" if schema.overload else base
    for arguments in cxx.argument_alternatives(schema):
        name = mangle_function(("at", "_ops", struct, "call"), [a.cxx for a in arguments])
        if find_symbol(name) is not None:
            return OpTarget(name, arguments, results)
    return None


@lru_cache(maxsize=None)
def route(schema: OpSchema) -> Route:
    """How native code calls the op."""
    target = find_target(schema)
    if target is not None:
        return Route("ops", target=target)
    return Route(None, "libtorch exports no function for this op")


@lru_cache(maxsize=None)
def optional_tensor_type() -> int:
    """Address of libtorch's own ``Optional[Tensor]`` type object, held for the process's life."""
    buffer = (ctypes.c_void_p * 2)()
    of_tensor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(symbol("_ZN3c1012OptionalType8ofTensorEv"))
    of_tensor(ctypes.addressof(buffer))
    assert buffer[0] is not None
    return int(buffer[0])
