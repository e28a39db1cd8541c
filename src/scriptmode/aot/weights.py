"""The weights file of a library: every storage once, aligned; a safetensors file.

The library knows where each tensor lies, and the header, which the file must begin with: weights of
other shapes are told, other weights of the same shapes may take their place.
"""

from __future__ import annotations

import ctypes
import json
import struct

import torch

from scriptmode.aot.image import CannotExport

ALIGN = 64


def memory_of(tensor: torch.Tensor) -> bytes:
    """The bytes of the storage of a tensor, from its first element on."""
    check_tensor(tensor)
    size = _extent(tensor)
    return ctypes.string_at(tensor.data_ptr(), size) if size else b""


def check_tensor(tensor: torch.Tensor) -> None:
    """Refuse a tensor that is no plain memory."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        raise CannotExport(f"a tensor that is no plain memory of the CPU ({tensor.dtype})")


def _extent(tensor: torch.Tensor) -> int:
    """Bytes from the first element to the end of the last."""
    if tensor.numel() == 0:
        return 0
    last = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


class Weights:
    """The file under construction."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._starts: dict[int, int] = {}  # of storages, by their address
        self._storages: list[torch.UntypedStorage] = []
        self._end = 0

    def add(self, tensor: torch.Tensor) -> int:
        """Where the first element of a tensor lies behind the header."""
        check_tensor(tensor)
        storage = tensor.untyped_storage()
        key = storage.data_ptr() or -1 - len(self._storages)
        if key not in self._starts:
            self._starts[key] = self._end
            self._storages.append(storage)
            self._end += -(-storage.nbytes() // ALIGN) * ALIGN
        return self._starts[key] + int(tensor.storage_offset()) * tensor.element_size()

    @property
    def header(self) -> bytes:
        """The beginning of the file."""
        entries: dict[str, object] = {
            "__metadata__": {"format": "scriptmode weights 1", "library": self._name}
        }
        for number, (storage, start) in enumerate(
            zip(self._storages, self._starts.values(), strict=True)
        ):
            entries[f"storage.{number}"] = {
                "dtype": "U8",
                "shape": [storage.nbytes()],
                "data_offsets": [start, start + storage.nbytes()],
            }
            gap = -storage.nbytes() % ALIGN
            if gap:  # a safetensors file has no holes
                end = start + storage.nbytes()
                entries[f"padding.{number}"] = {
                    "dtype": "U8", "shape": [gap], "data_offsets": [end, end + gap],
                }  # fmt: skip
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-(len(text) + 8) % ALIGN)
        return struct.pack("<Q", len(text)) + text

    def content(self) -> bytes:
        """The bytes of the file; none where there are no weights."""
        if not self._storages:
            return b""
        parts = [self.header]
        for storage in self._storages:
            content = ctypes.string_at(storage.data_ptr(), storage.nbytes())
            parts.append(content.ljust(-(-len(content) // ALIGN) * ALIGN, b"\0"))
        return b"".join(parts)
