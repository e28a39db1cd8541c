"""Rules on str."""

from __future__ import annotations

from scriptmode.ir.graph import Node, Value
from scriptmode.passes.rewrite import rule
from scriptmode.passes.rules.scalars import is_const


@rule("str::concat")
def concat_empty(node: Node) -> Value | None:
    """str::concat(x, '') -> x"""
    x, y = node.inputs
    return x if is_const(y, "") else y if is_const(x, "") else None


@rule("str::upper")
def upper_twice(node: Node) -> Value | None:
    """str::upper(str::upper(x)) -> str::upper(x)"""
    match node.inputs:
        case [Value(Node("str::upper")) as inner]:
            return inner
    return None
