"""Op tables; importing the package declares every op."""

from scriptmode.ops import containers, iterators, prim, scalars, sets, strings, tensors

__all__ = ["containers", "iterators", "prim", "scalars", "sets", "strings", "tensors"]
