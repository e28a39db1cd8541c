"""What a recording holds for: facts of the input tensors that the traced code read.

A trace keeps what Python read from a tensor's dtype, rank, device and so on.  A call whose inputs
differ there may need another path, so it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from scriptmode.support.diagnostics import ArgumentError, Diagnostic
from scriptmode.support.source import Span

# guarded fact -> how it is read from a tensor
FACTS: Mapping[str, Callable[[torch.Tensor], Any]] = {
    "dtype": lambda t: t.dtype,
    "rank": lambda t: t.dim(),
    "device": lambda t: t.device,
    "layout": lambda t: t.layout,
    "requires_grad": lambda t: t.requires_grad,
    "is_contiguous": lambda t: t.layout is not torch.strided or t.is_contiguous(),
}
# names of what traced code may read, by the fact that it depends on
FACT_OF_NAME: Mapping[str, str] = {
    "dtype": "dtype", "is_floating_point": "dtype", "is_complex": "dtype", "is_signed": "dtype",
    "itemsize": "dtype", "element_size": "dtype", "type": "dtype", "result_type": "dtype",
    "dim": "rank", "ndim": "rank", "ndimension": "rank", "shape": "rank",
    "device": "device", "is_cuda": "device", "is_cpu": "device", "get_device": "device",
    "layout": "layout", "is_sparse": "layout", "requires_grad": "requires_grad",
    "is_contiguous": "is_contiguous", "stride": "is_contiguous",
}  # fmt: skip


@dataclass(frozen=True)
class Guard:
    """A fact that the traced code read at ``span``, under the name ``name``."""

    fact: str
    name: str
    span: Span


def check_guards(
    guards: Sequence[Guard], names: Sequence[str], traced: Sequence[Any], given: Sequence[Any]
) -> None:
    """Raise ArgumentError where a given tensor differs from the traced one in a guarded fact.

    ``traced`` are the facts of the example's leaves (see ``facts_of``).
    """
    for guard in guards:
        read = FACTS[guard.fact]
        for name, facts, value in zip(names, traced, given, strict=True):
            if isinstance(value, torch.Tensor) and read(value) != facts[guard.fact]:
                raise ArgumentError(
                    Diagnostic(
                        "SM0608",
                        f"argument {name}: the {guard.fact} was {facts[guard.fact]} when traced, "
                        f"and is {read(value)}",
                        guard.span,
                        label=f"the traced code read `{guard.name}` of a tensor here",
                        help="a trace follows one path; use script, or trace again",
                    )
                )


def facts_of(values: Sequence[Any]) -> tuple[Any, ...]:
    """The facts of each tensor; None for other leaves."""
    return tuple(
        {fact: read(v) for fact, read in FACTS.items()} if isinstance(v, torch.Tensor) else None
        for v in values
    )
