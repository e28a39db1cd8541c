"""Walks over syntax trees give what Python's own give, in the same order."""

from __future__ import annotations

import ast
import inspect

from scriptmode.frontend.script import matching, tries
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.trees import children, walk


def is_place(node):
    return not isinstance(node, ast.expr_context)


def test_walks_agree_with_those_of_ast():
    for module in (matching, tries):
        tree = ast.parse(inspect.getsource(module))
        assert walk(tree) == list(filter(is_place, ast.walk(tree)))
        for node in ast.walk(tree):
            assert children(node) == list(filter(is_place, ast.iter_child_nodes(node)))


def test_loads_are_counted_again_when_a_nested_generator_was_taken_apart():
    def outer(x):
        def inner():
            x = [(yield 1), (yield 2)]
            return x

        x += 1
        return inner, x

    source = source_of(outer)
    assert source.loads["x"] == 3
    names = set(source.loads)
    (inner,) = [n for n in source.node.body if isinstance(n, ast.FunctionDef)]
    source.nested(inner)
    assert source.loads["x"] == 3
    assert set(source.loads) > names, "what is yielded has got names of its own"
