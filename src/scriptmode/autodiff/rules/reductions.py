"""Sums, means, extrema and what is made of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import cast, conj, wrap


def spread(grad: Tensor, shape: torch.Size, dims: list[int] | None, keepdim: bool) -> Tensor:
    """The cotangent of a sum over ``dims`` (all if None or empty), back in the shape of its terms."""
    if not keepdim and len(shape) > 0 and dims is not None and len(dims) > 0:
        kept = list(shape)
        for dim in dims:
            kept[wrap(dim, len(shape))] = 1
        grad = grad.reshape(kept)
    return grad.expand(shape)


def count(shape: torch.Size, dims: list[int] | None) -> int:
    """How many terms a sum over ``dims`` has."""
    n = 1
    if dims is None or len(dims) == 0:
        for size in shape:
            n *= size
    elif len(shape) > 0:
        for dim in dims:
            n *= shape[dim]
    return n


@vjp("aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", "self")
def sum_all(grad: Tensor, self_shape: torch.Size, self_dtype: torch.dtype) -> Tensor:
    return cast(grad.expand(self_shape), self_dtype)


@vjp(
    "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    "self",
)
def sum_dim(
    grad: Tensor,
    self_shape: torch.Size,
    self_dtype: torch.dtype,
    dim: list[int] | None,
    keepdim: bool,
) -> Tensor:
    return cast(spread(grad, self_shape, dim, keepdim), self_dtype)


@vjp("aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", "self")
def mean_all(grad: Tensor, self_shape: torch.Size, self_dtype: torch.dtype) -> Tensor:
    return cast(grad.expand(self_shape) / count(self_shape, None), self_dtype)


@vjp(
    "aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
    "self",
)
def mean_dim(
    grad: Tensor,
    self_shape: torch.Size,
    self_dtype: torch.dtype,
    dim: list[int] | None,
    keepdim: bool,
) -> Tensor:
    spread_out = spread(grad, self_shape, dim, keepdim)
    return cast(spread_out / count(self_shape, dim), self_dtype)


@vjp(
    "aten::var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
    "self",
)
def var(
    grad: Tensor,
    self: Tensor,
    dim: list[int] | None,
    correction: float | None,
    keepdim: bool,
) -> Tensor:
    terms = count(self.shape, dim) - (1.0 if correction is None else correction)
    dims = list(range(self.dim())) if dim is None or len(dim) == 0 else dim
    centred = self - self.mean(dims, True)
    factor = math.inf if terms == 0 else 2.0 / terms
    return spread(grad, self.shape, dims, keepdim) * centred * factor


@vjp(
    "aten::std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
    "self",
)
def std(
    grad: Tensor, self: Tensor, result: Tensor, dim: list[int] | None, correction: float | None,
    keepdim: bool,
) -> Tensor:  # fmt: skip
    slope = (grad / (result * 2)).masked_fill(result == 0, 0)
    return var(slope, self, dim, correction, keepdim)


@vjp(
    "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
    "self",
)
def max_dim(
    grad0: Tensor | None, self_shape: torch.Size, result1: Tensor, dim: int, keepdim: bool
) -> Tensor | None:
    if grad0 is None:
        return None
    return torch.ops.aten.value_selecting_reduction_backward(
        grad0, dim, result1, self_shape, keepdim
    )


@vjp(
    "aten::min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
    "self",
)
def min_dim(
    grad0: Tensor | None, self_shape: torch.Size, result1: Tensor, dim: int, keepdim: bool
) -> Tensor | None:
    if grad0 is None:
        return None
    return torch.ops.aten.value_selecting_reduction_backward(
        grad0, dim, result1, self_shape, keepdim
    )


def shared(grad: Tensor, self: Tensor, result: Tensor) -> Tensor:
    """The cotangent of an extremum, in equal parts to all that have it."""
    mask = torch.isnan(self) if bool(torch.isnan(result).item()) else self == result
    return mask * (grad / mask.sum())


@vjp("aten::max(Tensor self) -> Tensor", "self")
def max_all(grad: Tensor, self: Tensor, result: Tensor) -> Tensor:
    return shared(grad, self, result)


@vjp("aten::min(Tensor self) -> Tensor", "self")
def min_all(grad: Tensor, self: Tensor, result: Tensor) -> Tensor:
    return shared(grad, self, result)


@vjp("aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "self")
def amax(grad: Tensor, self: Tensor, result: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    top = spread(result, self.shape, dim, keepdim)
    mask = self == top
    dims = list(range(self.dim())) if len(dim) == 0 else dim
    return spread(grad, self.shape, dim, keepdim) * mask / mask.sum(dims, True)


@vjp("aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "self")
def amin(grad: Tensor, self: Tensor, result: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    top = spread(result, self.shape, dim, keepdim)
    mask = self == top
    dims = list(range(self.dim())) if len(dim) == 0 else dim
    return spread(grad, self.shape, dim, keepdim) * mask / mask.sum(dims, True)


@vjp("aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", "self")
def logsumexp(grad: Tensor, self: Tensor, result: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    total = spread(result, self.shape, dim, keepdim)
    return spread(grad, self.shape, dim, keepdim) * conj((self - total).exp())


@vjp("aten::cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", "self")
def cumsum(grad: Tensor, self_dtype: torch.dtype, dim: int) -> Tensor:
    if grad.dim() == 0:
        return cast(grad, self_dtype)
    return cast(grad.flip([dim]).cumsum(dim).flip([dim]), self_dtype)


@vjp("aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "self")
def softmax(grad: Tensor, result: Tensor, dim: int, self_dtype: torch.dtype) -> Tensor:
    return cast(torch.ops.aten._softmax_backward_data(grad, result, dim, result.dtype), self_dtype)


@vjp("aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "self")
def log_softmax(grad: Tensor, result: Tensor, dim: int, self_dtype: torch.dtype) -> Tensor:
    return cast(
        torch.ops.aten._log_softmax_backward_data(grad, result, dim, result.dtype), self_dtype
    )


@vjp(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
    "self",
)
def topk(grad0: Tensor | None, self_shape: torch.Size, result1: Tensor, dim: int) -> Tensor | None:
    if grad0 is None:
        return None
    return torch.ops.aten.value_selecting_reduction_backward(grad0, dim, result1, self_shape, True)


@vjp(
    "aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
    "self",
)
def sort(grad0: Tensor | None, self_shape: torch.Size, result1: Tensor, dim: int) -> Tensor | None:
    if grad0 is None:
        return None
    return torch.ops.aten.value_selecting_reduction_backward(grad0, dim, result1, self_shape, True)
