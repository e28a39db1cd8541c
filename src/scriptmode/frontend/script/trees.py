"""Walks over syntax trees, which the front end does again and again.

As ``ast.iter_child_nodes`` and ``ast.walk``, in the same order, but for the ``Load``, ``Store`` and
``Del`` of names, which are no places of the source.
"""

from __future__ import annotations

import ast
import functools
import weakref
from collections.abc import Callable
from typing import TypeVar

_N = TypeVar("_N", bound=ast.AST)
_R = TypeVar("_R")


def kept(find: Callable[[_N], _R]) -> Callable[[_N], _R]:
    """A question about a tree whose answer is kept as long as the tree is.

    For trees that do not change any more; the answer must not be changed either.
    """
    answers: weakref.WeakKeyDictionary[_N, _R] = weakref.WeakKeyDictionary()

    @functools.wraps(find)
    def answer(node: _N) -> _R:
        found = answers.get(node)
        if found is None:
            found = answers[node] = find(node)
        return found

    return answer


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
