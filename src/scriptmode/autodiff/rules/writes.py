"""Ops that overwrite a whole tensor; in-place ops have the rules of those that are not."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import cast, fit


@vjp("aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", "self")
def copy_self(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", "src")
def copy_src(grad: Tensor, src_shape: torch.Size, src_dtype: torch.dtype) -> Tensor:
    return fit(grad, src_shape, src_dtype)


@vjp("aten::zero(Tensor self) -> Tensor", "self")
def zero(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::fill.Scalar(Tensor self, Scalar value) -> Tensor", "self")
def fill_scalar(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::fill.Tensor(Tensor self, Tensor value) -> Tensor", "self")
def fill_self(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::fill.Tensor(Tensor self, Tensor value) -> Tensor", "value")
def fill_value(grad: Tensor, value_dtype: torch.dtype) -> Tensor:
    return cast(grad.sum(), value_dtype)
