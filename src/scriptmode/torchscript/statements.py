"""Statements of a TorchScript file's code as nodes.

The code is what its compiler has printed: assignments, calls, ``if``, ``while``, ``for`` over a
``range``, ``with``, and one ``return`` at the end.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scriptmode.ir import types as T
from scriptmode.ir.graph import UNREACHABLE, YIELD, Node, Value
from scriptmode.torchscript.emitter import Bound, Closure, Uninitialized
from scriptmode.torchscript.expressions import ExpressionLowering

_FOREVER = (1 << 63) - 1
_MOST_NESTED = 150


class StatementLowering(ExpressionLowering):
    """Lowers the body of one function."""

    depth = 0

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Lower statements up to the first that does not complete."""
        self.depth += 1
        if self.depth > _MOST_NESTED:
            raise self.problem("statements that are nested too deeply")
        for statement in statements:
            if self.is_dead:
                break
            self.at(statement)
            self.statement(statement)
        self.depth -= 1

    def statement(self, node: ast.stmt) -> None:
        """Lower one statement."""
        match node:
            case ast.Pass():
                pass
            case ast.Expr(value=value):
                self.bound(value)
            case ast.Assign(targets=[target], value=value):
                self._assign(target, value)
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                t = self.unit.type(annotation, self.file)
                if value is not None:
                    found = self.fit(self.value(value), t, f"`{name}`")
                    self.names[name] = self.builder.cast(found, t)
            case ast.If(test=test, body=body, orelse=orelse):
                self._if(test, body, orelse)
            case ast.While(test=test, body=body, orelse=[]):
                self._while(test, body)
            case ast.For(target=ast.Name(id=name), iter=values, body=body, orelse=[]):
                self._for(name, values, body)
            case ast.With(items=items, body=body):
                self._with(items, body)
            case ast.Return(value=value):
                self._return(value)
            case ast.FunctionDef():
                self.names[node.name] = Closure(node, dict(self.names))
            case ast.Assert(test=test):
                self.check(self.truth(self.value(test)), AssertionError, "")
            case _:
                raise self.problem(f"a statement of kind {type(node).__name__}")

    # assignments

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = self.bound(value)
            case ast.Tuple(elts=targets) if isinstance(value, ast.Tuple) and len(value.elts) == len(
                targets
            ):
                found = [self.bound(v) for v in value.elts]
                for one, bound in zip(targets, found, strict=True):
                    self._store(one, bound)
            case ast.Tuple(elts=targets):
                parts = self.unpacked(self.value(value), len(targets))
                for one, part in zip(targets, parts, strict=True):
                    self._store(one, part)
            case _:
                self._store(target, self.bound(value))

    def _store(self, target: ast.expr, found: Bound) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = found
            case ast.Attribute(value=owner, attr=name):
                self.set_attribute(self.value(owner), name, self.materialised(found))
            case ast.Subscript(value=owner, slice=index):
                self.set_item(self.value(owner), self.value(index), self.materialised(found))
            case _:
                raise self.problem("an assignment to other than a name or an attribute", target)

    def _return(self, value: ast.expr | None) -> None:
        found = self.none() if value is None else self.value(value)
        t = self.graph.return_type
        if t is None:
            t = self.graph.return_type = found.type
        found = self.fit(found, t, "the result")
        block = self.builder.block
        if block is not self.graph.block:
            raise self.problem("a return inside of another statement")
        block.terminate(YIELD, [found], self.builder.span)

    # ifs

    def _if(self, test: ast.expr, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt]) -> None:
        node = self.builder.if_node(self.truth(self.value(test)))
        before = dict(self.names)
        ends: list[Mapping[str, Bound] | None] = []
        for block, statements in zip(node.blocks, (body, orelse), strict=True):
            self.names = dict(before)
            with self.builder.at(block):
                self.body(statements)
                ends.append(None if self.is_dead else self.names)
        self.names = before
        self._merge(node, ends)

    def _merge(self, node: Node, ends: Sequence[Mapping[str, Bound] | None]) -> None:
        """Yield from the blocks that complete what they have changed."""
        live = [(b, names) for b, names in zip(node.blocks, ends, strict=True) if names is not None]
        if not live:
            self.builder.block.terminate(UNREACHABLE, [], self.builder.span)
            return
        yielded: list[list[Value]] = [[] for _ in live]
        for name in list(dict.fromkeys(n for _, names in live for n in names)):
            if all(name in names for _, names in live):
                self._merge_one(node, name, [(b, names[name]) for b, names in live], yielded)
            else:
                self.names.pop(name, None)
        for (block, _), values in zip(live, yielded, strict=True):
            block.terminate(YIELD, values, self.builder.span)

    def _merge_one(
        self, node: Node, name: str, found: Sequence[tuple[Any, Bound]], yielded: list[list[Value]]
    ) -> None:
        first = found[0][1]
        is_one = all(bound is first or bound == first for _, bound in found)
        if is_one and (not isinstance(first, Value) or self.names.get(name) is first):
            self.names[name] = first
            return
        types = [b.type for _, b in found if isinstance(b, (Value, Uninitialized))]
        joined: T.Type | None = types[0] if len(types) == len(found) else None
        for t in types[1:]:
            joined = T.join(joined, t) if joined is not None else None
        known = all(t == joined for t in types)
        modules = any(isinstance(t, T.ClassType) and t.is_module for t in types)
        if joined is None or (modules and not known):
            self.names.pop(name, None)  # two variables of one name
            return
        for (block, bound), values in zip(found, yielded, strict=True):
            with self.builder.at(block):
                values.append(self.materialised(bound))
        self.names[name] = node.add_output(joined, name)

    # loops

    def _while(self, test: ast.expr, body: Sequence[ast.stmt]) -> None:
        def test_value() -> Value:
            return self.truth(self.value(test))

        self._loop(self.constant(_FOREVER), test_value, None, body)

    def _for(self, name: str, values: ast.expr, body: Sequence[ast.stmt]) -> None:
        match values:
            case ast.Call(func=ast.Name(id="range"), args=[count], keywords=[]):
                trips = self.fit(self.value(count), T.INT, "the count of a loop")
            case _:
                raise self.problem("a loop over other than a range of one number")
        self._loop(trips, lambda: self.constant(True), name, body)

    def _loop(
        self,
        trips: Value,
        test: Callable[[], Value],
        index: str | None,
        body: Sequence[ast.stmt],
    ) -> None:
        assigned = _assigned(body)
        carried = [
            n for n, b in self.names.items()
            if n in assigned and isinstance(b, (Value, Uninitialized))
        ]  # fmt: skip
        before = dict(self.names)
        start = [self.materialised(before[n]) for n in carried]
        types = [v.type for v in start]
        first = test()
        for _ in range(4):
            wider = self._loop_of(trips, first, test, index, body, before, carried, start, types)
            if wider is None:
                return
            types = wider
        raise self.problem("a loop whose variables have no types")

    def _loop_of(
        self, trips: Value, first: Value, test: Callable[[], Value], index: str | None,
        body: Sequence[ast.stmt], before: Mapping[str, Bound], carried: Sequence[str],
        start: Sequence[Value], types: Sequence[T.Type],
    ) -> list[T.Type] | None:  # fmt: skip
        """Append the loop; where a variable needs a wider type, take it back and say which."""
        node = self.builder.node("prim::Loop", [trips, first, *start])
        block = node.add_block()
        counter = block.add_param(T.INT, index or "")
        self.names = dict(before)
        for name, t in zip(carried, types, strict=True):
            self.names[name] = block.add_param(t, name)
        if index is not None:
            self.names[index] = counter
        wider: list[T.Type] | None = None
        with self.builder.at(block):
            self.body(body)
            if not self.is_dead:
                ends = [self.materialised(self.names[n]) for n in carried]
                joined = [T.join(t, v.type) or T.ANY for t, v in zip(types, ends, strict=True)]
                if joined != list(types):
                    wider = joined
                self.yield_([test(), *ends])
        self.names = dict(before)
        if wider is not None:
            node.erase()
            return wider
        for name, t in zip(carried, types, strict=True):
            self.names[name] = node.add_output(t, name)
        return None

    # with

    def _with(self, items: Sequence[ast.withitem], body: Sequence[ast.stmt]) -> None:
        if len(items) != 1:
            raise self.problem("a `with` of several objects")
        manager = self.value(items[0].context_expr)
        t = manager.type
        if not T.is_instance_type(t):
            raise self.problem(f"a `with` of a {t}")
        entered = self.call_method(manager, "__enter__", [])
        target = items[0].optional_vars
        if target is not None:
            self._store(target, entered)

        def leave() -> None:
            nothing = [self.none() for _ in range(3)]
            self.call_method(manager, "__exit__", nothing)

        node = self.builder.node("prim::Try")
        block, handler = node.add_block(), node.add_block()
        handler.add_param(self.unit.base_exception(), "error")
        before = dict(self.names)
        with self.builder.at(block):
            self.body(body)
            ends = None if self.is_dead else self.names
        with self.builder.at(handler):
            leave()
            self.builder.node("prim::reraise")
            self.builder.block.terminate(UNREACHABLE, [], self.builder.span)
        self.names = before
        self._merge(node, [ends, None])
        if not self.is_dead:
            leave()


def _assigned(body: Sequence[ast.stmt]) -> set[str]:
    """The names that statements assign, those inside of them included."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, ast.FunctionDef):
            pending += ast.iter_child_nodes(node)
    return found
