"""Writes and reads at indices, masks and diagonals; sums of products."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import cast, conj, fit


@vjp("aten::scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "self")
def scatter_self(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return grad.scatter(dim, index, 0)


@vjp("aten::scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "src")
def scatter_src(grad: Tensor, dim: int, index: Tensor, src_shape: torch.Size) -> Tensor:
    return padded(grad.gather(dim, index), src_shape)


@vjp("aten::scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor", "self")
def scatter_value(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return grad.scatter(dim, index, 0)


@vjp("aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "self")
def scatter_add_self(grad: Tensor) -> Tensor:
    return grad


@vjp("aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "src")
def scatter_add_src(grad: Tensor, dim: int, index: Tensor, src_shape: torch.Size) -> Tensor:
    return padded(grad.gather(dim, index), src_shape)


def padded(part: Tensor, shape: torch.Size) -> Tensor:
    """The cotangent of a source of which only the first part was read."""
    if part.shape == shape:
        return part
    widths: list[int] = []
    for i in range(part.dim() - 1, -1, -1):
        widths.append(0)
        widths.append(shape[i] - part.shape[i])
    return torch.ops.aten.constant_pad_nd(part, widths, 0)


@vjp(
    "aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
    "self",
)
def index_add_self(grad: Tensor) -> Tensor:
    return grad


@vjp(
    "aten::index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor",
    "source",
)
def index_add_source(
    grad: Tensor, dim: int, index: Tensor, source_shape: torch.Size, alpha: float
) -> Tensor:
    part = grad if grad.dim() == 0 else grad.index_select(dim, index)
    return (part if alpha == 1 else part * alpha).reshape(source_shape)


@vjp("aten::index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", "self")
def index_copy_self(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return grad.index_fill(dim, index, 0)


@vjp(
    "aten::index_fill.int_Scalar(Tensor self, int dim, Tensor index, Scalar value) -> Tensor",
    "self",
)
def index_fill(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return grad.index_fill(dim, index, 0)


@vjp(
    "aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
    "self",
)
def index_put_self(grad: Tensor, indices: list[Tensor | None], accumulate: bool) -> Tensor:
    if accumulate:
        return grad
    zero = torch.zeros([], dtype=grad.dtype, device=grad.device)
    return torch.ops.aten.index_put(grad, indices, zero, False)


@vjp(
    "aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
    "values",
)
def index_put_values(
    grad: Tensor, indices: list[Tensor | None], values_shape: torch.Size
) -> Tensor:
    return torch.ops.aten.index(grad, indices).sum_to_size(values_shape)


@vjp("aten::masked_select(Tensor self, Tensor mask) -> Tensor", "self")
def masked_select(grad: Tensor, self: Tensor, mask: Tensor) -> Tensor:
    both = torch.ops.aten.broadcast_tensors([self, mask])
    spread = torch.zeros_like(both[0], memory_format=torch.contiguous_format)
    return spread.masked_scatter(both[1], grad).sum_to_size(self.shape)


@vjp("aten::masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor", "self")
def masked_fill_self(grad: Tensor, mask: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.masked_fill(mask, 0).sum_to_size(self_shape)


@vjp("aten::masked_fill.Tensor(Tensor self, Tensor mask, Tensor value) -> Tensor", "value")
def masked_fill_value(grad: Tensor, mask: Tensor, value_dtype: torch.dtype) -> Tensor:
    return cast(torch.where(mask, grad, 0).sum(), value_dtype)


@vjp("aten::diagonal(Tensor(a) self, int offset=0, int dim1=0, int dim2=1) -> Tensor(a)", "self")
def diagonal(grad: Tensor, self_shape: torch.Size, offset: int, dim1: int, dim2: int) -> Tensor:
    return torch.ops.aten.diagonal_backward(grad, self_shape, offset, dim1, dim2)


@vjp("aten::diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor", "self")
def diag_embed(grad: Tensor, offset: int, dim1: int, dim2: int) -> Tensor:
    return grad.diagonal(offset, dim1, dim2)


@vjp("aten::unfold(Tensor(a) self, int dimension, int size, int step) -> Tensor(a)", "self")
def unfold(grad: Tensor, self_shape: torch.Size, dimension: int, size: int, step: int) -> Tensor:
    return torch.ops.aten.unfold_backward(grad, self_shape, dimension, size, step)


@vjp("aten::broadcast_to(Tensor(a) self, SymInt[] size) -> Tensor(a)", "self")
def broadcast_to(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.sum_to_size(self_shape)


@vjp("aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]", "tensors")
def broadcast_tensors(grad: list[Tensor | None], tensors: list[Tensor]) -> list[Tensor | None]:
    found: list[Tensor | None] = []
    for i in range(len(tensors)):
        part = grad[i]
        found.append(None if part is None else part.sum_to_size(tensors[i].shape))
    return found


@vjp("aten::movedim.int(Tensor(a) self, int source, int destination) -> Tensor(a)", "self")
def movedim(grad: Tensor, source: int, destination: int) -> Tensor:
    return grad.movedim(destination, source)


@vjp("aten::movedim.intlist(Tensor(a) self, int[] source, int[] destination) -> Tensor(a)", "self")
def movedim_list(grad: Tensor, source: list[int], destination: list[int]) -> Tensor:
    return grad.movedim(destination, source)


@vjp("aten::swapaxes(Tensor(a) self, int axis0, int axis1) -> Tensor(a)", "self")
def swapaxes(grad: Tensor, axis0: int, axis1: int) -> Tensor:
    return grad.transpose(axis0, axis1)


@vjp("aten::swapdims(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", "self")
def swapdims(grad: Tensor, dim0: int, dim1: int) -> Tensor:
    return grad.transpose(dim0, dim1)


@vjp("aten::squeeze.dims(Tensor(a) self, int[] dim) -> Tensor(a)", "self")
def squeeze_dims(grad: Tensor, self_shape: torch.Size) -> Tensor:
    return grad.reshape(self_shape)


@vjp("aten::concat(Tensor[] tensors, int dim=0) -> Tensor", "tensors")
def concat(grad: Tensor, tensors: list[Tensor], dim: int) -> list[Tensor]:
    parts: list[Tensor] = []
    start = 0
    for x in tensors:
        if x.dim() == 1 and x.shape[0] == 0:
            parts.append(torch.zeros_like(x))
        else:
            size = x.shape[dim]
            parts.append(cast(grad.narrow(dim, start, size), x.dtype))
            start += size
    return parts


@vjp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "self",
)
def addcmul_self(grad: Tensor, self_shape: torch.Size, self_dtype: torch.dtype) -> Tensor:
    return fit(grad, self_shape, self_dtype)


@vjp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor1",
)
def addcmul_1(
    grad: Tensor, tensor1_shape: torch.Size, tensor1_dtype: torch.dtype, tensor2: Tensor,
    value: float,
) -> Tensor:  # fmt: skip
    return fit(grad * conj(tensor2 * value), tensor1_shape, tensor1_dtype)


@vjp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor2",
)
def addcmul_2(
    grad: Tensor, tensor2_shape: torch.Size, tensor2_dtype: torch.dtype, tensor1: Tensor,
    value: float,
) -> Tensor:  # fmt: skip
    return fit(grad * conj(tensor1 * value), tensor2_shape, tensor2_dtype)


@vjp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "self",
)
def addcdiv_self(grad: Tensor, self_shape: torch.Size, self_dtype: torch.dtype) -> Tensor:
    return fit(grad, self_shape, self_dtype)


@vjp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor1",
)
def addcdiv_1(
    grad: Tensor, tensor1_shape: torch.Size, tensor1_dtype: torch.dtype, tensor2: Tensor,
    value: float,
) -> Tensor:  # fmt: skip
    return fit(grad * conj(value / tensor2), tensor1_shape, tensor1_dtype)


@vjp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor2",
)
def addcdiv_2(grad: Tensor, tensor2: Tensor, tensor1: Tensor, value: float) -> Tensor:
    found = -grad * conj((value * tensor1) / (tensor2 * tensor2))
    return fit(found, tensor2.shape, tensor2.dtype)


@vjp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "self",
)
def baddbmm_self(
    grad: Tensor, beta: float, self_shape: torch.Size, self_dtype: torch.dtype
) -> Tensor:
    return fit(grad if beta == 1 else grad * beta, self_shape, self_dtype)


@vjp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "batch1",
)
def baddbmm_1(grad: Tensor, batch2: Tensor, alpha: float) -> Tensor:
    found = grad.bmm(conj(batch2).transpose(1, 2))
    return found if alpha == 1 else found * alpha


@vjp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "batch2",
)
def baddbmm_2(grad: Tensor, batch1: Tensor, alpha: float) -> Tensor:
    found = conj(batch1).transpose(1, 2).bmm(grad)
    return found if alpha == 1 else found * alpha


@vjp("aten::clamp_min.Tensor(Tensor self, Tensor min) -> Tensor", "self")
def clamp_min_self(grad: Tensor, self: Tensor, min: Tensor) -> Tensor:
    return fit(torch.where(self >= min, grad, 0), self.shape, self.dtype)


@vjp("aten::clamp_min.Tensor(Tensor self, Tensor min) -> Tensor", "min")
def clamp_min_min(grad: Tensor, self: Tensor, min: Tensor) -> Tensor:
    return fit(torch.where(self < min, grad, 0), min.shape, min.dtype)


@vjp("aten::clamp_max.Tensor(Tensor self, Tensor max) -> Tensor", "self")
def clamp_max_self(grad: Tensor, self: Tensor, max: Tensor) -> Tensor:
    return fit(torch.where(self <= max, grad, 0), self.shape, self.dtype)


@vjp("aten::clamp_max.Tensor(Tensor self, Tensor max) -> Tensor", "max")
def clamp_max_max(grad: Tensor, self: Tensor, max: Tensor) -> Tensor:
    return fit(torch.where(self > max, grad, 0), max.shape, max.dtype)


@vjp("aten::clamp.Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor", "self")
def clamp_self(grad: Tensor, self: Tensor, min: Tensor | None, max: Tensor | None) -> Tensor:
    found = grad
    if min is not None:
        found = torch.where(self >= min, found, 0)
    if max is not None:
        found = torch.where(self <= max, found, 0)
    return fit(found, self.shape, self.dtype)


@vjp("aten::sgn(Tensor self) -> Tensor", "self")
def sgn(grad: Tensor, self: Tensor, result: Tensor) -> Tensor:
    if not self.dtype.is_complex:
        return torch.zeros_like(grad)
    size = self.abs()
    turned = grad / size - torch.real(grad / self) * result
    return turned.masked_fill(size == 0, 0)
