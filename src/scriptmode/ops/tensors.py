"""Ops on tensors that are not in ATen's registry: metadata, conversions to Python numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd import forward_ad

from scriptmode.ops.scalars import check_int
from scriptmode.ops.table import EVERYTHING, Effect, op

READS = Effect.READS

# conversions synchronise and read data; failures are those of Tensor.item
op(
    "tensor::int(Tensor self) -> int",
    effects=READS,
    raises=[RuntimeError, ValueError, OverflowError],
)(lambda self: check_int(int(self)))
op("tensor::float(Tensor self) -> float", effects=READS, raises=[RuntimeError])(float)
op("tensor::complex(Tensor self) -> complex", effects=READS, raises=[RuntimeError])(complex)
op("tensor::bool(Tensor self) -> bool", effects=READS, raises=[RuntimeError])(bool)
op("tensor::index(Tensor self) -> int", effects=READS, raises=[TypeError])(
    lambda self: self.__index__()
)

op(
    "tensor::element.one(Tensor self, int i) -> number",
    effects=READS,
    raises=[RuntimeError, IndexError],
)(lambda self, i: self.select(0, i).item())
op(
    "tensor::element.two(Tensor self, int i, int j) -> number",
    effects=READS,
    raises=[RuntimeError, IndexError],
)(lambda self, i, j: self.select(0, i).select(0, j).item())

# metadata; READS because resize_, set_, data= and the like change it
op("tensor::shape(Tensor self) -> Size", effects=READS)(lambda self: self.shape)
op("tensor::stride(Tensor self) -> int[]", effects=READS)(lambda self: list(self.stride()))
op("tensor::dtype(Tensor self) -> dtype", effects=READS)(lambda self: self.dtype)
op("tensor::device(Tensor self) -> device", effects=READS)(lambda self: self.device)
op("tensor::layout(Tensor self) -> layout", effects=READS)(lambda self: self.layout)
op("tensor::ndim(Tensor self) -> int", effects=READS)(lambda self: self.ndim)
op("tensor::len(Tensor self) -> int", effects=READS, raises=[TypeError])(len)
op("tensor::requires_grad(Tensor self) -> bool", effects=READS)(lambda self: self.requires_grad)
op("tensor::is_leaf(Tensor self) -> bool", effects=READS)(lambda self: self.is_leaf)
op("tensor::grad(Tensor self) -> Tensor?", effects=READS)(lambda self: self.grad)
op("tensor::data(Tensor(a) self) -> Tensor(a)", effects=READS)(lambda self: self.data)
op("tensor::is_device_type(Tensor self, str type) -> bool", effects=READS)(
    lambda self, type: self.device.type == type
)
op("tensor::is_quantized(Tensor self) -> bool", effects=READS)(lambda self: self.is_quantized)
op("tensor::is_sparse(Tensor self) -> bool", effects=READS)(lambda self: self.is_sparse)
op("tensor::is_nested(Tensor self) -> bool", effects=READS)(lambda self: self.is_nested)
op("tensor::element_size(Tensor self) -> int", effects=READS)(lambda self: self.element_size())
op("tensor::same_form(Tensor a, Tensor b) -> bool", effects=READS)(
    lambda a, b: a.shape == b.shape and a.dtype == b.dtype
)


@op("tensor::check_writable(Tensor self) -> ()", effects=READS, raises=[RuntimeError])
def _check_writable(self: torch.Tensor) -> None:
    """``copy_`` refuses tensors whose elements share memory, which ``fill_`` does not."""
    if is_expanded(self.shape, self.stride()):
        raise RuntimeError(SHARED_ELEMENTS)


SHARED_ELEMENTS = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)


def is_expanded(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether elements along some dimension are one and the same."""
    return 0 not in shape and any(
        n > 1 and stride == 0 for n, stride in zip(shape, strides, strict=True)
    )


op("tensor::same_object(Tensor a, Tensor b) -> bool")(lambda a, b: a is b)

# dtype and device
op("dtype::eq(dtype a, dtype b) -> bool")(lambda a, b: a == b)
op("dtype::is_floating_point(dtype self) -> bool")(lambda self: self.is_floating_point)
op("dtype::is_complex(dtype self) -> bool")(lambda self: self.is_complex)
op("dtype::is_signed(dtype self) -> bool")(lambda self: self.is_signed)
op("dtype::itemsize(dtype self) -> int")(lambda self: self.itemsize)
op("dtype::str(dtype self) -> str")(str)
op("device::eq(device a, device b) -> bool")(lambda a, b: a == b)
op("device::type(device self) -> str")(lambda self: self.type)
op("device::index(device self) -> int?")(lambda self: self.index)
op("device::make(str type) -> device", raises=[RuntimeError])(torch.device)
op("device::make_index(str type, int index) -> device", raises=[RuntimeError])(torch.device)
op("device::str(device self) -> str")(str)
op("layout::eq(layout a, layout b) -> bool")(lambda a, b: a == b)
op("memory_format::eq(memory_format a, memory_format b) -> bool")(lambda a, b: a == b)

# thread state
op("torch::is_grad_enabled() -> bool", effects=READS)(torch.is_grad_enabled)
op("torch::set_grad_enabled(bool mode) -> ()", effects=Effect.IO)(torch._C._set_grad_enabled)
# an error that leaves the function brings back the grad mode that it was called under
op("torch::guard_grad_mode() -> ()", effects=Effect.IO)(lambda: None)
op("torch::is_autocast_enabled(str device_type) -> bool", effects=READS)(torch.is_autocast_enabled)
op("torch::get_autocast_dtype(str device_type) -> dtype", effects=READS)(torch.get_autocast_dtype)
op("torch::is_autocast_cache_enabled() -> bool", effects=READS)(torch.is_autocast_cache_enabled)
op("torch::set_autocast_enabled(str device_type, bool enabled) -> ()", effects=Effect.IO)(
    torch.set_autocast_enabled
)
op("torch::set_autocast_dtype(str device_type, dtype dtype) -> ()", effects=Effect.IO)(
    torch.set_autocast_dtype
)
op("torch::set_autocast_cache_enabled(bool enabled) -> ()", effects=Effect.IO)(
    torch.set_autocast_cache_enabled
)


@op("torch::set_autocast_nesting(int change) -> ()", effects=Effect.IO)
def _set_autocast_nesting(change: int) -> None:
    """One region more (1) or less (-1); behind the last one the cache of casts is dropped."""
    if change > 0:
        torch.autocast_increment_nesting()
    elif torch.autocast_decrement_nesting() == 0:
        torch.clear_autocast_cache()


_inference_guards: dict[int, Any] = {}


@op("torch::enter_inference_mode(bool mode) -> int", effects=EVERYTHING)
def enter_inference_mode(mode: bool) -> int:
    """A token, which ends the region when it is given back."""
    guard = torch._C._InferenceMode(mode)
    guard.__enter__()  # type: ignore[no-untyped-call]
    _inference_guards[id(guard)] = guard
    return id(guard)


@op("torch::leave_inference_mode(int token) -> ()", effects=EVERYTHING)
def leave_inference_mode(token: int) -> None:
    """End the region of a token."""
    _inference_guards.pop(token).__exit__(None, None, None)


# ---- guards ----


@op("tensor::fits(Tensor self, dtype dtype, Size shape, Size strides, bool records) -> bool",
    effects=READS)  # fmt: skip
def fits(
    self: torch.Tensor, dtype: torch.dtype, shape: torch.Size, strides: torch.Size, records: bool
) -> bool:
    """Whether a tensor is a plain one of the CPU with these sizes and strides; -1 stands for any.

    Plain: strided, of no subclass, no conjugate or negative view; while autograd ``records``, it
    must not need a gradient.
    """
    return (
        type(self) in (torch.Tensor, torch.nn.Parameter)
        and self.device.type == "cpu"
        and self.layout == torch.strided
        and self.dtype == dtype
        and self.dim() == len(shape)
        and all(wanted in (-1, size) for wanted, size in zip(shape, self.shape, strict=True))
        and all(wanted in (-1, step) for wanted, step in zip(strides, self.stride(), strict=True))
        and not (self.is_conj() or self.is_neg() or self.is_quantized or self.is_nested)
        and not self._is_zerotensor()
        and (not self.is_inference() or torch.is_inference_mode_enabled())
        and not (records and self.requires_grad and torch.is_grad_enabled())
    )


@op("torch::is_plain_state(bool needs_no_grad, dtype default_dtype) -> bool", effects=READS)
def is_plain_state(needs_no_grad: bool, default_dtype: torch.dtype) -> bool:
    """Whether ops do in this thread what they do by themselves: no modes, autocast, transforms."""
    keys = torch._C._dispatch_tls_local_include_set()
    return not (
        torch._C._is_any_autocast_enabled()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or keys.has(torch._C.DispatchKey.Functionalize)
        or forward_ad._current_level >= 0
        or (needs_no_grad and torch.is_grad_enabled())
        or torch.get_default_dtype() != default_dtype
    )


# counts how often it is reached, for those who look into the code
op("torch::count(str what) -> ()", effects=Effect.IO)(lambda what: None)

op("torch::get_default_dtype() -> dtype", effects=READS)(torch.get_default_dtype)
op("torch::is_inference_mode_enabled() -> bool", effects=READS)(torch.is_inference_mode_enabled)


@op("tensor::from_data(Any data, *, dtype? dtype=None, device? device=None, "
    "bool requires_grad=False) -> Tensor",
    effects=READS | Effect.ALLOCATES, raises=[TypeError, ValueError, RuntimeError])  # fmt: skip
def _from_data(data: Any, dtype: Any, device: Any, requires_grad: bool) -> torch.Tensor:
    """``torch.tensor(data, ...)`` for numbers and nested lists of numbers."""
    return torch.tensor(data, dtype=dtype, device=device, requires_grad=requires_grad)


op("tensor::type_name(Tensor self) -> str", effects=READS)(lambda self: self.type())
op("tensor::tolist(Tensor self) -> Any", effects=READS, raises=[RuntimeError])(
    lambda self: self.tolist()
)
