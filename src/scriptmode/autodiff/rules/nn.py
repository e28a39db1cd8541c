"""Losses, normalisation, pooling, embeddings and other layers."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import fit


@vjp("aten::mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "self")
def mse_loss_self(grad: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return fit(
        torch.ops.aten.mse_loss_backward(grad, self, target, reduction), self.shape, self.dtype
    )


@vjp("aten::mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "target")
def mse_loss_target(grad: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return fit(
        torch.ops.aten.mse_loss_backward(grad, target, self, reduction), target.shape, target.dtype
    )


@vjp(
    "aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)",
    "input", "weight", "bias",
)  # fmt: skip
def native_layer_norm(
    grad0: Tensor | None, input: Tensor, normalized_shape: list[int], result1: Tensor,
    result2: Tensor, weight: Tensor | None, bias: Tensor | None, needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    if grad0 is None:
        return None, None, None
    dx, dw, db = torch.ops.aten.native_layer_norm_backward(
        grad0.contiguous(), input, normalized_shape, result1, result2, weight, bias, needed
    )
    return (
        dx if needed[0] else None,
        dw if needed[1] and weight is not None else None,
        db if needed[2] and bias is not None else None,
    )


@vjp(
    "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
    "weight",
)
def embedding(
    grad: Tensor, weight_shape: torch.Size, indices: Tensor, padding_idx: int,
    scale_grad_by_freq: bool, sparse: bool,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.embedding_backward(
        grad, indices, weight_shape[0], padding_idx, scale_grad_by_freq, sparse
    )


@vjp("aten::native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)", "input")
def native_dropout(
    grad0: Tensor | None, result1: Tensor, p: float, train: bool | None
) -> Tensor | None:
    if grad0 is None:
        return None
    scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
    return torch.ops.aten.native_dropout_backward(grad0, result1, 1.0 if train is False else scale)


@vjp("aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor", "self")
def adaptive_avg_pool2d(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten._adaptive_avg_pool2d_backward(grad, self)


@vjp(
    "aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
    "self",
)
def max_pool2d(
    grad0: Tensor | None, self: Tensor, result1: Tensor, kernel_size: list[int],
    stride: list[int], padding: list[int], dilation: list[int], ceil_mode: bool,
) -> Tensor | None:  # fmt: skip
    if grad0 is None:
        return None
    return torch.ops.aten.max_pool2d_with_indices_backward(
        grad0, self, kernel_size, stride, padding, dilation, ceil_mode, result1
    )
