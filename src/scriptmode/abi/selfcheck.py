"""Check, once per process, the memory layouts of libtorch that native code relies on.

Everything here goes through exported functions that do not throw for the values used, so a torch
whose layouts differ is refused with a message instead of crashing later.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable
from functools import cache

import torch

from scriptmode.abi.calls import host_abi
from scriptmode.abi.dtypes import DTYPES
from scriptmode.abi.libtorch import optional_tensor_type, symbol

_LOCAL_SCALAR = "_ZN2at4_ops19_local_scalar_dense4callERKNS_6TensorE"
_FILL = "_ZN2at4_ops11fill_Scalar4callERKNS_6TensorERKN3c106ScalarE"
_MAX_DIM = "_ZN2at4_ops7max_dim4callERKNS_6TensorElb"
_LIST_IMPL = (
    "_ZN3c106detail8ListImplC1ESt6vectorINS_6IValueESaIS3_EENS_4Type"
    "24SingletonOrSharedTypePtrIS6_EE"
)


def _function(name: str, arguments: int) -> Callable[..., int]:
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * arguments)
    return prototype(symbol(name))


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _cell(tensor: torch.Tensor) -> ctypes.c_uint64:
    return ctypes.c_uint64(tensor._cdata)


def _check_counts() -> str | None:
    tensor = torch.empty(1, device="cpu")
    counts = tensor._cdata + 8
    before = _word(counts)
    if before != (1 << 63 | 1 << 32 | 1):
        return f"a tensor's reference counts read {before:#x}"
    handle = ctypes.c_uint64()
    cell = _cell(tensor)
    _function("aoti_torch_new_tensor_handle", 2)(ctypes.addressof(cell), ctypes.addressof(handle))
    if _word(counts) != before + 1 or _word(handle.value) != tensor._cdata:
        return "a new tensor handle does not add one reference"
    _function("aoti_torch_delete_tensor_object", 1)(handle.value)
    if _word(counts) != before:
        return "a deleted tensor handle does not take one reference back"
    return None


def _check_virtual_functions() -> str | None:
    deleter = _word(symbol("_ZTVN3c1010TensorImplE") + 16 + 8)
    if deleter != symbol("_ZN3c1010TensorImplD0Ev"):
        return "the deleting destructor is not the second virtual function of a tensor"
    return None


def _check_dtypes() -> str | None:
    get_dtype = _function("aoti_torch_get_dtype", 2)
    for number, dtype in DTYPES.items():
        if dtype.is_floating_point or dtype in (torch.bool, torch.int64, torch.uint8):
            cell, found = _cell(torch.empty(0, dtype=dtype, device="cpu")), ctypes.c_int32(-1)
            get_dtype(ctypes.addressof(cell), ctypes.addressof(found))
            if found.value != number:
                return f"{dtype} has number {found.value}, not {number}"
    return None


def _check_scalars() -> str | None:
    read, fill = _function(_LOCAL_SCALAR, 2), _function(_FILL, 3)
    release = _function("aoti_torch_delete_tensor_object", 1)
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(symbol("_Znwm"))
    memory = (ctypes.c_char * 64)()
    base = ctypes.addressof(memory)
    base += -base % 16
    cases = (
        (0, torch.tensor(1.5, dtype=torch.float64, device="cpu"), struct.pack("<d", 1.5)),
        (1, torch.tensor(-7, device="cpu"), struct.pack("<q", -7)),
        (3, torch.tensor(1 - 2j, dtype=torch.complex128, device="cpu"), struct.pack("<dd", 1, -2)),
        (4, torch.tensor(True, device="cpu"), struct.pack("<q", 1)),
    )
    for tag, tensor, payload in cases:
        cell = _cell(tensor)
        read(base, ctypes.addressof(cell))
        content = ctypes.string_at(base, 32)
        if content[0] != tag or content[16 : 16 + len(payload)] != payload:
            return f"a Scalar read from {tensor.dtype} is laid out differently"
        scalar = struct.pack("<ixxxxxxxxxxxx", tag) + payload.ljust(16, b"\0")
        ctypes.memmove(base, scalar, 32)
        made = allocate(8)
        with torch.no_grad():
            fill(made, ctypes.addressof(cell), base)
            read(base, made)
        release(made)
        if ctypes.string_at(base + 16, len(payload)) != payload:
            return f"a Scalar passed for {tensor.dtype} arrives differently"
    return None


def _check_tuples() -> str | None:
    prototype = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_bool
    )
    pair = ((ctypes.c_uint64) * 2)()
    cell = _cell(torch.zeros(2, device="cpu"))
    prototype(symbol(_MAX_DIM))(ctypes.addressof(pair), ctypes.addressof(cell), 0, False)
    get_dtype, found = _function("aoti_torch_get_dtype", 2), ctypes.c_int32(-1)
    get_dtype(ctypes.addressof(pair), ctypes.addressof(found))
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(symbol("_Znwm"))
    for impl in pair:
        handle = allocate(8)
        ctypes.c_uint64.from_address(handle).value = impl
        _function("aoti_torch_delete_tensor_object", 1)(handle)
    if DTYPES.get(found.value) != torch.int64:
        return "a std::tuple does not store its last element first"
    return None


def _check_lists() -> str | None:
    made, vector = (ctypes.c_uint64 * 8)(), (ctypes.c_uint64 * 3)()
    element = optional_tensor_type()
    type_pointer = (ctypes.c_uint64 * 2)(element, 0)
    _function(_LIST_IMPL, 3)(*(ctypes.addressof(x) for x in (made, vector, type_pointer)))
    if not made[0] or list(made[1:]) != [0, 0, 0, 0, element, 0, 0]:
        return "a c10::List is laid out differently"
    return None


_CHECKS = (
    _check_counts,
    _check_virtual_functions,
    _check_dtypes,
    _check_scalars,
    _check_tuples,
    _check_lists,
)


@cache
def check_abi() -> None:
    """Verify the layout facts relied on; raises ImportError naming the first that fails."""
    host_abi()
    problems: list[str] = []

    def run() -> None:
        for check in _CHECKS:
            problem = check()
            if problem is not None:
                problems.append(problem)
                return

    # a fresh thread has no modes, devices or flags that would change what the checks call
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise ImportError(f"torch {torch.__version__} cannot be called natively: {problems[0]}")
