"""Normalisation, pooling, resampling and activations of whole layers."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import results_without_gradient, vjp

results_without_gradient("aten::native_layer_norm", 1, 2)
results_without_gradient("aten::native_batch_norm", 1, 2)
results_without_gradient("aten::_batch_norm_impl_index", 1, 2, 3)
results_without_gradient("aten::nll_loss_forward", 1)
results_without_gradient("aten::nll_loss2d_forward", 1)
# where the values came from, and which ones were kept
for _kind in (
    "adaptive_max_pool2d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max.dim", "min.dim",
    "sort", "topk", "native_dropout",
):  # fmt: skip
    results_without_gradient(f"aten::{_kind}", 1)


@vjp(
    "aten::_batch_norm_impl_index(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> (Tensor, Tensor, Tensor, Tensor, int)",
    "input", "weight", "bias",
)  # fmt: skip
def batch_norm(
    grad0: Tensor | None, input: Tensor, weight: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, eps: float, result1: Tensor, result2: Tensor,
    result3: Tensor, result4: int, needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    if grad0 is None:
        return None, None, None
    dx, dw, db = torch.ops.aten._batch_norm_impl_index_backward(
        result4, input, grad0, weight, running_mean, running_var, result1, result2, training, eps,
        needed, result3,
    )  # fmt: skip
    return dx if needed[0] else None, dw if needed[1] else None, db if needed[2] else None


@vjp(
    "aten::native_group_norm(Tensor input, Tensor? weight, Tensor? bias, SymInt N, SymInt C, SymInt HxW, int group, float eps) -> (Tensor, Tensor, Tensor)",
    "input", "weight", "bias",
)  # fmt: skip
def group_norm(
    grad0: Tensor | None, grad1: Tensor | None, grad2: Tensor | None, input: Tensor,
    weight: Tensor | None, N: int, C: int, HxW: int, group: int, result1: Tensor, result2: Tensor,
    needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    if grad0 is None:
        return None, None, None
    dx, dw, db = torch.ops.aten.native_group_norm_backward(
        grad0.contiguous(), input, result1, result2, weight, N, C, HxW, group, needed
    )
    found = dx if needed[0] else None
    if found is not None and grad1 is not None and grad2 is not None:  # torch takes both or neither
        found = found + of_statistics(grad1, grad2, input, result1, result2, N, group)
    return found, dw if needed[1] else None, db if needed[2] else None


def of_statistics(
    of_mean: Tensor, of_rstd: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, n: int, group: int
) -> Tensor:
    """What the mean and the reciprocal deviation of each group give to a cotangent."""
    if x.numel() == 0:
        return torch.zeros_like(x)
    rows = x.reshape(n, group, -1)
    slope = (of_rstd * rstd**3).unsqueeze(-1)
    total = of_mean.unsqueeze(-1) - slope * (rows - mean.unsqueeze(-1))
    return (total / rows.size(2)).reshape(x.shape)


@vjp(
    "aten::max_pool3d_with_indices(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
    "self",
)
def max_pool3d(
    grad0: Tensor | None, self: Tensor, result1: Tensor, kernel_size: list[int],
    stride: list[int], padding: list[int], dilation: list[int], ceil_mode: bool,
) -> Tensor | None:  # fmt: skip
    if grad0 is None:
        return None
    return torch.ops.aten.max_pool3d_with_indices_backward(
        grad0, self, kernel_size, stride, padding, dilation, ceil_mode, result1
    )


@vjp(
    "aten::avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor",
    "self",
)
def avg_pool2d(
    grad: Tensor, self: Tensor, kernel_size: list[int], stride: list[int], padding: list[int],
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.avg_pool2d_backward(
        grad, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@vjp(
    "aten::avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor",
    "self",
)
def avg_pool3d(
    grad: Tensor, self: Tensor, kernel_size: list[int], stride: list[int], padding: list[int],
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.avg_pool3d_backward(
        grad, self, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@vjp("aten::adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor", "self")
def adaptive_avg_pool3d(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten._adaptive_avg_pool3d_backward(grad, self)


@vjp("aten::adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)", "self")
def adaptive_max_pool2d(grad0: Tensor | None, self: Tensor, result1: Tensor) -> Tensor | None:
    if grad0 is None:
        return None
    return torch.ops.aten.adaptive_max_pool2d_backward(grad0, self, result1)


@vjp("aten::_prelu_kernel(Tensor self, Tensor weight) -> Tensor", "self", "weight")
def prelu(
    grad: Tensor, self: Tensor, weight: Tensor, needed: list[bool]
) -> tuple[Tensor | None, Tensor | None]:
    dx, dw = torch.ops.aten._prelu_kernel_backward(grad, self, weight)
    dw = dw.sum_to_size(weight.shape) if dw.shape != weight.shape else dw
    return dx if needed[0] else None, dw if needed[1] else None


@vjp("aten::hardswish(Tensor self) -> Tensor", "self")
def hardswish(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten.hardswish_backward(grad, self)


@vjp("aten::hardsigmoid(Tensor self) -> Tensor", "self")
def hardsigmoid(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten.hardsigmoid_backward(grad, self)


@vjp("aten::mish(Tensor self) -> Tensor", "self")
def mish(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten.mish_backward(grad, self)


@vjp("aten::relu6(Tensor self) -> Tensor", "self")
def relu6(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten.hardtanh_backward(grad, self, 0, 6)


@vjp("aten::glu(Tensor self, int dim=-1) -> Tensor", "self")
def glu(grad: Tensor, self: Tensor, dim: int) -> Tensor:
    return torch.ops.aten.glu_backward(grad, self, dim)


@vjp("aten::threshold(Tensor self, Scalar threshold, Scalar value) -> Tensor", "self")
def threshold(grad: Tensor, self: Tensor, threshold: float) -> Tensor:
    return torch.ops.aten.threshold_backward(grad, self, threshold)


@vjp("aten::softshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "self")
def softshrink(grad: Tensor, self: Tensor, lambd: float) -> Tensor:
    return torch.ops.aten.softshrink_backward(grad, self, lambd)


@vjp("aten::hardshrink(Tensor self, Scalar lambd=0.5) -> Tensor", "self")
def hardshrink(grad: Tensor, self: Tensor, lambd: float) -> Tensor:
    return torch.ops.aten.hardshrink_backward(grad, self, lambd)


@vjp("aten::logit(Tensor self, float? eps=None) -> Tensor", "self")
def logit(grad: Tensor, self: Tensor, eps: float | None) -> Tensor:
    return torch.ops.aten.logit_backward(grad, self, eps)


@vjp("aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor", "self")
def constant_pad_nd(grad: Tensor, pad: list[int]) -> Tensor:
    return torch.ops.aten.constant_pad_nd(grad, [-p for p in pad], 0)


def factor(factors: list[float] | None, index: int) -> float | None:
    """One of the scale factors, where they are given."""
    return None if factors is None else factors[index]


@vjp(
    "aten::upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor",
    "input",
)
def upsample_nearest2d(
    grad: Tensor, input_shape: torch.Size, scale_factors: list[float] | None
) -> Tensor:
    return torch.ops.aten.upsample_nearest2d_backward(
        grad, grad.shape[2:], input_shape, factor(scale_factors, 0), factor(scale_factors, 1)
    )


@vjp(
    "aten::upsample_bilinear2d.vec(Tensor input, SymInt[]? output_size, bool align_corners, float[]? scale_factors) -> Tensor",
    "input",
)
def upsample_bilinear2d(
    grad: Tensor, input_shape: torch.Size, align_corners: bool, scale_factors: list[float] | None
) -> Tensor:
    return torch.ops.aten.upsample_bilinear2d_backward(
        grad, grad.shape[2:], input_shape, align_corners, factor(scale_factors, 0),
        factor(scale_factors, 1),
    )  # fmt: skip
