"""Push-forwards: linear and elementwise ops by name, others as functions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scriptmode.autodiff.rules import layers, pointwise, writes  # noqa: F401  (enter their rules)
from scriptmode.autodiff.rules.common import cast, conj
from scriptmode.autodiff.rules.reductions import count, spread
from scriptmode.autodiff.tangent_rule import diagonal, jvp, linear

for _name in (
    "neg", "clone", "t", "numpy_T", "transpose.int", "permute", "expand", "expand_as", "select.int",
    "slice.Tensor", "narrow", "index_select", "gather", "index.Tensor", "split.Tensor",
    "split_with_sizes", "chunk", "unbind.int", "to.dtype", "repeat", "tril", "triu", "flip", "roll",
    "sum", "sum.dim_IntList", "mean", "mean.dim", "cumsum", "diagonal", "diag_embed", "unfold",
    "broadcast_to", "movedim.int", "movedim.intlist", "swapaxes", "swapdims", "squeeze",
    "squeeze.dim", "squeeze.dims", "unsqueeze", "contiguous", "alias", "masked_select", "reshape",
    "mul.Scalar", "div.Scalar", "div.Tensor", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
):  # fmt: skip
    linear(f"aten::{_name}", "self")
for _name, *_arguments in (
    ("mul.Tensor", "self", "other"), ("mm", "self", "mat2"), ("bmm", "self", "mat2"),
    ("mv", "self", "vec"), ("dot", "self", "tensor"), ("outer", "self", "vec2"),
    ("matmul", "self", "other"), ("cat", "tensors"), ("stack", "tensors"), ("concat", "tensors"),
    ("broadcast_tensors", "tensors"),
    ("embedding", "weight"),
    ("upsample_nearest2d.vec", "input"), ("upsample_bilinear2d.vec", "input"),
):  # fmt: skip
    linear(f"aten::{_name}", *_arguments)

diagonal(
    *(
        f"aten::{name}"
        for name in (
            "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal",
            "square", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "tanh",
            "sigmoid", "silu", "pow.Tensor_Scalar", "pow.Tensor_Tensor", "pow.Scalar", "div.Tensor",
        )
    ),
    conjugate=True,
)  # fmt: skip
diagonal(
    *(
        f"aten::{name}"
        for name in (
            "relu", "leaky_relu", "elu", "gelu", "softplus", "hardtanh", "log_sigmoid", "erf",
            "atan2", "maximum", "minimum", "where.ScalarOther", "where.ScalarSelf",
            "masked_fill.Scalar", "clamp", "clamp_min", "clamp_max", "floor", "ceil", "round",
            "trunc", "sign", "hardswish", "hardsigmoid", "mish", "relu6", "threshold", "softshrink",
            "hardshrink", "logit", "zero", "fill.Scalar",
        )
    ),
)  # fmt: skip
diagonal(
    *(
        f"aten::{name}"
        for name in (
            "add.Tensor", "add.Scalar", "sub.Tensor", "sub.Scalar", "rsub.Scalar", "rsub.Tensor",
            "where.self", "lerp.Scalar",
        )
    ),
    is_partial=True,
)  # fmt: skip


# ---- where the elements go


@jvp("aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)", "self")
@jvp(
    "aten::flatten.using_ints(Tensor(a) self, int start_dim=0, int end_dim=-1) -> Tensor(a)", "self"
)
@jvp("aten::unflatten.int(Tensor(a) self, int dim, SymInt[] sizes) -> Tensor(a)", "self")
@jvp("aten::view_as(Tensor(a) self, Tensor other) -> Tensor(a)", "self")
def view(tangent: Tensor, result_shape: torch.Size) -> Tensor:
    return tangent.reshape(result_shape)  # it need not have the strides of the tensor


@jvp("aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", "self")
def copy_self(tangent: Tensor) -> Tensor:
    return torch.zeros_like(tangent)


@jvp(
    "aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", "src", is_partial=True
)
def copy_src(tangent: Tensor, result_dtype: torch.dtype) -> Tensor:
    return cast(tangent, result_dtype)


@jvp("aten::fill.Tensor(Tensor self, Tensor value) -> Tensor", "self")
def fill_self(tangent: Tensor) -> Tensor:
    return torch.zeros_like(tangent)


@jvp("aten::fill.Tensor(Tensor self, Tensor value) -> Tensor", "value", is_partial=True)
def fill_value(tangent: Tensor, result_dtype: torch.dtype) -> Tensor:
    return cast(tangent, result_dtype)


@jvp("aten::constant_pad_nd(Tensor self, SymInt[] pad, Scalar value=0) -> Tensor", "self")
def constant_pad_nd(tangent: Tensor, pad: list[int]) -> Tensor:
    return torch.ops.aten.constant_pad_nd(tangent, pad, 0)


@jvp("aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "self")
def scatter_add_self(tangent: Tensor) -> Tensor:
    return tangent


@jvp("aten::scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "src")
def scatter_add_src(tangent: Tensor, self: Tensor, dim: int, index: Tensor) -> Tensor:
    return torch.zeros_like(self).scatter_add(dim, index, tangent)


@jvp(
    "aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
    "self",
)
def index_put_self(
    tangent: Tensor, indices: list[Tensor | None], values: Tensor, accumulate: bool
) -> Tensor:
    if accumulate:
        return tangent
    return torch.ops.aten.index_put(tangent, indices, torch.zeros_like(values))


@jvp(
    "aten::index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
    "values",
)
def index_put_values(
    tangent: Tensor, self: Tensor, indices: list[Tensor | None], accumulate: bool
) -> Tensor:
    return torch.ops.aten.index_put(torch.zeros_like(self), indices, tangent, accumulate)


# ---- elementwise


@jvp("aten::abs(Tensor self) -> Tensor", "self")
def abs_(tangent: Tensor, self: Tensor) -> Tensor:
    found = tangent * conj(self.sgn())
    return torch.real(found) if found.dtype.is_complex else found


@jvp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "self",
    is_partial=True,
)
@jvp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "self",
    is_partial=True,
)
def add_self(tangent: Tensor, result_dtype: torch.dtype) -> Tensor:
    return cast(tangent, result_dtype)


@jvp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor1",
    is_partial=True,
)
def addcmul_first(tangent: Tensor, tensor2: Tensor, value: float) -> Tensor:
    return tangent * tensor2 * value


@jvp(
    "aten::addcmul(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor2",
    is_partial=True,
)
def addcmul_second(tangent: Tensor, tensor1: Tensor, value: float) -> Tensor:
    return tangent * tensor1 * value


@jvp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor1",
    is_partial=True,
)
def addcdiv_first(tangent: Tensor, tensor2: Tensor, value: float) -> Tensor:
    return tangent / tensor2 * value


@jvp(
    "aten::addcdiv(Tensor self, Tensor tensor1, Tensor tensor2, *, Scalar value=1) -> Tensor",
    "tensor2",
    is_partial=True,
)
def addcdiv_second(tangent: Tensor, tensor1: Tensor, tensor2: Tensor, value: float) -> Tensor:
    return -tangent * tensor1 / (tensor2 * tensor2) * value


# ---- products


@jvp("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "input")
def linear_input(tangent: Tensor, weight: Tensor) -> Tensor:
    return torch.ops.aten.linear(tangent, weight)


@jvp("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "weight")
def linear_weight(tangent: Tensor, input: Tensor) -> Tensor:
    return torch.ops.aten.linear(input, tangent)


@jvp(
    "aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor",
    "bias",
    is_partial=True,
)
def linear_bias(tangent: Tensor) -> Tensor:
    return tangent


@jvp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "self",
    is_partial=True,
)
@jvp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "self",
    is_partial=True,
)
def addmm_self(tangent: Tensor, beta: float) -> Tensor:
    return tangent if beta == 1 else tangent * beta


@jvp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "mat1",
)
def addmm_mat1(tangent: Tensor, mat2: Tensor, alpha: float) -> Tensor:
    found = tangent.mm(mat2)
    return found if alpha == 1 else found * alpha


@jvp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "mat2",
)
def addmm_mat2(tangent: Tensor, mat1: Tensor, alpha: float) -> Tensor:
    found = mat1.mm(tangent)
    return found if alpha == 1 else found * alpha


@jvp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "batch1",
)
def baddbmm_batch1(tangent: Tensor, batch2: Tensor, alpha: float) -> Tensor:
    found = tangent.bmm(batch2)
    return found if alpha == 1 else found * alpha


@jvp(
    "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "batch2",
)
def baddbmm_batch2(tangent: Tensor, batch1: Tensor, alpha: float) -> Tensor:
    found = batch1.bmm(tangent)
    return found if alpha == 1 else found * alpha


_CONV1, _CONV2, _CONV3 = (
    f"aten::conv{n}d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[{n}] stride=1, "
    f"SymInt[{n}] padding=0, SymInt[{n}] dilation=1, SymInt groups=1) -> Tensor"
    for n in (1, 2, 3)
)


@jvp(_CONV1, "input")
def conv1d_input(
    tangent: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv1d(tangent, weight, None, stride, padding, dilation, groups)


@jvp(_CONV1, "weight")
def conv1d_weight(
    tangent: Tensor, input: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv1d(input, tangent, None, stride, padding, dilation, groups)


@jvp(_CONV2, "input")
def conv2d_input(
    tangent: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv2d(tangent, weight, None, stride, padding, dilation, groups)


@jvp(_CONV2, "weight")
def conv2d_weight(
    tangent: Tensor, input: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv2d(input, tangent, None, stride, padding, dilation, groups)


@jvp(_CONV3, "input")
def conv3d_input(
    tangent: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv3d(tangent, weight, None, stride, padding, dilation, groups)


@jvp(_CONV3, "weight")
def conv3d_weight(
    tangent: Tensor, input: Tensor, stride: list[int], padding: list[int], dilation: list[int],
    groups: int,
) -> Tensor:  # fmt: skip
    return torch.ops.aten.conv3d(input, tangent, None, stride, padding, dilation, groups)


@jvp(_CONV1, "bias", is_partial=True)
@jvp(_CONV2, "bias", is_partial=True)
@jvp(_CONV3, "bias", is_partial=True)
def conv_bias(tangent: Tensor, weight: Tensor) -> Tensor:
    return tangent.reshape([-1] + [1] * (weight.dim() - 2))


# ---- reductions


def all_dims(dim: list[int] | None, ndim: int) -> list[int]:
    """The dimensions that are reduced."""
    return list(range(ndim)) if dim is None or len(dim) == 0 else dim


@jvp(
    "aten::var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
    "self",
)
def var(
    tangent: Tensor, self: Tensor, dim: list[int] | None, correction: float | None, keepdim: bool
) -> Tensor:
    dims = all_dims(dim, self.dim())
    terms = count(self.shape, dim) - (1.0 if correction is None else correction)
    factor = math.inf if terms == 0 else 2.0 / terms
    moved = conj(self - self.mean(dims, True)) * tangent * factor
    moved = torch.real(moved) if moved.dtype.is_complex else moved
    return moved.sum(dims, keepdim)


@jvp(
    "aten::std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
    "self",
)
def std(
    tangent: Tensor, self: Tensor, result: Tensor, dim: list[int] | None, correction: float | None,
    keepdim: bool,
) -> Tensor:  # fmt: skip
    moved = var(tangent, self, dim, correction, keepdim)
    return (moved / (result * 2)).masked_fill(result == 0, 0)


def chosen(tangent: Tensor, index: Tensor, dim: int, keepdim: bool) -> Tensor:
    """The tangents of what a reduction has chosen along ``dim``."""
    if keepdim or tangent.dim() == 0:
        return tangent.gather(dim, index)
    return tangent.gather(dim, index.unsqueeze(dim)).squeeze(dim)


@jvp(
    "aten::max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
    "self",
)
@jvp(
    "aten::min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)",
    "self",
)
def max_dim(tangent: Tensor, result1: Tensor, dim: int, keepdim: bool) -> Tensor:
    return chosen(tangent, result1, dim, keepdim)


@jvp(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
    "self",
)
@jvp(
    "aten::sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)",
    "self",
)
def sort(tangent: Tensor, result1: Tensor, dim: int) -> Tensor:
    return tangent.gather(dim, result1)


@jvp("aten::max(Tensor self) -> Tensor", "self")
@jvp("aten::min(Tensor self) -> Tensor", "self")
def max_all(tangent: Tensor, self: Tensor, result: Tensor) -> Tensor:
    mask = torch.isnan(self) if bool(torch.isnan(result).item()) else self == result
    return torch.where(mask, tangent, 0).sum() / mask.sum()


@jvp("aten::amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "self")
@jvp("aten::amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "self")
def amax(tangent: Tensor, self: Tensor, result: Tensor, dim: list[int], keepdim: bool) -> Tensor:
    mask = self == spread(result, self.shape, dim, keepdim)
    dims = all_dims(dim, self.dim())
    return torch.where(mask, tangent, 0).sum(dims, keepdim) / mask.sum(dims, keepdim)


@jvp("aten::logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", "self")
def logsumexp(
    tangent: Tensor, self: Tensor, result: Tensor, dim: list[int], keepdim: bool
) -> Tensor:
    weight = (self - spread(result, self.shape, dim, keepdim)).exp()
    return (weight * tangent).sum(all_dims(dim, self.dim()), keepdim)


@jvp("aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "self")
def softmax(tangent: Tensor, result: Tensor, dim: int) -> Tensor:
    weighed = result * cast(tangent, result.dtype)
    return weighed - result * weighed.sum([dim], True)


@jvp("aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor", "self")
def log_softmax(tangent: Tensor, result: Tensor, dim: int) -> Tensor:
    moved = cast(tangent, result.dtype)
    return moved - (result.exp() * moved).sum([dim], True)


# ---- losses and layers


def reduced(x: Tensor, reduction: int) -> Tensor:
    """A loss of its terms."""
    if reduction == 0:
        return x
    return x.mean() if reduction == 1 else x.sum()


@jvp("aten::mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "self")
def mse_loss_self(tangent: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return reduced(2 * (self - target) * tangent, reduction)


@jvp("aten::mse_loss(Tensor self, Tensor target, int reduction=Mean) -> Tensor", "target")
def mse_loss_target(tangent: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    return reduced(2 * (target - self) * tangent, reduction)


_LAYER_NORM = (
    "aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, "
    "float eps) -> (Tensor, Tensor, Tensor)"
)


def last(shape: list[int]) -> list[int]:
    """As many dimensions, from the end."""
    return [-1 - i for i in range(len(shape))]


@jvp(_LAYER_NORM, "input")
def layer_norm_input(
    tangent: Tensor, input: Tensor, normalized_shape: list[int], weight: Tensor | None,
    result1: Tensor, result2: Tensor,
) -> Tensor:  # fmt: skip
    dims = last(normalized_shape)
    normal = (input - result1) * result2
    centred = tangent - tangent.mean(dims, True)
    moved = (centred - normal * (normal * tangent).mean(dims, True)) * result2
    return cast(moved if weight is None else moved * weight, input.dtype)


@jvp(_LAYER_NORM, "weight")
def layer_norm_weight(tangent: Tensor, input: Tensor, result1: Tensor, result2: Tensor) -> Tensor:
    return cast((input - result1) * result2, input.dtype) * tangent


@jvp(_LAYER_NORM, "bias", is_partial=True)
def layer_norm_bias(tangent: Tensor) -> Tensor:
    return tangent


_BATCH_NORM = (
    "aten::_batch_norm_impl_index(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, "
    "Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) "
    "-> (Tensor, Tensor, Tensor, Tensor, int)"
)


def by_channel(x: Tensor, ndim: int) -> Tensor:
    """One number for each channel, for a tensor of ``ndim`` dimensions."""
    return x.reshape([1, -1] + [1] * (ndim - 2))


@jvp(_BATCH_NORM, "input")
def batch_norm_input(
    tangent: Tensor, input: Tensor, weight: Tensor | None, running_var: Tensor | None,
    training: bool, eps: float, result1: Tensor, result2: Tensor,
) -> Tensor:  # fmt: skip
    n = input.dim()
    if training or running_var is None:
        dims = [i for i in range(n) if i != 1]
        factor = by_channel(result2, n)
        normal = (input - by_channel(result1, n)) * factor
        centred = tangent - tangent.mean(dims, True)
        moved = (centred - normal * (normal * tangent).mean(dims, True)) * factor
    else:
        moved = tangent * by_channel((running_var + eps).rsqrt(), n)
    return cast(moved if weight is None else moved * by_channel(weight, n), input.dtype)


@jvp(_BATCH_NORM, "weight")
def batch_norm_weight(
    tangent: Tensor, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    training: bool, eps: float, result1: Tensor, result2: Tensor,
) -> Tensor:  # fmt: skip
    n = input.dim()
    if training or running_mean is None or running_var is None:
        normal = (input - by_channel(result1, n)) * by_channel(result2, n)
    else:
        factor = by_channel((running_var + eps).rsqrt(), n)
        normal = (input - by_channel(running_mean, n)) * factor
    return cast(normal, input.dtype) * by_channel(tangent, n)


@jvp(_BATCH_NORM, "bias", is_partial=True)
def batch_norm_bias(tangent: Tensor, input: Tensor) -> Tensor:
    return by_channel(tangent, input.dim())


_EMPTY_BATCH_NORM = (
    "aten::batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, "
    "Tensor? running_var, bool training, float momentum, float eps, bool cudnn_enabled) -> Tensor"
)


@jvp(_EMPTY_BATCH_NORM, "input")
@jvp(_EMPTY_BATCH_NORM, "weight")
@jvp(_EMPTY_BATCH_NORM, "bias")
def batch_norm_of_nothing(tangent: Tensor, result: Tensor) -> Tensor:
    assert result.numel() == 0, "others are decomposed: see decompositions"
    return torch.zeros_like(result)


@jvp(
    "aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> (Tensor, Tensor)",
    "self",
)
def max_pool2d(tangent: Tensor, result1: Tensor) -> Tensor:
    flat = tangent.flatten(-2, -1).gather(-1, result1.flatten(-2, -1))
    return flat.reshape(result1.shape)


@jvp(
    "aten::nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, SymInt ignore_index) -> (Tensor output, Tensor total_weight)",
    "self",
)
def nll_loss(
    tangent: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> Tensor:
    return torch.ops.aten.nll_loss_forward(tangent, target, weight, reduction, ignore_index)[0]
