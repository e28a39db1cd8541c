"""Ops that hide what their derivative needs, replaced by ops that give it.

::

    @decomposition("aten::max_pool2d(Tensor self, ...) -> Tensor")
    def max_pool2d(self: Tensor, ...) -> Tensor:
        return torch.ops.aten.max_pool2d_with_indices(self, ...)[0]

The function has the op's arguments, in order, and computes the op's results exactly, by the same
kernels and from the same random numbers.  Where it has no such form for some arguments, it calls
the op itself, which is then recorded.  ``decompose(graph)`` replaces each such op once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from scriptmode.autodiff.rule import compiled
from scriptmode.ir.graph import Graph
from scriptmode.ir.schema import parse_schema
from scriptmode.ops.aten import schema_of
from scriptmode.passes.inline import inline_call

_DECOMPOSITIONS: dict[str, Callable[..., Any]] = {}


def decomposition(schema: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter what stands for the op of this schema.

    Raises ValueError for a schema that torch does not have and other parameters than the op's.
    """
    kind = schema.partition("(")[0]
    found = schema_of(kind)

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        if found is None:
            return function  # an op of another version of torch
        names = [a.name for a in found.arguments]
        if [a.name for a in parse_schema(schema).arguments] != names:
            raise ValueError(f"the schema of {kind} is {found.text}, not {schema}")
        if list(inspect.signature(function).parameters) != names:
            raise ValueError(f"the decomposition of {kind} takes {', '.join(names)}")
        _DECOMPOSITIONS[kind] = function
        return function

    return enter


def all_decompositions() -> Mapping[str, Callable[..., Any]]:
    """Every decomposition, by kind."""
    return dict(sorted(_DECOMPOSITIONS.items()))


def decompose(graph: Graph) -> bool:
    """Replace the ops that have a decomposition; whether there were any."""
    nodes = [node for node in graph.walk() if node.kind in _DECOMPOSITIONS]
    for node in nodes:
        types = tuple(value.type for value in node.inputs)
        inline_call(node, compiled(_DECOMPOSITIONS[node.kind], types))
    return bool(nodes)
