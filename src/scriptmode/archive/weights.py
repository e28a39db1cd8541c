"""Tensors in an archive: one safetensors entry of bytes for each storage.

A tensor is a row of the manifest that says how it looks at a storage, so that shared storages,
strides, every dtype, and which tensors are one and the same survive.  The format of the entry is
that of the safetensors library, which names ``s0``, ``s1``, ... and knows no strides.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from scriptmode.archive.container import ALIGNMENT, Archive, Entry
from scriptmode.archive.problems import not_saved

ENTRY = "weights.safetensors"
_LONGEST_HEADER = 100_000_000  # the library's limit
_DTYPES = {
    str(d).removeprefix("torch."): d for d in vars(torch).values() if isinstance(d, torch.dtype)
}
_MOST_DIMENSIONS = 64
_LEAST_ALIGNMENT = 16  # of the largest dtype
_INT = (1 << 63) - 1


class TensorTable:
    """The tensors of an archive that is written, each once."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[torch.Tensor] = []  # so that no other one gets the id of one of them
        self._storages: dict[int, int] = {}
        self._contents: list[torch.UntypedStorage] = []

    def number(self, value: torch.Tensor, what: str) -> int:
        """The row of a tensor; ``what`` names it in errors."""
        found = self._numbers.get(id(value))
        if found is None:
            row = self._row(value, what)
            found = self._numbers[id(value)] = len(self.rows)
            self._kept.append(value)
            self.rows.append(row)
        return found

    def _row(self, value: torch.Tensor, what: str) -> dict[str, Any]:
        if type(value) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
            raise not_saved(f"{what}: a {type(value).__name__}")
        if value.layout != torch.strided or value.is_quantized or value.is_nested:
            raise not_saved(f"{what}: a tensor that is sparse, quantized or nested")
        if value.is_meta:
            raise not_saved(f"{what}: a tensor on the meta device, which has no data")
        plain = value.detach().resolve_conj().resolve_neg()
        row: dict[str, Any] = {
            "storage": self._storage(plain),
            "dtype": str(plain.dtype).removeprefix("torch."),
            "shape": list(plain.shape),
            "stride": list(plain.stride()),
            "offset": plain.storage_offset(),
        }
        if value.device.type != "cpu":
            row["device"] = str(value.device)
        if value.requires_grad:
            row["requires_grad"] = True
        if isinstance(value, torch.nn.Parameter):
            row["parameter"] = True
        return row

    def _storage(self, value: torch.Tensor) -> int:
        storage = value.untyped_storage()
        key = storage._cdata
        if key not in self._storages:
            self._storages[key] = len(self._contents)
            self._kept.append(value)
            self._contents.append(_on_cpu(storage))
        return self._storages[key]

    @property
    def sizes(self) -> list[int]:
        """Bytes of each storage."""
        return [s.nbytes() for s in self._contents]

    def entry(self) -> Entry:
        """The file with all storages."""
        if sys.byteorder != "little":
            raise not_saved("tensors on a big-endian machine")
        header: dict[str, Any] = {}
        parts: list[bytes | memoryview] = []
        end = 0
        for number, storage in enumerate(self._contents):
            padded = storage.nbytes() + -storage.nbytes() % ALIGNMENT
            header[f"s{number}"] = {
                "dtype": "U8", "shape": [padded], "data_offsets": [end, end + padded],
            }  # fmt: skip
            parts += [_bytes_of(storage), bytes(padded - storage.nbytes())]
            end += padded
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        head = len(text).to_bytes(8, "little") + text
        return Entry(ENTRY, [head, *parts], aligned=len(head), owner=self._contents)


def _on_cpu(storage: torch.UntypedStorage) -> torch.UntypedStorage:
    if storage.device.type == "cpu":
        return storage
    whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    return whole.cpu().untyped_storage()


def _bytes_of(storage: torch.UntypedStorage) -> memoryview:
    if storage.nbytes() == 0:
        return memoryview(b"")
    view = (ctypes.c_char * storage.nbytes()).from_address(storage.data_ptr())
    return memoryview(view).cast("B")


class WeightReader:
    """Makes the tensors of an archive, over its memory."""

    def __init__(
        self, archive: Archive, sizes: Any, rows: Any, map_location: torch.device | None
    ) -> None:
        self._archive = archive
        self._map_location = map_location
        self._rows = self._checked_rows(rows)
        self._storages = self._made_storages(sizes)
        self._made: dict[int, torch.Tensor] = {}

    def _problem(self, what: str, where: str = ENTRY) -> Exception:
        return self._archive.problem(what, where)

    def _checked_rows(self, rows: Any) -> list[dict[str, Any]]:
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise self._problem("`tensors` is no list of objects", "manifest.json")
        return rows

    def _made_storages(self, sizes: Any) -> list[torch.Tensor]:
        """Each storage as a tensor of its bytes."""
        if not isinstance(sizes, list) or not all(_is_count(n) for n in sizes):
            raise self._problem("`storages` is no list of sizes", "manifest.json")
        if not sizes:
            return []
        data = self._archive.view(ENTRY)
        length = int.from_bytes(data[:8], "little")
        if len(data) < 8 or length > min(len(data) - 8, _LONGEST_HEADER):
            raise self._problem("its header is longer than the file")
        try:
            header = json.loads(bytes(data[8 : 8 + length]))
        except (ValueError, RecursionError) as error:
            raise self._problem(f"its header is no JSON: {error}") from None
        if not isinstance(header, dict):
            raise self._problem("its header is no object")
        body = data[8 + length :]
        return [self._storage(header, body, n, size) for n, size in enumerate(sizes)]

    def _storage(
        self, header: Mapping[str, Any], body: memoryview, number: int, size: int
    ) -> torch.Tensor:
        row = header.get(f"s{number}")
        places = row.get("data_offsets") if isinstance(row, dict) else None
        if not (isinstance(places, list) and len(places) == 2 and all(map(_is_count, places))):
            raise self._problem(f"storage s{number} has no place")
        begin, end = places
        if not begin <= begin + size <= end <= len(body):
            raise self._problem(f"storage s{number} is not inside the file")
        if size == 0:
            return torch.empty(0, dtype=torch.uint8)
        found = torch.frombuffer(body[begin : begin + size], dtype=torch.uint8)
        return found if found.data_ptr() % _LEAST_ALIGNMENT == 0 else found.clone()

    def tensor(self, number: Any) -> torch.Tensor:
        """The tensor of a row."""
        if not _is_count(number) or number >= len(self._rows):
            raise self._problem(f"there is no tensor {number!r}", "manifest.json")
        found = self._made.get(number)
        if found is None:
            found = self._made[number] = self._make(self._rows[number], number)
        return found

    def _make(self, row: Mapping[str, Any], number: int) -> torch.Tensor:
        dtype = _DTYPES.get(str(row.get("dtype")))
        storage, offset = row.get("storage"), row.get("offset", 0)
        shape, stride = _counts(row.get("shape")), _counts(row.get("stride"))
        is_known = _is_count(storage) and storage < len(self._storages)  # type: ignore[operator]
        if dtype is None or not is_known or not _is_count(offset):
            raise self._problem(f"tensor {number} has no dtype, storage or offset", "manifest.json")
        if shape is None or stride is None or len(shape) != len(stride):
            raise self._problem(f"tensor {number} has no shape and strides", "manifest.json")
        data = self._storages[storage]  # type: ignore[index]
        if not is_inside(dtype, offset, shape, stride, data.numel()):
            raise self._problem(f"tensor {number} is larger than its storage", "manifest.json")
        value = torch.empty(0, dtype=dtype)
        with torch.no_grad():
            value.set_(data.untyped_storage(), offset, shape, stride)
        device = self._map_location or torch.device(str(row.get("device", "cpu")))
        if device.type != "cpu":
            value = value.to(device)
        needs = row.get("requires_grad") is True
        if needs and not (dtype.is_floating_point or dtype.is_complex):
            raise self._problem(f"tensor {number} cannot require gradients", "manifest.json")
        if row.get("parameter") is True:
            return torch.nn.Parameter(value, needs)
        return value.requires_grad_(needs)


def is_inside(
    dtype: torch.dtype, offset: int, shape: Sequence[int], stride: Sequence[int], size: int
) -> bool:
    """Whether all elements of a tensor lie in a storage of ``size`` bytes."""
    last = offset
    if math.prod(shape) > 0:
        last += sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) + 1
    return last * dtype.itemsize <= size and math.prod(shape) <= _INT


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _INT


def _counts(value: Any) -> list[int] | None:
    """``value`` if it is a list of sizes."""
    if not isinstance(value, list) or len(value) > _MOST_DIMENSIONS:
        return None
    return value if all(map(_is_count, value)) else None
