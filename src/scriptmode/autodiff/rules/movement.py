"""Views, copies and joins: where the elements go."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import cast, wrap


@vjp("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", "self")
def view(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)", "self")
def reshape(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp(
    "aten::flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)", "self"
)
def flatten(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", "self")
def unflatten(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)", "self")
def view_as(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::squeeze(Tensor(a) self) -> Tensor(a)", "self")
def squeeze(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::squeeze.dim(Tensor(a) self, int dim) -> Tensor(a)", "self")
def squeeze_dim(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)", "self")
def unsqueeze(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::t(Tensor(a) self) -> Tensor(a)", "self")
def t(grad: Tensor) -> Tensor:
    return grad.t()


@vjp("aten::numpy_T(Tensor(a) self) -> Tensor(a)", "self")
def numpy_t(grad: Tensor) -> Tensor:
    return grad.permute(list(range(grad.dim() - 1, -1, -1)))


@vjp("aten::transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", "self")
def transpose(grad: Tensor, dim0: int, dim1: int) -> Tensor:
    return grad.transpose(dim0, dim1)


@vjp("aten::permute(Tensor(a) self, int[] dims) -> Tensor(a)", "self")
def permute(grad: Tensor, dims: list[int]) -> Tensor:
    back = [0] * len(dims)
    for i in range(len(dims)):
        back[wrap(dims[i], len(dims))] = i
    return grad.permute(back)


@vjp("aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)", "self")
def expand(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.sum_to_size(self_shape)


@vjp("aten::expand_as(Tensor(a) self, Tensor other) -> Tensor(a)", "self")
def expand_as(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.sum_to_size(self_shape)


@vjp(
    "aten::contiguous(Tensor(a) self, *, MemoryFormat memory_format=contiguous_format) -> Tensor(a)",
    "self",
)
def contiguous(grad: Tensor) -> Tensor:
    return grad


@vjp("aten::alias(Tensor(a) self) -> Tensor(a)", "self")
def alias(grad: Tensor) -> Tensor:
    return grad


@vjp("aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)", "self")
def select(grad: Tensor, self_shape: torch.Size, dim: int, index: int) -> Tensor:
    return torch.ops.aten.select_backward(grad, self_shape, dim, index)


@vjp(
    "aten::slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)",
    "self",
)
def slice_(
    grad: Tensor, self_shape: torch.Size, dim: int, start: int | None, end: int | None, step: int
) -> Tensor:
    first = 0 if start is None else start
    last = 9223372036854775807 if end is None else end
    return torch.ops.aten.slice_backward(grad, self_shape, dim, first, last, step)


@vjp("aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)", "self")
def narrow(grad: Tensor, self_shape: torch.Size, dim: int, start: int, length: int) -> Tensor:
    first = start + self_shape[dim] if start < 0 else start
    return torch.ops.aten.slice_backward(grad, self_shape, dim, first, first + length, 1)


@vjp("aten::index_select(Tensor self, int dim, Tensor index) -> Tensor", "self")
def index_select(grad: Tensor, self_shape: torch.Size, dim: int, index: Tensor) -> Tensor:
    zeros = torch.zeros(self_shape, dtype=grad.dtype, device=grad.device)
    return zeros.index_add(dim, index, grad)


@vjp(
    "aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", "self"
)
def gather(grad: Tensor, self_shape: torch.Size, dim: int, index: Tensor) -> Tensor:
    zeros = torch.zeros(self_shape, dtype=grad.dtype, device=grad.device)
    return zeros.scatter_add(dim, index, grad)


@vjp("aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", "self")
def index(grad: Tensor, self_shape: torch.Size, indices: list[Tensor | None]) -> Tensor:
    zeros = torch.zeros(self_shape, dtype=grad.dtype, device=grad.device)
    return torch.ops.aten.index_put(zeros, indices, grad, True)


@vjp("aten::cat(Tensor[] tensors, int dim=0) -> Tensor", "tensors")
def cat(grad: Tensor, tensors: list[Tensor], dim: int) -> list[Tensor]:
    parts: list[Tensor] = []
    start = 0
    for x in tensors:
        if x.dim() == 1 and x.shape[0] == 0:
            parts.append(torch.zeros_like(x))  # of any rank, as it is left out
        else:
            size = x.shape[dim]
            parts.append(cast(grad.narrow(dim, start, size), x.dtype))
            start += size
    return parts


@vjp("aten::stack(Tensor[] tensors, int dim=0) -> Tensor", "tensors")
def stack(grad: Tensor, tensors: list[Tensor], dim: int) -> list[Tensor]:
    parts: list[Tensor] = []
    for i in range(len(tensors)):
        parts.append(cast(grad.select(dim, i), tensors[i].dtype))
    return parts


def joined(
    grad: list[Tensor | None], shape: torch.Size, dim: int, sizes: list[int]
) -> Tensor | None:
    """The cotangent of a tensor from those of its pieces along ``dim``."""
    some: Tensor | None = None
    for part in grad:
        if part is not None:
            some = part
    if some is None:
        return None
    parts: list[Tensor] = []
    for i in range(len(grad)):
        part = grad[i]
        if part is None:
            piece = list(shape)
            piece[dim] = sizes[i]
            part = torch.zeros(piece, dtype=some.dtype, device=some.device)
        parts.append(part)
    return torch.cat(parts, dim)


def split_sizes(shape: torch.Size, dim: int, size: int, count: int) -> list[int]:
    """Sizes of ``count`` pieces of ``size``, the last one smaller."""
    total = shape[dim]
    return [min(size, total - i * size) for i in range(count)]


@vjp("aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]", "self")
def split(
    grad: list[Tensor | None], self_shape: torch.Size, split_size: int, dim: int
) -> Tensor | None:
    return joined(grad, self_shape, dim, split_sizes(self_shape, dim, split_size, len(grad)))


@vjp(
    "aten::split_with_sizes(Tensor(a -> *) self, SymInt[] split_sizes, int dim=0) -> Tensor(a)[]",
    "self",
)
def split_with_sizes(
    grad: list[Tensor | None], self_shape: torch.Size, split_sizes: list[int], dim: int
) -> Tensor | None:
    return joined(grad, self_shape, dim, split_sizes)


@vjp("aten::chunk(Tensor(a -> *) self, int chunks, int dim=0) -> Tensor(a)[]", "self")
def chunk(
    grad: list[Tensor | None], self_shape: torch.Size, chunks: int, dim: int
) -> Tensor | None:
    size = (self_shape[dim] + chunks - 1) // chunks
    return joined(grad, self_shape, dim, split_sizes(self_shape, dim, size, len(grad)))


@vjp("aten::unbind.int(Tensor(a -> *) self, int dim=0) -> Tensor(a)[]", "self")
def unbind(grad: list[Tensor | None], self_shape: torch.Size, dim: int) -> Tensor | None:
    some: Tensor | None = None
    for part in grad:
        if part is not None:
            some = part
    if some is None:
        return None
    parts: list[Tensor] = []
    for part in grad:
        parts.append(torch.zeros_like(some) if part is None else part)
    return torch.stack(parts, dim)


@vjp(
    "aten::to.dtype(Tensor(a) self, ScalarType dtype, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
    "self",
)
def to_dtype(grad: Tensor, result_dtype: torch.dtype, self_dtype: torch.dtype) -> Tensor | None:
    if not (result_dtype.is_floating_point or result_dtype.is_complex):
        return None
    return cast(grad, self_dtype)


@vjp("aten::repeat(Tensor self, SymInt[] repeats) -> Tensor", "self")
def repeat(grad: Tensor, self_shape: torch.Size, repeats: list[int]) -> Tensor:
    extra = len(repeats) - len(self_shape)
    split: list[int] = []
    over: list[int] = []
    for i in range(len(repeats)):
        if i < extra:
            over.append(len(split))
            split.append(repeats[i])
        else:
            over.append(len(split))
            split.append(repeats[i])
            split.append(self_shape[i - extra])
    if len(over) == 0:
        return grad
    return grad.reshape(split).sum(over)


@vjp("aten::tril(Tensor self, SymInt diagonal=0) -> Tensor", "self")
def tril(grad: Tensor, diagonal: int) -> Tensor:
    return grad.tril(diagonal)


@vjp("aten::triu(Tensor self, SymInt diagonal=0) -> Tensor", "self")
def triu(grad: Tensor, diagonal: int) -> Tensor:
    return grad.triu(diagonal)


@vjp("aten::flip(Tensor self, int[] dims) -> Tensor", "self")
def flip(grad: Tensor, dims: list[int]) -> Tensor:
    return grad.flip(dims)


@vjp("aten::roll(Tensor self, SymInt[1] shifts, int[1] dims=[]) -> Tensor", "self")
def roll(grad: Tensor, shifts: list[int], dims: list[int]) -> Tensor:
    return grad.roll([-s for s in shifts], dims)
