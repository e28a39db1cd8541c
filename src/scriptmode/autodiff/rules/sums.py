"""Ops that read a part of a tensor: their cotangents are added to one sum in place.

So a loop that reads ``x[t]`` is reversed in time that is linear in the size of ``x``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import adds


def started(into: Tensor | None, grad: Tensor, shape: torch.Size) -> Tensor:
    """The sum so far, zeros at first."""
    return grad.new_zeros(shape) if into is None else into


@adds("aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)", "self")
def select(
    into: Tensor | None, grad: Tensor, self_shape: torch.Size, dim: int, index: int
) -> Tensor:
    total = started(into, grad, self_shape)
    total.select(dim, index).add_(grad)
    return total


@adds(
    "aten::slice.Tensor(Tensor(a) self, int dim=0, SymInt? start=None, SymInt? end=None, SymInt step=1) -> Tensor(a)",
    "self",
)
def slice_(
    into: Tensor | None,
    grad: Tensor,
    self_shape: torch.Size,
    dim: int,
    start: int | None,
    end: int | None,
    step: int,
) -> Tensor:
    total = started(into, grad, self_shape)
    torch.ops.aten.slice(total, dim, start, end, step).add_(grad)
    return total


@adds("aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)", "self")
def narrow(
    into: Tensor | None, grad: Tensor, self_shape: torch.Size, dim: int, start: int, length: int
) -> Tensor:
    total = started(into, grad, self_shape)
    total.narrow(dim, start, length).add_(grad)
    return total


@adds("aten::index_select(Tensor self, int dim, Tensor index) -> Tensor", "self")
def index_select(
    into: Tensor | None, grad: Tensor, self_shape: torch.Size, dim: int, index: Tensor
) -> Tensor:
    return started(into, grad, self_shape).index_add_(dim, index, grad)


@adds(
    "aten::gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", "self"
)
def gather(
    into: Tensor | None, grad: Tensor, self_shape: torch.Size, dim: int, index: Tensor
) -> Tensor:
    return started(into, grad, self_shape).scatter_add_(dim, index, grad)


@adds("aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", "self")
def index(
    into: Tensor | None, grad: Tensor, self_shape: torch.Size, indices: list[Tensor | None]
) -> Tensor:
    return torch.ops.aten.index_put_(started(into, grad, self_shape), indices, grad, True)


@adds(
    "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
    "weight",
)
def embedding(
    into: Tensor | None,
    grad: Tensor,
    weight_shape: torch.Size,
    indices: Tensor,
    padding_idx: int,
    scale_grad_by_freq: bool,
    sparse: bool,
) -> Tensor:
    if into is None or sparse or scale_grad_by_freq:
        part = torch.ops.aten.embedding_backward(
            grad, indices, weight_shape[0], padding_idx, scale_grad_by_freq, sparse
        )
        return part if into is None else into.add_(part)
    rows, parts = indices.reshape(-1), grad.reshape(-1, weight_shape[1])
    if padding_idx >= 0:
        parts = parts.masked_fill((rows == padding_idx).unsqueeze(1), 0)
    return into.index_add_(0, rows, parts)
