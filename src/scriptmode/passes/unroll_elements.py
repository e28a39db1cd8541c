"""Write loops out that read elements of lists whose elements are known.

Before::

    graph f(%x: Tensor, %y: Tensor) -> None:
      %true: bool = prim::Constant[value=True]()
      %two: int = prim::Constant[value=2]()
      %l: List[Tensor] = prim::ListConstruct(%x, %y)
      prim::Loop(%two, %true)
        block0(%i: int):
          %a: Tensor = list::getitem(%l, %i)
          %b: Tensor = aten::relu_(%a)
          -> (%true)
      %none: None = prim::Constant[value=None]()
      return (%none)

After::

    graph f(%x: Tensor, %y: Tensor) -> None:
      %true: bool = prim::Constant[value=True]()
      %two: int = prim::Constant[value=2]()
      %l: List[Tensor] = prim::ListConstruct(%x, %y)
      %i: int = prim::Constant[value=0]()
      %a: Tensor = list::getitem(%l, %i)
      %b: Tensor = aten::relu_(%a)
      %i.1: int = prim::Constant[value=1]()
      %a.1: Tensor = list::getitem(%l, %i.1)
      %b.1: Tensor = aten::relu_(%a.1)
      %none: None = prim::Constant[value=None]()
      return (%none)

How often a loop runs must follow from constants, and it must not be left before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scriptmode.analysis.shapes import is_only_read
from scriptmode.analysis.terminators import ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.graph import YIELD, Block, Graph, Node, Program, Value, ancestors, copy_node
from scriptmode.ops import table
from scriptmode.ops.table import Effect

MOST_TRIPS = 512
MOST_MADE = 8000  # nodes, of one loop


class _Unknown(Exception):
    """A value does not follow from constants."""


def unroll_elements(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    changed = False
    while True:
        loop = next(filter(_is_written_out, graph.find_all("prim::Loop")), None)
        if loop is None:
            return changed
        trips = _trips(loop)
        assert trips is not None
        _write_out(loop, trips)
        changed = True


def _is_written_out(loop: Node) -> bool:
    if not _reads_elements(loop):
        return False
    trips = _trips(loop)
    return trips is not None and trips * _size(loop.blocks[0]) <= MOST_MADE


def _size(block: Block) -> int:
    return sum(1 + sum(map(_size, node.blocks)) for node in block.nodes)


def _reads_elements(loop: Node) -> bool:
    """Whether a loop reads elements of a list that is made outside, at places that vary."""
    pending = [loop.blocks[0]]
    while pending:
        for node in pending.pop().nodes:
            pending += node.blocks
            if node.kind != "list::getitem" or node.inputs[1].is_constant:
                continue
            made = node.inputs[0].node
            if made is None or made.kind != "prim::ListConstruct":
                continue
            if T.unwrap_optional(node.output.type) != T.TENSOR:
                continue
            is_outside = not any(block.owner is loop for block in ancestors(made.block))
            if is_outside and is_only_read(made.output):
                return True
    return False


def _trips(loop: Node) -> int | None:
    """How often a loop runs; None where that is not known, or too often."""
    body = loop.blocks[0]
    if [*ends_of_loop(loop)] != [body.terminator] or body.terminator.kind != YIELD:
        return None
    carried = body.params[1:]
    values: dict[Value, Any] = {}
    try:
        limit, goes_on = _value(loop.inputs[0], values), _value(loop.inputs[1], values)
        sources, trips = loop.inputs[2:], 0
        while goes_on and trips < limit:
            if trips == MOST_TRIPS:
                return None
            following = {p: _known(v, values) for p, v in zip(carried, sources, strict=True)}
            values = {p: v for p, v in following.items() if v is not None}
            values[body.params[0]] = trips
            goes_on = _value(body.terminator.inputs[0], values)
            sources, trips = body.terminator.inputs[1:], trips + 1
    except _Unknown:
        return None
    return trips


def _known(value: Value, values: Mapping[Value, Any]) -> Any:
    try:
        return _value(value, values)
    except _Unknown:
        return None


def _value(value: Value, values: Mapping[Value, Any]) -> Any:
    """What a number is, given some values."""
    if value in values:
        return values[value]
    if value.type not in (T.INT, T.BOOL):
        raise _Unknown
    if value.is_constant:
        return value.constant
    node = value.node
    definition = table.find(node.kind) if node is not None else None
    if node is None or definition is None or definition.effects & ~Effect.RAISES:
        raise _Unknown
    try:
        return definition.meaning(*(_value(v, values) for v in node.inputs))
    except definition.raises as error:
        raise _Unknown from error


def _write_out(loop: Node, trips: int) -> None:
    body = loop.blocks[0]
    current = loop.inputs[2:]
    for trip in range(trips):
        index = Node(
            "prim::Constant", (), [T.INT], attributes={"value": trip}, span=loop.span,
            scope=loop.scope,
        )  # fmt: skip
        index.output.name = body.params[0].name
        index.insert_before(loop)
        mapping: dict[Value, Value] = dict(zip(body.params, [index.output, *current], strict=True))
        for node in body.nodes:
            copy_node(node, mapping).insert_before(loop)
        current = [mapping.get(v, v) for v in body.terminator.inputs[1:]]
    for output, value in zip(loop.outputs, current, strict=True):
        output.replace_all_uses_with(value)
    loop.erase()
