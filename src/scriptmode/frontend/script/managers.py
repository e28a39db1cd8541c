"""Context managers of ``contextlib``: of generator functions, ``closing``, ``ExitStack``.

A ``contextlib.contextmanager`` function makes a generator; ``with`` runs it to its ``yield``, and
then to its end, or lets the ``yield`` raise what the body has raised.  As a decorator it is made
anew for each call::

    @manager(a)              f = lambda x: with manager(a): return old_f(x)
    def f(x): ...
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Hashable, Sequence
from typing import Any

from scriptmode.frontend.script import exit_stacks
from scriptmode.frontend.script.arguments import one
from scriptmode.frontend.script.contexts import Manager, enter, handle_error, leave_manager
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.exceptions import (
    exception_attribute,
    exception_type,
    is_exception_of,
)
from scriptmode.frontend.script.flow import branch, merge
from scriptmode.frontend.script.generator_ends import close_generator
from scriptmode.frontend.script.generators import resume
from scriptmode.frontend.script.handlers import CALLS, OBJECT_CALLS
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.tries import NOTHING, protect, raise_again
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    GeneratorObject,
    IRValue,
    LocalFunction,
    PartialFunction,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir.graph import Value

_ENTERED_TWICE = "'_GeneratorContextManager' object has no attribute 'args'"


class GeneratorManager(Manager):
    """What a function under ``contextlib.contextmanager`` returns, and what it was called with."""

    def __init__(
        self, generator: Sugared, made_by: tuple[Sugared, Sugared, tuple[Sugared, ...]],
        names: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.generator = generator
        self.made_by = made_by
        self.names = names  # of the keyword arguments

    def parts(self) -> tuple[Sugared, ...]:
        function, arguments, values = self.made_by
        return (self.generator, function, arguments, *values)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        made_by = (parts[1], parts[2], tuple(parts[3:]))
        return GeneratorManager(parts[0], made_by, self.names)

    def key(self) -> Hashable:
        code = self.generator.key() if isinstance(self.generator, GeneratorObject) else None
        return ("generator manager", self.names, code)

    def _known(self, e: Emitter) -> GeneratorObject:
        if not isinstance(self.generator, GeneratorObject):
            e.not_built("a context manager chosen at run time in this way is",
                        help="write one `with` on each path")  # fmt: skip
        return self.generator

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        generator = self._known(e)
        parts = e.unit.tuple_items(e, generator.frame) or ()
        number = e.builder.op("list::getitem", e.value(parts[0]), e.int_constant(0))
        is_new = e.builder.op("int::eq", number, e.int_constant(0))
        branch(e, is_new, lambda: None, lambda: e.raise_error(AttributeError, _ENTERED_TWICE))
        out, has, t = resume(e, generator)
        branch(e, has, lambda: None, lambda: e.unit.call_python_source(e, _did_not_yield))
        return self, e.lift(e.builder.cast(e.builder.tuple_index(out, 1), t))

    def leave(self, e: Emitter) -> None:
        _, has, _ = resume(e, self._known(e))
        _unless(e, e.builder.op("bool::not", has), "generator didn't stop")

    def handle(self, e: Emitter, caught: Value) -> None:
        def body() -> None:
            _, has, _ = resume(e, self._known(e), caught)
            _unless(e, e.builder.op("bool::not", has), "generator didn't stop after throw()")

        def handler(again: Value) -> None:
            """A StopIteration of the body comes back as the cause of a RuntimeError."""
            cause = exception_attribute(e, IRValue(again), "__cause__")
            assert cause is not None
            stops = is_exception_of(e, caught, [exception_type(e.unit, StopIteration)])
            wrapped = is_exception_of(e, again, [exception_type(e.unit, RuntimeError)])
            both = e.builder.op("bool::and", stops, wrapped)
            same = e.value(e.unit.identical(e, cause, IRValue(caught)))

            def raise_own() -> None:
                e.builder.node("prim::raise_object", [caught])
                e.die()

            branch(e, e.builder.op("bool::and", both, same), raise_own, lambda: raise_again(e))

        made, ends = protect(e, NOTHING, body, handler)
        if not ends:
            e.die()
        merge(e, made, ends)


def _did_not_yield() -> None:
    try:
        raise StopIteration
    except StopIteration:
        raise RuntimeError("generator didn't yield") from None


def _unless(e: Emitter, holds: Value, message: str) -> None:
    branch(e, holds, lambda: None, lambda: e.raise_error(RuntimeError, message))


@OBJECT_CALLS(("contextlib", "_GeneratorContextManager"))
def _generator_manager(e: Emitter, given: Arguments) -> Sugared:
    function, arguments, keywords = given.positional
    node = None
    if isinstance(function, PythonObject) and isinstance(function.object, types.FunctionType):
        node = source_of(function.object).node
    elif isinstance(function, LocalFunction):
        node = function.source.node
    items = e.unit.tuple_items(e, arguments)
    if node is None or items is None or not isinstance(keywords, DictDisplay):
        e.not_built("this `contextlib.contextmanager` function is",
                    help="write a class with `__enter__` and `__exit__`")  # fmt: skip
    e.unit.context_functions.add(id(node))
    names = [k.value for k in keywords.keys if isinstance(k, Constant)]
    settled = tuple(e.settle(i) for i in items)
    values = tuple(e.settle(v) for v in keywords.values)
    named = dict(zip(names, values, strict=True))
    generator = e.call(function, Arguments(list(settled), named, given.node))
    if not isinstance(generator, GeneratorObject):
        e.fail_type("a `contextlib.contextmanager` function must be a generator function")
    e.unit.take_fresh(e, generator)  # the `with` ends it
    made_by = (function, TupleDisplay(settled), values)
    return GeneratorManager(generator, made_by, tuple(names))


def context_function(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """What ``contextlib.contextmanager(function)`` does when it is called."""
    return contextlib._GeneratorContextManager(function, arguments, keywords)


@OBJECT_CALLS(contextlib.contextmanager)
def _context_manager(e: Emitter, given: Arguments) -> Sugared:
    return PartialFunction(PythonObject(context_function), (given.positional[0],), {})


def decorated(make: Any, arguments: Any, function: Any, *own: Any, **keywords: Any) -> Any:
    """A call of ``function`` under the context manager that ``make`` makes."""
    with make(*arguments):
        return function(*own, **keywords)


@CALLS(GeneratorManager)
def _decorate(e: Emitter, value: GeneratorManager, given: Arguments) -> Sugared:
    function, arguments, values = value.made_by
    named = dict(zip(value.names, values, strict=True))
    make = PartialFunction(PythonObject(context_function), (function,), named)
    return PartialFunction(PythonObject(decorated), (make, arguments, one(e, given)), {})


# closing


class ClosingManager(Manager):
    """``contextlib.closing`` of a generator."""

    def __init__(self, generator: GeneratorObject) -> None:
        self.generator = generator

    def parts(self) -> tuple[Sugared, ...]:
        return (self.generator,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        assert isinstance(parts[0], GeneratorObject)
        return ClosingManager(parts[0])

    def key(self) -> Hashable:
        return "closing"

    def enter(self, e: Emitter) -> tuple[Sugared, Sugared]:
        e.managed |= e.unit.places_of(self.generator)
        return self, self.generator

    def leave(self, e: Emitter) -> None:
        close_generator(e, self.generator)


@OBJECT_CALLS(contextlib.closing)
def _closing(e: Emitter, given: Arguments) -> Sugared:
    thing = one(e, given)
    if isinstance(thing, GeneratorObject):
        if len(e.unit.take_fresh(e, thing)) > 1:
            e.unit.refuse_held(e)
        return ClosingManager(thing)
    return e.call_positional(PythonObject(exit_stacks.Closing), thing)


@OBJECT_CALLS(contextlib.redirect_stdout, contextlib.redirect_stderr)
def _redirect(e: Emitter, given: Arguments) -> Sugared:
    e.fail_type("output of compiled code cannot be redirected inside of it",
                help="write the `with` around the call of the compiled function")  # fmt: skip


# ExitStack


@OBJECT_CALLS(contextlib.ExitStack)
def _exit_stack(e: Emitter, given: Arguments) -> Sugared:
    return e.call(PythonObject(exit_stacks.ExitStack), given)


@OBJECT_CALLS(exit_stacks.entered)
def _entered(e: Emitter, given: Arguments) -> Sugared:
    manager, value = enter(e, e.settle(one(e, given)))
    return TupleDisplay((manager, value))


@OBJECT_CALLS(exit_stacks.left)
def _left(e: Emitter, given: Arguments) -> Sugared:
    leave_manager(e, one(e, given))
    return Constant(None)


@OBJECT_CALLS(exit_stacks.handled)
def _handled(e: Emitter, given: Arguments) -> Sugared:
    manager, error = given.positional
    handle_error(e, manager, e.value(error))
    return Constant(None)
