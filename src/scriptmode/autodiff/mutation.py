"""Tensors that are written in place: each write makes a new version, a value of its own.

A tensor that the function has made itself, and that nobody else holds, is followed through its
writes.  The program goes on writing in place; its values say which version is meant::

    %h: Tensor = aten::mul.Tensor(%x, %w)
    %v: Tensor = aten::select.int(%h, %0, %i)
    %r: Tensor = aten::copy_(%v, %x0, %false)
    %y: Tensor = aten::tanh(%h)

becomes ::

    %h: Tensor = aten::mul.Tensor(%x, %w)
    %v: Tensor = aten::select.int(%h, %0, %i)
    %r: Tensor = aten::copy_(%v, %x0, %false)
    %h1: Tensor = prim::Call[callee='autodiff.written'](%h, %r)
    %y: Tensor = aten::tanh(%h1)

where ``autodiff.written`` is its first operand: it says that the view ``%r`` of it was written.  A
view that is used after a later write is taken once more, from the newest version.  Versions leave
branches as further outputs and go round loops as further carried values.

The memory of a tensor is named by a *root*: the value of the op that made it, or a join (an output
of an If, a carried value of a Loop) of several memories, its *parts*.  A write of a join ends the
use of its parts by other names, and the other way round.  What does not fit is left as it is, with
the reason; ``prepare.check`` refuses it where gradients are involved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from scriptmode.analysis.alias import holds_memory, result_is_fresh, written_values
from scriptmode.autodiff.rule import is_without_gradient
from scriptmode.ir import types as T
from scriptmode.ir.graph import UNREACHABLE, Block, Graph, Node, Value
from scriptmode.ops.aten import overload

WRITTEN = "autodiff.written"
_CASTS = ("prim::unchecked_cast", "prim::checked_cast")
# what a write may go through; its reverse takes the same view of a cotangent
_EXACT = frozenset(
    f"aten::{name}"
    for name in (
        "select", "slice", "narrow", "transpose", "t", "permute", "unsqueeze", "squeeze",
        "diagonal", "alias", "swapaxes", "swapdims", "movedim", "moveaxis", "numpy_T", "mT",
    )
)  # fmt: skip


class Unfit(Exception):
    """The writes of one root cannot be followed."""

    def __init__(self, root: Value, reason: str) -> None:
        super().__init__(reason)
        self.root, self.reason = root, reason


@dataclass(frozen=True)
class Memory:
    """Where a tensor lies: in that of ``root``, the whole of it or some view."""

    root: Value | None  # None: someone else's
    whole: bool


# what made a memory, None for someone else's, and whether in an earlier iteration of a loop
Part = tuple[Value | None, bool]


@dataclass
class Versions:
    """What became of the writes of a graph."""

    nodes: set[Node] = field(default_factory=set)  # those that make versions
    views: dict[Node, list[Node]] = field(default_factory=dict)  # of a ``written``: from the root
    reasons: dict[Node, str] = field(default_factory=dict)  # why the others do not


def follow_writes(
    prepared: Callable[[], tuple[Graph, Sequence[Node]]],
) -> tuple[Graph, Sequence[Node], Versions]:
    """A graph, fresh from ``prepared``, whose writes make versions wherever that fits.

    ``prepared`` also gives the ops that eager would not record.
    """
    excluded: dict[int, str] = {}
    while True:
        graph, unrecorded = prepared()
        number = {value: i for i, value in enumerate(values_in(graph.block))}
        follower = _Follower(graph, unrecorded, {n: excluded.get(i) for n, i in number.items()})
        try:
            follower.run()
        except Unfit as problem:
            excluded[number[problem.root]] = problem.reason
        else:
            return graph, unrecorded, follower.versions


def values_in(block: Block) -> Iterator[Value]:
    """The values of a block, nested ones included, in order."""
    yield from block.params
    for node in block.nodes:
        yield from node.outputs
        for inner in node.blocks:
            yield from values_in(inner)


def nodes_in(block: Block) -> Iterator[Node]:
    """The nodes of a block, nested ones included, in order."""
    for node in block.nodes:
        yield node
        for inner in node.blocks:
            yield from nodes_in(inner)


def is_tensor(value: Value) -> bool:
    """Whether the value is a tensor, or one that may be missing."""
    return T.unwrap_optional(value.type) == T.TENSOR


def is_write(node: Node) -> bool:
    """Whether the node is an op of torch that writes its first operand and gives it back."""
    schema = node.schema
    if schema is None or not node.kind.startswith("aten::") or not schema.arguments:
        return False
    marks = [a.alias is not None and a.alias.is_write for a in schema.arguments]
    found = overload(node.kind)
    is_plain = found is not None and torch.Tag.inplace_view not in found.tags
    return (
        is_plain and marks[0] and sum(marks) == 1 and [v.type for v in node.outputs] == [T.TENSOR]
    )


class _Roots:
    """The memory of each tensor of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[Value, Memory] = {}
        self.parts: dict[Value, set[Part]] = {}  # of a join
        self._changed = True
        while self._changed:
            self._changed = False
            self._block(graph.block)

    def memory(self, value: Value) -> Memory:
        return self.of.get(value, Memory(None, False))

    def parts_of(self, root: Value | None) -> set[Part]:
        """The memories that a root stands for."""
        return {(None, False)} if root is None else self.parts.get(root, {(root, False)})

    def _put(self, value: Value, memory: Memory) -> None:
        if self.of.get(value) != memory:
            self.of[value] = memory
            self._changed = True

    def _block(self, block: Block) -> None:
        for node in block.nodes:
            if node.kind == "prim::Loop":
                self._loop(node)
                continue
            for inner in node.blocks:
                self._block(inner)
            if node.kind == "prim::If":
                live = [b for b in node.blocks if b.terminator.kind != UNREACHABLE]
                for index, output in enumerate(node.outputs):
                    self._join(output, [b.returns[index] for b in live])
            else:
                for output in node.outputs:
                    if is_tensor(output):
                        self._put(output, self._made(node, output))

    def _loop(self, node: Node) -> None:
        body = node.blocks[0]
        sources = list(zip(node.inputs[2:], body.returns[1:], strict=True))
        inside = set(values_in(body))
        for param, (start, _) in zip(body.params[1:], sources, strict=True):
            if param not in self.of:
                self._join(param, [start])
        self._block(body)
        for index, (start, end) in enumerate(sources):
            self._join(body.params[1 + index], [start, end], inside)
            self._join(node.outputs[index], [start, end])

    def _join(self, value: Value, sources: Sequence[Value], inside: Collection[Value] = ()) -> None:
        if not is_tensor(value):
            return
        found = [self.memory(s) for s in sources if s.type != T.NONE]
        roots = {m.root for m in found}
        if value not in self.parts and len(roots) == 1 and not roots & set(inside):
            (root,) = roots
            self._put(value, Memory(root, all(m.whole for m in found)))
            return
        parts = {p for m in found for p in self.parts_of(m.root)}
        # in the next iteration, what is made inside is another one
        parts = {(p, old or p in inside) for p, old in parts} | self.parts.get(value, set())
        if self.parts.get(value) != parts:
            self.parts[value] = parts
            self._changed = True
        self._put(value, Memory(value, True))

    def _made(self, node: Node, output: Value) -> Memory:
        schema = node.schema
        if node.kind in _CASTS:
            return self.memory(node.inputs[0])
        if node.kind == "prim::Constant" and node.attributes["value"] is None:
            return Memory(output, True)
        if schema is None or not node.kind.startswith("aten::"):
            return Memory(None, False)
        if is_write(node):
            return self.memory(node.inputs[0])
        if schema.is_mutable:
            return Memory(None, False)
        if not schema.is_view and result_is_fresh(node):
            return Memory(output, True)
        # a view, or an op that may give back what it got
        tensors = {self.memory(v) for v in node.inputs if holds_memory(v.type) and is_tensor(v)}
        lists = any(T.TENSOR in T.walk(v.type) and not is_tensor(v) for v in node.inputs)
        if schema.is_view and node.inputs:
            return Memory(self.memory(node.inputs[0]).root, False)
        roots = {m.root for m in tensors}
        if len(roots) == 1 and not lists:
            return Memory(roots.pop(), False)
        if not roots and not lists:
            return Memory(output, True)  # made of numbers
        return Memory(None, False)


class _Follower:
    """Follows the writes of one graph; ``excluded`` has the reason for each root that is not."""

    def __init__(
        self, graph: Graph, unrecorded: Collection[Node], excluded: Mapping[Value, str | None]
    ) -> None:
        self.graph = graph
        self.unrecorded = set(unrecorded)
        self.roots = _Roots(graph)
        self.versions = Versions()
        self.order = {node: i for i, node in enumerate(nodes_in(graph.block))}
        self.written: dict[Value, list[Node]] = {}  # the writes that are followed, by root
        self.through: dict[Node, list[Value]] = {}  # roots that are written inside of a node
        self.stamps: dict[Value, Value] = {}  # the version that a view was taken of
        self.chains: dict[Value, list[Node]] = {}  # the ops that take a view from its root
        self.blamed: dict[Value, Value] = {}  # whose writes have ended the use of a root
        for node in self.order:
            self._find_writes(node, excluded)

    def run(self) -> None:
        """Make the versions; raises Unfit."""
        if self.written:
            self._check_holders()
            self._block(self.graph.block, {})

    # ---- what is written

    def _find_writes(self, node: Node, excluded: Mapping[Value, str | None]) -> None:
        if not is_write(node):
            return
        root = self.roots.memory(node.inputs[0]).root
        if root is None or any(part is None for part, _ in self.roots.parts_of(root)):
            self.versions.reasons[node] = "a write of what may be an argument or an element"
        elif excluded[root] is not None:
            self.versions.reasons[node] = excluded[root] or ""
        elif root.type != T.TENSOR:
            self.versions.reasons[node] = "a write of what may be None"
        else:
            self.written.setdefault(root, []).append(node)
            self.versions.nodes.add(node)
            block = node.block
            while block is not None and block is not root.block:
                if block.owner is not None and root not in self.through.get(block.owner, ()):
                    self.through.setdefault(block.owner, []).append(root)
                block = block.parent

    def _check_holders(self) -> None:
        """Find writes of what something else holds: a container, a list of views."""
        holders = [(node, v) for node in self.order for v in self._held_by(node)]
        for root, writes in self.written.items():
            for part, is_old in self.roots.parts_of(root):
                for holder, value in holders:
                    held = self.roots.parts_of(self.roots.memory(value).root)
                    if (part, is_old) in held or (is_old and (part, False) in held):
                        if any(self._may_follow(w, holder, part, is_old) for w in writes):
                            raise Unfit(root, f"a write after {holder.kind} has taken the tensor")

    def _may_follow(self, later: Node, earlier: Node, part: Value | None, is_old: bool) -> bool:
        """Whether one node may run after another on the same memory."""
        if self.order[later] >= self.order[earlier]:
            return True
        assert part is not None
        around = set(_owners(earlier))
        loops = [n for n in _owners(later) if n in around and n.kind == "prim::Loop"]
        outside = [n for n in loops if n.blocks[0] not in _blocks_around(part.block)]
        return bool(loops if is_old else outside)

    def _held_by(self, node: Node) -> list[Value]:
        """The tensors that live on in what a node makes or changes."""
        tensors = [v for v in node.inputs if is_tensor(v) and self.roots.memory(v).root is not None]
        if not tensors or node.blocks or node.kind in _CASTS:
            return []
        schema = node.schema
        if schema is not None and node.kind.startswith("aten::"):
            if is_write(node) or (result_is_fresh(node) and not schema.is_view):
                return []
            known = all(is_tensor(o) and self.roots.memory(o).root is not None
                        for o in node.outputs)  # fmt: skip
            return [] if known and not schema.is_mutable else tensors
        if node.kind == "prim::ListConstruct" and self._is_passed_on(node):
            return []
        holds = any(holds_memory(o.type) for o in node.outputs)
        return tensors if holds or written_values(node) else []

    def _is_passed_on(self, node: Node) -> bool:
        """Whether a list is only made for the ops of torch right behind it."""
        users = [use.node for use in node.output.uses]
        for user in users:
            fresh = user.kind.startswith("aten::") and (result_is_fresh(user) or is_write(user))
            if user.block is not node.block or not fresh:
                return False
            between = node.next
            while between is not user:
                if between is None or between.blocks or is_write(between):
                    return False
                between = between.next
        return True

    # ---- versions

    def _block(self, block: Block, newest: dict[Value, Value | None]) -> None:
        for node in list(block.nodes):
            for index, value in enumerate(node.inputs):
                now = self._now(value, node, newest)
                if now is not value:
                    node.set_input(index, now)
            if node.kind == "prim::If":
                self._if(node, newest)
            elif node.kind == "prim::Loop":
                self._loop(node, newest)
            elif node in self.versions.nodes:
                self._write(node, newest)
            else:
                self._view(node)
            for output in node.outputs:
                self._begin(output, newest)
        if block.terminator.kind != UNREACHABLE:
            for index, value in enumerate(block.terminator.inputs):
                now = self._now(value, block.terminator, newest)
                if now is not value:
                    block.terminator.set_input(index, now)

    def _now(self, value: Value, user: Node, newest: dict[Value, Value | None]) -> Value:
        """What ``value`` is at ``user``, after the writes before it."""
        memory = self.roots.memory(value)
        root = memory.root
        if root is None or root not in newest:
            return value
        version = newest[root]
        if version is None:
            raise Unfit(self.blamed[root], "a tensor that is used again after a write of a join")
        if memory.whole:
            return version
        if self.stamps.get(value, root) is version:
            return value
        if value not in self.chains or not self.unrecorded.isdisjoint(self.chains[value]):
            raise Unfit(root, "a view that is used again after a write")
        found = version
        copies: list[Node] = []
        for step in self.chains[value]:
            copy = Node(step.kind, [found, *step.inputs[1:]], [T.TENSOR], schema=step.schema,
                        span=step.span, scope=step.scope)  # fmt: skip
            found = copy.insert_before(user).output
            copies.append(copy)
            self._adopt(found, root, version, copies)
        return found

    def _adopt(self, view: Value, root: Value, version: Value, chain: Sequence[Node]) -> None:
        self.roots.of[view] = Memory(root, False)
        self.stamps[view] = version
        self.chains[view] = list(chain)

    def _begin(self, value: Value, newest: dict[Value, Value | None]) -> None:
        """Note of which version a view is; a root begins as itself."""
        memory = self.roots.memory(value)
        if memory.root is value:
            newest.pop(value, None)
        if memory.root is not None and not memory.whole:
            version = newest.get(memory.root, memory.root)
            if version is not None:
                self.stamps[value] = version

    def _view(self, node: Node) -> None:
        """Remember how a view comes from its root."""
        schema = node.schema
        if schema is None or not schema.is_view:
            return
        if [o.type for o in node.outputs] != [T.TENSOR] or not all(
            map(_is_steady, node.inputs[1:])
        ):
            return
        before = self._chain_of(node.inputs[0])
        if before is not None:
            self.chains[node.output] = [*before, node]

    def _chain_of(self, value: Value) -> list[Node] | None:
        memory = self.roots.memory(value)
        if memory.root is None:
            return None
        return [] if memory.whole else self.chains.get(value)

    def _write(self, node: Node, newest: dict[Value, Value | None]) -> None:
        memory = self.roots.memory(node.inputs[0])
        root = memory.root
        assert root is not None
        before = newest.get(root, root)
        assert before is not None
        after = node.output
        self.roots.of[after] = Memory(root, memory.whole)
        if not memory.whole:
            chain = self._chain_of(node.inputs[0])
            quiet = node in self.unrecorded or self.unrecorded.isdisjoint(chain or ())
            if chain is None or not quiet or not all(_is_exact(step) for step in chain):
                raise Unfit(root, "a write through a view that has no known reverse")
            call = Node("prim::Call", [before, after], [T.TENSOR], attributes={"callee": WRITTEN},
                        span=node.span)  # fmt: skip
            call.insert_after(node)
            self.versions.views[call] = chain
            self._adopt(after, root, call.output, chain)
            after = call.output
            self.roots.of[after] = Memory(root, True)
        newest[root] = after
        self._end_others(root, newest)

    def _end_others(self, root: Value, newest: dict[Value, Value | None]) -> None:
        """Roots that may be the same memory are not to be used any more."""
        parts = self.roots.parts_of(root)
        others = [part for part, old in parts if part is not None and not old]
        for other in dict.fromkeys([*sorted(others, key=self._place), *self.roots.parts]):
            if other is not root and not parts.isdisjoint(self.roots.parts_of(other)):
                newest[other] = None
                self.blamed[other] = root

    def _place(self, value: Value) -> tuple[int, int]:
        node = value.node
        return (self.order[node], node.outputs.index(value)) if node is not None else (-1, 0)

    def _if(self, node: Node, newest: dict[Value, Value | None]) -> None:
        through = self.through.get(node, [])
        ends = []
        for block in node.blocks:
            inside = dict(newest)
            self._block(block, inside)
            if block.terminator.kind != UNREACHABLE:
                ends.append(inside)
                for root in through:
                    block.terminator.add_input(self._known(root, inside))
        for inside in ends:
            self._merge(inside, newest)
        if ends:
            for root in through:
                self._further(node.add_output(T.TENSOR), root, newest)

    def _loop(self, node: Node, newest: dict[Value, Value | None]) -> None:
        through = self.through.get(node, [])
        body = node.blocks[0]
        for root in through:
            node.add_input(self._known(root, newest))
        inside = dict(newest)
        for root in through:
            self._further(body.add_param(T.TENSOR), root, inside)
        for root in self.written:
            if any(node in _owners(w) for w in self.written[root]):
                self._end_before(root, inside, body)
        for param in body.params[1:]:
            self._begin(param, inside)
        self._block(body, inside)
        for root in through:
            body.terminator.add_input(self._known(root, inside))
        self._merge(inside, newest)
        for root in through:
            self._further(node.add_output(T.TENSOR), root, newest)

    def _end_before(self, root: Value, inside: dict[Value, Value | None], body: Block) -> None:
        """What a later iteration finds: writes of ``root`` end the use of what is outside."""
        ended: dict[Value, Value | None] = {}
        self._end_others(root, ended)
        for other in ended:
            if body not in _blocks_around(other.block):
                inside[other] = None

    def _further(self, value: Value, root: Value, newest: dict[Value, Value | None]) -> None:
        self.roots.of[value] = Memory(root, True)
        newest[root] = value

    def _known(self, root: Value, newest: Mapping[Value, Value | None]) -> Value:
        version = newest.get(root, root)
        if version is None:
            raise Unfit(root, "a tensor that is written under two names")
        return version

    def _merge(
        self, inside: Mapping[Value, Value | None], newest: dict[Value, Value | None]
    ) -> None:
        for root, version in inside.items():
            if version is None:
                newest[root] = None


def _owners(node: Node) -> Iterator[Node]:
    """The nodes around a node, innermost first."""
    block = node.block
    while block is not None and block.owner is not None:
        yield block.owner
        block = block.parent


def _blocks_around(block: Block | None) -> Iterator[Block]:
    while block is not None:
        yield block
        block = block.parent


def _is_exact(step: Node) -> bool:
    return step.kind.partition(".")[0] in _EXACT and not is_without_gradient(step.kind)


def _is_steady(value: Value) -> bool:
    """Whether an operand of a view is the same at any later time."""
    if not holds_memory(value.type):
        return True
    node = value.node
    if node is None or node.kind not in ("prim::ListConstruct", "prim::Constant"):
        return False
    return not any(value in written_values(use.node) for use in value.uses)
