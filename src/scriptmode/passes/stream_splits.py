"""Split a text piece by piece, where a loop takes each piece once and nothing needs the list.

Before::

    graph(%text: str, %sep: str, %least: int, %c: bool):
      %all: int = prim::Constant[value=-1]()
      %pieces: List[str] = str::split(%text, %sep, %all)
      %n: int = list::len(%pieces)
      prim::Loop(%n, %c)
        block0(%i: int):
          %piece: str = list::getitem(%pieces, %i)
          %length: int = str::len(%piece)
          %more: bool = int::gt(%length, %least)
          -> (%more)
      return (%n)

After::

    graph(%text: str, %sep: str, %least: int, %c: bool):
      %all: int = prim::Constant[value=-1]()
      %n: int = str::count_pieces(%text, %sep)
      %start: int = prim::Constant[value=0]()
      %none: str = prim::Constant[value=""]()
      %at: int, %last: str = prim::Loop(%n, %c, %start, %none)
        block0(%i: int, %from: int, %old: str):
          %inside: bool = int::lt(%i, %n)
          list::check_index(%inside)
          %piece: str, %next: int = str::next_piece(%old, %text, %sep, %from)
          %length: int = str::len(%piece)
          %more: bool = int::gt(%length, %least)
          -> (%more, %next, %piece)
      return (%n)

The loop carries the piece, so that the next one can be made in its memory.
"""

from __future__ import annotations

from collections.abc import Iterable

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    YIELD,
    Block,
    Graph,
    Node,
    Program,
    innermost_loop,
)
from scriptmode.ops.aten import schema_of


def stream_splits(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for split in list(graph.find_all("str::split")):
        read = _only_read(split)
        if read is not None:
            _stream(split, read)
            changed = True
    return changed


def _only_read(split: Node) -> Node | None:
    """The node that takes the pieces one by one; None when the list is needed otherwise."""
    limit = split.inputs[2]
    if not limit.is_constant or limit.constant >= 0:
        return None
    users = [use.node for use in split.output.uses]
    reads = [node for node in users if node.kind == "list::getitem"]
    if len(reads) != 1 or any(n.kind != "list::len" for n in users if n is not reads[0]):
        return None
    (read,) = reads
    assert read.block is not None
    loop = read.block.owner
    if loop is None or loop.kind != "prim::Loop" or loop.block is not split.block:
        return None
    is_counter = read.inputs[1] is read.block.params[0]
    return read if is_counter and _runs_always(read) else None


def _runs_always(node: Node) -> bool:
    """Whether each iteration gets to a node of a Loop's own block."""
    before = node.previous
    while before is not None:
        if before.blocks:
            return False
        before = before.previous
    return True


def _stream(split: Node, read: Node) -> None:
    text, sep, _ = split.inputs
    assert read.block is not None and read.block.owner is not None
    body, loop = read.block, read.block.owner
    build = _builder(split)
    count = build.op("str::count_pieces", text, sep)
    _insert(build, split)
    build = _builder(loop)
    loop.add_input(build.constant(0))
    loop.add_input(build.constant(""))
    _insert(build, loop)
    loop.add_output(T.INT)
    loop.add_output(T.STR)
    at, old = body.add_param(T.INT), body.add_param(T.STR)
    build = _builder(read)
    build.op_node("list::check_index", [build.op("int::lt", body.params[0], count)])
    piece, following = build.op_node("str::next_piece", [old, text, sep, at]).outputs
    _insert(build, read)
    for end in _ends(loop):
        end.add_input(following)
        end.add_input(piece)
    read.replace_with(piece)
    for use in split.output.uses:
        use.node.replace_with(count)
    split.erase()


def _ends(loop: Node) -> Iterable[Node]:
    """The terminators that pass the carried values of a Loop on."""
    body = loop.blocks[0]
    if body.terminator.kind in (YIELD, BREAK, CONTINUE):
        yield body.terminator
    for node in _nested_terminators(body):
        assert node.block is not None
        if node.kind in (BREAK, CONTINUE) and innermost_loop(node.block) is loop:
            yield node


def _nested_terminators(block: Block) -> Iterable[Node]:
    for node in block.nodes:
        for inner in node.blocks:
            yield inner.terminator
            yield from _nested_terminators(inner)


def _builder(node: Node) -> Builder:
    build = Builder(Block(None), schema_of)
    build.span, build.scope = node.span, node.scope
    return build


def _insert(build: Builder, anchor: Node) -> None:
    """Put what was built before ``anchor``."""
    for made in list(build.block.nodes):
        made.detach()
        made.insert_before(anchor)
