"""Methods of generators: ``__next__``, ``close``, ``send`` and ``throw``."""

from __future__ import annotations

from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import branch
from scriptmode.frontend.script.generators import FINISHED, RUNNING, set_state
from scriptmode.frontend.script.handlers import ATTRIBUTES, OBJECT_CALLS
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    GeneratorObject,
    IteratorObject,
    PythonObject,
    Sugared,
)

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
    """No handler around a `yield` catches GeneratorExit: closing runs nothing."""
    generator = one(e, given)
    assert isinstance(generator, GeneratorObject)
    parts = e.unit.tuple_items(e, generator.frame) or ()
    state = e.value(parts[0])
    number = e.builder.op("list::getitem", state, e.int_constant(0))
    running = e.builder.op("int::eq", number, e.int_constant(RUNNING))

    def refuse() -> None:
        e.raise_error(ValueError, "generator already executing")

    branch(e, running, refuse, lambda: set_state(e, state, FINISHED))
    return Constant(None)


@OBJECT_CALLS(library.send)
def _send(e: Emitter, given: Arguments) -> Sugared:
    generator, value = take(e, given, "generator", "value", required=2)
    assert generator is not None
    if not (isinstance(value, Constant) and value.value is None):
        e.fail_type(
            "`send` of a value to a generator is not supported",
            help="put the value where the generator reads it: in a list, or an attribute",
        )
    return e.call_positional(PythonObject(next), generator)


@OBJECT_CALLS(library.throw)
def _throw(e: Emitter, given: Arguments) -> Sugared:
    e.fail_type(
        "`throw` into a generator is not supported",
        help="let the generator check a flag after its `yield`, and raise there",
    )
