"""Lowerings by family; importing this package registers them all."""

from scriptmode.loops.lowerings import (
    creation,
    gathers,
    layers,
    pointwise,
    products,
    reductions,
    views,
)

FAMILIES = (creation, gathers, layers, pointwise, products, reductions, views)
