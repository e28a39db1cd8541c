"""What is known of a tensor when the program is specialised."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

Shape = tuple[int, ...]


def contiguous_strides(shape: Shape) -> Shape:
    """Strides in elements of a dense row-major tensor of ``shape``."""
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@dataclass(frozen=True)
class TensorFact:
    """A plain strided CPU tensor of exactly this dtype, these sizes, and strides in elements.

    Plain: ordinary dispatch keys (no subclass, conjugate or negative view), no gradient to record.
    """

    dtype: torch.dtype
    shape: Shape
    strides: Shape

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie densely in row-major order."""
        if self.numel == 0:
            return True
        wanted = contiguous_strides(self.shape)
        return all(
            size == 1 or a == b for size, a, b in zip(self.shape, self.strides, wanted, strict=True)
        )

    @property
    def is_dense(self) -> bool:
        """Whether the elements fill their memory, in whatever order of the dimensions."""
        step = 1
        for stride, size in sorted(zip(self.strides, self.shape, strict=True)):
            if size != 1 and stride != step:
                return False
            step *= size if size != 1 else 1
        return True

    @property
    def text(self) -> str:
        """As explanations print it: ``float32[3, 4]``, with the strides unless contiguous."""
        sizes = ", ".join(map(str, self.shape))
        name = str(self.dtype).removeprefix("torch.")
        strides = "" if self.is_contiguous else f" strides {list(self.strides)}"
        return f"{name}[{sizes}]{strides}"


def contiguous_fact(dtype: torch.dtype, shape: Shape) -> TensorFact:
    """The fact of a dense row-major tensor."""
    return TensorFact(dtype, shape, contiguous_strides(shape))
