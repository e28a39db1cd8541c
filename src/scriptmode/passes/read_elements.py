"""Read an element of a tensor without making the views that lead to it.

Before::

    graph(%x: Tensor, %i: int, %j: int):
      %dim: int = prim::Constant[value=0]()
      %row: Tensor = aten::select.int(%x, %dim, %i)
      %cell: Tensor = aten::select.int(%row, %dim, %j)
      %n: number = aten::item(%cell)
      return (%n)

After::

    graph(%x: Tensor, %i: int, %j: int):
      %dim: int = prim::Constant[value=0]()
      %n: number = tensor::element.two(%x, %i, %j)
      return (%n)

Nothing may happen between the views and the reading, and nothing else may see the views.
"""

from __future__ import annotations

from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of

_KINDS = {1: "tensor::element.one", 2: "tensor::element.two"}


def read_elements(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for item in list(graph.find_all("aten::item")):
        selects = _selects(item)
        if selects:
            _replace(item, selects)
            changed = True
    return changed


def _selects(item: Node) -> list[Node]:
    """The views that lead to the element, the last one first."""
    found: list[Node] = []
    user = item
    while len(found) < max(_KINDS):
        view = user.inputs[0]
        node = view.node
        if node is None or node.kind != "aten::select.int" or not _is_zero(node.inputs[1]):
            break
        if len(view.uses) != 1 or _following(node) is not user:
            break
        found.append(node)
        user = node
    return found


def _is_zero(dim: Value) -> bool:
    return dim.is_constant and dim.constant == 0


def _following(node: Node) -> Node | None:
    """The next node that is not a constant."""
    following = node.next
    while following is not None and following.kind == "prim::Constant":
        following = following.next
    return following


def _replace(item: Node, selects: list[Node]) -> None:
    build = Builder(Block(None), schema_of)
    build.span, build.scope = item.span, item.scope
    source = selects[-1].inputs[0]
    indices = [node.inputs[2] for node in reversed(selects)]
    made = build.op_node(_KINDS[len(selects)], [source, *indices])
    made.detach()
    made.insert_before(item)
    item.replace_with(made.output)
    for node in selects:
        node.erase()
