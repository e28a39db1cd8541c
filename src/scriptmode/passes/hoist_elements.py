"""Read elements that a loop does not change once, before the loop.

Before::

    graph(%rows: List[List[int]], %i: int, %n: int, %c: bool):
      prim::Loop(%n, %c)
        block0(%j: int):
          %row: List[int] = list::getitem(%rows, %i)
          list::setitem(%row, %j, %n)
          -> (%c)
      return (%n)

After::

    graph(%rows: List[List[int]], %i: int, %n: int, %c: bool):
      %ok: bool = list::has_index(%rows, %i)
      %peek: List[int] = list::peek(%rows, %i)
      prim::Loop(%n, %c)
        block0(%j: int):
          list::check_index(%ok)
          list::setitem(%peek, %j, %n)
          -> (%c)
      return (%n)

``peek`` reads nothing when the index is outside; the IndexError stays where it was.  The list must
not be written in the loop, by any name: lists of other types are other lists.
"""

from __future__ import annotations

from scriptmode.analysis.borrowing import is_opaque, may_be_same, with_nested, written_by
from scriptmode.analysis.ownership import is_counted
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Block, Graph, Node, Program, Value, ancestors
from scriptmode.ops.aten import schema_of


def hoist_elements(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    return _block(graph.block)


def _block(block: Block) -> bool:
    changed = False
    for node in list(block.nodes):
        for inner in node.blocks:
            changed |= _block(inner)
        if node.kind == "prim::Loop":
            changed |= _loop(node)
    return changed


def _loop(loop: Node) -> bool:
    nodes = [n for n in with_nested(loop) if n is not loop]
    reads = [n for n in nodes if _is_invariant_read(n, loop)]
    if not reads or any(map(is_opaque, nodes)):
        return False
    written = [v.type for n in nodes for v in written_by(n)]
    build = Builder(Block(None), schema_of)
    for node in reads:
        source = node.inputs[0]
        if not any(may_be_same(t, source.type) for t in written):
            _hoist(node, build)
    moved = list(build.block.nodes)
    for made in moved:
        made.detach()
        made.insert_before(loop)
    return bool(moved)


def _is_invariant_read(node: Node, loop: Node) -> bool:
    if node.kind != "list::getitem" or any(_is_inside(v, loop) for v in node.inputs):
        return False
    t = node.output.type
    return isinstance(t, T.ListType) or t == T.STR or not is_counted(t)


def _is_inside(value: Value, loop: Node) -> bool:
    return any(block.owner is loop for block in ancestors(value.block))


def _hoist(node: Node, build: Builder) -> None:
    build.span, build.scope = node.span, node.scope
    inside = build.op("list::has_index", *node.inputs)
    element = build.op("list::peek", *node.inputs)
    check = Builder(Block(None), schema_of)
    check.span, check.scope = node.span, node.scope
    made = check.op_node("list::check_index", [inside])
    made.detach()
    made.insert_before(node)
    node.replace_with(element)
