"""Lowerings by family; importing this package registers them all."""

from scriptmode.loops.lowerings import (
    activations,
    alone,
    creation,
    derivatives,
    gathers,
    layers,
    orders,
    pointwise,
    products,
    reductions,
    remainders,
    scans,
    views,
)

FAMILIES = (
    activations, alone, creation, derivatives, gathers, layers, orders, pointwise, products,
    reductions, remainders, scans, views,
)  # fmt: skip
