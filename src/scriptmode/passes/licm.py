"""Move what every iteration computes alike out of the loop.

Before::

    graph f(%n: int, %c: bool, %x: int, %y: int):
      %r: int = prim::Loop(%n, %c, %x)
        block0(%i: int, %h: int):
          %a: int = int::mul(%x, %y)
          %b: int = int::add(%h, %a)
          -> (%c, %b)
      return (%r)

After::

    graph f(%n: int, %c: bool, %x: int, %y: int):
      %zero: int = prim::Constant[value=0]()
      %some: bool = int::gt(%n, %zero)
      %runs: bool = bool::and(%some, %c)
      %s: int = prim::If(%runs)
        block0():
          %a: int = int::mul(%x, %y)
          %r: int = prim::Loop(%n, %c, %x)
            block0(%i: int, %h: int):
              %b: int = int::add(%h, %a)
              -> (%c, %b)
          -> (%r)
        block1():
          -> (%x)
      return (%s)

A node moves when its inputs come from outside of the loop, nothing in the loop writes what it
reads, and nothing can tell its result from one made anew in each iteration.  A node that may raise
moves only from the beginning of the body, where nothing observable happens before it, and under a
guard that the loop runs.  Nodes of nested blocks stay where they are, except those of inner loops,
which are taken first.
"""

from __future__ import annotations

from scriptmode.analysis.alias import AliasAnalysis, holds_memory, is_only_read
from scriptmode.analysis.effects import Effects, leaves, writes_thread_state
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Program, Value, ancestors
from scriptmode.ops.aten import schema_of
from scriptmode.ops.table import Effect


def hoist_loop_invariants(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    return _Hoister(graph, program).block(graph.block)


class _Hoister:
    def __init__(self, graph: Graph, program: Program | None) -> None:
        self.effects = Effects(program)
        self.aliases = AliasAnalysis(graph)

    def block(self, block: Block) -> bool:
        changed = False
        for node in block.nodes:
            for inner in node.blocks:
                changed |= self.block(inner)
            if node.kind == "prim::Loop":
                changed |= self.loop(node)
        return changed

    def loop(self, loop: Node) -> bool:
        """Move what can be moved; whether there was any."""
        state_changes = self.changes_state(loop)
        moved: list[Node] = []
        available: set[Value] = set()  # results of moved nodes
        observable = False  # whether something observable precedes the current node
        for node in loop.blocks[0].nodes:
            effects = self.effects.of(node)
            if (
                not (effects & Effect.RAISES and observable)
                and all(v in available or not _is_inside(v, loop) for v in node.inputs)
                and not (effects & Effect.READS and state_changes)
                and self.may_move(node, effects, loop)
            ):
                moved.append(node)
                available.update(node.outputs)
            else:
                lasting = Effect.RAISES | Effect.WRITES | Effect.IO
                observable = observable or bool(effects & lasting) or leaves(node)
        if not moved:
            return False
        may_raise = any(self.effects.of(n) & Effect.RAISES for n in moved)
        target = _guard(loop) if may_raise and not _surely_runs(loop) else loop
        for node in moved:
            node.detach()
            node.insert_before(target)
        return True

    def may_move(self, node: Node, effects: Effect, loop: Node) -> bool:
        """Whether one execution before the loop does for all."""
        # what has no outputs is there for its effect: it raises
        if node.blocks or not node.outputs or effects & (Effect.WRITES | Effect.IO):
            return False
        if effects & Effect.READS and any(self.aliases.may_write(loop, v) for v in node.inputs):
            return False
        if effects & Effect.ALLOCATES or node.kind.startswith(("aten::", "tensor::")):
            return all(is_only_read(v) for v in node.outputs if holds_memory(v.type))
        return True

    def changes_state(self, node: Node) -> bool:
        """Whether a nested node may change the grad mode or the like."""
        return any(
            writes_thread_state(inner, self.effects.of(inner)) or self.changes_state(inner)
            for block in node.blocks
            for inner in block.nodes
        )


def _is_inside(value: Value, loop: Node) -> bool:
    return any(block.owner is loop for block in ancestors(value.block))


def _surely_runs(loop: Node) -> bool:
    trips, condition = loop.inputs[:2]
    return bool(
        trips.is_constant and trips.constant > 0 and condition.is_constant and condition.constant
    )


def _guard(loop: Node) -> Node:
    """Put ``loop`` under an If that it runs at all; return it."""
    scratch = Block(None)
    build = Builder(scratch, schema_of)
    build.span, build.scope = loop.span, loop.scope
    trips, condition, *initial = loop.inputs
    some = build.op("int::gt", trips, build.constant(0))
    branch = build.if_node(build.op("bool::and", some, condition))
    for node in list(scratch.nodes):
        node.detach()
        node.insert_before(loop)
    for output in loop.outputs:
        output.replace_all_uses_with(branch.add_output(output.type, output.name))
    loop.detach()
    branch.blocks[0].append(loop)
    branch.blocks[0].terminate(YIELD, loop.outputs, loop.span)
    branch.blocks[1].terminate(YIELD, initial, loop.span)
    return loop
