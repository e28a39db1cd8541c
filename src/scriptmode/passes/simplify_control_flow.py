"""Take branches that are decided, drop loops that never run.

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
what follows is removed.
"""

from __future__ import annotations

from scriptmode.ir.graph import RETURN, YIELD, Block, Graph, Node, Program


def simplify_control_flow(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    return _simplify(graph.block)


def _simplify(block: Block) -> bool:
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
        if node.kind == "prim::Loop" and _never_runs(node):
            node.replace_with(*node.inputs[2:])
            changed = True
        else:
            for inner in node.blocks:
                changed |= _simplify(inner)
        node = following
    return changed


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
        node.replace_with(*end.inputs)
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
