"""Where a TensorImpl keeps what guards read: sizes and strides, dtype, what autograd knows of it.

``fields()`` finds the offsets by looking at tensors whose contents are known, and checks them on
others; it is None for a torch that lays tensors out in another way.  Sizes and strides are::

    i64 n, then for n <= 5 sizes[5] strides[5], else a pointer to sizes[n] strides[n]
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from scriptmode.abi.dtypes import DTYPE_NUMBERS
from scriptmode.abi.libtorch import find_symbol
from scriptmode.abi.tensorkeys import key_set_offset, plain_key_set, without_modes

INLINE_DIMS = 5  # up to so many sizes and strides lie in the tensor itself
MOST_BYTES = 208  # of a tensor that are looked at
_META_TABLE = "_ZTVN5torch8autograd12AutogradMetaE"
_VIEW_TABLE = "_ZTVN5torch8autograd22DifferentiableViewMetaE"


@dataclass(frozen=True)
class Fields:
    """Byte offsets in a TensorImpl; ``meta`` is a pointer, null until autograd knows the tensor."""

    sizes: int
    dtype: int
    meta: int


@cache
def fields() -> Fields | None:
    """The offsets, or None when they are not where they should be."""
    return without_modes(_find)


@cache
def inference_key_set() -> int:
    """The dispatch keys of a strided tensor of the CPU that was made in inference mode."""

    def make() -> torch.Tensor:
        with torch.inference_mode():
            return torch.empty(2, device="cpu")

    return int(torch._C._dispatch_keys(without_modes(make)).raw_repr())


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _find() -> Fields | None:
    small = torch.empty_strided((11, 13, 17), (1009, 71, 3), device="cpu")
    sizes = _only([at for at in range(16, 120, 8) if _has_sizes(small, at)])
    dtypes = [t for t in DTYPE_NUMBERS if t.is_floating_point or t in (torch.int64, torch.bool)]
    typed = [torch.empty(3, dtype=t, device="cpu") for t in dtypes]
    dtype = _only([at for at in range(16, MOST_BYTES, 2) if all(_has_dtype(t, at) for t in typed)])
    meta = _only([at for at in range(16, MOST_BYTES, 8) if _has_meta(at)])
    if sizes is None or dtype is None or meta is None:
        return None
    found = Fields(sizes, dtype, meta)
    return found if _holds(found) else None


def _has_meta(at: int) -> bool:
    """Whether the word is null until a tensor knows of gradients, and points to virtual functions.

    Those of a view are others.
    """
    plain, leaf, view = (torch.zeros(3, device="cpu") for _ in range(3))
    leaf.requires_grad_()
    view = view.view(3, 1)
    held = _word(plain._cdata + at), _word(leaf._cdata + at), _word(view._cdata + at)
    if held[0] or any(place < 1 << 16 or place % 8 for place in held[1:]):
        return False
    wanted = [(find_symbol(name) or 0) + 16 for name in (_META_TABLE, _VIEW_TABLE)]
    return [_word(place) for place in held[1:]] == wanted


def _only(candidates: Sequence[int]) -> int | None:
    return candidates[0] if len(candidates) == 1 else None


def _has_sizes(tensor: torch.Tensor, at: int) -> bool:
    n, base = tensor.dim(), tensor._cdata + at
    if _word(base) != n:
        return False
    place = base + 8
    gap = INLINE_DIMS
    if n > INLINE_DIMS:
        place, gap = _word(place), n
        if place < 1 << 16:
            return False
    held = (ctypes.c_int64 * (2 * max(n, gap))).from_address(place)
    return tuple(held[:n]) == tuple(tensor.shape) and tuple(held[gap : gap + n]) == tensor.stride()


def _has_dtype(tensor: torch.Tensor, at: int) -> bool:
    return ctypes.c_uint16.from_address(tensor._cdata + at).value == DTYPE_NUMBERS[tensor.dtype]


def _holds(found: Fields) -> bool:
    """Whether the offsets tell the truth about tensors of all sorts."""
    base = torch.zeros(2, 3, 4, 5, 6, 7, device="cpu")
    tensors = [
        base, base.transpose(1, 4), base[0], base[0, 0, :, ::2], base[0, 0, 0, 0, 0, 0],
        base[..., :0], base.expand(2, 2, 3, 4, 5, 6, 7), torch.zeros(0, device="cpu"),
        torch.zeros(3, 1, dtype=torch.uint8, device="cpu"),
    ]  # fmt: skip
    offset = key_set_offset()
    return all(
        _has_sizes(t, found.sizes)
        and _has_dtype(t, found.dtype)
        and _word(t._cdata + offset) == plain_key_set()
        for t in tensors
    )
