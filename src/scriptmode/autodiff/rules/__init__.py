"""The derivative rules: importing this package enters them all."""

from scriptmode.autodiff.rules import (
    decompositions,
    layers,
    losses,
    movement,
    nn,
    nothing,
    pointwise,
    products,
    reductions,
    scatters,
    sums,
    tangents,
    writes,
)

__all__ = [
    "decompositions",
    "layers",
    "losses",
    "movement",
    "nn",
    "nothing",
    "pointwise",
    "products",
    "reductions",
    "scatters",
    "sums",
    "tangents",
    "writes",
]
