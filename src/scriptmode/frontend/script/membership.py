"""``item in container`` for modules, instances, iterators and iterables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import (
    comparisons,
    generator_ends,
    instances,
    iterator_library,
    iterators,
    module_containers,
    ranges,
)
from scriptmode.frontend.script import dunders as special_methods
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    GeneratorObject,
    GeneratorValue,
    IterableValue,
    IteratorObject,
    ModuleValue,
    Sugared,
)


def contains(e: Emitter, container: Sugared, item: Sugared) -> Sugared:
    """``item in container`` for modules, instances and iterables."""
    if instances.instance_type(container) is not None:
        found = special_methods.contains(e, container, item)
        if found is not None:
            return found
        return _looked_for(e, container, item)
    container = iterators.in_turn(e, container)
    if isinstance(container, GeneratorValue):
        container = iterators.kept(e, container)
    if isinstance(container, (GeneratorObject, IteratorObject)):
        return _looked_for(e, container, item)
    if isinstance(container, ModuleValue):
        return module_containers.contains_key(e, container, item)
    assert isinstance(container, IterableValue)
    if container.kind == "keys":
        return comparisons.contains(e, container.arguments[0], item)
    in_range = ranges.in_range(e, container, item) if container.kind == "range" else None
    if in_range is not None:
        return in_range
    return comparisons.contains(e, e.unit.built_list(e, container), item)


def _looked_for(e: Emitter, container: Sugared, item: Sugared) -> Sugared:
    return _consume(e, iterator_library.contains_item, container, item)


def first_items(e: Emitter, iterable: Sugared, count: int) -> Sugared:
    """A list of the first ``count`` items, or of all; no further one is asked for."""
    started = iterators.in_turn(e, iterable)
    return _consume(e, iterator_library.first_items, started, Constant(count))


def _consume(
    e: Emitter, function: Callable[..., Any], iterable: Sugared, other: Sugared
) -> Sugared:
    """Call a function of ``iterator_library``; a generator that nothing else holds ends then."""
    given = Arguments([iterable, other], {})
    held = generator_ends.take_fresh(e, iterable)
    if not held:
        return iterators.call_library(e, function, given)
    found = generator_ends.with_drops(
        e, held, None, lambda: iterators.call_library(e, function, given)
    )
    assert found is not None
    return found
