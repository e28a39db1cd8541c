"""Iteration over instances: ``__iter__``, ``__next__`` and ``__getitem__`` of user classes."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.frontend.script import iterator_library as library
from scriptmode.frontend.script.dunders import call_special
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import own_method
from scriptmode.frontend.script.exceptions import exception_type, is_exception_of
from scriptmode.frontend.script.flow import branch, choose, merge
from scriptmode.frontend.script.instances import instance_type, special_method
from scriptmode.frontend.script.tries import NOTHING, protect, raise_again
from scriptmode.frontend.script.values import Constant, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


def has_next(e: Emitter, value: Sugared) -> bool:
    """Whether a value is an instance that is an iterator."""
    return instance_type(value) is not None and special_method(e, value, "__next__") is not None


def object_iterator(e: Emitter, value: Sugared) -> Sugared | None:
    """``iter(value)`` of an instance, before its own iterator is asked; None for other values."""
    if instance_type(value) is None:
        own = own_method(e, value, "__iter__")
        return None if own is None else e.call_positional(own)
    made = call_special(e, value, "__iter__")
    if made is not None:
        return made
    if special_method(e, value, "__getitem__") is not None:
        indexed: Sugared = e.unit.call_python_source(e, library.indexed, value)
        return indexed
    return None


def next_of_object(
    e: Emitter,
    value: Sugared,
    found: Callable[[Sugared], Sugared],
    ended: Callable[[Sugared], Sugared],
) -> Sugared:
    """``found`` of what ``__next__`` gives, ``ended`` when it raises StopIteration."""
    items: list[Value] = []

    def body() -> None:
        item = call_special(e, value, "__next__")
        if item is None:
            e.fail_type(f"{value.describe()} is not an iterator")
        items.append(e.value(e.settle(item)))

    def handler(caught: Value) -> None:
        stops = is_exception_of(e, caught, [exception_type(e.unit, StopIteration)])
        branch(e, stops, lambda: None, lambda: raise_again(e))

    node, ends = protect(e, NOTHING, body, handler)
    if not ends:
        e.die()
    t = items[0].type if items else T.NONE
    has, item = node.add_output(T.BOOL, "has"), node.add_output(T.optional_of(t), "item")
    for end in ends:
        with e.builder.at(end.block):
            is_body = end.block is node.blocks[0]
            end.values.append(e.builder.constant(is_body))
            end.values.append(items[0] if is_body else e.builder.constant(None))
    merge(e, node, ends)
    if not items:
        return ended(Constant(None))
    return choose(
        e, has, lambda: found(e.lift(e.builder.cast(item, t))), lambda: ended(Constant(None))
    )
