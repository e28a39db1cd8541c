"""Find the tensor regions of a function and make functions of them.

Before::

    graph f(%x: Tensor, %y: Tensor) -> Tensor:
      %one: int = prim::Constant[value=1]()
      %a: Tensor = aten::add.Tensor(%x, %y, %one)
      %b: Tensor = aten::tanh(%a)
      return (%b)

After::

    graph f(%x: Tensor, %y: Tensor) -> Tensor:
      %b: Tensor = prim::Region[callee='f.region', facts=(...)](%x, %y)
      return (%b)

    graph f.region(%x: Tensor, %y: Tensor) -> Tuple[Tensor]:  ...

A region is a set of nodes of one block that have lowerings, with nothing in between that depends on
one of them.  They move to where the region is; that is allowed since they do not raise, as long as
nothing that they move past writes tensors, and if they write in place themselves, as long as they
move past what looks at no tensor and does not leave the block.  Views are made again by each region
that reads them and never are a region's result, because who has a view may tell it from a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scriptmode.analysis.effects import Effects, may_write_tensors
from scriptmode.analysis.shapes import Facts, Shapes, is_fixed
from scriptmode.ir import types as T
from scriptmode.ir.graph import (
    BREAK,
    CONTINUE,
    LEAVE,
    RETURN,
    Block,
    Graph,
    Node,
    Program,
    Value,
)
from scriptmode.loops.build import NUMBERS, TO_NUMBER, Lowerer
from scriptmode.loops.expr import forget
from scriptmode.loops.kernel import NotLowered
from scriptmode.loops.lowering import find
from scriptmode.loops.sharing import VIEWS, functional_kind, is_view
from scriptmode.ops.table import Effect

FREE = frozenset(["prim::Constant", "prim::ListConstruct"])
MOST_ELEMENTS = 1 << 24
FEW = 4  # tensors of a region that writes


def form_regions(graph: Graph, program: Program, given: Facts) -> bool:
    """Return whether the graph changed; the regions' functions are added to the program."""
    facts = Shapes(graph, given).facts
    blocks = [graph.block, *(b for n in graph.walk() for b in n.blocks)]
    former = _Former(graph, program, facts, given)
    for block in blocks:
        former.block(block)
    return former.count > 0


@dataclass
class _Region:
    """A region while nodes are added: ``lowerer`` tries them, ``members`` are in order."""

    lowerer: Lowerer
    members: list[Node] = field(default_factory=list)
    values: set[Value] = field(default_factory=set)  # of members, and views of them
    inputs: dict[Value, None] = field(default_factory=dict)
    writes: bool = False  # whether a member writes in place


class _Former:
    def __init__(self, graph: Graph, program: Program, facts: Facts, given: Facts) -> None:
        self.graph = graph
        self.program = program
        self.facts = facts
        self.sure = set(given)  # values whose facts need no check: guarded, or made by regions
        self.effects = Effects(program)
        self.count = 0
        self.known: dict[str, str] = {}  # functions of regions by their text

    def block(self, block: Block) -> None:
        region: _Region | None = None
        for node in list(block.nodes):
            if node.block is None:
                continue
            if node.kind in FREE:
                if region is not None and any(v in region.values for v in node.inputs):
                    region.values.update(node.outputs)
                continue
            if self._wanted(node):
                if region is not None and region.writes and not self._is_related(region, node):
                    self._close(region, node)
                    region = None
                region = region or _Region(Lowerer("trial"))
                if self._add(region, node):
                    continue
            elif is_view(node, self.facts) and not self._must_wait(node, region):
                if region is not None and node.inputs[0] in region.values:
                    region.values.update(node.outputs)
                continue
            if region is not None and self._ends(region, node):
                self._close(region, node)
                region = None
                if self._wanted(node):
                    region = _Region(Lowerer("trial"))
                    if not self._add(region, node):
                        region = None
        if region is not None:
            self._close(region, block.terminator)
        forget()

    def _is_related(self, region: _Region, node: Node) -> bool:
        """Whether a node has tensors in common with a region, or the region is small.

        A region that writes compares the memory of all of its tensors.
        """
        if len(region.lowerer.facts) < FEW or len(region.lowerer.owners) < FEW:
            return True
        for value in node.inputs:
            source = value
            while source.node is not None and is_view(source.node, self.facts):
                source = source.node.inputs[0]
            if value in region.lowerer.values or source in region.lowerer.values:
                if value.type == T.TENSOR:
                    return True
        return not any(v.type == T.TENSOR for v in node.inputs)

    def _must_wait(self, view: Node, region: _Region | None) -> bool:
        """Whether a view may be a copy of what a region writes, or raise where that has not yet."""
        if region is None or not region.writes:
            return False
        if self.facts.get(view.inputs[0]) is None or self.facts.get(view.output) is None:
            return True
        return any(v.type == T.INT and not v.is_constant for v in view.inputs)

    def _wanted(self, node: Node) -> bool:
        if node.kind in TO_NUMBER:
            return self.facts.get(node.inputs[0]) is not None
        if functional_kind(node.kind) is not None:
            written = self.facts.get(node.inputs[0])
            return written is not None and 0 < written.numel <= MOST_ELEMENTS
        if find(node.kind) is None or not node.outputs:
            return False
        facts = [self.facts.get(o) for o in node.outputs]
        for fact in facts:
            if fact is None or fact.numel > MOST_ELEMENTS or fact.numel == 0 or not fact.is_dense:
                return False
        return not is_view(node, self.facts)

    def _ends(self, region: _Region, node: Node) -> bool:
        """Whether ``node`` must come behind what the region has so far."""
        if not region.members:
            return False
        if _uses_any(node, region.values):
            return True
        effects = self.effects.of(node)
        if region.writes and (effects & ~Effect.ALLOCATES or _may_leave(node)):
            return True
        kernel = region.lowerer.builder.kernel
        if (kernel.bounds or kernel.checks) and effects & (
            Effect.WRITES | Effect.IO | Effect.RAISES
        ):
            return True
        return any(may_write_tensors(n, self.effects) for n in _with_nested(node))

    # ---- adding ----

    def _add(self, region: _Region, node: Node) -> bool:
        """Add a node if all that it needs can be had; False leaves the region usable."""
        is_write = functional_kind(node.kind) is not None
        checks = region.lowerer.builder.kernel.checks
        if is_write and checks:
            return False  # a check that fails comes too late
        try:
            for value in node.inputs:
                self._need(region, value)
            region.lowerer.node(node)
        except NotLowered:
            return False
        if region.writes and checks:
            checks.clear()
            for output in node.outputs:
                region.lowerer.values.pop(output, None)
            return False
        region.members.append(node)
        region.writes |= is_write
        region.values.update(node.outputs)
        return True

    def _need(self, region: _Region, value: Value) -> None:
        """Make a value known to the region: from outside, or by a view made again."""
        lowerer = region.lowerer
        if value in lowerer.values:
            return
        node = value.node
        if value.type == T.NONE or (value.is_constant and value.type != T.TENSOR):
            assert node is not None
            lowerer.node(node)
            return
        if node is not None and node.kind == "prim::ListConstruct":
            if not is_fixed(value):
                raise NotLowered("a list that changes")
            for item in node.inputs:
                self._need(region, item)
            lowerer.node(node)
            return
        fact = self.facts.get(value)
        if value.type == T.TENSOR and fact is not None:
            if node is not None and is_view(node, self.facts) and self._is_stable(node):
                for item in node.inputs:
                    self._need(region, item)
                lowerer.node(node)
                return
            lowerer.tensor_input(value, fact)
            return
        if value.type in NUMBERS:
            lowerer.number_input(value)
            return
        raise NotLowered(f"{value!r} cannot be given to a region")

    def _is_stable(self, view: Node) -> bool:
        """Whether a view made again where it is read is the same."""
        return find(view.kind) is not None

    # ---- closing ----

    def _close(self, region: _Region, before: Node) -> None:
        """Move the members into a function and call it in front of ``before``."""
        members = region.members
        if not members or not self._pays(members):
            return
        inside = set(members)
        outputs = self._outputs(members, inside)
        name = self.program.unique_name(f"{self.graph.name}.region")
        callee = Graph(name)
        callee.span = members[0].span
        copier = _Copier(self, callee)
        for node in members:
            copier.node(node)
        results = [copier.mapping[o] for o in outputs]
        result_type = T.TupleType([o.type for o in outputs])
        callee.return_type = result_type
        made = Node("prim::TupleConstruct", results, [result_type], span=before.span)
        callee.block.append(made)
        callee.block.terminate("prim::Yield", [made.output], before.span)
        inputs = list(copier.inputs)
        # where those are not as the facts say, the ops run, and the results may be others, too
        unsure = any(v.type == T.TENSOR and v not in self.sure for v in inputs)
        call = Node(
            "prim::Region",
            inputs,
            [o.type for o in outputs],
            attributes={
                "callee": name,
                "facts": tuple(self._fact(v) for v in inputs),
                "known": tuple(i for i, v in enumerate(inputs) if v in self.sure),
                "results": tuple(self._fact(o) for o in outputs),
                "writes": tuple(
                    i for i, v in enumerate(inputs) if copier.mapping[v] in self._written(callee)
                ),
            },
            span=members[0].span,
            scope=members[0].scope,
        )
        call.attributes["callee"] = self._shared(callee)
        call.insert_before(before)
        self._move_views(call, inside, before)
        for output, result in zip(outputs, call.outputs, strict=True):
            result.name = output.name
            if not unsure:
                self.sure.add(result)
            fact = self.facts.get(output)
            output.replace_all_uses_with(result)
            if fact is not None:
                assert isinstance(self.facts, dict)
                self.facts[result] = fact
        self._erase(members)
        self.count += 1

    def _shared(self, callee: Graph) -> str:
        """The name of a region's function, which is another one's if that is the same."""
        name, callee.name = callee.name, ""
        found = self.known.setdefault(_text_of(callee), name)
        callee.name = name
        if found == name:
            self.program.add(callee)
        return found

    def _written(self, callee: Graph) -> set[Value]:
        """What a region's function writes: params, themselves or by views."""
        found: set[Value] = set()
        for node in callee.nodes:
            if functional_kind(node.kind) is None:
                continue
            value = node.inputs[0]
            while value.node is not None and value.node.kind in VIEWS:
                value = value.node.inputs[0]
            found.add(value)
        return found

    def _erase(self, members: Sequence[Node]) -> None:
        """Erase the members, and the views and lists of them that nothing needs any more."""
        dead = list(members)
        for node in members:
            for output in node.outputs:
                dead += self._passing(output)
        while dead:
            left = [n for n in dead if any(o.is_used for o in n.outputs)]
            for node in dead:
                if node.block is not None and not any(o.is_used for o in node.outputs):
                    node.erase()
            if len(left) == len(dead):
                break
            dead = [n for n in left if n.block is not None]
        assert not any(n.block is not None for n in members), "a member is still needed"

    def _passing(self, value: Value) -> list[Node]:
        found: list[Node] = []
        for use in value.uses:
            if use.node.kind in FREE or is_view(use.node, self.facts):
                found.append(use.node)
                for output in use.node.outputs:
                    found += self._passing(output)
        return found

    def _fact(self, value: Value) -> Any:
        fact = self.facts.get(value) if value.type == T.TENSOR else None
        return None if fact is None else (fact.dtype, fact.shape, fact.strides)

    def _pays(self, members: Sequence[Node]) -> bool:
        """Whether a kernel is worth more than the ops: not for one that only moves memory."""
        return True

    def _outputs(self, members: Sequence[Node], inside: set[Node]) -> list[Value]:
        """Values of the members that others need; views are made again from their bases."""
        found: dict[Value, None] = {}
        for node in members:
            for output in node.outputs:
                if self._needed(output, inside):
                    found[output] = None
        return list(found)

    def _needed(self, value: Value, inside: set[Node]) -> bool:
        """Whether anything but the members needs a value, itself or by a view or a list of it."""
        for use in value.uses:
            if use.node in inside:
                continue
            passes = use.node.kind in FREE or is_view(use.node, self.facts)
            if not passes or any(self._needed(o, inside) for o in use.node.outputs):
                return True
        return False

    def _move_views(self, call: Node, inside: set[Node], before: Node) -> None:
        """Put views of the members, which stand between them, behind the region."""
        moved: list[Node] = []
        depends = {o for n in inside for o in n.outputs}
        node = next(iter(inside)).block
        assert node is not None
        for candidate in list(node.nodes):
            if candidate is call:
                break
            if candidate in inside:
                continue
            if any(v in depends for v in candidate.inputs):
                depends.update(candidate.outputs)
                moved.append(candidate)
        for candidate in moved:
            candidate.detach()
            candidate.insert_before(before)


class _Copier:
    """Copies members, and what they need, into a region's function."""

    def __init__(self, former: _Former, callee: Graph) -> None:
        self.former = former
        self.callee = callee
        self.mapping: dict[Value, Value] = {}
        self.inputs: dict[Value, None] = {}

    def node(self, node: Node) -> None:
        for value in node.inputs:
            self.need(value)
        self.copy(node)

    def copy(self, node: Node) -> None:
        copy = Node(
            node.kind, [self.mapping[v] for v in node.inputs], attributes=node.attributes,
            schema=node.schema, span=node.span, scope=node.scope,
        )  # fmt: skip
        for output in node.outputs:
            self.mapping[output] = copy.add_output(output.type, output.name)
        self.callee.block.append(copy)

    def need(self, value: Value) -> None:
        if value in self.mapping:
            return
        node = value.node
        is_free = node is not None and node.kind in FREE and value.type != T.TENSOR
        is_made = (
            node is not None
            and value.type == T.TENSOR
            and value in self.former.facts
            and is_view(node, self.former.facts)
            and self.former._is_stable(node)
        )
        if node is not None and (is_free or is_made):
            self.node(node)
            return
        names = {p.name for p in self.callee.params}
        name = value.name or "x"
        while name in names:
            name += "_"
        self.mapping[value] = self.callee.add_param(value.type, name)
        self.inputs[value] = None


def _text_of(graph: Graph) -> str:
    """What a graph does, whatever its values are called and wherever it comes from."""
    numbers: dict[Value, int] = {}
    lines: list[str] = []
    for value in graph.params:
        numbers[value] = len(numbers)
        lines.append(f"{value.type}")
    for node in graph.nodes:
        inputs = [numbers[v] for v in node.inputs]
        for output in node.outputs:
            numbers[output] = len(numbers)
        constant = [(k, repr(v)) for k, v in sorted(node.attributes.items())]
        lines.append(
            f"{node.kind} {inputs} {constant} {[str(o.type) for o in node.outputs]} {node.span}"
        )
    return "\n".join(lines)


def _uses_any(node: Node, values: set[Value]) -> bool:
    return any(v in values for n in _with_nested(node) for v in n.inputs)


def _may_leave(node: Node, in_loop: bool = False) -> bool:
    """Whether what follows a node in its block may be passed over, but for an error."""
    is_loop = in_loop or node.kind == "prim::Loop"
    for block in node.blocks:
        end = block.terminator.kind
        if end in (LEAVE, RETURN) or (end in (BREAK, CONTINUE) and not is_loop):
            return True
        if any(_may_leave(inner, is_loop) for inner in block.nodes):
            return True
    return False


def _with_nested(node: Node) -> list[Node]:
    found = [node]
    for block in node.blocks:
        for inner in block.nodes:
            found += _with_nested(inner)
        found.append(block.terminator)
    return found
