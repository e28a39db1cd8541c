"""Which attributes every instance of a class has once it is made.

``definitely_assigned(cls)`` follows ``__init__`` and the ``super().__init__`` calls in it,
statement by statement, and stops where the instance may become known to other code::

    def __init__(self, n):
        self.n = n                     n
        if n:
            self.kind = "some"         kind, on both paths
        else:
            self.kind = "none"
        self.start()                   others may see the instance: what follows may be unset
        self.late = 1
"""

from __future__ import annotations

import ast
import types
from collections.abc import Sequence
from functools import cache

from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.trees import children, walk
from scriptmode.support.diagnostics import CompileError


@cache
def definitely_assigned(cls: type) -> frozenset[str]:
    """The attributes that ``cls(...)`` always assigns before any other code sees the instance."""
    names, _ = _of_init(cls, cls.__mro__)
    return frozenset(names)


def _of_init(cls: type, order: Sequence[type]) -> tuple[set[str], bool]:
    """The names that the first ``__init__`` in ``order`` assigns; whether it shows no one."""
    for index, base in enumerate(order):
        init = vars(base).get("__init__")
        if init is None:
            continue
        if not isinstance(init, types.FunctionType):
            return set(), base is object
        try:
            node = source_of(init).node
        except CompileError:
            return set(), False
        if not isinstance(node, ast.FunctionDef) or not node.args.args:
            return set(), False
        walk = _Walk(cls, node.args.args[0].arg, order[index + 1 :])
        names = walk.block(node.body, set())
        return (names if walk.returned is None else names & walk.returned), not walk.stopped
    return set(), True


class _Walk:
    """A walk along the paths of one ``__init__``."""

    def __init__(self, cls: type, own: str, above: Sequence[type]) -> None:
        self.cls = cls
        self.own = own  # the name of the first parameter
        self.above = above
        self.stopped = False
        self.returned: set[str] | None = None  # what is assigned at every early return

    def block(self, body: Sequence[ast.stmt], before: set[str]) -> set[str]:
        """The names assigned after ``body``; ``stopped`` is set where the walk must end."""
        names = set(before)
        for statement in body:
            if self.stopped:
                return names
            names = self.statement(statement, names)
        return names

    def statement(self, node: ast.stmt, names: set[str]) -> set[str]:
        match node:
            case ast.Assign(targets=targets, value=value):
                return self.assign(targets, value, names)
            case ast.AnnAssign(target=target, value=value):
                return names if value is None else self.assign([target], value, names)
            case ast.If(test=test, body=body, orelse=orelse):
                if not self.is_private(test, names):
                    self.stopped = True
                    return names
                first, second = self.block(body, names), self.block(orelse, names)
                if _always_raises(body):
                    return second
                return first if _always_raises(orelse) else first & second
            case ast.Expr(value=ast.Call() as call) if self.is_super_init(call, names):
                inherited, private = _of_init(self.cls, self.above)
                self.stopped = self.stopped or not private
                return names | inherited
            case ast.Return():
                self.returned = names if self.returned is None else self.returned & names
                self.stopped = True
                return names
        if not self.is_private(node, names) or any(
            isinstance(inner, ast.Return) for inner in walk(node)
        ):
            self.stopped = True
        return names

    def assign(self, targets: Sequence[ast.expr], value: ast.expr, names: set[str]) -> set[str]:
        if not self.is_private(value, names):
            self.stopped = True
            return names
        found = set(names)
        for target in targets:
            for part in _parts(target):
                if self.is_own(part) and isinstance(part, ast.Attribute):
                    if isinstance(getattr(self.cls, part.attr, None), property):
                        self.stopped = True
                        return names
                    found.add(part.attr)
                elif not self.is_private(part, found):
                    self.stopped = True
                    return names
        return found

    def is_own(self, node: ast.AST) -> bool:
        """Whether an attribute of the instance."""
        return (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == self.own
        )

    def is_private(self, node: ast.AST, names: set[str]) -> bool:
        """Whether evaluating ``node`` shows the instance to no other code."""
        if isinstance(node, ast.Name):
            return node.id != self.own
        if self.is_own(node):
            assert isinstance(node, ast.Attribute)
            return node.attr in names or isinstance(node.ctx, ast.Store)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("super", "locals", "vars", "eval", "exec"):
                return False
        return all(self.is_private(child, names) for child in children(node))

    def is_super_init(self, call: ast.Call, names: set[str]) -> bool:
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr="__init__"):
                arguments = [*call.args, *(k.value for k in call.keywords)]
                return all(self.is_private(a, names) for a in arguments)
        return False


def _parts(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        return [part for inner in target.elts for part in _parts(inner)]
    return [target.value] if isinstance(target, ast.Starred) else [target]


def _always_raises(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Raise)
