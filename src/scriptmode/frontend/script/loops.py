"""``while`` and ``for``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from scriptmode.frontend.script.conditions import assume, condition
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.flow import (
    LoopContext,
    branch,
    discard_after,
    leave_loop,
    loop,
)
from scriptmode.frontend.script.handlers import STATEMENTS
from scriptmode.frontend.script.instances import instance_type
from scriptmode.frontend.script.iteration import Cursor, constant_range, cursor_of, items_of
from scriptmode.frontend.script.shapes import shape_of
from scriptmode.frontend.script.source import stored_names
from scriptmode.frontend.script.statements import assign_target
from scriptmode.frontend.script.trees import children, walk
from scriptmode.frontend.script.values import (
    Constant,
    GeneratorValue,
    IRValue,
    ListDisplay,
    Sugared,
    Unusable,
)
from scriptmode.ir.graph import BREAK, CONTINUE, Value

CursorBody = Callable[[Sugared], None]
_MOST_UNROLLED = 16  # items of a display
_MOST_PASSES = 256  # of a loop unrolled because it needs constants
_BROKEN = "%broken"  # begins the name that says whether a loop with an else part was broken


class _NeedsLoop(Exception):
    """An unrolled loop has a break or continue under a run-time condition."""


class _EndIteration(Exception):
    """A break or continue that every run of an unrolled iteration reaches."""

    def __init__(self, is_break: bool) -> None:
        super().__init__()
        self.is_break = is_break


@STATEMENTS(ast.Break)
def _break(e: Emitter, node: ast.Break) -> None:
    jump(e, BREAK)


@STATEMENTS(ast.Continue)
def _continue(e: Emitter, node: ast.Continue) -> None:
    jump(e, CONTINUE)


def jump(e: Emitter, kind: str) -> None:
    """``break`` or ``continue``."""
    context = e.loops[-1]
    flags = [name for name in context.names if name.startswith(_BROKEN)]
    if kind == BREAK and flags:
        e.env.bind(flags[-1], Constant(True))
    if context.block is None:
        leave_loop(e, kind)
    if context.block is not e.builder.block or len(e.cleanups) != context.cleanup_depth:
        raise _NeedsLoop
    raise _EndIteration(kind == BREAK)


def _has_break(body: Sequence[ast.stmt]) -> bool:
    """Whether a break of this loop itself is among ``body``."""

    def visit(node: ast.AST) -> bool:
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            return False
        if isinstance(node, (ast.For, ast.While)):
            return any(visit(n) for n in node.orelse)
        return any(visit(n) for n in children(node))

    return any(visit(n) for n in body)


def _late_names(e: Emitter, node: ast.For | ast.While, assigned: Sequence[str]) -> list[str]:
    """Variables first bound in the loop and read outside it."""
    unbound = [
        n for n in assigned
        if n not in e.env.names and n in e.scope.locals and n not in e.env.cells
    ]  # fmt: skip
    if not unbound:
        return []

    def loads(root: ast.AST) -> dict[str, int]:
        found: dict[str, int] = {}
        for n in walk(root):
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load):
                found[n.id] = found.get(n.id, 0) + 1
        return found

    inside, everywhere = loads(node), loads(e.scope.source.node)
    return [n for n in unbound if everywhere.get(n, 0) > inside.get(n, 0)]


def broken_flag(node: ast.For | ast.While) -> str:
    """The variable that says whether a loop was left by break; one for each loop."""
    return f"{_BROKEN} {node.lineno} {node.col_offset}"


def with_else(e: Emitter, node: ast.For | ast.While) -> bool:
    """Prepare the flag that an else part needs."""
    needed = bool(node.orelse) and _has_break(node.body)
    if needed:
        e.env.bind(broken_flag(node), Constant(False))
    return needed


def run_else(e: Emitter, node: ast.For | ast.While, flagged: bool) -> None:
    """The else part of a loop, unless it was left by a break."""
    if not node.orelse:
        return
    if not flagged:
        e.statements(node.orelse)
        return
    flag = e.env.names[broken_flag(node)]
    e.env.unbind(broken_flag(node))
    if isinstance(flag, Constant):
        if not flag.value:
            e.statements(node.orelse)
        return
    branch(e, e.value(flag), lambda: None, lambda: e.statements(node.orelse))


def assigned_names(e: Emitter, nodes: Sequence[ast.AST], flag: str) -> list[str]:
    """Names that a loop binds, with the flag of its else part if it has one."""
    names = stored_names(list(nodes))
    return [*names, flag] if flag else names


def run_first(
    e: Emitter,
    node: ast.For | ast.While,
    assigned: Sequence[str],
    first: Callable[[], None] | None,
    rest: Callable[[], None],
    late: Sequence[str] = (),
) -> bool:
    """A loop whose first iteration is ``first``, if that is given; whether it has a break."""
    if first is None:
        return loop(e, None, None, assigned, lambda index: rest(), key=id(node), late=late)
    forgotten = [n for n in _clause_names(e, node) if n in e.env.names]

    def again() -> None:
        for name in forgotten:
            e.env.bind(name, Unusable("unbound", e.span))
        rest()

    def body(index: Value) -> None:
        branch(e, e.builder.op("int::eq", index, e.int_constant(0)), first, again)

    carried = [n for n in assigned if n not in forgotten]
    has_break = loop(e, None, None, carried, body, late=late)
    for name in forgotten:
        e.env.bind(name, Unusable("unbound", e.span))
    return has_break


def _clause_names(e: Emitter, node: ast.AST) -> list[str]:
    """Names that `except` clauses in ``node`` bind, and nothing else in the function."""
    other = {
        n.id for n in walk(e.scope.source.node)
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)
    }  # fmt: skip
    names = [h.name for h in walk(node) if isinstance(h, ast.ExceptHandler) and h.name]
    return [n for n in dict.fromkeys(names) if n not in other]


def has_yield(node: ast.For | ast.While) -> bool:
    """Whether a generator may be suspended inside of a loop."""
    return any(isinstance(inner, (ast.Yield, ast.YieldFrom)) for inner in walk(node))


@STATEMENTS(ast.While)
def _while(e: Emitter, node: ast.While) -> None:
    if e.generator is not None and has_yield(node):
        run_while(e, node, None)
        return
    mark, env = e.builder.block.last, e.env.copy()
    try:
        run_while(e, node, None)
    except NeedsConstant as needed:
        discard_after(e, mark)
        e.env = env
        _unroll_while(e, node, needed)


def _unroll_while(e: Emitter, node: ast.While, needed: NeedsConstant) -> None:
    """A ``while`` whose condition is known at compile time, such as ``hasattr(self, name)``."""
    context = LoopContext([], [], None, len(e.cleanups), block=e.builder.block)
    e.loops.append(context)
    try:
        for _ in range(_MOST_PASSES):
            outcome, _ = condition(e, node.test)
            if outcome is False:
                break
            if outcome is not True:
                raise needed
            context.block = e.builder.block
            try:
                e.statements(node.body)
            except _EndIteration as end:
                if end.is_break:
                    return
        else:
            raise needed
    except _NeedsLoop:
        raise needed from None
    finally:
        e.loops.pop()
    e.statements(node.orelse)


def run_while(e: Emitter, node: ast.While, first: Callable[[], None] | None) -> None:
    """A ``while``; in a generator that goes on inside of it, ``first`` is the first iteration."""
    flagged = with_else(e, node) if first is None else broken_flag(node) in e.env.names
    assigned = assigned_names(e, [node.test, *node.body], broken_flag(node) if flagged else "")
    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)

    def iteration() -> None:
        outcome, facts = condition(e, node.test)
        if outcome is False:
            leave_loop(e, BREAK)
        if not isinstance(outcome, bool):

            def go_on() -> None:
                assume(e, facts.when_true)

            branch(e, outcome, go_on, lambda: leave_loop(e, BREAK))
        e.statements(node.body)

    late = _late_names(e, node, assigned)
    has_break = run_first(e, node, assigned, first, iteration, late)
    if endless and not has_break:
        e.die()
    run_else(e, node, flagged)


@STATEMENTS(ast.For)
def _for(e: Emitter, node: ast.For) -> None:
    if e.generator is not None and has_yield(node):
        e.unit.generator_for(e, node)
        return
    iterable = unrollable(e, e.unit.in_turn(e, e.expression(node.iter)))
    if instance_type(iterable) is not None:
        with e.at(node.iter):
            iterable = e.unit.iterator_of(e, iterable)
    held = e.unit.take_fresh(e, iterable)
    if held:
        e.unit.with_drops(e, held, node, lambda: _for_over(e, node, iterable))
    else:
        _for_over(e, node, iterable)


def _for_over(e: Emitter, node: ast.For, iterable: Sugared) -> None:
    items = None if isinstance(iterable, IRValue) and _is_uniform(e, iterable) else items_of(
        e, iterable
    )  # fmt: skip
    if items is not None:
        _for_items(e, node, list(items))
        return
    constants = constant_range(iterable)
    mark, env = e.builder.block.last, e.env.copy()
    try:
        with e.at(node.iter):
            cursor = cursor_of(e, iterable)
        _for_cursor(e, node, cursor)
    except NeedsConstant:
        if constants is None:
            raise
        discard_after(e, mark)
        e.env = env
        _for_items(e, node, constants)


def unrollable(e: Emitter, value: Sugared) -> Sugared:
    """A short display stays one, so that the loop is unrolled over its items."""
    if isinstance(value, (ListDisplay, GeneratorValue)) and len(value.parts()) <= _MOST_UNROLLED:
        return value
    return e.settle(value)


def _is_uniform(e: Emitter, value: IRValue) -> bool:
    return getattr(value.type, "elements", None) is None


def run_cursor(
    e: Emitter,
    cursor: Cursor,
    assigned: Sequence[str],
    body: CursorBody,
    key: object = None,
    late: Sequence[str] = (),
) -> None:
    """A Loop over a cursor's elements."""
    keeps, whole_body = cursor.keeps, body
    if keeps is not None:

        def body(item: Sugared) -> None:
            outcome = keeps(item)
            if outcome is True:
                whole_body(item)
            elif outcome is not False:
                branch(e, outcome, lambda: whole_body(item), lambda: None)

    next_element = cursor.pull
    if next_element is not None:
        loop(e, None, None, assigned, lambda i: body(next_element(i)), None, key, late)
        return
    more = cursor.more
    if more is None:
        loop(e, cursor.trips, None, assigned, lambda i: body(cursor.element(i)), None, key, late)
        return
    first = more(e.int_constant(0))

    def following(i: Value) -> Value:
        return more(e.builder.op("int::add", i, e.int_constant(1)))

    loop(e, cursor.trips, first, assigned, lambda i: body(cursor.element(i)), following, key, late)


def _for_cursor(e: Emitter, node: ast.For, cursor: Cursor) -> None:
    flagged = with_else(e, node)
    assigned = assigned_names(e, [node.target, *node.body], broken_flag(node) if flagged else "")

    def body(item: Sugared) -> None:
        assign_target(e, node.target, item)
        e.statements(node.body)

    run_cursor(e, cursor, assigned, body, id(node), _late_names(e, node, assigned))
    run_else(e, node, flagged)


def _for_items(e: Emitter, node: ast.For, items: list[Sugared]) -> None:
    """Unrolled, one copy of the body for each element."""
    mark, env, hints = e.builder.block.last, e.env.copy(), len(e.returned)
    context = LoopContext([], [], None, len(e.cleanups), block=e.builder.block)
    e.loops.append(context)
    try:
        broken = _unroll(e, node, items, context)
    except _NeedsLoop:
        discard_after(e, mark)
        e.env = env
        broken = None
    finally:
        e.loops.pop()
    assert hints <= len(e.returned)
    if broken is None:
        _for_choice(e, node, items)
    elif not broken:
        e.statements(node.orelse)


def _unroll(e: Emitter, node: ast.For, items: list[Sugared], context: LoopContext) -> bool:
    """Whether a break was reached."""
    for item in items:
        context.block = e.builder.block
        assign_target(e, node.target, item)
        try:
            e.statements(node.body)
        except _EndIteration as end:
            if end.is_break:
                return True
    return False


def _for_choice(e: Emitter, node: ast.For, items: list[Sugared]) -> None:
    """A Loop whose body chooses the element by the index, for break and continue in it."""

    def pick(index: Value, first: int) -> None:
        if first == len(items) - 1:
            run(items[first])
            return
        here = e.builder.op("int::eq", index, e.int_constant(first))
        branch(e, here, lambda: run(items[first]), lambda: pick(index, first + 1))

    def run(item: Sugared) -> None:
        assign_target(e, node.target, item)
        e.statements(node.body)

    flagged = with_else(e, node)
    assigned = assigned_names(e, [node.target, *node.body], broken_flag(node) if flagged else "")
    late = _late_names(e, node, assigned)
    uniform = {repr(shape_of(e, i, general=True)) for i in items}
    if len(uniform) == 1 and all(e.type_of(i) is not None for i in items):
        built = [e.value(i) for i in items]
        whole = e.builder.list(built, built[0].type)
        cursor = Cursor(
            lambda i: e.lift(e.builder.op("list::getitem", whole, i)), e.int_constant(len(items))
        )
        run_cursor(e, cursor, assigned, run, id(node), late)
    else:
        count = e.int_constant(len(items))
        loop(e, count, None, assigned, lambda i: pick(i, 0), None, id(node), late)
    run_else(e, node, flagged)
