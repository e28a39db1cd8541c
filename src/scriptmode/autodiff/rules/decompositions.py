"""Layers by the ops that give their statistics, masks and indices as well."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.decompose import decomposition


@decomposition(
    "aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enable=True) -> Tensor"
)
def layer_norm(
    input: Tensor, normalized_shape: list[int], weight: Tensor | None, bias: Tensor | None,
    eps: float, cudnn_enable: bool,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.native_layer_norm(input, normalized_shape, weight, bias, eps)[0]


@decomposition(
    "aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor"
)
def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    if input.numel() == 0:
        return torch.ops.aten.batch_norm(
            input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
        )
    return torch.ops.aten._batch_norm_impl_index(
        input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
    )[0]


@decomposition(
    "aten::group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool cudnn_enabled=True) -> Tensor"
)
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None, bias: Tensor | None, eps: float,
    cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    if (
        input.dim() < 2 or input.numel() == 0 or num_groups <= 0
        or input.shape[1] % num_groups != 0 or input.device.type != "cpu"
        or not input.is_contiguous()
        or (weight is not None and (weight.dim() != 1 or weight.shape[0] != input.shape[1]))
        or (bias is not None and (bias.dim() != 1 or bias.shape[0] != input.shape[1]))
    ):  # fmt: skip
        return torch.ops.aten.group_norm(input, num_groups, weight, bias, eps, cudnn_enabled)
    n, c = input.shape[0], input.shape[1]
    size = 1
    for i in range(2, input.dim()):
        size *= input.shape[i]
    return torch.ops.aten.native_group_norm(input, weight, bias, n, c, size, num_groups, eps)[0]


@decomposition("aten::dropout(Tensor input, float p, bool train) -> Tensor")
def dropout(input: Tensor, p: float, train: bool) -> Tensor:
    if p == 0.0 or not train or input.numel() == 0:
        return input
    if p < 0.0 or p >= 1.0 or input.device.type != "cpu":
        return torch.ops.aten.dropout(input, p, train)
    noise = torch.empty_like(input).bernoulli_(1.0 - p)
    return input * noise.div_(1.0 - p)


@decomposition(
    "aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100, float label_smoothing=0.) -> Tensor"
)
def cross_entropy_loss(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int,
    label_smoothing: float,
) -> Tensor:  # fmt: skip
    n = self.dim()
    if label_smoothing != 0.0 or target.is_floating_point() or self.shape == target.shape:
        return torch.ops.aten.cross_entropy_loss(
            self, target, weight, reduction, ignore_index, label_smoothing
        )
    if (n == 1 and target.dim() == 0) or (n == 2 and target.dim() == 1):
        scores = torch.log_softmax(self, n - 1, self.dtype)
        return torch.ops.aten.nll_loss_forward(scores, target, weight, reduction, ignore_index)[0]
    if n == 4 and target.dim() == 3:
        scores = torch.log_softmax(self, 1, self.dtype)
        return torch.ops.aten.nll_loss2d_forward(scores, target, weight, reduction, ignore_index)[0]
    return torch.ops.aten.cross_entropy_loss(
        self, target, weight, reduction, ignore_index, label_smoothing
    )


@decomposition(
    "aten::nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) -> Tensor"
)
def nll_loss(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> Tensor:
    return torch.ops.aten.nll_loss_forward(self, target, weight, reduction, ignore_index)[0]


@decomposition(
    "aten::nll_loss2d(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) -> Tensor"
)
def nll_loss2d(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> Tensor:
    return torch.ops.aten.nll_loss2d_forward(self, target, weight, reduction, ignore_index)[0]


@decomposition(
    "aten::nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100) -> Tensor"
)
def nll_loss_nd(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> Tensor:
    n = self.dim()
    if (n == 1 and target.dim() == 0) or (n == 2 and target.dim() == 1):
        if n == 1 or self.shape[0] == target.shape[0]:
            return torch.ops.aten.nll_loss_forward(self, target, weight, reduction, ignore_index)[0]
    if n == 4 and target.dim() == 3 and self.shape[0] == target.shape[0]:
        return torch.ops.aten.nll_loss2d_forward(self, target, weight, reduction, ignore_index)[0]
    return torch.ops.aten.nll_loss_nd(self, target, weight, reduction, ignore_index)


@decomposition(
    "aten::max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> Tensor"
)
def max_pool2d(
    self: Tensor, kernel_size: list[int], stride: list[int], padding: list[int],
    dilation: list[int], ceil_mode: bool,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.max_pool2d_with_indices(
        self, kernel_size, stride, padding, dilation, ceil_mode
    )[0]


@decomposition(
    "aten::max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> Tensor"
)
def max_pool3d(
    self: Tensor, kernel_size: list[int], stride: list[int], padding: list[int],
    dilation: list[int], ceil_mode: bool,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.max_pool3d_with_indices(
        self, kernel_size, stride, padding, dilation, ceil_mode
    )[0]


@decomposition("aten::prelu(Tensor self, Tensor weight) -> Tensor")
def prelu(self: Tensor, weight: Tensor) -> Tensor:
    channels = self.shape[1] if self.dim() >= 2 else 1
    if weight.dim() > 1 or self.dim() == 0 or (weight.numel() != 1 and weight.numel() != channels):
        return torch.ops.aten.prelu(self, weight)
    if self.dim() == weight.dim() or weight.dim() == 0:
        return torch.ops.aten._prelu_kernel(self, weight)
    shape = [1] * self.dim()
    if self.dim() > 1:
        shape[1] = weight.numel()
    return torch.ops.aten._prelu_kernel(self, weight.reshape(shape))


@decomposition(
    "aten::pad(Tensor self, SymInt[] pad, str mode='constant', float? value=None) -> Tensor"
)
def pad(self: Tensor, pad: list[int], mode: str, value: float | None) -> Tensor:
    if mode == "constant":
        return torch.ops.aten.constant_pad_nd(self, pad, 0.0 if value is None else value)
    return torch.ops.aten.pad(self, pad, mode, value)


@decomposition("aten::var(Tensor self, bool unbiased=True) -> Tensor")
def var(self: Tensor, unbiased: bool) -> Tensor:
    return torch.var(self, None, correction=1 if unbiased else 0)


@decomposition(
    "aten::var.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor"
)
def var_dim(self: Tensor, dim: list[int] | None, unbiased: bool, keepdim: bool) -> Tensor:
    return torch.var(self, dim, correction=1 if unbiased else 0, keepdim=keepdim)


@decomposition("aten::std(Tensor self, bool unbiased=True) -> Tensor")
def std(self: Tensor, unbiased: bool) -> Tensor:
    return torch.std(self, None, correction=1 if unbiased else 0)


@decomposition(
    "aten::std.dim(Tensor self, int[1]? dim, bool unbiased=True, bool keepdim=False) -> Tensor"
)
def std_dim(self: Tensor, dim: list[int] | None, unbiased: bool, keepdim: bool) -> Tensor:
    return torch.std(self, dim, correction=1 if unbiased else 0, keepdim=keepdim)
