"""``yield`` and ``yield from``: leaving a generator there, and going on from there.

Going on inside a statement is that statement with what is left of it: the rest of the body of a
``try``, under the same handlers; the clause of an ``except``, under the same exception; the rest
of an iteration, and then the loop.  What the generator was resumed with, a value or an error, is
the value of the ``yield``, or raised there::

    x = yield v       x = sent                     after `g.send(sent)`
                      raise error                  after `g.throw(error)`, `g.close()`
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from scriptmode.frontend.script.conditions import is_type
from scriptmode.frontend.script.contexts import kept_name, region_of, run_entered
from scriptmode.frontend.script.emitter import DeadCode, Emitter
from scriptmode.frontend.script.exceptions import (
    assign_exception_attribute,
    exception_attribute,
    exception_type,
    is_exception_of,
)
from scriptmode.frontend.script.flow import branch, choose, leave_loop, loop, merge
from scriptmode.frontend.script.generator_ends import close_generator
from scriptmode.frontend.script.generators import (
    RETURNED,
    GeneratorCode,
    Yielding,
    present_code,
    resume,
    save,
    set_state,
    throw_given,
)
from scriptmode.frontend.script.handlers import EXPRESSIONS
from scriptmode.frontend.script.iterators import Ended, Found, answered, iterator_of, pull
from scriptmode.frontend.script.loops import (
    assigned_names,
    broken_flag,
    run_else,
    run_first,
    with_else,
)
from scriptmode.frontend.script.statements import assign_target, binary_of
from scriptmode.frontend.script.trees import children, walk
from scriptmode.frontend.script.tries import (
    NOTHING,
    ForgottenName,
    Region,
    handled_name,
    pending_name,
    protect,
    raise_again,
    run_finally,
)
from scriptmode.frontend.script.values import (
    Constant,
    GeneratorObject,
    IRValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import BREAK, Value


def _suspend(e: Emitter, node: Yielding, item: Sugared) -> None:
    """Leave the function at a ``yield``."""
    assert e.generator is not None
    code = e.generator.code
    if not all(isinstance(c, ForgottenName) for c in e.cleanups):
        _take_errors(code)
    built = e.value(e.settle(item, _item_annotation(e)))
    joined = T.join(code.item, built.type) or T.ANY
    code.has_changed |= joined != code.item
    code.item = joined
    set_state(e, e.generator.state, save(e, node))
    e.unit.finish_with(e, TupleDisplay((Constant(True), IRValue(built), Constant(None))))
    raise DeadCode


def _take_errors(code: GeneratorCode) -> None:
    """Let a generator be resumed with errors: there is something to run when it is closed."""
    if not code.takes_errors:
        code.takes_errors = code.has_changed = True


def _item_annotation(e: Emitter) -> T.Type | None:
    """The type of the items by the function's annotation, for displays."""
    assert e.generator is not None
    node = e.generator.code.target.source.node
    returns = node.returns if isinstance(node, ast.FunctionDef) else None
    if isinstance(returns, ast.Subscript):
        first = returns.slice.elts[0] if isinstance(returns.slice, ast.Tuple) else returns.slice
        found: T.Type | None = e.unit.declared.quiet_annotation(e, first)
        return found
    return None


@EXPRESSIONS(ast.Yield)
def _yield(e: Emitter, node: ast.Yield, expected: T.Type | None) -> Sugared:
    _check_place(e, node)
    item: Sugared = Constant(None) if node.value is None else e.expression(node.value)
    _suspend(e, node, item)
    raise DeadCode


@EXPRESSIONS(ast.YieldFrom)
def _yield_from(e: Emitter, node: ast.YieldFrom, expected: T.Type | None) -> Sugared:
    _check_place(e, node)
    iterator = iterator_of(e, e.expression(node.value))
    e.env.bind(_hidden(node), iterator)
    for number, one in enumerate(e.unit.take_fresh(e, iterator)):
        e.env.bind(f"{_hidden(node)} {number}", one)
    return _delegate(e, node)


def _hidden(node: ast.expr | ast.stmt) -> str:
    """The variable that holds the iterator of a loop or ``yield from``."""
    return f"%iterator{node.lineno}.{node.col_offset}"


def _delegate(e: Emitter, node: ast.YieldFrom, is_resumed: bool = False) -> Sugared:
    """Yield from an iterator, and end what it was the only one to hold."""
    result = _with_held(e, node, lambda: _run_from(e, node, is_resumed))
    assert result is not None
    return result


def _run_from(e: Emitter, node: ast.YieldFrom, is_resumed: bool = False) -> Sugared:
    """Yield what is left of an iterator; its return value."""
    name, result = _hidden(node), f"{RETURNED}{node.lineno}.{node.col_offset}"
    e.env.bind(result, Constant(None))
    _note_delegate(e, e.env.names[name])

    def end(returned: Sugared) -> Sugared:
        e.env.bind(result, returned)
        leave_loop(e, BREAK)

    def body(index: Value) -> None:
        ask = _ask if is_resumed else pull
        item = ask(e, e.env.names[name], lambda found: found, end)
        _suspend(e, node, item)

    loop(e, None, None, [result], body)
    returned = _first_return(e, e.env.names[name], e.env.names[result])
    e.env.unbind(name)
    e.env.unbind(result)
    return returned


def _first_return(e: Emitter, iterator: Sugared, returned: Sugared) -> Sugared:
    """What a generator has returned; one that was at its end before has returned nothing."""
    if not isinstance(iterator, GeneratorObject) or not isinstance(returned, IRValue):
        return returned
    t = present_code(e, iterator).returned
    if t == T.NEVER or T.is_subtype(T.NONE, t) or returned.type != T.optional_of(t):
        return returned

    def refuse() -> None:
        e.raise_error(TypeError, f"a generator at its end has returned no {t}")

    branch(e, is_type(e, returned.value, [T.NONE]), refuse, lambda: None)
    return e.lift(e.builder.cast(returned.value, t))


def _note_delegate(e: Emitter, iterator: Sugared) -> None:
    """What is thrown into a generator goes to the one that it gives the items of."""
    assert e.generator is not None
    if not isinstance(iterator, GeneratorObject):
        return
    inner, outer = present_code(e, iterator), e.generator.code
    if inner.takes_errors:
        _take_errors(outer)
    elif outer.is_thrown_into and any(isinstance(n, ast.Try) for n in walk(inner.node)):
        e.unit.choices.generators.thrown_into.add(inner.key)
        e.unit.start_again()


def _ask(e: Emitter, iterator: Sugared, found: Found, ended: Ended) -> Sugared:
    """``pull``, by the value or with the error that the generator around was resumed with."""
    assert e.generator is not None
    error, sent = e.generator.error, e.generator.sent
    if isinstance(iterator, IRValue) and isinstance(iterator.type, T.ChoiceType):
        chosen: Sugared = e.unit.by_member(
            e, iterator.value, lambda member: _ask(e, member, found, ended)
        )
        return chosen

    def next_item() -> Sugared:
        if sent is None or not isinstance(iterator, GeneratorObject):
            return pull(e, iterator, found, ended)
        return answered(e, resume(e, iterator, sent=IRValue(sent)), found, ended)

    def throw() -> Sugared:
        assert error is not None
        raised = e.builder.cast(error, exception_type(e.unit, BaseException))
        if isinstance(iterator, GeneratorObject) and present_code(e, iterator).takes_errors:
            exits = is_exception_of(e, raised, [exception_type(e.unit, GeneratorExit)])

            def leave() -> None:
                close_generator(e, iterator)
                e.builder.node("prim::raise_object", [raised])
                e.die()

            branch(e, exits, leave, lambda: None)
            return answered(e, resume(e, iterator, raised), found, ended)
        if isinstance(iterator, GeneratorObject):
            close_generator(e, iterator)
        e.builder.node("prim::raise_object", [raised])
        e.die()

    if error is None:
        return next_item()
    return choose(e, is_type(e, error, [T.NONE]), next_item, throw)


def _check_place(e: Emitter, node: Yielding) -> None:
    if e.generator is None:
        e.fail_syntax("`yield` outside of a generator function")
    function = e.scope.source.node
    for outer in walk(function):
        if isinstance(outer, ast.With) and contains(outer.body, node):
            _take_errors(e.generator.code)
        if isinstance(outer, ast.Try) and contains(outer, node):
            catches = any(h.type is None or _catches_exit(e, h.type) for h in outer.handlers)
            if outer.finalbody or (catches and contains(outer.body, node)):
                _take_errors(e.generator.code)
    if not any(getattr(n, "value", None) is node for n in _statements(function)):
        e.not_built("`yield` inside an expression is", help="write `value = yield ...` on its own")


def _catches_exit(e: Emitter, node: ast.expr) -> bool:
    names = [n.id for n in walk(node) if isinstance(n, ast.Name)]
    found = [getattr(e.lookup(n), "object", None) for n in names]
    return any(isinstance(f, type) and issubclass(GeneratorExit, f) for f in found)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in children(node):
        if isinstance(child, ast.stmt):
            if not isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                yield child
        if not isinstance(child, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            yield from _statements(child)


# going on


def contains(root: ast.AST | Sequence[ast.AST], node: Yielding) -> bool:
    """Whether a ``yield`` stands somewhere in ``root``."""
    roots = [root] if isinstance(root, ast.AST) else root
    return any(inner is node for r in roots for inner in walk(r))


def resume_block(e: Emitter, body: Sequence[ast.stmt], node: Yielding) -> None:
    """Go on after a ``yield`` that is somewhere in ``body``."""
    index = next(i for i, s in enumerate(body) if contains(s, node))
    statement = body[index]
    with e.at(statement):
        handler = RESUMPTIONS.get(type(statement))
        if handler is None:
            e.not_built(f"`yield` inside `{type(statement).__name__.lower()}` is")
        handler(e, statement, node)
    e.check_alive()
    e.statements(body[index + 1 :])


def _received(e: Emitter, node: Yielding) -> Sugared:
    """The value of a ``yield`` expression, or the error that it raises."""
    assert e.generator is not None
    if isinstance(node, ast.YieldFrom):
        return _delegate(e, node, is_resumed=True)
    throw_given(e)
    sent, code = e.generator.sent, e.generator.code
    if sent is None and code.key in e.unit.choices.generators.starved:
        e.raise_error(TypeError, "a `yield` whose value is used was given None")
    if sent is None:
        return Constant(None)
    if code.needs_sent:

        def refuse() -> None:
            e.raise_error(TypeError, f"a `yield` whose value is used as {code.sent} was given None")

        branch(e, is_type(e, sent, [T.NONE]), refuse, lambda: None)
        return e.lift(e.builder.cast(sent, code.sent))
    return e.lift(sent)


def _resume_expression(e: Emitter, statement: ast.Expr, node: Yielding) -> None:
    _received(e, node)


def _resume_assign(e: Emitter, statement: ast.Assign | ast.AnnAssign, node: Yielding) -> None:
    value = _received(e, node)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        assign_target(e, target, value)


def _resume_augmented(e: Emitter, statement: ast.AugAssign, node: Yielding) -> None:
    if not isinstance(statement.target, ast.Name):
        e.not_built("`yield` in an augmented assignment to a part is")
    old = e.lookup(statement.target.id)  # not assigned since: frames are not shared
    e.assign(statement.target.id, binary_of(e, statement.op, old, _received(e, node)))


def _resume_return(e: Emitter, statement: ast.Return, node: Yielding) -> None:
    e.unit.finish(e, e.settle(_received(e, node)))
    raise DeadCode


def _resume_if(e: Emitter, statement: ast.If, node: Yielding) -> None:
    arm = statement.body if contains(statement.body, node) else statement.orelse
    resume_block(e, arm, node)


def _resume_try(e: Emitter, statement: ast.Try, node: Yielding) -> None:
    if not statement.finalbody:
        _resume_except(e, statement, node)
        return
    inner = [*statement.body, *statement.handlers, *statement.orelse]
    if contains(statement.finalbody, node):
        _resume_finally(e, statement, node)
        return
    run_finally(
        e, Region.of(e, statement, inner),
        lambda: _resume_except(e, statement, node),
        lambda: e.statements(statement.finalbody),
        e.unit.finally_handler(e, statement),
    )  # fmt: skip


def _resume_except(e: Emitter, statement: ast.Try, node: Yielding) -> None:
    if contains(statement.body, node) and not statement.handlers:
        resume_block(e, statement.body, node)
        e.statements(statement.orelse)
    elif contains(statement.body, node):
        e.unit.run_except(e, statement, lambda: resume_block(e, statement.body, node))
    elif contains(statement.orelse, node):
        resume_block(e, statement.orelse, node)
    else:
        clause = next(h for h in statement.handlers if contains(h, node))
        _resume_clause(e, clause, node)


def _resume_clause(e: Emitter, clause: ast.ExceptHandler, node: Yielding) -> None:
    """Go on inside an ``except`` clause: what it has caught is raised once more."""
    caught = e.env.names[handled_name(clause)]

    def go_on(again: Value) -> None:
        _restore_context(e, again, context)
        e.unit.run_clause(e, clause, lambda: resume_block(e, clause.body, node))
        e.env.unbind(handled_name(clause))

    context = exception_attribute(e, _exception(e, caught), "__context__")
    made, ends = protect(e, NOTHING, lambda: _raise(e, caught), go_on)
    if not ends:
        e.die()
    merge(e, made, ends)


def _resume_finally(e: Emitter, statement: ast.Try, node: Yielding) -> None:
    """Go on inside a ``finally``, with the error that it was entered with, if there was one."""
    name = pending_name(statement)
    pending = e.value(e.env.names[name])
    known = is_type(e, pending, [T.NONE])

    def body() -> None:
        branch(e, known, lambda: None, lambda: _raise(e, IRValue(pending)))

    def handler(again: Value) -> None:
        _restore_context(e, again, context)
        resume_block(e, statement.finalbody, node)
        raise_again(e)

    def context_of() -> Sugared:
        found = exception_attribute(e, _exception(e, IRValue(pending)), "__context__")
        assert found is not None
        return found

    context = choose(e, known, lambda: Constant(None), context_of)
    run_finally(e, NOTHING, body, lambda: resume_block(e, statement.finalbody, node), handler)
    e.env.unbind(name)


def _exception(e: Emitter, value: Sugared) -> IRValue:
    t = exception_type(e.unit, BaseException)
    return IRValue(e.builder.cast(e.value(value), t))


def _raise(e: Emitter, value: Sugared) -> None:
    e.builder.node("prim::raise_object", [_exception(e, value).value])
    e.die()


def _restore_context(e: Emitter, again: Value, context: Sugared | None) -> None:
    """Raising an exception once more, where another is handled, changes its context."""
    assert context is not None
    assign_exception_attribute(e, IRValue(again), "__context__", context)


def _resume_with(e: Emitter, statement: ast.With, node: Yielding) -> None:
    def go_on(items: Sequence[ast.withitem]) -> None:
        if not items:
            resume_block(e, statement.body, node)
            return
        item, rest = items[0], items[1:]
        name = kept_name(item)
        region = region_of(e, statement, items)
        run_entered(e, region, e.env.names[name], lambda: go_on(rest))
        e.env.unbind(name)

    go_on(statement.items)


def _resume_while(e: Emitter, statement: ast.While, node: Yielding) -> None:
    if contains(statement.orelse, node):
        resume_block(e, statement.orelse, node)
        return
    e.unit.run_while(e, statement, lambda: resume_block(e, statement.body, node))


def _resume_for(e: Emitter, statement: ast.For, node: Yielding) -> None:
    if contains(statement.orelse, node):
        resume_block(e, statement.orelse, node)
        return
    _run_for(e, statement, lambda: resume_block(e, statement.body, node))


def generator_for(e: Emitter, node: ast.For) -> None:
    """A ``for`` with a ``yield`` inside: its iterator lives in the frame."""
    iterable = e.expression(node.iter)
    with e.at(node.iter):
        iterator = iterator_of(e, iterable)
    e.env.bind(_hidden(node), iterator)
    dropped = e.unit.take_fresh(e, iterator)
    for number, one in enumerate(dropped):
        e.env.bind(f"{_hidden(node)} {number}", one)
    _run_for(e, node, None)


def _run_for(e: Emitter, node: ast.For, rest: Callable[[], None] | None) -> None:
    """The loop, and the end of what it was the only one to hold."""
    _with_held(e, node, lambda: _run_loop(e, node, rest))


def _with_held(
    e: Emitter, node: ast.For | ast.YieldFrom, act: Callable[[], Sugared | None]
) -> Sugared | None:
    names = [n for n in e.env.names if n.startswith(_hidden(node) + " ")]
    if not names:
        return act()
    held = [e.env.names[n] for n in names]
    result: Sugared | None = e.unit.with_drops(e, held, node, act)
    for name in names:
        e.env.unbind(name)
    return result


def _run_loop(e: Emitter, node: ast.For, rest: Callable[[], None] | None) -> None:
    """``rest`` is the first iteration when it goes on inside of one."""
    flagged = with_else(e, node) if rest is None else broken_flag(node) in e.env.names
    assigned = assigned_names(e, [node.target, *node.body], broken_flag(node) if flagged else "")

    def end(returned: Sugared) -> Sugared:
        leave_loop(e, BREAK)

    def iteration() -> None:
        item = pull(e, e.env.names[_hidden(node)], lambda found: found, end)
        assign_target(e, node.target, item)
        e.statements(node.body)

    run_first(e, node, assigned, rest, iteration)
    e.env.unbind(_hidden(node))
    run_else(e, node, flagged)


RESUMPTIONS: dict[type[ast.stmt], Callable[[Emitter, Any, Yielding], None]] = {
    ast.Expr: _resume_expression,
    ast.Assign: _resume_assign,
    ast.AnnAssign: _resume_assign,
    ast.AugAssign: _resume_augmented,
    ast.Return: _resume_return,
    ast.If: _resume_if,
    ast.Try: _resume_try,
    ast.With: _resume_with,
    ast.While: _resume_while,
    ast.For: _resume_for,
}
