"""Loops over what iteration yields: act on each, or fill a new list or dict."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from scriptmode.frontend.script import (
    iteration,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.expressions import (
    collected,
    exists,
    list_comprehension,
    static_items,
)
from scriptmode.frontend.script.loops import run_cursor
from scriptmode.frontend.script.values import (
    GeneratorValue,
    IRValue,
    Sugared,
)
from scriptmode.ir import types as T


def for_each(e: Emitter, value: Sugared, act: Callable[[Sugared], None]) -> None:
    """``act`` on what iteration yields, in a loop that changes no variable."""
    value = e.unit.in_turn(e, value)
    items = iteration.items_of(e, value)
    if items is not None:
        for item in items:
            act(item)
    else:
        run_cursor(e, iteration.cursor_of(e, value), [], act)


def collect(e: Emitter, value: Sugared) -> Sugared:
    """A new list of what iteration yields."""
    cursor = iteration.cursor_of(e, value)

    def fill(append: Callable[[Sugared], None]) -> None:
        run_cursor(e, cursor, [], append)

    return collected(e, fill, None)


def collected_dict(
    e: Emitter,
    fill: Callable[[Callable[[Sugared, Sugared], None]], None],
    site: Hashable,
) -> Sugared:
    """A new dict that ``fill`` stores into."""
    node = e.builder.node("prim::DictConstruct", [], [T.DictType([T.NEVER, T.NEVER])])
    seen: list[tuple[T.Type, T.Type]] = []

    def store(key: Sugared, value: Sugared) -> None:
        k, v = e.value(key), e.value(value)
        seen.append((k.type, v.type))
        stored = e.builder.node("dict::setitem", [node.output, k, v], [])
        stored.schema = e.builder.resolve("dict::setitem")

    fill(store)
    node.output.type = T.DictType(
        [T.union_of([s[0] for s in seen]), T.union_of([s[1] for s in seen])]
    )
    return IRValue(node.output)


def generated_items(e: Emitter, value: GeneratorValue) -> Sequence[Sugared] | None:
    """What a generator expression yields, if their number is known."""
    return static_items(e, value.node, None, value.iterable)


def unrolled_items(e: Emitter, value: Sugared) -> Sequence[Sugared] | None:
    """Elements of a value over a constant range, where a fixed number is needed."""
    if isinstance(value, GeneratorValue):
        return static_items(e, value.node, None, value.iterable, unroll=True)
    return iteration.constant_range(value)


def generated(e: Emitter, value: GeneratorValue) -> Sugared:
    """A list of what a generator expression yields."""
    return list_comprehension(e, value.node, None, value.iterable)


def any_or_all(e: Emitter, value: GeneratorValue, wanted: bool) -> Sugared:
    """``any`` or ``all`` of a generator expression, run as far as needed."""
    return exists(e, value.node, value.node.generators, wanted, value.iterable)
