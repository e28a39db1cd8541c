"""Make room at once for what a loop appends.

Before::

    graph(%n: int, %c: bool, %a: List[int]):
      prim::Loop(%n, %c)
        block0(%i: int):
          list::append(%a, %i)
          -> (%c)
      return (%a)

After::

    graph(%n: int, %c: bool, %a: List[int]):
      list::reserve(%a, %n)
      prim::Loop(%n, %c)
        block0(%i: int):
          list::append(%a, %i)
          -> (%c)
      return (%a)

It is a hint: a bounded number of elements, no error when there is no memory.
"""

from __future__ import annotations

from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Block, Graph, Node, Program, Value, ancestors
from scriptmode.ops.aten import schema_of

ENDLESS = 2**62  # trips of loops that their condition ends


def reserve_lists(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for loop in list(graph.find_all("prim::Loop")):
        trips = loop.inputs[0]
        if trips.is_constant and not 8 <= trips.constant < ENDLESS:
            continue
        for target in _appended(loop):
            _reserve(loop, target)
            changed = True
    return changed


def _appended(loop: Node) -> list[Value]:
    """Lists from outside that each iteration appends one element to."""
    appends = [n.inputs[0] for n in loop.blocks[0].nodes if n.kind == "list::append"]
    return [
        v
        for v in dict.fromkeys(appends)
        if not any(block.owner is loop for block in ancestors(v.block))
    ]


def _reserve(loop: Node, target: Value) -> None:
    build = Builder(Block(None), schema_of)
    build.span, build.scope = loop.span, loop.scope
    node = build.op_node("list::reserve", [target, loop.inputs[0]])
    node.detach()
    node.insert_before(loop)
