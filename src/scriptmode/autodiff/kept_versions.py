"""Whether what a forward program keeps may be written before the reverse program reads it.

``check_kept(graph, versions, kept)`` follows each kept tensor to all names of its memory, and those
to writes that may run after the tensor was made.  Eager finds the same out by version counters and
raises; so such functions are left to torch's tape (NotDifferentiable).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from scriptmode.analysis.alias import result_is_fresh
from scriptmode.autodiff.dual import TENSORS
from scriptmode.autodiff.mutation import WRITTEN, Versions, is_tensor
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.recorded import RECORDS, STRIPS
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value, ancestors, innermost_loop

_CASTS = ("prim::unchecked_cast", "prim::checked_cast")


def check_kept(
    graph: Graph, versions: Versions, kept: Iterable[Value], users: Mapping[Value, Collection[Node]]
) -> None:
    """Raise NotDifferentiable where a kept tensor may be written later.

    ``users`` are the nodes whose reverse reads what is kept.
    """
    if not versions.nodes:
        return
    places = _Places(graph)
    for value in dict.fromkeys(kept):
        if not is_tensor(value) and value.type != TENSORS:
            continue
        for start in _names(value):
            for write, goes_round in _writes(start, versions, users.get(value, ())):
                if goes_round or places.of_node[write] > places.of_value(value):
                    raise NotDifferentiable("what is kept is written later", write.span)


class _Places:
    """When nodes end and blocks begin."""

    def __init__(self, graph: Graph) -> None:
        self.of_node: dict[Node, int] = {}
        self._starts: dict[Block, int] = {}
        self._count = 0
        self._number(graph.block)

    def _number(self, block: Block) -> None:
        self._count += 1
        self._starts[block] = self._count
        for node in block.nodes:
            for inner in node.blocks:
                self._number(inner)
            self._count += 1
            self.of_node[node] = self._count

    def of_value(self, value: Value) -> int:
        node = value.node
        return self._starts[value.block] if node is None else self.of_node[node]


def _names(value: Value) -> Iterator[Value]:
    """The values that ``value`` was made of without a copy."""
    seen, pending = set(), [value]
    while pending:
        found = pending.pop()
        if found not in seen:
            seen.add(found)
            yield found
            pending += _sources(found)


def _sources(value: Value) -> list[Value]:
    node = value.node
    if node is None:
        owner = value.block.owner
        if owner is None or value is value.block.params[0]:
            return []
        index = value.block.params.index(value)
        return [owner.inputs[1 + index], value.block.returns[index]]
    if node.kind == "prim::If":
        index = node.outputs.index(value)
        live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
        return [b.returns[index] for b in live]
    if node.kind == "prim::Loop":
        index = node.outputs.index(value)
        return [node.inputs[2 + index], node.blocks[0].returns[1 + index]]
    if _is_written(node):
        return []
    if node.kind == "prim::ListConstruct":
        return [v for v in node.inputs if is_tensor(v)]
    if node.schema is not None and node.schema.is_mutable:
        return [use.node.output for use in value.uses if _is_written(use.node) and use.index == 1]
    return [v for v in node.inputs if is_tensor(v)] if _is_name(node) else []


def _is_written(node: Node) -> bool:
    return node.attributes.get("callee") == WRITTEN


def _is_name(node: Node) -> bool:
    """Whether a node's result may lie in the memory of its operand."""
    if node.kind in _CASTS or node.attributes.get("callee") in (*RECORDS, *STRIPS):
        return True
    schema = node.schema
    if schema is None or not node.kind.startswith("aten::") or schema.is_mutable:
        return False
    return schema.is_view or not result_is_fresh(node)


def _excludes(block: Block, users: Collection[Node], start: Value) -> bool:
    """Whether a branch does not run where the reverse reads ``start``: it is for another branch."""
    owner = block.owner
    assert owner is not None and owner.block is not None
    others = [b for b in owner.blocks if b is not block]
    if innermost_loop(owner.block) is not innermost_loop(start.block) or not users:
        return False
    return all(any(b in others for b in ancestors(user.block)) for user in users)


def _writes(
    start: Value, versions: Versions, users: Collection[Node]
) -> Iterator[tuple[Node, bool]]:
    """Writes of the memory by this name or later ones, and whether by way of another iteration."""
    seen: set[tuple[Value, bool]] = set()
    pending = [(start, False)]
    while pending:
        value, goes_round = item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        for use in value.uses:
            node, index = use.node, use.index
            block = node.block
            assert block is not None
            if node.is_terminator:
                owner = block.owner
                if owner is None:
                    continue
                if owner.kind == "prim::Loop" and index > 0:
                    pending.append((owner.blocks[0].params[index], True))
                    pending.append((owner.outputs[index - 1], goes_round))
                elif goes_round or not _excludes(block, users, start):
                    pending.append((owner.outputs[index], goes_round))
            elif node.kind == "prim::Loop" and index > 1:
                pending.append((node.blocks[0].params[index - 1], goes_round))
                pending.append((node.outputs[index - 2], goes_round))
            elif (node in versions.nodes or _is_written(node)) and index == 0:
                yield node, goes_round
            elif _is_name(node):
                pending += [(output, goes_round) for output in node.outputs if is_tensor(output)]
