"""``StopIteration`` out of code that an iterator runs for each element.

``list(map(f, xs))`` and ``sum(f(x) for x in xs)`` are compiled to loops in which ``f`` is called in
place.  Where ``f`` may raise ``StopIteration`` they are made as iterators instead, because what
comes of it is theirs to say: it ends a ``map`` or ``filter``, and is a ``RuntimeError`` out of a
generator expression.  Which functions may raise it follows from the names that they call; it is
asked only in programs that raise one at all, where nothing in the same function catches it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.generator_facts import called_names
from scriptmode.frontend.script.trees import walk
from scriptmode.frontend.script.values import (
    BoundMethod,
    GeneratorValue,
    IRValue,
    IterableValue,
    LocalFunction,
    ModuleValue,
    PartialFunction,
    PythonObject,
    Sugared,
    is_iterator,
)

CATCHING = frozenset(["StopIteration", "Exception", "BaseException"])


def catches(handlers: list[ast.ExceptHandler]) -> bool:
    """Whether one of the clauses catches ``StopIteration``, as far as names tell."""
    for handler in handlers:
        if handler.type is None:
            return True
        if any(isinstance(n, ast.Name) and n.id in CATCHING for n in walk(handler.type)):
            return True
    return False


def note_stop(e: Emitter) -> None:
    """``StopIteration`` is raised here."""
    is_caught = e.catches_stop or e.generator is not None
    if e.unit.choices.generators.note_stop(e.scope.source, is_caught):
        e.unit.start_again()


def lazily(e: Emitter, value: GeneratorValue | IterableValue) -> Sugared:
    """A lazy value that was just written: an iterator where its code may raise StopIteration."""
    names = frozenset(_applied(value))
    if not names or _is_known(value):
        return value
    may_stop = e.unit.choices.generators.may_stop(names)
    made: Sugared = e.unit.kept(e, value) if may_stop else value
    return made


def _applied(value: GeneratorValue | IterableValue) -> Iterator[str]:
    """The names of the functions that giving an element calls."""
    if isinstance(value, GeneratorValue):
        for part in (value.node.elt, *(t for g in value.node.generators for t in g.ifs)):
            yield from called_names(part)
        for generator in value.node.generators[1:]:
            yield from called_names(generator.iter)
    else:
        yield from _names_of(value.arguments[0])


def _names_of(function: Sugared) -> Iterator[str]:
    match function:
        case LocalFunction(source=source):
            if not isinstance(source.node, ast.Lambda):
                yield source.qualname.rpartition(".")[2]
            yield from called_names(source.node)
        case BoundMethod(function=inner) | PartialFunction(function=inner):
            yield from _names_of(inner)
        case PythonObject(object=made):
            yield getattr(made, "__name__", "")


def _is_known(value: GeneratorValue | IterableValue) -> bool:
    """Whether there is no loop: the elements are known one by one, or they are modules."""
    over = (value.iterable,) if isinstance(value, GeneratorValue) else value.arguments[1:]
    if any(_has_modules(v) for v in over):
        return True
    return not any(isinstance(v, (IRValue, IterableValue)) or is_iterator(v) for v in over)


def _has_modules(value: Sugared) -> bool:
    return isinstance(value, ModuleValue) or any(_has_modules(p) for p in value.parts())
