"""Take branches that are decided, drop loops that never run and handlers that are never needed.

Before::

    graph f(%x: Tensor, %n: int):
      %true: bool = prim::Constant[value=True]()
      %false: bool = prim::Constant[value=False]()
      %y: Tensor = prim::If(%true)
        block0():
          %a: Tensor = aten::relu(%x)
          -> (%a)
        block1():
          return (%x)
      %z: Tensor = prim::Loop(%n, %false, %y)
        block0(%i: int, %h: Tensor):
          %b: Tensor = aten::tanh(%h)
          -> (%true, %b)
      return (%z)

After::

    graph f(%x: Tensor, %n: int):
      %true: bool = prim::Constant[value=True]()
      %false: bool = prim::Constant[value=False]()
      %a: Tensor = aten::relu(%x)
      return (%a)

A taken branch that leaves (by Return, Break, Continue or Unreachable) ends the block around it;
what follows is removed.  A Try stays as soon as its body computes anything but plain values: an
allocation may fail, a loop may be interrupted.
"""

from __future__ import annotations

from scriptmode.analysis.effects import Effects
from scriptmode.analysis.ownership import is_counted
from scriptmode.ir.graph import LEAVE, RETURN, YIELD, Block, Graph, Node, Program
from scriptmode.ops.table import Effect
from scriptmode.passes.narrowing import replace_with


def simplify_control_flow(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    return _simplify(graph.block, Effects(program))


def _simplify(block: Block, effects: Effects) -> bool:
    changed = False
    node = block.first
    while node is not None and not node.is_terminator:
        following = node.next
        if node.kind == "prim::If" and node.inputs[0].is_constant:
            # what the branch brings along is looked at next
            before = node.previous
            splice(node, node.blocks[not node.inputs[0].constant])
            node = before.next if before is not None else block.first
            changed = True
            continue
        if node.kind == "prim::Try" and _cannot_raise(node.blocks[0], effects):
            before = node.previous
            splice(node, node.blocks[0])
            node = before.next if before is not None else block.first
            changed = True
            continue
        if node.kind == "prim::Loop" and _never_runs(node):
            replace_with(node, *node.inputs[2:])
            changed = True
        else:
            for inner in node.blocks:
                changed |= _simplify(inner, effects)
        node = following
    return changed


def _cannot_raise(body: Block, effects: Effects) -> bool:
    """Whether a body only computes plain values, and no Leave in it ends its Try."""
    end = body.terminator.kind
    if end == LEAVE or effects.of_block(body) & (Effect.RAISES | Effect.ALLOCATES | Effect.IO):
        return False
    return all(
        node.kind not in ("prim::Loop", "prim::Try", "prim::Call")
        and not any(is_counted(output.type) for output in node.outputs)
        and all(_cannot_raise(inner, effects) for inner in node.blocks)
        for node in body.nodes
    )


def _never_runs(loop: Node) -> bool:
    trips, condition = loop.inputs[:2]
    if condition.is_constant and not condition.constant:
        return True
    return trips.is_constant and bool(trips.constant <= 0)


def splice(node: Node, branch: Block) -> None:
    """Put the nodes of ``branch`` in place of ``node``, which owns it."""
    assert node.block is not None
    block = node.block
    end = branch.terminator
    for inner in list(branch.nodes):
        inner.detach()
        inner.insert_before(node)
    if end.kind == YIELD:
        replace_with(node, *end.inputs)
        return
    truncate_after(node)
    kind = YIELD if end.kind == RETURN and block.owner is None else end.kind
    inputs, span = end.inputs, end.span
    node.erase()
    block.terminate(kind, inputs, span)


def truncate_after(node: Node) -> None:
    """Erase everything behind ``node`` in its block, terminator included."""
    assert node.block is not None
    block = node.block
    block.terminator.erase()
    last = block.last
    while last is not node:
        assert last is not None
        previous = last.previous
        last.erase()
        last = previous
