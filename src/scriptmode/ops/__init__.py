"""Op tables; importing the package declares every op."""

from scriptmode.ops import containers, prim, scalars, strings, tensors

__all__ = ["containers", "prim", "scalars", "strings", "tensors"]
