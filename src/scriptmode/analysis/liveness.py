"""Liveness of owned values over structured control flow.

A value is live at a point when some path from there uses it, directly or through a derived value.
In a Loop body a value from outside is live throughout when the body uses it anywhere or when it is
live after the Loop, because the body may run again.  Likewise what a Try uses, or what is live
after it, is live throughout both its blocks: wherever the body raises, the handler finds it.
"""

from __future__ import annotations

from collections.abc import Iterable

from scriptmode.analysis.ownership import Ownership
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    UNREACHABLE,
    Block,
    Graph,
    Node,
    Value,
    labelled_try,
)


class Liveness:
    """Live owned values of a graph.

    ``live_in[block]`` are live at the block's entry, ``live_after[node]`` after a node with blocks,
    ``live_inside[node]`` throughout a Loop or Try, and ``deaths[node]`` are the values that
    ``node`` uses or defines and that nothing uses afterwards, in order of use.  ``used_params``
    are the owned block params that their block uses.
    """

    def __init__(self, graph: Graph, ownership: Ownership) -> None:
        self.ownership = ownership
        self.live_in: dict[Block, frozenset[Value]] = {}
        self.live_after: dict[Node, frozenset[Value]] = {}
        self.live_inside: dict[Node, frozenset[Value]] = {}
        self.deaths: dict[Node, list[Value]] = {}
        self.used_params: set[Value] = set()
        self._free: dict[Block, frozenset[Value]] = {}
        self._order: dict[Value, int] = {}
        self._number(graph.block)
        self._visit(graph.block, frozenset(), None)

    def _number(self, block: Block) -> None:
        """Give values a number, so that no order depends on addresses."""
        for value in block.params:
            self._order[value] = len(self._order)
        for node in block.nodes:
            for inner in node.blocks:
                self._number(inner)
            for value in node.outputs:
                self._order[value] = len(self._order)

    def _sorted(self, values: Iterable[Value]) -> list[Value]:
        return sorted(values, key=self._order.__getitem__)

    def used_by(self, node: Node) -> dict[Value, None]:
        """Owned values that the inputs of ``node`` rely on, in order."""
        found: dict[Value, None] = {}
        for value in node.inputs:
            found.update(dict.fromkeys(self._sorted(self.ownership.bases(value))))
        return found

    def free_values(self, block: Block) -> frozenset[Value]:
        """Owned values from outside that ``block`` or a block inside it uses."""
        found = self._free.get(block)
        if found is None:
            used: set[Value] = set()
            defined: set[Value] = set(block.params)
            node = block.first
            while node is not None:
                used.update(self.used_by(node))
                for inner in node.blocks:
                    used |= self.free_values(inner)
                defined.update(node.outputs)
                node = node.next
            found = self._free[block] = frozenset(used - defined)
        return found

    def _visit(self, block: Block, after: frozenset[Value], loop: Node | None) -> frozenset[Value]:
        """Live values at the entry of ``block``; ``after`` are live where its Yield leads."""
        live = set(self._live_at_exit(block.terminator, after, loop))
        live.update(self.used_by(block.terminator))
        for node in block.reversed_nodes:
            self._visit_node(node, live, loop)
        self.used_params.update(p for p in block.params if p in live)
        live.difference_update(block.params)
        found = self.live_in[block] = frozenset(live)
        return found

    def _live_at_exit(
        self, end: Node, after: frozenset[Value], loop: Node | None
    ) -> frozenset[Value]:
        if end.kind in (RETURN, UNREACHABLE):
            return frozenset()
        if end.kind == BREAK:
            assert loop is not None
            return self.live_after[loop]
        if end.kind == CONTINUE:
            assert loop is not None
            return self.live_inside[loop]
        if end.kind == LEAVE:
            assert end.block is not None
            target = labelled_try(end.block)
            assert target is not None
            return self.live_inside[target]
        return after

    def _visit_node(self, node: Node, live: set[Value], loop: Node | None) -> None:
        mentioned = self.used_by(node)
        before: set[Value] | None = None
        if node.blocks:
            after = self.live_after[node] = frozenset(live)
            if node.kind in ("prim::Loop", "prim::Try"):
                inside = after.union(*map(self.free_values, node.blocks))
                self.live_inside[node] = inside.difference(node.outputs)
                around = node if node.kind == "prim::Loop" else loop
                for inner in node.blocks:
                    self._visit(inner, self.live_inside[node], around)
                before = set(self.live_inside[node])
            else:
                before = set()
                for inner in node.blocks:
                    before |= self._visit(inner, after, loop)
            mentioned.update(dict.fromkeys(self._sorted(before)))
        mentioned.update(dict.fromkeys(o for o in node.outputs if self.ownership.is_owned(o)))
        self.deaths[node] = [v for v in mentioned if v not in live]
        live.update(self.used_by(node), before or ())
        live.difference_update(node.outputs)
