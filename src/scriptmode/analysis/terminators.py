"""Which terminators deliver values to a node, and the places in them."""

from __future__ import annotations

from collections.abc import Iterator

from scriptmode.ir.graph import BREAK, CONTINUE, LEAVE, YIELD, Block, Node


def ends_of_branches(node: Node) -> list[Node]:
    """The terminators whose inputs become the outputs of an If or Try."""
    found = [b.terminator for b in node.blocks if b.terminator.kind == YIELD]
    if node.attributes.get("labelled"):
        found += _leaves(node.blocks[0])
    return found


def _leaves(block: Block) -> Iterator[Node]:
    for node in block.nodes:
        for inner in node.blocks:
            if not (node.attributes.get("labelled") and inner is node.blocks[0]):
                yield from _leaves(inner)
    if block.terminator.kind == LEAVE:
        yield block.terminator


def ends_of_loop(loop: Node) -> Iterator[Node]:
    """The terminators that go on with ``loop`` or out of it: Yield, Continue and Break."""
    body = loop.blocks[0]
    if body.terminator.kind == YIELD:
        yield body.terminator
    yield from _jumps(body)


def _jumps(block: Block) -> Iterator[Node]:
    for node in block.nodes:
        if node.kind != "prim::Loop":
            for inner in node.blocks:
                yield from _jumps(inner)
    if block.terminator.kind in (BREAK, CONTINUE):
        yield block.terminator


def carried_offset(end: Node) -> int:
    """Index of the first carried value among the inputs of a Loop's terminator."""
    return 0 if end.kind == BREAK else 1


def remove_input(node: Node, index: int) -> None:
    """Remove one input; the later ones move up."""
    inputs = node.inputs
    del inputs[index]
    node.set_inputs(inputs)
