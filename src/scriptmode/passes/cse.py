"""Compute equal things once.

Before::

    graph f(%x: int, %y: int):
      %a: int = int::add(%x, %y)
      %b: int = int::add(%x, %y)
      %c: int = int::mul(%a, %b)
      return (%c)

After::

    graph f(%x: int, %y: int):
      %a: int = int::add(%x, %y)
      %c: int = int::mul(%a, %a)
      return (%c)

The first computation must dominate the second, and no write between them may reach what they
read.  An op that may raise is merged: the first one has raised already.  Results that are new
objects (each tensor that a torch op returns is one) are merged only while nothing can tell.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from scriptmode.analysis.alias import AliasAnalysis, holds_memory, is_only_read
from scriptmode.analysis.effects import Effects, writes_thread_state
from scriptmode.ir.graph import Block, Graph, Node, Program
from scriptmode.ir.types import Type
from scriptmode.ops.table import Effect

Available = dict[Hashable, Node]


def eliminate_common_subexpressions(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    return _Merger(graph, program).block(graph.block, {})


class _Merger:
    def __init__(self, graph: Graph, program: Program | None) -> None:
        self.effects = Effects(program)
        self.aliases = AliasAnalysis(graph)
        self._reading: dict[Effect, bool] = {}

    def block(self, block: Block, available: Available) -> bool:
        changed = False
        for node in block.nodes:
            effects = self.effects.of(node)
            if node.kind in ("prim::Loop", "prim::Try"):
                # what a former iteration, or the body before the handler, has written
                self.invalidate(node, effects, available)
            for inner in node.blocks:
                changed |= self.block(inner, dict(available))
            if effects & (Effect.WRITES | Effect.IO):
                self.invalidate(node, effects, available)
            elif not node.blocks and node.outputs:
                changed |= self.merge(node, effects, available)
        return changed

    def merge(self, node: Node, effects: Effect, available: Available) -> bool:
        key = _key(node)
        first = available.setdefault(key, node)
        if first is node:
            return False
        if _makes_new(node, effects):
            outputs = [*first.outputs, *node.outputs]
            if not all(is_only_read(v) for v in outputs if holds_memory(v.type)):
                available[key] = node
                return False
        node.replace_with(*first.outputs)
        return True

    def invalidate(self, node: Node, effects: Effect, available: Available) -> None:
        """Forget what depends on memory or state that ``node`` may write."""
        state = self.changes_state(node, effects)
        is_written = self.aliases.written_by(node)
        for key, known in list(available.items()):
            if self.reads(known) and (state or any(map(is_written, known.inputs))):
                del available[key]

    def reads(self, node: Node) -> bool:
        """Whether what the node computes depends on memory or state."""
        effects = self.effects.of(node)
        found = self._reading.get(effects)
        if found is None:
            found = self._reading[effects] = bool(effects & Effect.READS)
        return found

    def changes_state(self, node: Node, effects: Effect) -> bool:
        if writes_thread_state(node, effects):
            return True
        return any(
            self.changes_state(inner, self.effects.of(inner))
            for block in node.blocks
            for inner in block.nodes
        )


def _makes_new(node: Node, effects: Effect) -> bool:
    """Whether two executions give distinct objects."""
    return bool(effects & Effect.ALLOCATES) or node.kind.startswith(("aten::", "tensor::"))


def _key(node: Node) -> Hashable:
    attributes = [(name, _attribute_key(v)) for name, v in sorted(node.attributes.items())]
    types = [str(o.type) for o in node.outputs]
    return (node.kind, *map(id, node.inputs), tuple(attributes), tuple(types))


def _attribute_key(value: Any) -> Hashable:
    if isinstance(value, tuple):
        return (type(value), tuple(map(_attribute_key, value)))
    if value is None or isinstance(value, (bool, int, float, complex, str, Type)):
        return type(value), repr(value)  # repr keeps -0.0 and 0.0 apart
    return id(value)
