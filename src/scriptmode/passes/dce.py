"""Remove what is computed for nothing: nodes without uses and effects, dead carried values.

Before::

    graph f(%x: int, %n: int):
      %true: bool = prim::Constant[value=True]()
      %y: bool = int::lt(%x, %n)
      %a: int, %b: int = prim::Loop(%n, %true, %x, %x)
        block0(%i: int, %c: int, %d: int):
          %e: int = int::xor(%c, %i)
          %g: int = int::or(%d, %i)
          -> (%true, %e, %g)
      return (%a)

After::

    graph f(%x: int, %n: int):
      %true: bool = prim::Constant[value=True]()
      %a: int = prim::Loop(%n, %true, %x)
        block0(%i: int, %c: int):
          %e: int = int::xor(%c, %i)
          -> (%true, %e)
      return (%a)

A node that may raise stays, as the error is a result of the program; so almost every tensor op
stays.  A loop that is not known to end stays too.  What is written into a cell that is never read
goes.
"""

from __future__ import annotations

from scriptmode.analysis.effects import Effects
from scriptmode.analysis.ownership import is_local_cell
from scriptmode.analysis.terminators import (
    carried_offset,
    ends_of_branches,
    ends_of_loop,
    remove_input,
)
from scriptmode.ir.graph import RETURN, Block, Graph, Node, Program, Value


def eliminate_dead_code(graph: Graph, program: Program | None = None) -> bool:
    """Return whether the graph changed."""
    live = _Liveness(graph, program)
    return _Sweeper(live).sweep(graph)


class _Liveness:
    """The nodes and values that reach an effect or a result of the function."""

    def __init__(self, graph: Graph, program: Program | None) -> None:
        self.effects = Effects(program)
        self.nodes: set[Node] = set()
        self.values: set[Value] = set()
        self._pending: list[Value] = []
        self._roots(graph.block)
        self._pending += graph.block.terminator.inputs
        while self._pending:
            self._value(self._pending.pop())

    def _roots(self, block: Block) -> None:
        for node in block.nodes:
            if not self.effects.is_removable(node) and not _sets_local_cell(node):
                self._node(node)
        if block.terminator.kind == RETURN:
            self._pending += block.terminator.inputs

    def _node(self, node: Node) -> None:
        if node in self.nodes:
            return
        self.nodes.add(node)
        if node.kind == "prim::Loop":
            self._pending += node.inputs[:2]
            for end in ends_of_loop(node):
                self._pending += end.inputs[: carried_offset(end)]
        else:
            self._pending += node.inputs
        for block in node.blocks:
            self._roots(block)

    def _value(self, value: Value) -> None:
        if value in self.values:
            return
        self.values.add(value)
        definition = value.definition
        if isinstance(definition, Block):
            loop = definition.owner
            if loop is None or loop.kind != "prim::Loop":
                return  # a parameter, or the exception of a handler
            if index := definition.params.index(value):
                self._carried(loop, index - 1)
            return
        self._node(definition)
        if definition.kind == "prim::CellConstruct":
            for use in value.uses:
                if use.node.kind != "prim::TupleConstruct":  # which writes nothing into the cell
                    self._node(use.node)  # what is written into a cell that is read
        index = definition.outputs.index(value)
        if definition.kind in ("prim::If", "prim::Try"):
            self._pending += [end.inputs[index] for end in ends_of_branches(definition)]
        elif definition.kind == "prim::Loop":
            self._carried(definition, index)

    def _carried(self, loop: Node, index: int) -> None:
        self._pending.append(loop.inputs[index + 2])
        for end in ends_of_loop(loop):
            self._pending.append(end.inputs[index + carried_offset(end)])

    def dead_slots(self, node: Node) -> list[int]:
        """Indices of the outputs of an If, Loop or Try which nothing needs, last first."""
        if node.kind != "prim::Loop":
            return [i for i, o in enumerate(node.outputs) if o not in self.values][::-1]
        params: list[Value] = node.blocks[0].params[1:]
        dead = []
        for index, output in enumerate(node.outputs):
            if not {output, params[index]} & self.values:
                dead.append(index)
        return dead[::-1]


def _sets_local_cell(node: Node) -> bool:
    return node.kind == "prim::CellSet" and is_local_cell(node.inputs[0])


class _Sweeper:
    def __init__(self, live: _Liveness) -> None:
        self.live = live

    def sweep(self, graph: Graph) -> bool:
        """Erase what is not live; whether there was any."""
        nodes = [n for n in graph.walk() if not n.is_terminator]
        dead = [n for n in nodes if n not in self.live.nodes]
        slots = [
            (node, index)
            for node in nodes
            if node in self.live.nodes and node.blocks
            for index in self.live.dead_slots(node)
        ]
        for node, index in slots:
            _cut_slot(node, index)
        inside = set(dead)
        for node in reversed(dead):
            # those inside of a dead node go with it
            if node.block is not None and node.block.owner not in inside:
                node.erase()
        for node, index in slots:
            node.remove_output(index)
            if node.kind == "prim::Loop":
                del node.blocks[0].params[index + 1]
        return bool(dead or slots)


def _cut_slot(node: Node, index: int) -> None:
    """Deliver nothing to output ``index`` any more."""
    if node.kind != "prim::Loop":
        for end in ends_of_branches(node):
            remove_input(end, index)
        return
    for end in ends_of_loop(node):
        remove_input(end, index + carried_offset(end))
    remove_input(node, index + 2)
