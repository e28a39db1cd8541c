"""A ``yield`` inside an expression, assigned to a variable before the statement.

::

    print(f(x), (yield y))         %part1 = f(x)
                                   %part2 = yield y
                                   print(%part1, %part2)

What is evaluated before the ``yield`` is evaluated before it still; a ``yield`` that may not be
reached (behind ``and``, in an arm of ``if else``) stays where it is, which is refused later.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence

from scriptmode.frontend.script.trees import children

_YIELDS = (ast.Yield, ast.YieldFrom)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class _Stays(Exception):
    """An expression cannot be taken apart."""


def hoist_yields(node: ast.FunctionDef, own_names: Callable[[], Collection[str]]) -> None:
    """Take the statements of a generator function apart, in place."""
    if any(_hidden_yield(s) for s in _own_statements(node.body)):
        node.body = _Hoisting(own_names()).block(node.body)


def _own_statements(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for statement in body:
        if not isinstance(statement, _SCOPES):
            found.append(statement)
            for inner in _blocks(statement):
                found += _own_statements(getattr(*inner))
    return found


def _blocks(statement: ast.AST) -> list[tuple[ast.AST, str]]:
    """The lists of statements inside a statement."""
    found = [(statement, n) for n in ("body", "orelse", "finalbody") if getattr(statement, n, None)]
    for part in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
        found.append((part, "body"))
    return found


def _expression_of(statement: ast.stmt) -> str:
    """The field with the expression that a statement evaluates first."""
    match statement:
        case ast.Expr() | ast.Assign() | ast.AnnAssign() | ast.Return():
            return "value"
        case ast.If() | ast.While() | ast.Assert():
            return "test"
        case ast.For():
            return "iter"
        case ast.Match():
            return "subject"
        case ast.Raise():
            return "exc"
    return ""


def _hidden_yield(statement: ast.stmt) -> bool:
    name = _expression_of(statement)
    expression = getattr(statement, name) if name else None
    if isinstance(expression, _YIELDS) and name == "value":
        expression = expression.value
    return expression is not None and _has_yield(expression)


def _has_yield(node: ast.AST) -> bool:
    if isinstance(node, _YIELDS):
        return True
    return not isinstance(node, _SCOPES) and any(map(_has_yield, children(node)))


class _Hoisting:
    def __init__(self, own_names: Collection[str]) -> None:
        self.own_names = own_names
        self.count = 0

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Statements that do the same."""
        return [s for statement in body for s in self._statement(statement)]

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        if isinstance(statement, _SCOPES):
            return [statement]
        for part, name in _blocks(statement):
            setattr(part, name, self.block(getattr(part, name)))
        if not _hidden_yield(statement):
            return [statement]
        name = _expression_of(statement)
        expression = getattr(statement, name)
        before: list[ast.stmt] = []
        try:
            if isinstance(expression, _YIELDS) and name == "value":
                assert expression.value is not None
                changed = self._apart(expression.value, before)
                expression.value = changed
                return [*before, statement]
            changed = self._apart(expression, before)
        except _Stays:
            return [statement]
        if not isinstance(statement, ast.While):
            setattr(statement, name, changed)
            return [*before, statement]
        if statement.orelse:
            return [statement]
        stop = ast.copy_location(ast.UnaryOp(ast.Not(), changed), changed)
        leave = ast.copy_location(ast.If(stop, [ast.copy_location(ast.Break(), changed)], []), stop)
        statement.test = ast.copy_location(ast.Constant(True), changed)
        statement.body = [*before, leave, *statement.body]
        return [statement]

    def _apart(self, node: ast.expr, before: list[ast.stmt]) -> ast.expr:
        """``node`` without a ``yield``; what must run first goes to ``before``."""
        if isinstance(node, _YIELDS):
            if node.value is not None and _has_yield(node.value):
                node.value = self._apart(node.value, before)
            return self._kept(node, before)
        parts = _parts(node)
        last = max(i for i, (_, _, part) in enumerate(parts) if _has_yield(part))
        made: list[tuple[object, int | str, ast.expr]] = []
        for index, (owner, place, part) in enumerate(parts[: last + 1]):
            changed = self._apart(part, before) if _has_yield(part) else part
            if index < last:
                changed = self._evaluated(changed, before)
            made.append((owner, place, changed))
        for owner, place, changed in made:
            if isinstance(owner, list):
                owner[place] = changed  # type: ignore[index]
            else:
                setattr(owner, str(place), changed)
        return node

    def _evaluated(self, node: ast.expr, before: list[ast.stmt]) -> ast.expr:
        """``node``, evaluated where the code before ends."""
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name) and (
            node.id not in self.own_names or node.id.startswith("%part")
        ):
            return node
        if isinstance(node, ast.Attribute):  # of a method: the object is what matters
            node.value = self._evaluated(node.value, before)
            return node
        if isinstance(node, ast.Starred):
            raise _Stays
        return self._kept(node, before)

    def _kept(self, node: ast.expr, before: list[ast.stmt]) -> ast.expr:
        self.count += 1
        name = f"%part{self.count}"
        target = ast.copy_location(ast.Name(name, ast.Store()), node)
        assignment = ast.Assign([target], node)
        before.append(ast.copy_location(assignment, node))
        return ast.copy_location(ast.Name(name, ast.Load()), node)


def _parts(node: ast.expr) -> list[tuple[object, int | str, ast.expr]]:
    """The expressions that ``node`` evaluates, in order: their owners and places."""
    match node:
        case ast.BoolOp(values=values):
            _only_first(values, 1)
            return [(values, 0, values[0])]
        case ast.IfExp():
            _only_first([node.test, node.body, node.orelse], 1)
            return [(node, "test", node.test)]
        case ast.Compare(left=left, comparators=comparators):
            _only_first(comparators, 1)
            return [(node, "left", left), (comparators, 0, comparators[0])]
        case ast.Call(func=func, args=args, keywords=keywords):
            found: list[tuple[object, int | str, ast.expr]] = [(node, "func", func)]
            found += [(args, i, a) for i, a in enumerate(args)]
            return found + [(k, "value", k.value) for k in keywords]
        case ast.BinOp():
            return [(node, "left", node.left), (node, "right", node.right)]
        case ast.UnaryOp():
            return [(node, "operand", node.operand)]
        case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
            return [(elts, i, x) for i, x in enumerate(elts)]
        case ast.Dict(keys=[ast.expr() as key], values=[value]):
            return [(node.keys, 0, key), (node.values, 0, value)]
        case ast.Attribute() | ast.NamedExpr() | ast.FormattedValue() | ast.Starred():
            return [(node, "value", node.value)]
        case ast.JoinedStr(values=values):
            return [(values, i, v) for i, v in enumerate(values)]
        case ast.Subscript():
            return [(node, "value", node.value), (node, "slice", node.slice)]
    raise _Stays


def _only_first(parts: Sequence[ast.expr], count: int) -> None:
    if any(_has_yield(p) for p in parts[count:]):
        raise _Stays
