"""Op tables; importing the package declares every op."""

from scriptmode.ops import (
    containers,
    gradients,
    ieee,
    iterators,
    prim,
    scalars,
    sets,
    strings,
    tensors,
)

__all__ = [
    "containers", "gradients", "ieee", "iterators", "prim", "scalars", "sets", "strings", "tensors",
]  # fmt: skip
