"""Rewrite rules and the driver that applies them.

A rule is a function of a node, registered for its kind, with Python's ``match`` as the pattern
language; its docstring states one line of algebra, which a test executes::

    @rule("bool::not")
    def not_twice(node):
        \"\"\"bool::not(bool::not(x)) -> x\"\"\"
        match node.inputs:
            case [Value(Node("bool::not", [x]))]:
                return x

It returns an existing value of the output's type, or a ``Const``; None when it does not fire.
A rule must be exact: errors that the replaced node could raise are impossible, or raised by what
is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scriptmode.ir.graph import Graph, Node, Program, Value


@dataclass(frozen=True)
class Const:
    """Replacement by a constant of the output's type."""

    value: Any


Rule = Callable[[Node], "Value | Const | None"]
RULES: dict[str, list[Rule]] = {}


def rule(*kinds: str) -> Callable[[Rule], Rule]:
    """Register a rule for nodes of ``kinds``."""

    def register(function: Rule) -> Rule:
        for kind in kinds:
            RULES.setdefault(kind, []).append(function)
        return function

    return register


def rewrite(graph: Graph, nodes: Iterable[Node] | None = None) -> bool:
    """Apply all rules until none fires; whether the graph changed."""
    pending = list(graph.walk() if nodes is None else nodes)[::-1]
    changed = False
    while pending:
        node = pending.pop()
        if node.block is None:
            continue  # replaced meanwhile
        for candidate in RULES.get(node.kind, ()):
            found = candidate(node)
            if found is not None:
                users = [use.node for use in node.output.uses]
                _replace(node, found)
                pending += users
                changed = True
                break
    return changed


def _replace(node: Node, found: Value | Const) -> None:
    if isinstance(found, Const):
        constant = Node(
            "prim::Constant",
            (),
            [node.output.type],
            attributes={"value": found.value},
            span=node.span,
            scope=node.scope,
        )
        constant.insert_before(node)
        found = constant.output
    assert found.type == node.output.type, f"a rule changed the type of {node!r}"
    node.replace_with(found)


def apply_rules(graph: Graph, program: Program | None = None) -> bool:
    """The pass: return whether the graph changed."""
    return rewrite(graph)
