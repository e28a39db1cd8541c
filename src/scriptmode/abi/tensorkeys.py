"""A tensor's dispatch keys in memory: where the 64-bit set lies in a TensorImpl, and its bits."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


def without_modes(make: Callable[[], T]) -> T:
    """What ``make`` gives in a fresh thread, which has no modes, devices or flags of this one."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(make()))
    thread.start()
    thread.join()
    return results[0]


@cache
def key_set_offset() -> int:
    """Byte offset of the dispatch key set; raises ImportError when it is not where it should be."""
    tensors = without_modes(
        lambda: [
            torch.empty(2, device="cpu"),
            torch.empty(2, device="meta"),
            torch.empty(2, device="cpu", layout=torch.sparse_coo),
        ]
    )
    for offset in range(16, 512, 8):
        words = [ctypes.c_uint64.from_address(t._cdata + offset).value for t in tensors]
        if words == [torch._C._dispatch_keys(t).raw_repr() for t in tensors]:
            return offset
    raise ImportError(f"torch {torch.__version__}: the dispatch keys of a tensor were not found")


@cache
def key_bit(name: str) -> int:
    """The bit of a functionality key such as ``Sparse`` or ``NestedTensor``."""
    key = getattr(torch._C.DispatchKey, name)
    return int(torch._C.DispatchKeySet(key).raw_repr())


@cache
def plain_key_set() -> int:
    """The dispatch keys of a strided tensor of the CPU, made outside of inference mode."""
    tensor = without_modes(lambda: torch.empty(2, device="cpu"))
    return int(torch._C._dispatch_keys(tensor).raw_repr())
