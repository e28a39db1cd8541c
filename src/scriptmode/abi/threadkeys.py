"""The dispatch keys that a thread includes in all calls or excludes from them.

libtorch keeps them in two words of thread-local memory, both zero in a plain thread; autocast,
inference mode, functorch, functionalisation and dispatch modes change them.  ``__tls_get_addr`` of
``thread_keys()`` is the address of the words in any thread.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import torch

from scriptmode.abi.libtorch import find_symbol, symbol
from scriptmode.abi.tensorkeys import key_bit, without_modes

GET_ADDRESS = "__tls_get_addr"
_KEYS = "_ZN3c104impl26raw_local_dispatch_key_setE"


class _Library(ctypes.Structure):
    """``struct dl_phdr_info``."""

    _fields_ = [
        ("address", ctypes.c_size_t), ("name", ctypes.c_char_p), ("headers", ctypes.c_size_t),
        ("n_headers", ctypes.c_uint16), ("added", ctypes.c_uint64), ("removed", ctypes.c_uint64),
        ("module", ctypes.c_size_t), ("block", ctypes.c_size_t),
    ]  # fmt: skip


_Visit = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p)


@dataclass(frozen=True)
class ThreadKeys:
    """``index`` is what ``__tls_get_addr`` takes; ``inference`` the words in inference mode."""

    index: ctypes.Array[ctypes.c_uint64]
    inference: tuple[int, int]


@cache
def thread_keys() -> ThreadKeys | None:
    """Where the words are, or None when they were not found."""
    index = without_modes(_find_index)
    if index is None or find_symbol(GET_ADDRESS) is None:
        return None
    return without_modes(lambda: _checked(index))


def _find_index() -> tuple[int, int] | None:
    """The number of the library's thread-local block, and the offset of the words in it."""
    place = find_symbol(_KEYS)  # in this thread
    iterate = getattr(ctypes.CDLL(None), "dl_iterate_phdr", None)
    if place is None or iterate is None:
        return None
    found: list[tuple[int, int]] = []

    def visit(library: ctypes._Pointer[_Library], size: int, data: object) -> int:
        info = library.contents
        if b"libc10.so" in (info.name or b"") and info.block:
            found.append((info.module, place - info.block))
        return 0

    iterate(_Visit(visit), None)
    return found[0] if len(found) == 1 else None


def _checked(index: tuple[int, int]) -> ThreadKeys | None:
    words = (ctypes.c_uint64 * 2)(*index)
    address_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(symbol(GET_ADDRESS))
    place = address_of(ctypes.addressof(words))
    if not place or place != _find_own():
        return None
    included, excluded = (ctypes.c_uint64.from_address(place + at) for at in (0, 8))
    if included.value or excluded.value:
        return None
    with torch.inference_mode():
        inference = included.value, excluded.value
    with torch.autocast("cpu"):
        if included.value or not excluded.value & key_bit("AutocastCPU"):
            return None
    with torch._C._IncludeDispatchKeyGuard(torch._C.DispatchKey.Functionalize):
        if not included.value & key_bit("Functionalize"):
            return None
    is_back = not included.value and not excluded.value
    return ThreadKeys(words, inference) if is_back and all(inference) else None


def _find_own() -> int | None:
    """The address of the words in this thread, not remembered."""
    return find_symbol.__wrapped__(_KEYS)
