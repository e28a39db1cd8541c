"""What the ops of TorchScript are here that are no ops of ATen."""

from scriptmode.torchscript.ops import (
    containers,
    conversions,
    gradients,
    numbers,
    prims,
    tensors,
    texts,
)
from scriptmode.torchscript.ops.table import BUILTINS, call_builtin

__all__ = [
    "BUILTINS", "call_builtin", "containers", "conversions", "gradients", "numbers", "prims",
    "tensors", "texts",
]  # fmt: skip
