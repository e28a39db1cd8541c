"""Regions of another grad mode: ``with torch.no_grad():`` and the like inside of a function.

A forward program records nothing, so the mode itself is dropped; what eager would not have
recorded is computed from tensors that are detached::

    %mode: bool = torch::is_grad_enabled()
    torch::set_grad_enabled(%false)               %x1: Tensor = aten::detach(%x)
    %y: Tensor = prim::Try()                      %y1: Tensor = aten::mul.Tensor(%x1, %w)
      block0():                          becomes
        %y1: Tensor = aten::mul.Tensor(%x, %w)
        -> (%y1)
      block1(%error: ...):
        torch::set_grad_enabled(%mode)
        prim::reraise()
        unreachable
    torch::set_grad_enabled(%mode)

``unwrap_regions`` takes the bodies out of their Trys, while exits are still there, ``drop_modes``
the mode, and gives the ops of such regions, whose operands ``detach_operands`` detaches.  A mode
that depends on what only a run knows raises NotDifferentiable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from scriptmode.autodiff.activity import Activity, is_taped
from scriptmode.autodiff.mutation import WRITTEN, Versions
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.ir import types as T
from scriptmode.ir.graph import UNREACHABLE, YIELD, Block, Graph, Node, Value
from scriptmode.ops.aten import schema_of
from scriptmode.passes.simplify_control_flow import truncate_after

_ASK, _SET = "torch::is_grad_enabled", "torch::set_grad_enabled"
_RERAISE = "prim::reraise"


def unwrap_regions(graph: Graph) -> None:
    """Put the bodies of Trys that only restore the mode in their places."""
    for node in graph.find_all("prim::Try"):
        _unwrap(node)


def drop_modes(graph: Graph) -> list[Node]:
    """Take the grad mode out of the graph; the ops that eager would not record, in order."""
    modes = _Modes()
    modes.block(graph.block, True)
    for node in modes.set:
        node.erase()
    return modes.unrecorded


def _unwrap(node: Node) -> None:
    body, handler = node.blocks
    restores = all(n.kind in (_SET, _RERAISE) for n in handler.nodes)
    reraises = restores and any(n.kind == _RERAISE for n in handler.nodes)
    if not reraises or node.attributes.get("labelled"):
        return
    block, end = node.block, body.terminator
    assert block is not None
    for inner in list(body.nodes):
        inner.detach()
        inner.insert_before(node)
    if end.kind == YIELD:
        node.replace_with(*body.returns)
        return
    inputs, span = end.inputs, end.span
    truncate_after(node)  # nothing behind it is reached
    node.erase()
    block.terminate(end.kind, inputs, span)


class _Modes:
    """Walks a graph with the grad mode that is on at each node; None where paths differ."""

    def __init__(self) -> None:
        self.set: list[Node] = []
        self.unrecorded: list[Node] = []

    def block(self, block: Block, mode: bool | None) -> bool | None:
        """The mode behind the block."""
        for node in block.nodes:
            mode = self._node(node, mode)
        return mode

    def _node(self, node: Node, mode: bool | None) -> bool | None:
        if node.kind == "prim::If":
            after = [(b.terminator.kind, self.block(b, mode)) for b in node.blocks]
            found = {m for kind, m in after if kind != UNREACHABLE}
            return found.pop() if len(found) == 1 else None
        if node.kind == "prim::Loop":
            if self.block(node.blocks[0], mode) is not mode:
                raise NotDifferentiable("a loop that leaves a region of a grad mode", node.span)
            return mode
        if node.kind == _SET and node.inputs[0].is_constant:
            self.set.append(node)
            return bool(node.inputs[0].constant)
        if node.kind == _SET or (mode is None and (node.kind == _ASK or _makes_tensors(node))):
            raise NotDifferentiable("a grad mode that only a run knows", node.span)
        if node.kind == _ASK:
            node.kind, node.schema, node.attributes = "prim::Constant", None, {"value": mode}
        elif not mode and is_taped(node):
            raise NotDifferentiable("recursion in a region of another grad mode", node.span)
        elif not mode and node.kind.startswith("aten::"):
            self.unrecorded.append(node)
        return mode


def _makes_tensors(node: Node) -> bool:
    return any(T.TENSOR in T.walk(v.type) for v in node.outputs) and node.schema is not None


def detach_operands(
    unrecorded: Collection[Node], activity_of: Callable[[], Activity], versions: Versions
) -> None:
    """Let ops work on detached tensors; those that write an active one stay, and are refused."""
    activity = activity_of()
    for node in unrecorded:
        schema = node.schema
        if node in versions.nodes and _writes_active(node, activity):
            raise NotDifferentiable(f"{node.kind} in a region of another grad mode", node.span)
        active = [i for i, v in enumerate(node.inputs) if activity.any_in(v)]
        if schema is None or not active:
            continue
        if schema.is_mutable and activity.any_in(node.inputs[0]):
            continue
        for index in active:
            value = node.inputs[index]
            if value.type == T.TENSOR:
                node.set_input(index, _detached(value, node))
            else:
                _detach_results(node)
        activity = activity_of()


def _writes_active(node: Node, activity: Activity) -> bool:
    """Whether what a followed write writes, itself or by a view, carries a gradient."""
    users = [use.node for use in node.output.uses if use.index == 1]
    whole = [n.inputs[0] for n in users if n.attributes.get("callee") == WRITTEN]
    return any(map(activity.is_active, (node.inputs[0], *whole)))


def _detached(value: Value, anchor: Node) -> Value:
    kind = "aten::detach"
    node = Node(kind, [value], [T.TENSOR], schema=schema_of(kind), span=anchor.span)
    return node.insert_before(anchor).output


def _detach_results(node: Node) -> None:
    """For an op of a list, or of what may be None."""
    for output in node.outputs:
        if output.type != T.TENSOR or (node.schema is not None and node.schema.is_mutable):
            raise NotDifferentiable(f"{node.kind} in a region of another grad mode", node.span)
        uses = output.uses
        following = node.next
        assert following is not None
        detached = _detached(output, following)
        for use in uses:
            use.node.set_input(use.index, detached)
