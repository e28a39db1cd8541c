"""Walks over syntax trees, which the front end does again and again.

As ``ast.iter_child_nodes`` and ``ast.walk``, in the same order, but for the ``Load``, ``Store`` and
``Del`` of names, which are no places of the source.
"""

from __future__ import annotations

import ast


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below ``node``."""
    found: list[ast.AST] = []
    values = vars(node)
    for name in node._fields:
        value = values.get(name)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and name != "ctx":
            found.append(value)
    return found


def walk(node: ast.AST) -> list[ast.AST]:
    """``node`` and all nodes below it, those nearer to it first."""
    found = [node]
    for inner in found:  # which grows meanwhile
        found += children(inner)
    return found
