"""The tensors of a TorchScript file, over its memory."""

from __future__ import annotations

from typing import Any

import torch

from scriptmode.archive.container import Archive
from scriptmode.archive.weights import is_inside
from scriptmode.torchscript.pickles import Named, PickleProblem, StorageReference

_DTYPES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "ByteStorage": torch.uint8, "CharStorage": torch.int8,
    "ShortStorage": torch.int16, "IntStorage": torch.int32, "LongStorage": torch.int64,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip
_MOST_DIMENSIONS = 64
_LEAST_ALIGNMENT = 16
_INT = (1 << 63) - 1


class TensorMaker:
    """Makes tensors over the storages in a folder of an archive; equal keys share their storage."""

    def __init__(self, archive: Archive, folder: str, map_location: torch.device | None) -> None:
        self._archive = archive
        self._folder = folder
        self._map_location = map_location
        self._storages: dict[str, torch.Tensor] = {}

    def make(self, function: Named, args: tuple[Any, ...]) -> torch.Tensor:
        """The tensor that a rebuilding function of torch would make; raises PickleProblem."""
        if function.name == "_rebuild_qtensor":
            raise PickleProblem("quantised tensors are not supported")
        if function.name not in ("_rebuild_tensor_v2", "_rebuild_tensor"):
            raise PickleProblem(f"tensors of {function.name} are not supported")
        if len(args) < 4 or not isinstance(args[0], StorageReference):
            raise PickleProblem("a tensor without a storage")
        storage, offset = args[0], args[1]
        shape, stride = _counts(args[2]), _counts(args[3])
        if shape is None or stride is None or len(shape) != len(stride) or not _is_count(offset):
            raise PickleProblem("a tensor without a shape and strides")
        data, dtype = self._storage(storage)
        if not is_inside(dtype, offset, shape, stride, data.numel()):
            raise PickleProblem("a tensor that is larger than its storage")
        value = torch.empty(0, dtype=dtype, device=data.device)
        with torch.no_grad():
            value.set_(data.untyped_storage(), offset, shape, stride)
        needs = len(args) > 4 and args[4] is True
        if needs and not (dtype.is_floating_point or dtype.is_complex):
            raise PickleProblem(f"a tensor of {dtype} that requires gradients")
        return value.requires_grad_(needs)

    def _storage(self, reference: StorageReference) -> tuple[torch.Tensor, torch.dtype]:
        """The bytes of a storage, on the device where they belong."""
        dtype = _DTYPES.get(reference.dtype_name)
        if dtype is None:
            raise PickleProblem(f"a storage of type {reference.dtype_name}")
        found = self._storages.get(reference.key)
        if found is None:
            found = self._storages[reference.key] = self._read(reference)
        if reference.numel * dtype.itemsize > found.numel():
            raise PickleProblem(f"storage {reference.key} has fewer bytes than its size says")
        return found, dtype

    def _read(self, reference: StorageReference) -> torch.Tensor:
        name = f"{self._folder}/{reference.key}"
        if name not in self._archive:
            raise PickleProblem(f"there is no storage {reference.key}")
        view = self._archive.view(name)
        if len(view) == 0:
            found = torch.empty(0, dtype=torch.uint8)
        else:
            found = torch.frombuffer(view, dtype=torch.uint8)
            if found.data_ptr() % _LEAST_ALIGNMENT:
                found = found.clone()
        device = self._map_location or _device(reference.device)
        if device.type == "cpu":
            return found
        try:
            return found.to(device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            text = str(error).partition("\n")[0]
            raise PickleProblem(
                f"storage {reference.key} belongs on {device}: {text}; load it with "
                'map_location="cpu"'
            ) from None


def _device(text: str) -> torch.device:
    try:
        return torch.device(text)
    except RuntimeError:
        raise PickleProblem(f"there is no device {text[:40]!r}") from None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _INT


def _counts(value: Any) -> list[int] | None:
    if not isinstance(value, tuple) or len(value) > _MOST_DIMENSIONS:
        return None
    return list(value) if all(map(_is_count, value)) else None
