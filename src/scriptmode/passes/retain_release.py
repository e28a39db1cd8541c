"""Make the ownership of reference-counted values explicit.

Before::

    graph(%x: Tensor, %c: bool):
      %a: Tensor = aten::relu(%x)
      %r: Tensor = prim::If(%c)
        block0():
          -> (%a)
        block1():
          -> (%x)
      return (%r)

After::

    graph(%x: Tensor, %c: bool):
      %a: Tensor = aten::relu(%x)
      %r: Tensor = prim::If(%c)
        block0():
          -> (%a)
        block1():
          prim::release(%a)
          prim::retain(%x)
          -> (%x)
      return (%r)

Results of nodes are owned by their block, inputs of nodes are borrowed.  Consumers take a reference
over: terminators for the block or function that they lead to, a Loop for its carried values.  A
consumed value that dies there is moved; one that lives on, or is borrowed, is retained first.
``prim::ListConstruct`` and its kin own their elements: ``moved`` lists the inputs they take over,
the others are copied; ``str::concat`` and ``str::next_piece`` may take over the first operand.

A value dead on entry of a block is released there; a terminator that leaves
several blocks releases what they own.  Values from outside a Loop or Try are never given up inside
it, except on the way out of the function or of a Loop or Try around it.

Conversions that allocate become ``prim::box`` nodes, so that their results are owned like others.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.analysis.edges import Edges
from scriptmode.analysis.liveness import Liveness
from scriptmode.analysis.ownership import CONSTRUCTORS, CONSUMERS, Ownership, is_counted, needs_box
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    UNREACHABLE,
    Block,
    Graph,
    Node,
    Program,
    Value,
    innermost_loop,
    labelled_try,
)

RETAIN = "prim::retain"
RELEASE = "prim::release"
BOX = "prim::box"

# owned values in the order in which they came to be
Owned = dict[Value, None]
# what is owned outside of each Loop and Try around a place, outermost first
Outer = Sequence[tuple[Node, Owned]]


def insert_retain_release(
    graph: Graph, program: Program, stored: frozenset[str] | None = None
) -> bool:
    """Insert the nodes; returns whether the graph changed.

    ``stored`` are the program's ``stored_attributes``, if they are at hand.
    """
    changed = insert_boxes(graph, Edges(program, graph))
    ownership = Ownership(graph, stored_attributes(program) if stored is None else stored)
    inserter = _Inserter(graph, ownership)
    inserter.block(graph.block, {}, [])
    return changed or inserter.changed


def stored_attributes(program: Program) -> frozenset[str]:
    """Names of the attributes that some function of ``program`` writes, or may let Python write."""
    nodes = [node for graph in program.functions.values() for node in graph.walk()]
    lends = any(n.kind == "prim::python_call" and any(map(is_module, n.inputs)) for n in nodes)
    kinds = ("prim::SetAttr", "prim::GetAttr") if lends else ("prim::SetAttr",)
    return frozenset(node.attributes["name"] for node in nodes if node.kind in kinds)


def is_module(value: Value) -> bool:
    """Whether a value is an instance of a module."""
    return isinstance(value.type, T.ClassType) and value.type.is_module


def insert_boxes(graph: Graph, edges: Edges) -> bool:
    """Make conversions that allocate explicit."""
    changed = False
    for node in list(graph.walk()):
        for index, (value, place) in enumerate(zip(node.inputs, edges.places(node), strict=True)):
            if needs_box(value.type, place):
                box = Node(BOX, [value], [place], span=node.span, scope=node.scope)
                box.insert_before(node)
                node.set_input(index, box.output)
                changed = True
    return changed


class _Inserter:
    def __init__(self, graph: Graph, ownership: Ownership) -> None:
        self.ownership = ownership
        self.liveness = Liveness(graph, ownership)
        self.changed = False

    def retain(self, value: Value, before: Node) -> None:
        Node(RETAIN, [value], span=before.span).insert_before(before)
        self.changed = True

    def release(self, value: Value, before: Node) -> None:
        Node(RELEASE, [value], span=before.span).insert_before(before)
        self.changed = True

    def block(self, block: Block, owned: Owned, outer: Outer) -> Owned | None:
        """Process a block.

        ``owned`` may be given up here, ``outer`` only by a terminator that leaves its node.
        Returns what is owned after the block's Yield; None when it leaves another way.
        """
        owned = dict(owned)
        nodes, first = list(block.nodes), block.first
        assert first is not None
        for value in block.params:
            if block.owner is not None and self.ownership.is_owned(value):
                owned[value] = None
        live = self.live_at_entry(block)
        for value in [v for v in owned if v not in live]:
            self.release(value, first)
            del owned[value]
        for node in nodes:
            self.node(node, owned, outer)
        return self.terminator(block.terminator, owned, outer)

    def live_at_entry(self, block: Block) -> set[Value]:
        live = set(self.liveness.live_in[block])
        # ``live_in`` leaves params out; an unused one is released at once
        live.update(p for p in block.params if self.is_needed(p))
        return live

    def is_needed(self, param: Value) -> bool:
        return param in self.liveness.used_params

    def node(self, node: Node, owned: Owned, outer: Outer) -> None:
        following = node.next
        assert following is not None
        deaths = self.liveness.deaths[node]
        if node.kind == "prim::If":
            self.branches(node, owned, outer)
        elif node.kind == "prim::Loop":
            kept = self.liveness.live_inside[node]
            self.consume(node, range(2, len(node.inputs)), owned, kept)
            self.block(node.blocks[0], {}, [*outer, (node, owned)])
        elif node.kind == "prim::Try":
            for inner in node.blocks:
                self.block(inner, {}, [*outer, (node, owned)])
        elif node.kind in CONSTRUCTORS and self.ownership.is_owned(node.output):
            self.construct(node, owned, set(deaths))
        elif node.kind in CONSUMERS:
            self.consume_first(node, owned, set(deaths))
        for value in node.outputs:
            if self.ownership.is_owned(value):
                owned[value] = None
        for value in deaths:
            if value in owned:
                self.release(value, following)
                del owned[value]

    def branches(self, node: Node, owned: Owned, outer: Outer) -> None:
        """Process both branches; afterwards ``owned`` is what lives on after the If."""
        after = self.liveness.live_after[node]
        for branch in node.blocks:
            left = self.block(branch, owned, outer)
            assert left is None or left.keys() == {v for v in owned if v in after}
        for value in [v for v in owned if v not in after]:
            del owned[value]

    def construct(self, node: Node, owned: Owned, dying: set[Value]) -> None:
        """Let a new container take over the elements that die here."""
        moved: dict[Value, int] = {}
        for index, value in enumerate(node.inputs):
            if value in owned and value in dying:
                moved[value] = index
        for value in moved:
            del owned[value]
        if moved:
            node.attributes["moved"] = tuple(sorted(moved.values()))
            self.changed = True

    def consume_first(self, node: Node, owned: Owned, dying: set[Value]) -> None:
        """Let a node make its result out of its first input, when that dies here."""
        first, *rest = node.inputs
        if first not in owned or first not in dying:
            return
        if not any(first in self.ownership.bases(v) for v in rest):
            del owned[first]
            node.attributes["moved"] = (0,)
            self.changed = True

    def consume(
        self, node: Node, indices: Sequence[int], owned: Owned, kept: frozenset[Value]
    ) -> None:
        """Give the inputs ``indices`` of ``node`` away; values in ``kept`` stay owned."""
        inputs = node.inputs
        pinned: set[Value] = set(kept)
        for index in indices:
            value = inputs[index]
            if not is_counted(value.type):
                continue
            last = all(inputs[i] is not value for i in indices if i > index)
            if last and value in owned and value not in pinned:
                del owned[value]
            else:
                self.retain(value, node)

    def terminator(self, end: Node, owned: Owned, outer: Outer) -> Owned | None:
        assert end.block is not None
        owner = end.block.owner
        leaves = end.kind in (BREAK, CONTINUE, LEAVE, RETURN, UNREACHABLE)
        kept: frozenset[Value] = frozenset()
        if not leaves and owner is not None and owner.kind == "prim::If":
            kept = self.liveness.live_after[owner]
        if end.kind == UNREACHABLE:
            return None
        left = [scope for node, scope in outer if _leaves(end, node, outer)]
        available: Owned = {v: None for scope in (*left, owned) for v in scope}
        self.consume(end, range(len(end.inputs)), available, kept)
        for value in list(available):
            if value not in kept:
                self.release(value, end)
                del available[value]
        return None if leaves else available


def _leaves(end: Node, node: Node, outer: Outer) -> bool:
    """Whether the terminator ``end`` goes on outside of ``node``, in what is around it."""
    if end.kind == RETURN:
        return True
    assert end.block is not None
    if end.kind in (BREAK, CONTINUE):
        target = innermost_loop(end.block)
    elif end.kind == LEAVE:
        target = labelled_try(end.block)
    else:
        return False
    nodes = [n for n, _ in outer]
    return nodes.index(node) > next(i for i, n in enumerate(nodes) if n is target)
