"""Rules on torch's ops: they return an existing tensor only while nothing can tell."""

from __future__ import annotations

from scriptmode.analysis.alias import is_only_read, is_quiet_until_used
from scriptmode.ir.graph import Node, Value
from scriptmode.passes.rewrite import rule


@rule("aten::t")
def transpose_twice(node: Node) -> Value | None:
    """aten::t(aten::t(x)) -> x"""
    match node.inputs:
        case [Value(Node("aten::t", [x])) as inner]:
            if inner.node is not None and is_quiet_until_used(inner.node, node.output):
                return x if is_only_read(node.output) and is_only_read(inner) else None
    return None
