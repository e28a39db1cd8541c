"""Losses."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import fit


def averaged(grad: Tensor, reduction: int, count: int) -> Tensor:
    """The cotangent of a loss as that of each term of it."""
    return grad / count if reduction == 1 else grad


@vjp(
    "aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor output, Tensor total_weight)",
    "self",
)
def nll_loss(
    grad0: Tensor | None, self: Tensor, target: Tensor, weight: Tensor | None, reduction: int,
    ignore_index: int, result1: Tensor,
) -> Tensor | None:  # fmt: skip
    if grad0 is None:
        return None
    return torch.ops.aten.nll_loss_backward(
        grad0, self, target, weight, reduction, ignore_index, result1
    )


@vjp(
    "aten::nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor output, Tensor total_weight)",
    "self",
)
def nll_loss2d(
    grad0: Tensor | None, self: Tensor, target: Tensor, weight: Tensor | None, reduction: int,
    ignore_index: int, result1: Tensor,
) -> Tensor | None:  # fmt: skip
    if grad0 is None:
        return None
    return torch.ops.aten.nll_loss2d_backward(
        grad0, self, target, weight, reduction, ignore_index, result1
    )


@vjp(
    "aten::binary_cross_entropy(Tensor self, Tensor target, Tensor? weight=None, int reduction=Mean) -> Tensor",
    "self",
)
def binary_cross_entropy(
    grad: Tensor, self: Tensor, target: Tensor, weight: Tensor | None, reduction: int
) -> Tensor:
    return torch.ops.aten.binary_cross_entropy_backward(grad, self, target, weight, reduction)


@vjp(
    "aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=Mean) -> Tensor",
    "self",
)
def bce_logits_self(
    grad: Tensor, self: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None,
    reduction: int,
) -> Tensor:  # fmt: skip
    if pos_weight is None:
        slope = torch.sigmoid(self) - target
    else:
        t = pos_weight * target
        slope = (t + 1 - target) * torch.sigmoid(self) - t
    found = slope * grad
    if weight is not None:
        found = found * weight
    return fit(averaged(found, reduction, self.numel()), self.shape, self.dtype)


@vjp(
    "aten::binary_cross_entropy_with_logits(Tensor self, Tensor target, Tensor? weight=None, Tensor? pos_weight=None, int reduction=Mean) -> Tensor",
    "target",
)
def bce_logits_target(
    grad: Tensor, self: Tensor, target: Tensor, weight: Tensor | None, pos_weight: Tensor | None,
    reduction: int,
) -> Tensor:  # fmt: skip
    if pos_weight is None:
        found = -self * grad
    else:
        right = torch.ops.aten.log_sigmoid(self)
        found = (torch.ops.aten.log_sigmoid(-self) - pos_weight * right) * grad
    if weight is not None:
        found = found * weight
    return fit(averaged(found, reduction, target.numel()), target.shape, target.dtype)


@vjp(
    "aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=Mean, float beta=1.0) -> Tensor",
    "self",
)
def smooth_l1_self(
    grad: Tensor, self: Tensor, target: Tensor, reduction: int, beta: float
) -> Tensor:
    found = torch.ops.aten.smooth_l1_loss_backward(grad, self, target, reduction, beta)
    return fit(found, self.shape, self.dtype)


@vjp(
    "aten::smooth_l1_loss(Tensor self, Tensor target, int reduction=Mean, float beta=1.0) -> Tensor",
    "target",
)
def smooth_l1_target(
    grad: Tensor, self: Tensor, target: Tensor, reduction: int, beta: float
) -> Tensor:
    found = torch.ops.aten.smooth_l1_loss_backward(grad, target, self, reduction, beta)
    return fit(found, target.shape, target.dtype)


@vjp(
    "aten::huber_loss(Tensor self, Tensor target, int reduction=Mean, float delta=1.0) -> Tensor",
    "self",
)
def huber_self(grad: Tensor, self: Tensor, target: Tensor, reduction: int, delta: float) -> Tensor:
    found = torch.ops.aten.huber_loss_backward(grad, self, target, reduction, delta)
    return fit(found, self.shape, self.dtype)


@vjp(
    "aten::huber_loss(Tensor self, Tensor target, int reduction=Mean, float delta=1.0) -> Tensor",
    "target",
)
def huber_target(
    grad: Tensor, self: Tensor, target: Tensor, reduction: int, delta: float
) -> Tensor:
    found = torch.ops.aten.huber_loss_backward(grad, target, self, reduction, delta)
    return fit(found, target.shape, target.dtype)


def l1(grad: Tensor, difference: Tensor, reduction: int) -> Tensor:
    """The cotangent of the difference in a sum or mean of absolute differences."""
    return averaged(grad, reduction, difference.numel()) * difference.sgn()


@vjp("aten::l1_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "self")
def l1_self(grad: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return fit(l1(grad, self - target, reduction), self.shape, self.dtype)


@vjp("aten::l1_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "target")
def l1_target(grad: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return fit(-l1(grad, self - target, reduction), target.shape, target.dtype)
