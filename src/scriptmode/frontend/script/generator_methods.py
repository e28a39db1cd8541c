"""Methods of generators: ``__next__``, ``close``, ``send`` and ``throw``."""

from __future__ import annotations

from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.builtin_calls import stop_iteration
from scriptmode.frontend.script.conditions import is_type
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.exceptions import exception_type
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.generator_ends import close_generator
from scriptmode.frontend.script.generators import resume
from scriptmode.frontend.script.handlers import ATTRIBUTES, OBJECT_CALLS
from scriptmode.frontend.script.iterators import answered
from scriptmode.frontend.script.raising import instance_of
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    GeneratorObject,
    IRValue,
    IteratorObject,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

_METHODS = {
    "__next__": next, "__iter__": iter,
    "close": library.close, "send": library.send, "throw": library.throw,
}  # fmt: skip


@ATTRIBUTES(GeneratorObject, IteratorObject)
def _generator_method(e: Emitter, value: Sugared, name: str) -> Sugared | None:
    if isinstance(value, IteratorObject) and name in ("close", "send", "throw"):
        return None
    method = _METHODS.get(name)
    return None if method is None else BoundMethod(value, PythonObject(method))


@OBJECT_CALLS(library.close)
def _close(e: Emitter, given: Arguments) -> Sugared:
    generator = one(e, given)
    assert isinstance(generator, GeneratorObject)
    close_generator(e, generator)
    return Constant(None)


@OBJECT_CALLS(library.send)
def _send(e: Emitter, given: Arguments) -> Sugared:
    generator, value = take(e, given, "generator", "value", required=2)
    assert isinstance(generator, GeneratorObject) and value is not None
    if isinstance(value, Constant) and value.value is None:
        return e.call_positional(PythonObject(next), generator)
    parts = e.unit.tuple_items(e, generator.frame) or ()
    number = e.builder.op("list::getitem", e.value(parts[0]), e.int_constant(0))
    sent = e.value(e.settle(value))
    starts = e.builder.op("int::eq", number, e.int_constant(0))
    not_none = e.builder.op("bool::not", is_type(e, sent, [T.NONE]))

    def refuse() -> None:
        text = "can't send non-None value to a just-started generator"
        branch(e, not_none, lambda: e.raise_error(TypeError, text), lambda: None)

    branch(e, starts, refuse, lambda: None)
    answer = resume(e, generator, sent=IRValue(sent))
    return answered(e, answer, lambda found: found, lambda value: stop_iteration(e, value))


@OBJECT_CALLS(library.throw)
def _throw(e: Emitter, given: Arguments) -> Sugared:
    generator, error, value, trace = take(
        e, given, "generator", "typ", "val", "tb", required=2
    )  # fmt: skip
    assert isinstance(generator, GeneratorObject) and error is not None
    if value is not None or trace is not None:
        e.not_built("`throw` with more than one argument is", help="pass the exception itself")
    text = "exceptions must be classes or instances deriving from BaseException"
    raised = e.value(instance_of(e, error, text))
    raised = e.builder.cast(raised, exception_type(e.unit, BaseException))
    answer = resume(e, generator, raised)
    return answered(e, answer, lambda found: found, lambda value: stop_iteration(e, value))
