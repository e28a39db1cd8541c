"""What many rules share.

``conj``, ``fit``, ``summed``, ``reform`` and ``cast`` are linear in their first argument.  In a
reverse program that is differentiated again they stay calls, which ``spread`` reverses (see
linear), so that the cases in them do not multiply.
"""

from __future__ import annotations

import torch
from torch import Tensor


def conj(x: Tensor) -> Tensor:
    """The complex conjugate; a real tensor as it is."""
    return x.conj() if x.dtype.is_complex else x


def fit(grad: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """A cotangent summed over broadcast dimensions, in the dtype of what it belongs to."""
    if grad.dtype.is_complex and not dtype.is_complex:
        grad = torch.real(grad)
    if grad.dtype != dtype:
        grad = grad.to(dtype)
    return summed(grad, shape) if grad.shape != shape else grad


def summed(grad: Tensor, shape: torch.Size) -> Tensor:
    """A cotangent summed over the dimensions in which ``shape`` was broadcast."""
    extra = grad.dim() - len(shape)
    if extra == 1 and grad.shape[1:] == shape:
        return grad.sum([0])  # one op, where sum_to_size is three
    return grad.sum_to_size(shape)


def spread(grad: Tensor, shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """The reverse of ``fit``: a cotangent in a shape and dtype that were summed and narrowed."""
    if grad.shape != shape:
        grad = grad.expand(shape)
    return cast(grad, dtype)


# of an operand whose shape and dtype are not those of the result
Form = tuple[torch.Size, torch.dtype] | None


def reform(grad: Tensor, form: Form) -> Tensor:
    """``fit`` for an elementwise op: ``grad`` has the shape and dtype of the result."""
    if form is None:
        return grad
    shape, dtype = form
    return fit(grad, shape, dtype)


def cast(grad: Tensor, dtype: torch.dtype) -> Tensor:
    """A cotangent in the dtype of what it belongs to."""
    if grad.dtype.is_complex and not dtype.is_complex:
        grad = torch.real(grad)
    return grad if grad.dtype == dtype else grad.to(dtype)


def wrap(dim: int, ndim: int) -> int:
    """A dimension counted from the front."""
    return dim + ndim if dim < 0 else dim
