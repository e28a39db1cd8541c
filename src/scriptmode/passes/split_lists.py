"""Keep the elements of tuples in lists of their own, where a list of tuples stays in the function.

Before::

    graph f(%n: int, %x: Tensor, %k: int) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %l: List[Tuple[Tensor, int]] = prim::ListConstruct()
      prim::Loop(%n, %true)
        block0(%i: int):
          %t: Tuple[Tensor, int] = prim::TupleConstruct(%x, %i)
          list::append(%l, %t)
          -> (%true)
      %u: Tuple[Tensor, int] = list::getitem(%l, %k)
      %y: Tensor = prim::TupleIndex[index=0](%u)
      return (%y)

After::

    graph f(%n: int, %x: Tensor, %k: int) -> Tensor:
      %true: bool = prim::Constant[value=True]()
      %0: List[Tensor] = prim::ListConstruct()
      %1: List[int] = prim::ListConstruct()
      prim::Loop(%n, %true)
        block0(%i: int):
          %t: Tuple[Tensor, int] = prim::TupleConstruct(%x, %i)
          list::append(%0, %x)
          list::append(%1, %i)
          -> (%true)
      %2: Tensor = list::getitem(%0, %k)
      %3: int = list::getitem(%1, %k)
      return (%2)

Such lists are never handed on by Loops and Ifs, only appended to, read and asked for their length.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import Block, Graph, Node, Program, Value
from scriptmode.ops.aten import schema_of

_USES = frozenset(["list::append", "list::getitem", "list::len", "list::reserve"])


def split_lists(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    for node in graph.find_all("list::extend"):
        changed |= _append_each(node)
    progress = True
    while progress:
        progress = False
        for node in list(graph.find_all("prim::ListConstruct")):
            if node.block is not None and is_own(node) and _holds_tuples(node):
                _split(node)
                progress = changed = True
    return changed


def _append_each(node: Node) -> bool:
    """Append what a list is extended by, where that is listed there."""
    made = node.inputs[1].node
    if made is None or made.kind != "prim::ListConstruct" or len(made.output.uses) != 1:
        return False
    if made.output.type != node.inputs[0].type:
        return False
    builder, block = builder_at(node)
    for value in made.inputs:
        builder.op_node("list::append", [node.inputs[0], value])
    place(block, node)
    node.erase()
    made.erase()
    return True


def is_own(node: Node) -> bool:
    """Whether a list begins empty, and all that is done to it is known."""
    return not node.inputs and all(
        use.node.kind in _USES and use.index == 0 for use in node.output.uses
    )


def _holds_tuples(node: Node) -> bool:
    t = node.output.type
    return isinstance(t, T.ListType) and type(t.element) is T.TupleType and bool(t.element.elements)


def builder_at(node: Node) -> tuple[Builder, Block]:
    """A builder of nodes that ``place`` puts in front of a node."""
    block = Block(None)
    builder = Builder(block, schema_of)
    builder.span, builder.scope = node.span, node.scope
    return builder, block


def place(block: Block, before: Node) -> None:
    """Move what was built in front of a node."""
    for made in list(block.nodes):
        made.detach()
        made.insert_before(before)


def _split(node: Node) -> None:
    t = node.output.type
    assert isinstance(t, T.ListType) and isinstance(t.element, T.TupleType)
    builder, block = builder_at(node)
    parts = [
        builder.node(node.kind, (), [T.ListType([e])], **node.attributes).output
        for e in t.element.elements
    ]
    place(block, node)
    for use in list(node.output.uses):
        user = use.node
        builder, block = builder_at(user)
        if user.kind == "list::append":
            value = user.inputs[1]
            for index, part in enumerate(parts):
                builder.op_node("list::append", [part, _element(builder, value, index)])
            place(block, user)
            user.erase()
        elif user.kind == "list::getitem":
            items = [builder.op("list::getitem", part, user.inputs[1]) for part in parts]
            _replace_reads(user, items, builder, block)
        elif user.kind == "list::len":
            found = builder.op("list::len", parts[0])
            place(block, user)
            user.replace_with(found)
        else:
            for part in parts:
                builder.op_node(user.kind, [part, *user.inputs[1:]])
            place(block, user)
            user.erase()
    node.erase()


def _element(builder: Builder, value: Value, index: int) -> Value:
    made = value.node
    assert isinstance(value.type, T.TupleType)
    if made is not None and made.kind == "prim::TupleConstruct":
        element = made.inputs[index]
        if element.type == value.type.elements[index]:
            return element
        t = value.type.elements[index]
        return builder.node("prim::unchecked_cast", [element], [t]).output
    return builder.tuple_index(value, index)


def _replace_reads(user: Node, items: Sequence[Value], builder: Builder, block: Block) -> None:
    """Let readers of a tuple take its elements, in a new tuple where they want all of it."""
    reads = [u.node for u in user.output.uses if u.node.kind == "prim::TupleIndex"]
    if len(reads) < len(user.output.uses):
        whole = builder.tuple(items, user.output.type)
        place(block, user)
        for read in reads:
            read.replace_with(items[read.attributes["index"]])
        user.replace_with(whole)
        return
    place(block, user)
    for read in reads:
        read.replace_with(items[read.attributes["index"]])
    user.erase()
