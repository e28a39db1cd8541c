"""``try``: bodies, handlers, ``else`` and ``finally`` as Try nodes.

::

    try: A                       Try: A        handler(e): if e is E: B
    except E: B         ->                                 else: raise again
    else: C                      if A has ended: C
    finally: D

``finally`` is a Try around all that, whose handler runs D and raises again; D stands behind it a
second time for the other ways out.  A ``return``, ``break`` or ``continue`` inside leaves the Try
with a number, and is made behind D, by that number.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.environment import Environment
from scriptmode.frontend.script.exceptions import caught_types, exception_type, is_exception_of
from scriptmode.frontend.script.flow import LoopContext, Outcome, branch, merge
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.loops import jump
from scriptmode.frontend.script.source import count_loads, stored_names
from scriptmode.frontend.script.statements import return_value
from scriptmode.frontend.script.stopping import catches
from scriptmode.frontend.script.trees import children, walk
from scriptmode.frontend.script.values import Constant, IRValue, Sugared, Unusable
from scriptmode.frontend.script.variables import after_error, read_bound, with_cells
from scriptmode.ir import types as T
from scriptmode.ir.graph import LEAVE, RETURN, YIELD, Node, Value
from scriptmode.support.source import UNKNOWN

_RESULT = "%result"  # the cell of what a `return` inside returns
Handler = Callable[[Value], None]


@STATEMENTS(ast.Try)
def _try(e: Emitter, node: ast.Try) -> None:
    if not node.finalbody:
        _except(e, node)
        return

    def body() -> None:
        if node.handlers:
            _except(e, node)
        else:
            e.statements([*node.body, *node.orelse])

    inner = [*node.body, *node.handlers, *node.orelse]
    run_finally(
        e, Region.of(e, node, inner), body, lambda: e.statements(node.finalbody),
        finally_handler(e, node),
    )  # fmt: skip


def finally_handler(e: Emitter, node: ast.Try) -> Handler | None:
    """The handler of a ``finally`` in which a generator may be suspended: it keeps the error."""
    name = pending_name(node)
    if e.generator is None or not _has_yield(node.finalbody):
        return None
    if _has_jumps([*node.body, *node.handlers, *node.orelse]):
        e.not_built("`yield` in a `finally` that a `return`, `break` or `continue` runs is",
                    help="leave the statement before the `yield`")  # fmt: skip
    e.env.bind(name, Constant(None))

    def handler(caught: Value) -> None:
        e.env.bind(name, IRValue(caught))
        e.statements(node.finalbody)
        raise_again(e)

    return handler


def _has_yield(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for s in body for n in walk(s))


def pending_name(node: ast.Try) -> str:
    """The variable that holds the error with which a ``finally`` was entered, or None."""
    return f"%pending{node.lineno}.{node.col_offset}"


def handled_name(clause: ast.ExceptHandler) -> str:
    """The variable that holds what a clause has caught, in which a generator is suspended."""
    return f"%handled{clause.lineno}.{clause.col_offset}"


if hasattr(ast, "TryStar"):

    @STATEMENTS(ast.TryStar)
    def _try_star(e: Emitter, node: ast.stmt) -> None:
        e.fail_syntax(
            "`except*` is not supported", help="raise and catch single exceptions with `except`"
        )


@dataclass(frozen=True)
class Region:
    """What the statements that a Try protects do to variables."""

    assigned: tuple[str, ...]
    deleted: frozenset[str]
    kept: tuple[str, ...]  # assigned, and needed where the values are not known
    has_jumps: bool  # whether a return, break or continue may leave them

    @classmethod
    def of(cls, e: Emitter, whole: ast.AST, inner: Sequence[ast.AST]) -> Region:
        """The region of ``inner``, which is a part of the statement ``whole``."""
        assigned = tuple(stored_names(inner))
        inside, everywhere = count_loads(inner), e.scope.source.loads
        kept = [
            n for n in assigned if e.loops or everywhere.get(n, 0) > inside.get(n, 0)
        ]  # fmt: skip
        deleted = frozenset(
            n.id for part in inner for n in walk(part)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Del)
        ) | {h.name for part in inner for h in walk(part)
             if isinstance(h, ast.ExceptHandler) and h.name}  # fmt: skip
        return cls(assigned, deleted, tuple(kept), _has_jumps(inner))


def _has_jumps(nodes: Sequence[ast.AST], in_loop: bool = False) -> bool:
    """Whether a return, or a break or continue of a loop around them, is among ``nodes``."""
    for node in nodes:
        if isinstance(node, ast.Return):
            return True
        if isinstance(node, (ast.Break, ast.Continue)) and not in_loop:
            return True
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, (ast.For, ast.While)):
            if _has_jumps(node.body, True) or _has_jumps(node.orelse, in_loop):
                return True
        elif _has_jumps(list(children(node)), in_loop):
            return True
    return False


NOTHING = Region((), frozenset(), (), False)  # of code that binds no variable

# the Try node


def protect(
    e: Emitter, region: Region, body: Callable[[], Sugared | None], handler: Handler
) -> tuple[Node, list[Outcome]]:
    """A Try of ``body`` and ``handler``, to be merged; its outcomes, that of the body first.

    ``e.env`` is the one at the start.
    """
    node = e.builder.node("prim::Try")
    blocks = [node.add_block(), node.add_block()]
    caught = blocks[1].add_param(exception_type(e.unit, BaseException), "error")
    outer, ends = e.env, []

    def handle() -> None:
        after_error(e, region.assigned, region.deleted, outer.names)
        handler(caught)

    acts: tuple[Callable[[], Sugared | None], ...] = (body, handle)
    for block, act in zip(blocks, acts, strict=True):
        e.env = outer.copy()
        with e.builder.at(block):
            result = None
            try:
                result = act()
            except DeadCode:
                assert block.is_terminated, "dead code without a terminator"
        if not block.is_terminated:
            ends.append(Outcome(block, e.env, result))
    e.env = outer
    return node, ends


def raise_again(e: Emitter) -> None:
    """End a handler with the exception that it has been given."""
    with e.builder.located(UNKNOWN):
        e.builder.node("prim::reraise")
        e.die()


# except and else


def _except(e: Emitter, node: ast.Try) -> None:
    run_except(e, node, lambda: e.statements(node.body))


def run_except(e: Emitter, node: ast.Try, run_body: Callable[[], None]) -> None:
    """``try`` with ``except`` and ``else``; ``run_body`` is the body, or what is left of it."""
    region = Region.of(e, node, node.body)
    # the name of a clause is unbound after it, and may be bound otherwise
    inside, everywhere = count_loads(node.handlers), e.scope.source.loads
    names = {h.name: None for h in node.handlers if h.name is not None}
    read_later = [n for n in names if everywhere.get(n, 0) > inside.get(n, 0)]
    with_cells(
        e,
        [*region.kept, *(n for n in read_later if n not in region.kept)],
        lambda: _emit_except(e, node, region, run_body),
    )


def _emit_except(e: Emitter, node: ast.Try, region: Region, run_body: Callable[[], None]) -> None:
    completed: list[Environment] = []

    def body() -> None:
        outer, e.catches_stop = e.catches_stop, e.catches_stop or catches(node.handlers)
        try:
            run_body()
        finally:
            e.catches_stop = outer
        completed.append(e.env.copy())

    def handler(caught: Value) -> None:
        _clauses(e, node.handlers, caught)

    made, ends = protect(e, region, body, handler)
    if not ends:
        e.die()
    flag = made.add_output(T.BOOL, "completed") if len(ends) == 2 and node.orelse else None
    if flag is not None:
        for end, value in zip(ends, (True, False), strict=True):
            with e.builder.at(end.block):
                end.values.append(e.builder.constant(value))
    merge(e, made, ends)
    if not node.orelse or not completed:
        return
    if flag is None:
        e.statements(node.orelse)
        return

    def otherwise() -> None:
        _as_completed(e, region, completed[0])
        e.statements(node.orelse)

    branch(e, flag, otherwise, lambda: None)


def _as_completed(e: Emitter, region: Region, completed: Environment) -> None:
    """Restore what is known where the body has come to its end."""
    for name in region.assigned:
        restore(e, name, completed.names.get(name))


def restore(e: Emitter, name: str, known: Sugared | None) -> None:
    """Let ``name`` have what is ``known`` of it on the way that control has come, by its cell."""
    if e.cell_of(name) is not None:
        return
    found, cell = e.env.names.get(name), e.env.cells.get(name)
    if known is None or isinstance(known, Unusable) or found is known:
        return
    t = e.type_of(known)
    if t is None:
        if not any(True for _ in _ir_parts(known)):
            e.env.bind(name, known)
        return
    if isinstance(found, Unusable) or found is None:
        if cell is not None and not cell.problem:
            e.env.bind(name, read_bound(e, cell, t))
    elif isinstance(found, IRValue) and found.type != t and T.is_subtype(t, found.type):
        e.env.bind(name, e.lift(e.builder.cast(found.value, t)))


def _ir_parts(value: Sugared) -> list[Sugared]:
    if isinstance(value, IRValue):
        return [value]
    return [part for inner in value.parts() for part in _ir_parts(inner)]


def _clauses(e: Emitter, handlers: Sequence[ast.ExceptHandler], caught: Value) -> None:
    """The first clause whose classes fit, else the exception goes on."""
    if not handlers:
        raise_again(e)
    clause, rest = handlers[0], handlers[1:]
    with e.at(clause):
        types = caught_types(e, clause.type)
        if any(T.is_subtype(caught.type, t) for t in types):
            _clause(e, clause, IRValue(caught))
            return
        joined: T.Type = T.NEVER
        for t in types:
            joined = T.join(joined, t) or caught.type
        fits = is_exception_of(e, caught, types)

        def run() -> None:
            _clause(e, clause, e.lift(e.builder.cast(caught, joined)))

        branch(e, fits, run, lambda: _clauses(e, rest, caught))


def _clause(e: Emitter, clause: ast.ExceptHandler, caught: Sugared) -> None:
    if e.generator is not None and _has_yield(clause.body):
        e.env.bind(handled_name(clause), caught)
    if clause.name is None:
        e.statements(clause.body)
        return
    _forget(e, clause.name)
    own = e.cell_of(clause.name)
    if own is not None:
        e.unit.write_cell(e, clause.name, own, caught)
    else:
        e.bind(clause.name, caught)  # in its cell too, for a `try` inside that binds it again
    run_clause(e, clause, lambda: e.statements(clause.body))


def run_clause(e: Emitter, clause: ast.ExceptHandler, body: Callable[[], None]) -> None:
    """The body of a clause, or what is left of it; its name is unbound after it."""
    if clause.name is None:
        body()
        return
    e.cleanups.append(ForgottenName(e, clause.name))
    try:
        body()
    finally:
        e.cleanups.pop()
    _forget(e, clause.name)


@dataclass(frozen=True)
class ForgottenName:
    """Before a jump out of a clause: unbind its name."""

    e: Emitter
    name: str

    def __call__(self, kind: str, value: Sugared | None) -> None:
        _forget(self.e, self.name)


def _forget(e: Emitter, name: str) -> None:
    """Unbind the name of a clause, bound or not."""
    own = e.cell_of(name)
    if own is not None:
        e.builder.node("prim::CellDelete", [e.value(own.cell)])
        return
    cell = e.env.cells.get(name)
    if cell is not None and not cell.problem:
        e.builder.node("prim::CellDelete", [cell.value])
    e.env.bind(name, Unusable("unbound", e.span, None, cell))


# finally


@dataclass(eq=False)
class _Jump:
    """A way out of a protected body, made after its last part has run."""

    kind: str
    loop: LoopContext | None
    env: Environment


@dataclass(eq=False)
class Exits:
    """The jumps that leave a protected body."""

    e: Emitter
    jumps: list[_Jump] = field(default_factory=list)

    def take(self, kind: str, value: Sugared | None) -> None:
        """Leave the Try with the number of the jump; it will be made afterwards."""
        e = self.e
        if value is not None:
            e.unit.write_variable(e, e.env.cells[_RESULT], value)
        loop = e.loops[-1] if kind != RETURN else None
        self.jumps.append(_Jump(kind, loop, e.env.copy()))
        number = e.int_constant(len(self.jumps))
        e.builder.block.terminate(LEAVE, [number], e.span)
        raise DeadCode


def run_finally(
    e: Emitter,
    region: Region,
    body: Callable[[], None],
    last: Callable[[], None],
    handler: Handler | None = None,
) -> None:
    """``body``, then ``last`` whichever way it ends; ``handler`` instead after an exception."""

    def handle(caught: Value) -> None:
        last()
        raise_again(e)

    catch = handler or handle
    if region.has_jumps:
        names = [*region.assigned, _RESULT]
        with_cells(e, names, lambda: _emit_with_jumps(e, region, body, last, catch))
    else:
        with_cells(e, region.kept, lambda: _emit_finally(e, region, body, last, catch))


def _emit_finally(
    e: Emitter,
    region: Region,
    body: Callable[[], None],
    last: Callable[[], None],
    handler: Handler,
) -> None:
    def body_and_last() -> None:
        body()

    node, ends = protect(e, region, body_and_last, handler)
    if not ends:
        e.die()
    if len(ends) == 2:
        _run_last_if_completed(e, node, ends, last)
        return
    completed = ends[0].block is node.blocks[0]
    merge(e, node, ends)
    if completed:
        last()


def _run_last_if_completed(
    e: Emitter, node: Node, ends: list[Outcome], last: Callable[[], None]
) -> None:
    """A handler that goes on (of a ``with`` that suppresses) has run the last part itself."""
    flag = node.add_output(T.BOOL, "completed")
    for end, value in zip(ends, (True, False), strict=True):
        with e.builder.at(end.block):
            end.values.append(e.builder.constant(value))
    merge(e, node, ends)
    branch(e, flag, last, lambda: None)


def _emit_with_jumps(
    e: Emitter,
    region: Region,
    body: Callable[[], None],
    last: Callable[[], None],
    handler: Handler,
) -> None:
    exits = Exits(e)
    handled: list[Environment] = []
    completed: list[Environment] = []

    def protected() -> None:
        e.cleanups.append(exits.take)
        try:
            body()
        finally:
            e.cleanups.pop()
        completed.append(e.env.copy())
        e.builder.block.terminate(YIELD, [e.int_constant(0)], e.span)

    def handle(caught: Value) -> None:
        handler(caught)
        handled.append(e.env.copy())
        e.builder.block.terminate(YIELD, [e.int_constant(-1)], e.span)

    node, _ = protect(e, region, protected, handle)
    node.attributes["labelled"] = True
    number = node.add_output(T.INT, "exit")
    ways = [*completed, *handled, *(j.env for j in exits.jumps)]
    if not ways:
        node.remove_output(0)
        e.die()
    _known_on_all(e, region, ways)

    def finish() -> None:
        last()
        _make_jump(e, region, exits.jumps, 1, number, completed + handled)

    if not handled:
        finish()
        return

    def suppressed() -> None:
        _as_completed(e, region, handled[0])

    is_handled = e.builder.op("int::lt", number, e.int_constant(0))
    branch(e, is_handled, suppressed, finish)


def _known_on_all(e: Emitter, region: Region, ways: Sequence[Environment]) -> None:
    """The environment behind the Try: variables are read from their cells where all have them."""
    e.env.attributes.clear()
    e.epoch += 1
    for name in region.assigned:
        if e.cell_of(name) is not None:
            continue
        values = [way.names.get(name) for way in ways]
        cell = e.env.cells.get(name)
        if cell is None or cell.problem:
            problem = cell.problem if cell is not None else "unbound"
            e.env.bind(name, Unusable(problem))
        elif all(v is not None and not isinstance(v, Unusable) for v in values):
            e.env.bind(name, read_bound(e, cell))
        else:
            e.env.bind(name, Unusable("unbound", e.span, None, cell))


def _make_jump(
    e: Emitter,
    region: Region,
    jumps: Sequence[_Jump],
    first: int,
    number: Value,
    going_on: Sequence[Environment],
) -> None:
    """Choose by ``number`` which way to go on."""
    if not jumps:
        if not going_on:
            e.die()
        if len(going_on) == 1:
            _as_completed(e, region, going_on[0])
        return
    way, rest = jumps[0], jumps[1:]

    def leave() -> None:
        _as_completed(e, region, way.env)
        if way.kind == RETURN:
            return_value(e, read_bound(e, e.env.cells[_RESULT]))
        assert way.loop is e.loops[-1], "a jump out of another loop"
        jump(e, way.kind)

    if not rest and not going_on:
        leave()
        return
    here = e.builder.op("int::eq", number, e.int_constant(first))
    branch(e, here, leave, lambda: _make_jump(e, region, rest, first + 1, number, going_on))
