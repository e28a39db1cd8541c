"""``fork``, ``wait`` and the deferred calls: futures in compiled code."""

from __future__ import annotations

import ast

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.functions import Target, bind, prepare_call
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.methods import METHODS
from scriptmode.frontend.script.source import FunctionSource
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import Arguments, Constant, IRValue, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.support import futures


def _task_source() -> FunctionSource:
    """The function of a task; it has no place of its own in errors."""
    tree = ast.parse("def task(function, *args, **kwargs): return function(*args, **kwargs)")
    for node in walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = 0
    (node,) = tree.body
    assert isinstance(node, ast.FunctionDef)
    return FunctionSource(node, "<fork>", "task", "scriptmode")


_TASK = _task_source()


def _future(e: Emitter, kind: str, given: Arguments) -> Sugared:
    """A future of the call of the first argument with the others."""
    bound = bind(e, _TASK, (), {}, given)
    instance, inputs = prepare_call(e, Target(_TASK, None, {}, {}), bound)
    assert instance.return_type is not None
    t = T.NONE if instance.return_type == T.NEVER else instance.return_type
    node = e.builder.node(kind, inputs, [T.FutureType([t])], callee=instance.name)
    e.env.forget_attributes()
    e.epoch += 1
    return IRValue(node.output)


@OBJECT_CALLS(("torch.jit._async", "fork"), futures.fork)
def _fork(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        e.fail_type("fork() misses the function to call")
    return _future(e, "prim::Fork", given)


@OBJECT_CALLS(("torch.jit._await", "_awaitable"), futures.awaitable)
def _awaitable(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        e.fail_type("_awaitable() misses the function to call")
    return _future(e, "prim::Defer", given)


@OBJECT_CALLS(("torch.jit._await", "_awaitable_nowait"), futures.awaitable_nowait)
def _nowait(e: Emitter, given: Arguments) -> Sugared:
    value = e.value(e.settle(given.positional[0]))
    return IRValue(e.builder.node("prim::Future", [value], [T.FutureType([value.type])]).output)


@OBJECT_CALLS(
    ("torch.jit._async", "wait"), futures.wait,
    ("torch.jit._await", "_awaitable_wait"), futures.awaitable_wait,
)  # fmt: skip
def _wait(e: Emitter, given: Arguments) -> Sugared:
    future = [*given.positional, *given.keywords.values()][0]
    t = e.type_of(future)
    if not isinstance(t, T.FutureType):
        e.fail_type(f"wait() of {future.describe()}, which is no future")
    return _waited(e, e.value(future), given)


@METHODS(("Future", "wait"), ("Future", "value"))
def _waited(e: Emitter, future: Value, given: Arguments) -> Sugared:
    """``future.wait()``."""
    t = future.type
    assert isinstance(t, T.FutureType), "a method of futures"
    node = e.builder.node("prim::Wait", [future], [t.element])
    e.env.forget_attributes()
    e.epoch += 1
    if t.element == T.NONE:
        return Constant(None)
    return e.lift(node.output)


@METHODS(("Future", "done"))
def _done(e: Emitter, future: Value, given: Arguments) -> Sugared:
    return IRValue(e.builder.node("prim::IsDone", [future], [T.BOOL]).output)
