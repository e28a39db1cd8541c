"""Make a failing program small: drop and simplify parts of its syntax tree while it still fails."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

_SIMPLE = ("0", "1", "''", "[]", "{}", "True", "0.5", "None")


def shrink(text: str, fails: Callable[[str], bool], budget: int = 400) -> str:
    """The smallest text found for which ``fails`` is true, within ``budget`` tries."""
    best = ast.unparse(ast.parse(text))
    if not fails(best):
        return text
    improved = True
    while improved and budget > 0:
        improved = False
        for candidate in _candidates(best):
            if budget <= 0:
                break
            if len(candidate) >= len(best):
                continue
            budget -= 1
            if fails(candidate):
                best, improved = candidate, True
                break
    return best


def _candidates(text: str) -> Iterator[str]:
    tree = ast.parse(text)
    for make in (_without_statements, _unwrapped, _simpler_expressions):
        yield from make(tree)


def _bodies(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(getattr(node, field, None), list) and getattr(node, field):
                yield node, field


def _edited(tree: ast.AST, number: int, edit: Callable[[ast.AST, str], None]) -> str:
    """The text after an edit of the body with this number, in a copy."""
    twin = copy.deepcopy(tree)
    node, field = list(_bodies(twin))[number]
    edit(node, field)
    return ast.unparse(ast.fix_missing_locations(twin))


def _without_statements(tree: ast.AST) -> Iterator[str]:
    sizes = [(n, len(getattr(node, field))) for n, (node, field) in enumerate(_bodies(tree))]
    for part in (2, 1):
        for number, size in sizes:
            count = max(1, size // 2) if part == 2 else 1
            if part == 2 and size < 4:
                continue
            for start in reversed(range(0, size, count)):

                def cut(node: ast.AST, field: str, at: int = start, n: int = count) -> None:
                    statements = getattr(node, field)
                    del statements[at : at + n]
                    if not statements and field == "body":
                        statements.append(ast.Pass())

                yield _edited(tree, number, cut)


def _unwrapped(tree: ast.AST) -> Iterator[str]:
    """A compound statement replaced by its body."""
    for number, (node, field) in enumerate(_bodies(tree)):
        for at, inner in enumerate(getattr(node, field)):
            if isinstance(inner, (ast.If, ast.For, ast.While, ast.With, ast.Try)):

                def lift(owner: ast.AST, name: str, index: int = at) -> None:
                    statements = getattr(owner, name)
                    statements[index : index + 1] = statements[index].body

                yield _edited(tree, number, lift)


class _Replace(ast.NodeTransformer):
    """Replaces the expression with a number by another."""

    def __init__(self, number: int, new: Callable[[ast.expr], ast.expr]) -> None:
        self.left, self.new = number, new

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            self.left -= 1
            if self.left == -1:
                return self.new(node)
        return self.generic_visit(node)


def _simpler_expressions(tree: ast.AST) -> Iterator[str]:
    expressions = [
        n for n in ast.walk(tree)
        if isinstance(n, ast.expr) and isinstance(getattr(n, "ctx", ast.Load()), ast.Load)
    ]  # fmt: skip
    for number in range(len(expressions)):
        found: list[ast.expr] = []
        twin = copy.deepcopy(tree)
        _Replace(number, lambda node, keep=found: keep.append(node) or node).visit(twin)
        if not found or isinstance(found[0], (ast.Name, ast.Constant)):
            continue
        parts = [c for c in ast.iter_child_nodes(found[0]) if isinstance(c, ast.expr)]
        simple = [ast.parse(s, mode="eval").body for s in _SIMPLE]
        for new in (*simple, *parts):
            twin = copy.deepcopy(tree)
            replaced = _Replace(number, lambda _, n=new: copy.deepcopy(n)).visit(twin)
            yield ast.unparse(ast.fix_missing_locations(replaced))
