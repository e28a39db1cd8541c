"""What a call may write: attributes by name, and elements of containers.

What a condition has shown of an attribute or element holds until something may write it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node
from scriptmode.ops.aten import schema_of
from scriptmode.ops.prim import STRUCTURAL
from scriptmode.ops.table import EVERYTHING, Effect

ELEMENTS = "["  # stands for elements of containers among names of attributes

Writes = frozenset[str] | None  # None: anything


@functools.cache
def writes_elements(kind: str) -> bool:
    """Whether an op may change what a list, dict or other container holds."""
    schema = None if kind.startswith(("prim::", "aten::")) else schema_of(kind)
    return schema is not None and any(
        a.alias is not None and a.alias.is_write and a.type != T.TENSOR for a in schema.arguments
    )


class WriteTable:
    """What the functions of a program may write."""

    def __init__(self, functions: Mapping[str, Graph]) -> None:
        self._functions = functions
        self._known: dict[str, Writes] = {}

    def of(self, name: str) -> Writes:
        """What a call of the function may write; a recursive one may write anything."""
        if name not in self._known:
            graph = self._functions.get(name)
            if graph is None:  # being compiled
                return None
            self._known[name] = None
            self._known[name] = self._of_graph(graph)
        return self._known[name]

    def _of_graph(self, graph: Graph) -> Writes:
        found: set[str] = set()
        for node in graph.walk():
            one = self._of_node(node)
            if one is None:
                return None
            found |= one
        return frozenset(found)

    def _of_node(self, node: Node) -> Writes:
        if node.kind == "prim::Call":
            return self.of(node.attributes["callee"])
        if node.kind == "prim::SetAttr":
            return frozenset([node.attributes["name"]])
        if writes_elements(node.kind):
            return frozenset([ELEMENTS])
        effects = STRUCTURAL.get(node.kind, Effect.PURE)
        if effects == EVERYTHING or effects & Effect.WRITES:
            return None
        return frozenset()
