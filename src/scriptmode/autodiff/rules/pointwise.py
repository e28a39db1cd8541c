"""Elementwise functions of one or two tensors, with broadcasting."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import Form, cast, conj, reform


@vjp("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "self")
def add_self(grad: Tensor, self_form: Form) -> Tensor:
    return reform(grad, self_form)


@vjp("aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "other")
def add_other(grad: Tensor, alpha: float, other_form: Form) -> Tensor:
    return reform(grad if alpha == 1 else grad * alpha, other_form)


@vjp("aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "self")
def add_scalar(grad: Tensor, self_dtype: torch.dtype) -> Tensor:
    return cast(grad, self_dtype)


@vjp("aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "self")
def sub_self(grad: Tensor, self_form: Form) -> Tensor:
    return reform(grad, self_form)


@vjp("aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "other")
def sub_other(grad: Tensor, alpha: float, other_form: Form) -> Tensor:
    return reform(-grad if alpha == 1 else grad * -alpha, other_form)


@vjp("aten::sub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "self")
def sub_scalar(grad: Tensor, self_dtype: torch.dtype) -> Tensor:
    return cast(grad, self_dtype)


@vjp("aten::rsub.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor", "self")
def rsub_scalar(grad: Tensor, alpha: float, self_dtype: torch.dtype) -> Tensor:
    return cast(-grad if alpha == 1 else grad * -alpha, self_dtype)


@vjp("aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "self")
def rsub_self(grad: Tensor, alpha: float, self_form: Form) -> Tensor:
    return reform(-grad if alpha == 1 else grad * -alpha, self_form)


@vjp("aten::rsub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor", "other")
def rsub_other(grad: Tensor, other_form: Form) -> Tensor:
    return reform(grad, other_form)


@vjp("aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", "self")
def mul_self(grad: Tensor, other: Tensor, self_form: Form) -> Tensor:
    return reform(grad * conj(other), self_form)


@vjp("aten::mul.Tensor(Tensor self, Tensor other) -> Tensor", "other")
def mul_other(grad: Tensor, self: Tensor, other_form: Form) -> Tensor:
    return reform(grad * conj(self), other_form)


@vjp("aten::mul.Scalar(Tensor self, Scalar other) -> Tensor", "self")
def mul_scalar(grad: Tensor, other: float, self_dtype: torch.dtype) -> Tensor:
    return cast(grad * other.conjugate(), self_dtype)


@vjp("aten::div.Tensor(Tensor self, Tensor other) -> Tensor", "self")
def div_self(grad: Tensor, other: Tensor, self_form: Form) -> Tensor:
    return reform(grad / conj(other), self_form)


@vjp("aten::div.Tensor(Tensor self, Tensor other) -> Tensor", "other")
def div_other(grad: Tensor, other: Tensor, result: Tensor, other_form: Form) -> Tensor:
    return reform(-grad * conj(result / other), other_form)


@vjp("aten::div.Scalar(Tensor self, Scalar other) -> Tensor", "self")
def div_scalar(grad: Tensor, other: float, self_dtype: torch.dtype) -> Tensor:
    return cast(grad / other.conjugate(), self_dtype)


@vjp("aten::neg(Tensor self) -> Tensor", "self")
def neg(grad: Tensor) -> Tensor:
    return -grad


@vjp("aten::abs(Tensor self) -> Tensor", "self")
def abs_(grad: Tensor, self: Tensor) -> Tensor:
    return grad * self.sgn()


@vjp("aten::exp(Tensor self) -> Tensor", "self")
def exp(grad: Tensor, result: Tensor) -> Tensor:
    return grad * conj(result)


@vjp("aten::exp2(Tensor self) -> Tensor", "self")
def exp2(grad: Tensor, result: Tensor) -> Tensor:
    return grad * conj(result) * math.log(2.0)


@vjp("aten::expm1(Tensor self) -> Tensor", "self")
def expm1(grad: Tensor, result: Tensor) -> Tensor:
    return grad * (conj(result) + 1)


@vjp("aten::log(Tensor self) -> Tensor", "self")
def log(grad: Tensor, self: Tensor) -> Tensor:
    return grad / conj(self)


@vjp("aten::log2(Tensor self) -> Tensor", "self")
def log2(grad: Tensor, self: Tensor) -> Tensor:
    return grad / (conj(self) * math.log(2.0))


@vjp("aten::log10(Tensor self) -> Tensor", "self")
def log10(grad: Tensor, self: Tensor) -> Tensor:
    return grad / (conj(self) * math.log(10.0))


@vjp("aten::log1p(Tensor self) -> Tensor", "self")
def log1p(grad: Tensor, self: Tensor) -> Tensor:
    return grad / (conj(self) + 1)


@vjp("aten::sqrt(Tensor self) -> Tensor", "self")
def sqrt(grad: Tensor, result: Tensor) -> Tensor:
    return grad / (2 * conj(result))


@vjp("aten::rsqrt(Tensor self) -> Tensor", "self")
def rsqrt(grad: Tensor, result: Tensor) -> Tensor:
    return -0.5 * grad * conj(result).pow(3)


@vjp("aten::reciprocal(Tensor self) -> Tensor", "self")
def reciprocal(grad: Tensor, result: Tensor) -> Tensor:
    return -grad * conj(result * result)


@vjp("aten::square(Tensor self) -> Tensor", "self")
def square(grad: Tensor, self: Tensor) -> Tensor:
    return grad * 2 * conj(self)


@vjp("aten::sin(Tensor self) -> Tensor", "self")
def sin(grad: Tensor, self: Tensor) -> Tensor:
    return grad * conj(self.cos())


@vjp("aten::cos(Tensor self) -> Tensor", "self")
def cos(grad: Tensor, self: Tensor) -> Tensor:
    return grad * -conj(self.sin())


@vjp("aten::tan(Tensor self) -> Tensor", "self")
def tan(grad: Tensor, result: Tensor) -> Tensor:
    return grad * conj(1 + result * result)


@vjp("aten::sinh(Tensor self) -> Tensor", "self")
def sinh(grad: Tensor, self: Tensor) -> Tensor:
    return grad * conj(self.cosh())


@vjp("aten::cosh(Tensor self) -> Tensor", "self")
def cosh(grad: Tensor, self: Tensor) -> Tensor:
    return grad * conj(self.sinh())


@vjp("aten::asin(Tensor self) -> Tensor", "self")
def asin(grad: Tensor, self: Tensor) -> Tensor:
    return grad * conj((1 - self * self).rsqrt())


@vjp("aten::acos(Tensor self) -> Tensor", "self")
def acos(grad: Tensor, self: Tensor) -> Tensor:
    return grad * -conj((1 - self * self).rsqrt())


@vjp("aten::atan(Tensor self) -> Tensor", "self")
def atan(grad: Tensor, self: Tensor) -> Tensor:
    return grad / conj(self * self + 1)


@vjp("aten::atan2(Tensor self, Tensor other) -> Tensor", "self")
def atan2_self(grad: Tensor, self: Tensor, other: Tensor, self_form: Form) -> Tensor:
    return reform(grad * other / (self * self + other * other), self_form)


@vjp("aten::atan2(Tensor self, Tensor other) -> Tensor", "other")
def atan2_other(grad: Tensor, self: Tensor, other: Tensor, other_form: Form) -> Tensor:
    return reform(grad * -self / (self * self + other * other), other_form)


@vjp("aten::tanh(Tensor self) -> Tensor", "self")
def tanh(grad: Tensor, result: Tensor) -> Tensor:
    return torch.ops.aten.tanh_backward(grad, result)


@vjp("aten::sigmoid(Tensor self) -> Tensor", "self")
def sigmoid(grad: Tensor, result: Tensor) -> Tensor:
    return torch.ops.aten.sigmoid_backward(grad, result)


@vjp("aten::relu(Tensor self) -> Tensor", "self")
def relu(grad: Tensor, result: Tensor) -> Tensor:
    return torch.ops.aten.threshold_backward(grad, result, 0)


@vjp("aten::leaky_relu(Tensor self, Scalar negative_slope=0.01) -> Tensor", "self")
def leaky_relu(grad: Tensor, self: Tensor, negative_slope: float) -> Tensor:
    return torch.ops.aten.leaky_relu_backward(grad, self, negative_slope, False)


@vjp(
    "aten::elu(Tensor self, Scalar alpha=1, Scalar scale=1, Scalar input_scale=1) -> Tensor", "self"
)
def elu(grad: Tensor, self: Tensor, alpha: float, scale: float, input_scale: float) -> Tensor:
    return torch.ops.aten.elu_backward(grad, alpha, scale, input_scale, False, self)


@vjp("aten::gelu(Tensor self, *, str approximate='none') -> Tensor", "self")
def gelu(grad: Tensor, self: Tensor, approximate: str) -> Tensor:
    return torch.ops.aten.gelu_backward(grad, self, approximate=approximate)


@vjp("aten::silu(Tensor self) -> Tensor", "self")
def silu(grad: Tensor, self: Tensor) -> Tensor:
    return torch.ops.aten.silu_backward(grad, self)


@vjp("aten::softplus(Tensor self, Scalar beta=1, Scalar threshold=20) -> Tensor", "self")
def softplus(grad: Tensor, self: Tensor, beta: float, threshold: float) -> Tensor:
    return torch.ops.aten.softplus_backward(grad, self, beta, threshold)


@vjp("aten::hardtanh(Tensor self, Scalar min_val=-1, Scalar max_val=1) -> Tensor", "self")
def hardtanh(grad: Tensor, self: Tensor, min_val: float, max_val: float) -> Tensor:
    return torch.ops.aten.hardtanh_backward(grad, self, min_val, max_val)


@vjp("aten::log_sigmoid(Tensor self) -> Tensor", "self")
def log_sigmoid(grad: Tensor, self: Tensor) -> Tensor:
    return grad * torch.sigmoid(-self)


@vjp("aten::erf(Tensor self) -> Tensor", "self")
def erf(grad: Tensor, self: Tensor) -> Tensor:
    return grad * (2.0 / math.sqrt(math.pi)) * torch.exp(-(self * self))


@vjp("aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor", "self")
def pow_scalar(grad: Tensor, self: Tensor, exponent: float) -> Tensor:
    if exponent == 0:
        return torch.zeros_like(grad)
    if exponent == 2:
        return cast(grad * 2 * conj(self), self.dtype)
    return cast(grad * conj(exponent * self.pow(exponent - 1)), self.dtype)


@vjp("aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", "self")
def pow_self(grad: Tensor, self: Tensor, exponent: Tensor, self_form: Form) -> Tensor:
    raised = conj(exponent * self.pow(exponent - 1))
    zero = torch.zeros_like(raised)
    return reform(grad * torch.where(exponent == 0.0, zero, raised), self_form)


@vjp("aten::pow.Tensor_Tensor(Tensor self, Tensor exponent) -> Tensor", "exponent")
def pow_exponent(
    grad: Tensor,
    self: Tensor,
    exponent: Tensor,
    result: Tensor,
    exponent_form: Form,
) -> Tensor:
    slope = conj(result * self.log())
    is_flat = (self == 0) & (exponent.real >= 0 if exponent.dtype.is_complex else exponent >= 0)
    found = torch.where(is_flat, torch.zeros_like(slope), slope)
    return reform(grad * found, exponent_form)


@vjp("aten::pow.Scalar(Scalar self, Tensor exponent) -> Tensor", "exponent")
def pow_of_scalar(grad: Tensor, self: float, exponent: Tensor, result: Tensor) -> Tensor:
    if self == 0:
        return torch.zeros_like(grad)
    return cast(grad * conj(result * math.log(self)), exponent.dtype)


@vjp("aten::maximum(Tensor self, Tensor other) -> Tensor", "self")
def maximum_self(grad: Tensor, self: Tensor, other: Tensor, self_form: Form) -> Tensor:
    shared = torch.where(self == other, grad / 2, grad).masked_fill(self < other, 0)
    return reform(shared, self_form)


@vjp("aten::maximum(Tensor self, Tensor other) -> Tensor", "other")
def maximum_other(grad: Tensor, self: Tensor, other: Tensor, other_form: Form) -> Tensor:
    shared = torch.where(self == other, grad / 2, grad).masked_fill(self > other, 0)
    return reform(shared, other_form)


@vjp("aten::minimum(Tensor self, Tensor other) -> Tensor", "self")
def minimum_self(grad: Tensor, self: Tensor, other: Tensor, self_form: Form) -> Tensor:
    shared = torch.where(self == other, grad / 2, grad).masked_fill(self > other, 0)
    return reform(shared, self_form)


@vjp("aten::minimum(Tensor self, Tensor other) -> Tensor", "other")
def minimum_other(grad: Tensor, self: Tensor, other: Tensor, other_form: Form) -> Tensor:
    shared = torch.where(self == other, grad / 2, grad).masked_fill(self < other, 0)
    return reform(shared, other_form)


@vjp("aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor", "self")
def where_self(grad: Tensor, condition: Tensor, self_form: Form) -> Tensor:
    return reform(torch.where(condition, grad, 0), self_form)


@vjp("aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor", "other")
def where_other(grad: Tensor, condition: Tensor, other_form: Form) -> Tensor:
    return reform(torch.where(condition, 0, grad), other_form)


@vjp("aten::where.ScalarOther(Tensor condition, Tensor self, Scalar other) -> Tensor", "self")
def where_scalar_other(grad: Tensor, condition: Tensor, self_form: Form) -> Tensor:
    return reform(torch.where(condition, grad, 0), self_form)


@vjp("aten::where.ScalarSelf(Tensor condition, Scalar self, Tensor other) -> Tensor", "other")
def where_scalar_self(grad: Tensor, condition: Tensor, other_form: Form) -> Tensor:
    return reform(torch.where(condition, 0, grad), other_form)


@vjp("aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor", "self")
def masked_fill(grad: Tensor, mask: Tensor, self_form: Form) -> Tensor:
    return reform(grad.masked_fill(mask, 0), self_form)


@vjp("aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor", "self")
def clamp(grad: Tensor, self: Tensor, min: float | None, max: float | None) -> Tensor:
    if min is not None and max is not None:
        return torch.where((self >= min) & (self <= max), grad, 0)
    if min is not None:
        return torch.where(self >= min, grad, 0)
    if max is not None:
        return torch.where(self <= max, grad, 0)
    return grad


@vjp("aten::clamp_min(Tensor self, Scalar min) -> Tensor", "self")
def clamp_min(grad: Tensor, self: Tensor, min: float) -> Tensor:
    return torch.where(self >= min, grad, 0)


@vjp("aten::clamp_max(Tensor self, Scalar max) -> Tensor", "self")
def clamp_max(grad: Tensor, self: Tensor, max: float) -> Tensor:
    return torch.where(self <= max, grad, 0)


@vjp("aten::lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", "self")
def lerp_self(grad: Tensor, weight: float, self_form: Form) -> Tensor:
    return reform(grad * (1 - weight), self_form)


@vjp("aten::lerp.Scalar(Tensor self, Tensor end, Scalar weight) -> Tensor", "end")
def lerp_end(grad: Tensor, weight: float, end_form: Form) -> Tensor:
    return reform(grad * weight, end_form)


@vjp("aten::floor(Tensor self) -> Tensor", "self")
def floor(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::ceil(Tensor self) -> Tensor", "self")
def ceil(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::round(Tensor self) -> Tensor", "self")
def round_(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::trunc(Tensor self) -> Tensor", "self")
def trunc(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::sign(Tensor self) -> Tensor", "self")
def sign(grad: Tensor) -> Tensor:
    return torch.zeros_like(grad)


@vjp("aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", "self")
def clone(grad: Tensor) -> Tensor:
    return grad
