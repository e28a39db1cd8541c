"""The boundary to the installed libtorch: libraries, symbols and the route to each operator."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from functools import cache

import torch

from scriptmode.abi import cxx
from scriptmode.abi.mangle import mangle_function
from scriptmode.ir.schema import OpSchema

_LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libtorch_python.so")

_dlsym = ctypes.CDLL(None).dlsym
_dlsym.restype = ctypes.c_void_p
_dlsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


@cache
def libraries() -> tuple[ctypes.CDLL, ...]:
    """libtorch's shared libraries and the process itself, in the order they are searched."""
    folder = os.path.join(os.path.dirname(torch.__file__), "lib")
    found = [ctypes.CDLL(os.path.join(folder, name)) for name in _LIBRARIES]
    return (*found, ctypes.CDLL("libstdc++.so.6"), ctypes.CDLL(None))


@cache
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


def abi_version() -> int:
    """The version that libtorch's C interface tells of itself."""
    return int(ctypes.CFUNCTYPE(ctypes.c_uint64)(symbol("aoti_torch_abi_version"))())


@dataclass(frozen=True)
class OpTarget:
    """The unboxed C++ function of an op: its symbol, arguments and results."""

    symbol: str
    arguments: tuple[cxx.CxxArgument, ...]
    results: tuple[cxx.CxxResult, ...]


@dataclass(frozen=True)
class Route:
    """How native code reaches an op.

    ``name`` is "ops" (the exported C++ function), "dispatcher" (the C interface; errors lose their
    type and arrive as RuntimeError) or None, for ``reason``.  ``in_python`` tells that some kernel
    of the op is a Python function, which takes the GIL by itself.
    """

    name: str | None
    reason: str = ""
    in_python: bool = False


def _autograd_grad() -> OpTarget:
    reference = cxx.Passing.REFERENCE
    tensors = cxx.CxxArgument(cxx.TENSOR, cxx.Kind.TENSOR_VECTOR, reference)
    maybe = cxx.CxxArgument(cxx.TENSOR, cxx.Kind.OPTIONAL_TENSOR_VECTOR, reference)
    flag, optional_flag = cxx.ARGUMENTS["bool"], cxx.ARGUMENTS["bool?"]
    result = cxx.CxxResult(cxx.ResultKind.OPTIONAL_TENSOR_LIST, 24, 8, True)
    return OpTarget(
        "_ZN5torch8autograd4gradERKSt6vectorIN2at6TensorESaIS3_EES7_S7_St8optionalIbEbb",
        (tensors, tensors, maybe, optional_flag, flag, flag),
        (result,),
    )


@cache
def find_target(schema: OpSchema) -> OpTarget | None:
    """The exported ``at::_ops::...::call`` whose signature follows from ``schema``."""
    if schema.kind == "autograd::grad":
        found = _autograd_grad()
        return found if find_symbol(found.symbol) is not None else None
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


_DISPATCHABLE = frozenset(
    (
        "Tensor", "int", "SymInt", "float", "bool", "str", "ScalarType", "Layout", "MemoryFormat",
        "Device", "DeviceIndex",
    )
)  # fmt: skip
_DISPATCHABLE_ELEMENTS = frozenset(("Tensor", "int", "SymInt", "float", "bool"))
_DISPATCHABLE_RESULTS = frozenset(
    ("Tensor", "Tensor?", "Tensor[]", "int", "SymInt", "float", "bool")
)


def _dispatchable(written: str) -> bool:
    inner = written.removesuffix("?")
    if inner.endswith("[]"):
        return inner.removesuffix("[]") in _DISPATCHABLE_ELEMENTS
    return inner in _DISPATCHABLE


def _has_python_kernel(kind: str) -> bool:
    """Whether a kernel other than a shape rule of the op is a Python function."""
    for line in torch._C._dispatch_dump(kind).splitlines():
        key, _, where = line.partition(": registered at ")
        if ".py:" in where and key != "debug" and not key.startswith("Meta"):
            return True
    return False


def route(schema: OpSchema) -> Route:
    """How native code calls the op."""
    if find_target(schema) is not None:
        return Route("ops")
    for part, allowed in (
        ([a.written for a in schema.arguments], _dispatchable),
        ([r.written for r in schema.returns], _DISPATCHABLE_RESULTS.__contains__),
    ):
        for written in map(cxx.spelling, part):
            if not allowed(written):
                return Route(
                    None,
                    "libtorch exports no function for this op, and its C interface cannot pass "
                    f"the type {written}",
                )
    results = [cxx.spelling(r.written) for r in schema.returns]
    if results != results[::-1]:
        # torch 2.13 converts the last result by the type of the first, and so on
        return Route(
            None,
            "libtorch exports no function for this op, and its C interface confuses results of "
            "different types",
        )
    return Route("dispatcher", in_python=_has_python_kernel(schema.kind))


OPTIONAL_OF_TENSOR = "_ZN3c1012OptionalType8ofTensorEv"  # fills a shared pointer


@cache
def optional_tensor_type() -> int:
    """Address of libtorch's own ``Optional[Tensor]`` type object, held for the process's life."""
    buffer = (ctypes.c_void_p * 2)()
    of_tensor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(symbol(OPTIONAL_OF_TENSOR))
    of_tensor(ctypes.addressof(buffer))
    assert buffer[0] is not None
    return int(buffer[0])
