"""Keep cotangents in a list instead of in cells.

What a container of tensors holds stands beside a cell for its cotangent (see ``autodiff.dual``).
Where a loop makes a cell in each iteration, one loop sets all cells, and another one empties them::

    prim::Loop(%n, %true)
      block0(%i: int):
        %c: Cell[Optional[Tensor]] = prim::CellConstruct(%none)
        list::append(%cells, %c)
        list::append(%tape, %c)
    ...
    prim::Loop(%m, %true)
      block0(%j: int):
        %d: Cell[Optional[Tensor]] = list::getitem(%cells, %j)
        %a: Optional[Tensor] = prim::CellRead(%d)          (is None)
        prim::CellSet(%d, %v)
    ...
        %e: Cell[Optional[Tensor]] = list::getitem(%tape, %k)
        %b: Optional[Tensor] = prim::CellRead(%e)
        prim::CellSet(%e, %none)

the second one appends to a list, which the third one reads.
"""

from __future__ import annotations

from scriptmode.analysis.local_lists import known_length
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of
from scriptmode.passes.fuse_lists import APPEND, GET, LEN, _is_behind, _is_in_front, _is_plain

READ, SET = "prim::CellRead", "prim::CellSet"


def fuse_cells(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for node in graph.find_all("prim::CellConstruct"):
        if node.block is not None:
            changed |= _fuse(node)
    return changed


def _fuse(cell: Node) -> bool:
    appends = [u.node for u in cell.output.uses if u.node.kind == APPEND and u.index == 1]
    if len(appends) != len(cell.output.uses) or not appends:
        return False
    if not cell.inputs or not cell.inputs[0].is_constant or cell.inputs[0].constant is not None:
        return False
    lists = [a.inputs[0] for a in appends]
    if any(a.block is not cell.block for a in appends) or len(set(lists)) != len(lists):
        return False
    if not all(_is_kept(value) for value in lists):
        return False
    reads = [u.node for value in lists for u in value.uses if u.node.kind == GET]
    uses = [u for read in reads for u in read.output.uses]
    if not all(u.node.kind in (READ, SET) and u.index == 0 for u in uses):
        return False
    setting = [u.node for u in uses if u.node.kind == SET and not _is_none(u.node.inputs[1])]
    if len(setting) != 1:
        return False
    (update,) = setting
    filled = update.inputs[0].node
    assert filled is not None and update.block is not None
    loop = update.block.owner
    if loop is None or not _is_plain(loop) or filled.block is not update.block:
        return False
    if filled.inputs[1] is not loop.blocks[0].params[0]:
        return False
    if not _is_length(loop.inputs[0], lists):
        return False
    early = [u.node for u in filled.output.uses if u.node.kind == READ]
    if not all(_is_in_front(node, update) for node in early):
        return False
    if any(u.node.kind == SET and u.node is not update for u in filled.output.uses):
        return False
    later = [read for read in reads if read is not filled]
    if not all(_is_behind(read, loop) and _is_taken(read) for read in later):
        return False
    _change(cell, lists, loop, filled, update, later)
    return True


def _is_length(count: Value, lists: list[Value]) -> bool:
    """Whether a number is the length of the lists."""
    if count.is_constant:
        return any(known_length(value) == count.constant for value in lists)
    return count.node is not None and count.node.kind == LEN and count.node.inputs[0] in lists


def _is_none(value: Value) -> bool:
    return value.is_constant and value.constant is None


def _is_kept(value: Value) -> bool:
    """Whether a list begins empty and is appended to by one node only."""
    made = value.node
    if made is None or made.kind != "prim::ListConstruct" or made.inputs:
        return False
    kinds = [u.node.kind for u in value.uses]
    known = (APPEND, GET, LEN, "list::reserve")
    return kinds.count(APPEND) == 1 and all(k in known for k in kinds)


def _is_taken(read: Node) -> bool:
    """Whether what a cell holds is read once, and then the cell is emptied."""
    kinds = [u.node.kind for u in read.output.uses]
    if sorted(kinds) != [READ, SET]:
        return False
    nodes = {u.node.kind: u.node for u in read.output.uses}
    reading, emptying = nodes[READ], nodes[SET]
    same = reading.block is emptying.block is read.block
    return same and _is_none(emptying.inputs[1]) and _is_in_front(reading, emptying)


def _change(
    cell: Node, lists: list[Value], loop: Node, filled: Node, update: Node, later: list[Node]
) -> None:
    element = T.optional_of(T.TENSOR)
    made = Node(
        "prim::ListConstruct", (), [T.ListType([element])], attributes={"tape": True},
        span=loop.span,
    )  # fmt: skip
    made.insert_before(loop)
    append = Node(
        APPEND, [made.output, update.inputs[1]], schema=schema_of(APPEND), span=update.span
    )
    append.insert_before(update)
    update.erase()
    for use in list(filled.output.uses):
        nothing = Node(
            "prim::Constant", (), [element], attributes={"value": None}, span=use.node.span
        )
        nothing.insert_before(use.node)
        use.node.replace_with(nothing.output)
    filled.erase()
    for read in later:
        nodes = {u.node.kind: u.node for u in read.output.uses}
        item = Node(
            GET, [made.output, read.inputs[1]], [element], schema=schema_of(GET), span=read.span
        )
        item.insert_before(read)
        nodes[SET].erase()
        nodes[READ].replace_with(item.output)
        read.erase()
