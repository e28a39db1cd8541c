"""Tensor regions as fused loop nests: what to compute per element, in which order, where to."""
