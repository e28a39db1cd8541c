"""Gradients of what torch's own tape has recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from scriptmode.ops.table import EVERYTHING, op


@op(
    "autograd::grad(Tensor[] outputs, Tensor[] inputs, Tensor?[] grad_outputs, "
    "bool? retain_graph, bool create_graph, bool allow_unused) -> Tensor?[]",
    effects=EVERYTHING,
    raises=[RuntimeError],
)
def _grad(
    outputs: Sequence[torch.Tensor],
    inputs: Sequence[torch.Tensor],
    grad_outputs: Sequence[torch.Tensor | None],
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool,
) -> list[torch.Tensor | None]:
    """``torch.autograd.grad``; ``grad_outputs`` may be empty."""
    return list(
        torch.autograd.grad(
            outputs, inputs, grad_outputs or None, retain_graph, create_graph,
            allow_unused=allow_unused,
        )
    )  # fmt: skip
