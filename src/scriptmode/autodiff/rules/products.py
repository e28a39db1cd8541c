"""Matrix products, linear layers and convolutions."""

from __future__ import annotations

import torch
from torch import Tensor

from scriptmode.autodiff.rule import vjp
from scriptmode.autodiff.rules.common import Form, conj, reform, summed


def flat(x: Tensor) -> Tensor:
    """A tensor as a matrix: all dimensions but the last in one."""
    return x if x.dim() == 2 else x.reshape(-1, x.shape[-1])


@vjp("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "input")
def linear_input(grad: Tensor, weight: Tensor, input_shape: torch.Size) -> Tensor:
    if weight.dim() == 1:
        return grad.unsqueeze(-1) * conj(weight)
    if grad.dim() == 1:
        return conj(weight).t().mv(grad)
    if grad.dim() == 2:
        return grad.mm(conj(weight))
    return grad.matmul(conj(weight)).reshape(input_shape)


@vjp("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "weight")
def linear_weight(grad: Tensor, input: Tensor, weight_shape: torch.Size) -> Tensor:
    if len(weight_shape) == 1:
        return (grad.unsqueeze(-1) * conj(input)).reshape(-1, weight_shape[0]).sum([0])
    if grad.dim() == 1:
        return grad.outer(conj(input))
    return flat(grad).t().mm(flat(conj(input)))


@vjp("aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "bias")
def linear_bias(grad: Tensor, bias_shape: torch.Size) -> Tensor:
    return summed(grad, bias_shape)


@vjp("aten::mm(Tensor self, Tensor mat2) -> Tensor", "self")
def mm_self(grad: Tensor, mat2: Tensor) -> Tensor:
    return grad.mm(conj(mat2).t())


@vjp("aten::mm(Tensor self, Tensor mat2) -> Tensor", "mat2")
def mm_mat2(grad: Tensor, self: Tensor) -> Tensor:
    return conj(self).t().mm(grad)


@vjp("aten::bmm(Tensor self, Tensor mat2) -> Tensor", "self")
def bmm_self(grad: Tensor, mat2: Tensor) -> Tensor:
    return grad.bmm(conj(mat2).transpose(1, 2))


@vjp("aten::bmm(Tensor self, Tensor mat2) -> Tensor", "mat2")
def bmm_mat2(grad: Tensor, self: Tensor) -> Tensor:
    return conj(self).transpose(1, 2).bmm(grad)


@vjp("aten::mv(Tensor self, Tensor vec) -> Tensor", "self")
def mv_self(grad: Tensor, vec: Tensor) -> Tensor:
    return grad.outer(conj(vec))


@vjp("aten::mv(Tensor self, Tensor vec) -> Tensor", "vec")
def mv_vec(grad: Tensor, self: Tensor) -> Tensor:
    return conj(self).t().mv(grad)


@vjp("aten::dot(Tensor self, Tensor tensor) -> Tensor", "self")
def dot_self(grad: Tensor, tensor: Tensor) -> Tensor:
    return grad * conj(tensor)


@vjp("aten::dot(Tensor self, Tensor tensor) -> Tensor", "tensor")
def dot_tensor(grad: Tensor, self: Tensor) -> Tensor:
    return grad * conj(self)


@vjp("aten::outer(Tensor self, Tensor vec2) -> Tensor", "self")
def outer_self(grad: Tensor, vec2: Tensor) -> Tensor:
    return grad.mv(conj(vec2))


@vjp("aten::outer(Tensor self, Tensor vec2) -> Tensor", "vec2")
def outer_vec2(grad: Tensor, self: Tensor) -> Tensor:
    return grad.t().mv(conj(self))


@vjp("aten::matmul(Tensor self, Tensor other) -> Tensor", "self")
def matmul_self(grad: Tensor, self_shape: torch.Size, other: Tensor) -> Tensor:
    turned = conj(other)
    if len(self_shape) == 1 and other.dim() == 1:
        return grad * turned
    if len(self_shape) == 1:
        return torch.matmul(grad.unsqueeze(-2), turned.transpose(-2, -1)).reshape(
            [-1, self_shape[0]]
        ).sum([0])  # fmt: skip
    if other.dim() == 1:
        return grad.unsqueeze(-1) * turned
    return torch.matmul(grad, turned.transpose(-2, -1)).sum_to_size(self_shape)


@vjp("aten::matmul(Tensor self, Tensor other) -> Tensor", "other")
def matmul_other(grad: Tensor, self: Tensor, other_shape: torch.Size) -> Tensor:
    turned = conj(self)
    if self.dim() == 1 and len(other_shape) == 1:
        return grad * turned
    if len(other_shape) == 1:
        return (turned * grad.unsqueeze(-1)).reshape([-1, other_shape[0]]).sum([0])
    if self.dim() == 1:
        return (turned.unsqueeze(-1) * grad.unsqueeze(-2)).sum_to_size(other_shape)
    if len(other_shape) == 2:
        return flat(turned).t().mm(flat(grad))
    return torch.matmul(turned.transpose(-2, -1), grad).sum_to_size(other_shape)


@vjp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "self",
)
def addmm_self(grad: Tensor, beta: float, self_form: Form) -> Tensor:
    return reform(grad if beta == 1 else grad * beta, self_form)


@vjp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "mat1",
)
def addmm_mat1(grad: Tensor, mat2: Tensor, alpha: float) -> Tensor:
    found = grad.mm(conj(mat2).t())
    return found if alpha == 1 else found * alpha


@vjp(
    "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
    "mat2",
)
def addmm_mat2(grad: Tensor, mat1: Tensor, alpha: float) -> Tensor:
    found = conj(mat1).t().mm(grad)
    return found if alpha == 1 else found * alpha


def convolution(
    grad: Tensor,
    input: Tensor,
    weight: Tensor,
    has_bias: bool,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Cotangents of a convolution's operands; an input without batch has one of size 1 meanwhile."""
    n = weight.dim() - 2
    is_single = input.dim() == n + 1
    x = input.unsqueeze(0) if is_single else input
    g = grad.unsqueeze(0) if is_single else grad
    sizes: list[int] | None = None
    if has_bias:
        sizes = [weight.shape[1] * groups if transposed else weight.shape[0]]
    dx, dw, db = torch.ops.aten.convolution_backward(
        g, x, weight, sizes, stride, padding, dilation, transposed, output_padding, groups,
        [needed[0], needed[1], needed[2] and has_bias],
    )  # fmt: skip
    found: Tensor | None = None
    if needed[0]:
        found = dx.squeeze(0) if is_single else dx
    return found, dw if needed[1] else None, db if needed[2] and has_bias else None


def widened(values: list[int], n: int) -> list[int]:
    """One number for each spatial dimension."""
    return values * n if len(values) == 1 else values


@vjp(
    "aten::conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, SymInt[1] padding=0, SymInt[1] dilation=1, SymInt groups=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
def conv1d(
    grad: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int],
    padding: list[int], dilation: list[int], groups: int, needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    return convolution(grad, input, weight, bias is not None, widened(stride, 1), widened(padding, 1),
                       widened(dilation, 1), False, [0], groups, needed)  # fmt: skip


@vjp(
    "aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
def conv2d(
    grad: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int],
    padding: list[int], dilation: list[int], groups: int, needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    return convolution(grad, input, weight, bias is not None, widened(stride, 2), widened(padding, 2),
                       widened(dilation, 2), False, [0, 0], groups, needed)  # fmt: skip


@vjp(
    "aten::conv3d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=1, SymInt[3] padding=0, SymInt[3] dilation=1, SymInt groups=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
def conv3d(
    grad: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int],
    padding: list[int], dilation: list[int], groups: int, needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    return convolution(grad, input, weight, bias is not None, widened(stride, 3), widened(padding, 3),
                       widened(dilation, 3), False, [0, 0, 0], groups, needed)  # fmt: skip


@vjp(
    "aten::conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, SymInt[1] padding=0, SymInt[1] output_padding=0, SymInt groups=1, SymInt[1] dilation=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
@vjp(
    "aten::conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] output_padding=0, SymInt groups=1, SymInt[2] dilation=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
@vjp(
    "aten::conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=1, SymInt[3] padding=0, SymInt[3] output_padding=0, SymInt groups=1, SymInt[3] dilation=1) -> Tensor",
    "input", "weight", "bias",
)  # fmt: skip
def conv_transpose(
    grad: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int],
    padding: list[int], output_padding: list[int], groups: int, dilation: list[int],
    needed: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    n = weight.dim() - 2
    return convolution(grad, input, weight, bias is not None, widened(stride, n), widened(padding, n),
                       widened(dilation, n), True, widened(output_padding, n), groups, needed)  # fmt: skip
