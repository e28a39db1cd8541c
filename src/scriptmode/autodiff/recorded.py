"""Ops without rules of their own: torch's tape records the op alone, and libtorch walks it back.

::

    %y: Tensor = aten::digamma(%x)          %x1: Tensor = prim::Call[callee='autodiff.record'](%x)
                                  becomes   %mode: bool = torch::is_grad_enabled()
                                            torch::set_grad_enabled(%true)
                                            %raw: Tensor = aten::digamma(%x1)
                                            torch::set_grad_enabled(%mode)
                                            %y: Tensor = prim::Call[callee='autodiff.strip'](%raw)

``record`` gives a leaf of the tape that shares the tensor's memory, ``strip`` the result outside of
the tape.  The reverse program asks ``autograd::grad`` for the cotangents of the leaves.

A reverse program that is differentiated itself calls a function ``autodiff.pulled.N`` instead (see
pullback), which runs the op and does the same; of its results torch's tape can be asked again.
"""

from __future__ import annotations

from scriptmode.autodiff.activity import PULLED, Activity
from scriptmode.autodiff.dual import TENSORS
from scriptmode.autodiff.mutation import is_write
from scriptmode.autodiff.problems import NotDifferentiable
from scriptmode.autodiff.rule import (
    CONVERSION,
    is_without_gradient,
    may_give_whole_numbers,
    rules_of,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Graph, Node, Value
from scriptmode.ops.aten import schema_of

MAYBE = T.optional_of(T.TENSOR)
RECORD, RECORD_MAYBE, RECORD_LIST = (
    "autodiff.record", "autodiff.record_maybe", "autodiff.record_list",
)  # fmt: skip
STRIP, STRIP_LIST = "autodiff.strip", "autodiff.strip_list"
RECORDS, STRIPS = (RECORD, RECORD_MAYBE, RECORD_LIST), (STRIP, STRIP_LIST)
# ops whose rules use kernels that torch does not differentiate
_ONCE = frozenset({"aten::native_group_norm", "aten::mish", "aten::silu", "aten::logit"})
_RECORD_OF = {T.TENSOR: RECORD, MAYBE: RECORD_MAYBE, TENSORS: RECORD_LIST}


def needs_recording(node: Node, activity: Activity, is_again: bool = False) -> bool:
    """Whether some active operand of an op has no rule, or none to differentiate ``is_again``."""
    if is_again and node.kind in _ONCE:
        return True
    if is_pulled(node):
        return any(map(activity.any_in, node.inputs))
    if not node.kind.startswith("aten::") or is_without_gradient(node.kind):
        return False
    if not any(activity.any_in(output) for output in node.outputs) or is_write(node):
        return False
    rules = rules_of(node.kind)
    schema = node.schema
    assert schema is not None
    if node.kind != CONVERSION and may_give_whole_numbers(node):
        return True  # the rules are for results that carry a gradient
    return any(
        activity.any_in(value) and argument.name not in rules
        for argument, value in zip(schema.arguments, node.inputs, strict=True)
    )


def is_pulled(node: Node) -> bool:
    """Whether a node asks torch's tape for cotangents of a recorded op."""
    return node.kind == "prim::Call" and str(node.attributes["callee"]).startswith(PULLED)


def record_ops(graph: Graph, activity: Activity) -> set[Node]:
    """Let torch's tape record what has no rule; the nodes that set the grad mode for it."""
    made: set[Node] = set()
    nodes = [node for node in graph.walk() if needs_recording(node, activity)]
    for node in nodes:
        made |= _record(node, activity)
    if nodes:
        first = graph.block.first
        assert first is not None
        # an error inside of such an op leaves the grad mode as the call found it
        guard = Node("torch::guard_grad_mode", schema=schema_of("torch::guard_grad_mode"),
                     span=first.span)  # fmt: skip
        made.add(guard.insert_before(first))
    return made


def _record(node: Node, activity: Activity) -> set[Node]:
    for index, value in enumerate(node.inputs):
        if activity.any_in(value):
            if value.type not in _RECORD_OF:
                raise NotDifferentiable(f"{node.kind} has no rule for {value.type}", node.span)
            call = _call(_RECORD_OF[value.type], value, node)
            node.set_input(index, call.insert_before(node).output)
    following = node.next
    assert following is not None
    kind = "torch::is_grad_enabled"
    asked = Node(kind, (), [T.BOOL], schema=schema_of(kind), span=node.span).insert_before(node)
    flag = Node("prim::Constant", (), [T.BOOL], attributes={"value": True}, span=node.span)
    on = _set_grad_mode(flag.insert_before(node).output, node)
    made = {asked, on, _set_grad_mode(asked.output, following)}
    for output in node.outputs:
        if output.type in (T.TENSOR, TENSORS):
            uses = output.uses
            call = _call(STRIP if output.type == T.TENSOR else STRIP_LIST, output, node)
            call.insert_before(following)
            for use in uses:
                use.node.set_input(use.index, call.output)
            if activity.any_in(output):
                activity.add(call.output)
    return made


def _call(name: str, value: Value, node: Node) -> Node:
    return Node("prim::Call", [value], [value.type], attributes={"callee": name}, span=node.span)


def _set_grad_mode(mode: Value, anchor: Node) -> Node:
    kind = "torch::set_grad_enabled"
    node = Node(kind, [mode], schema=schema_of(kind), span=anchor.span)
    return node.insert_before(anchor)


def is_recorded(node: Node) -> bool:
    """Whether torch's tape records the op: some operand comes from ``record``."""
    return any(_callee(value) in RECORDS for value in node.inputs)


def original(value: Value) -> Value | None:
    """What ``record`` made ``value`` of; None for other values."""
    node = value.node
    if node is None or node.attributes.get("callee") not in RECORDS:
        return None
    return node.inputs[0]


def _callee(value: Value) -> str | None:
    node = value.node
    if node is None or node.kind != "prim::Call":
        return None
    name = node.attributes["callee"]
    return name if isinstance(name, str) else None
