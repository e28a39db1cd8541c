"""Lists of tensors that a function keeps to itself.

A *local list* is made by the function, and all that is done to it is known: elements are appended,
set and read, its length is asked for, its elements are stacked.  Values that flow into each other
by Loops and Ifs are one list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from scriptmode.analysis.terminators import carried_offset, ends_of_branches, ends_of_loop
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, CONTINUE, YIELD, Block, Graph, Node, Use, Value

TENSORS = T.ListType([T.TENSOR])
MAKING = "prim::ListConstruct"
STACKING = "aten::stack"
_ASKING = frozenset(
    ["list::len", "list::getitem", "list::append", "list::setitem", "list::reserve"]
)
# the input that becomes an element
_WRITING = {"list::append": 1, "list::setitem": 2}


@dataclass(eq=False)
class LocalList:
    """One list: the values that are it, what is written into it, and the nodes that read it."""

    values: list[Value] = field(default_factory=list)
    written: list[Value] = field(default_factory=list)
    reads: list[Node] = field(default_factory=list)
    stacks: list[Node] = field(default_factory=list)


def local_lists(graph: Graph) -> list[LocalList]:
    """The local lists of tensors of a function."""
    groups = _Groups(graph)
    found = []
    for values in groups.groups():
        made = LocalList(values)
        if all(_add(made, value) for value in values) and made.written:
            found.append(made)
    return found


def known_length(value: Value) -> int | None:
    """How many elements a list has behind the loop that fills it, where constants say that."""
    made = value.node
    if made is None or made.kind != MAKING or made.inputs:
        return None
    appends = [u.node for u in value.uses if u.node.kind == "list::append"]
    if len(appends) != 1 or appends[0].block is None:
        return None
    loop = appends[0].block.owner
    if loop is None or loop.kind != "prim::Loop" or loop.block is not made.block:
        return None
    body = loop.blocks[0]
    if body.terminator.kind != YIELD or any(
        end is not body.terminator for end in ends_of_loop(loop)
    ):
        return None
    trips, *goes_on = [loop.inputs[0], loop.inputs[1], body.returns[0]]
    if not trips.is_constant or not all(v.is_constant and v.constant is True for v in goes_on):
        return None
    return max(0, int(trips.constant))


def is_carrying(use: Use) -> bool:
    """Whether a use hands the value to a Loop or If."""
    node = use.node
    if node.kind == "prim::Loop":
        return use.index >= 2
    if node.kind in (BREAK, CONTINUE):
        return True
    owner = node.block.owner if node.kind == YIELD and node.block is not None else None
    return owner is not None and owner.kind in ("prim::Loop", "prim::If")


def _add(made: LocalList, value: Value) -> bool:
    """Note what is done to one value of a list; whether all of it is known."""
    definition = value.definition
    if isinstance(definition, Block):
        if definition.owner is None or definition.owner.kind != "prim::Loop":
            return False
    elif definition.kind == MAKING:
        made.written += definition.inputs
    elif definition.kind not in ("prim::Loop", "prim::If"):
        return False
    for use in value.uses:
        node = use.node
        if is_carrying(use):
            continue
        if node.kind == STACKING and node.inputs[1].is_constant and node.inputs[1].constant == 0:
            made.stacks.append(node)
            continue
        if use.index != 0 or node.kind not in _ASKING:
            return False
        if node.kind == "list::getitem":
            made.reads.append(node)
        elif node.kind in _WRITING:
            made.written.append(node.inputs[_WRITING[node.kind]])
    return True


class _Groups:
    def __init__(self, graph: Graph) -> None:
        self.parent: dict[Value, Value] = {}
        for node in graph.walk():
            for output in node.outputs:
                self._note(output)
            if node.kind == "prim::Loop":
                self._loop(node)
            elif node.kind == "prim::If":
                for end in ends_of_branches(node):
                    self._join_all(zip(end.inputs, node.outputs, strict=True))

    def _note(self, value: Value) -> None:
        if value.type == TENSORS:
            self.parent.setdefault(value, value)

    def _loop(self, loop: Node) -> None:
        params = loop.blocks[0].params[1:]
        self._join_all(zip(loop.inputs[2:], params, strict=True))
        self._join_all(zip(params, loop.outputs, strict=True))
        for end in ends_of_loop(loop):
            self._join_all(zip(end.inputs[carried_offset(end) :], params, strict=True))

    def _join_all(self, pairs: Iterable[tuple[Value, Value]]) -> None:
        for a, b in pairs:
            if TENSORS in (a.type, b.type):
                self.parent.setdefault(a, a)
                self.parent.setdefault(b, b)
                self.parent[self._find(a)] = self._find(b)

    def _find(self, value: Value) -> Value:
        while self.parent[value] is not value:
            value = self.parent[value]
        return value

    def groups(self) -> list[list[Value]]:
        found: dict[Value, list[Value]] = {}
        for value in self.parent:
            found.setdefault(self._find(value), []).append(value)
        return [g for g in found.values() if all(v.type == TENSORS for v in g)]
