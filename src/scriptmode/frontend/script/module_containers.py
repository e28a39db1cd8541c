"""Containers of modules and of parameters: iteration, keys, subscripts, slices.

An index or key that is known at run time only gives a ``ModuleChoice``, on which calls and
attributes are dispatched.  Classes that override how they are iterated or indexed are compiled
from their own source.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

from torch import nn

from scriptmode.frontend.script.conditions import truth_sugared
from scriptmode.frontend.script.emitter import Emitter, NeedsConstant
from scriptmode.frontend.script.flow import choose, when
from scriptmode.frontend.script.handlers import ATTRIBUTES, CALLS, SUBSCRIPTS
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.module_state import get_attribute
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    IRValue,
    ListDisplay,
    ModuleChoice,
    ModuleSlice,
    ModuleValue,
    PythonObject,
    SliceValue,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T

_LISTS = (nn.ModuleList, nn.Sequential)
_DICTS = (nn.ModuleDict, nn.ParameterDict)
_CONTAINERS = (*_LISTS, nn.ParameterList, *_DICTS)


def overrides(python: nn.Module, name: str) -> bool:
    """Whether a container's class has its own ``name`` instead of torch's."""
    for base in type(python).__mro__:
        if name in vars(base):
            return base not in _CONTAINERS and base is not nn.Module
    return False


def child(e: Emitter, module: ModuleValue, name: str) -> ModuleValue:
    """A submodule."""
    found = e.lift(get_attribute(e, module, name))
    assert isinstance(found, ModuleValue)
    return found


def children(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """Submodules by name; None for those that are None."""
    return [
        (n, child(e, module, n) if c is not None else Constant(None))
        for n, c in module.info.python._modules.items()
    ]


def distinct_children(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """Children that are not None, each once."""
    found: dict[int, tuple[str, Sugared]] = {}
    for name, inner in module.info.python._modules.items():
        if inner is not None and id(inner) not in found:
            found[id(inner)] = (name, child(e, module, name))
    return list(found.values())


def module_items(e: Emitter, module: ModuleValue) -> list[Sugared] | None:
    """What iteration over a container module yields; None for other modules."""
    return None if overrides(module.info.python, "__iter__") else _own_items(e, module)


def _own_items(e: Emitter, module: ModuleValue) -> list[Sugared] | None:
    """What the ``__iter__`` of torch's containers yields."""
    python = module.info.python
    if isinstance(python, _LISTS):
        return [c for _, c in children(e, module)]
    if isinstance(python, nn.ModuleDict):
        return [Constant(n) for n in python._modules]
    if isinstance(python, nn.ParameterList):
        return [e.attribute(module, str(i)) for i in range(len(python))]
    if isinstance(python, nn.ParameterDict):
        return [Constant(n) for n in python]
    return None


def length(e: Emitter, module: ModuleValue) -> Sugared:
    """``len(module)``."""
    if overrides(module.info.python, "__len__"):
        return e.call_positional(e.attribute(module, "__len__"))
    return own_length(e, module)


def own_length(e: Emitter, module: ModuleValue) -> Sugared:
    """What the ``__len__`` of torch's containers gives."""
    items = _own_items(e, module)
    if items is None:
        e.fail_type(f"{module.describe()} has no len()")
    return Constant(len(items))


def named(e: Emitter, module: ModuleValue) -> list[tuple[str, Sugared]]:
    """What a dict of modules or parameters holds, by key."""
    python = module.info.python
    if isinstance(python, nn.ParameterDict):
        return [(n, e.attribute(module, n)) for n in python]
    return children(e, module)


def contains_key(e: Emitter, module: ModuleValue, item: Sugared) -> Sugared:
    """``key in module``."""
    if overrides(module.info.python, "__contains__"):
        return truth_sugared(e, e.call_positional(e.attribute(module, "__contains__"), item))
    return contains_own_key(e, module, item)


def contains_own_key(e: Emitter, module: ModuleValue, item: Sugared) -> Sugared:
    """What the ``__contains__`` of torch's dicts gives."""
    if isinstance(module.info.python, (nn.ModuleList, nn.Sequential)):
        return e.unit.among(e, TupleDisplay(tuple(_own_items(e, module) or ())), item)
    names = [n for n, _ in named(e, module)]
    if isinstance(item, Constant):
        return Constant(item.value in names)
    key = e.value_of_type(item, T.STR, "the key of a module dict")
    found = e.builder.constant(False)
    for name in names:
        here = e.builder.op("str::eq", key, e.builder.constant(name))
        found = e.builder.op("bool::or", found, here)
    return IRValue(found)


@SUBSCRIPTS(ModuleValue)
def module_subscript(e: Emitter, module: ModuleValue, index: Sugared) -> Sugared:
    """``module[index]`` of a container."""
    python = module.info.python
    if not isinstance(python, _CONTAINERS) or overrides(python, "__getitem__"):
        return e.call_positional(e.attribute(module, "__getitem__"), index)
    return container_item(e, module, index)


def container_item(e: Emitter, module: ModuleValue, index: Sugared) -> Sugared:
    """What the ``__getitem__`` of torch's containers gives."""
    python = module.info.python
    items = _own_items(e, module) or []
    if isinstance(python, _DICTS):
        return _by_key(e, named(e, module), index)
    if isinstance(index, SliceValue):
        return _sliced(e, items, index, type(python))
    if isinstance(index, Constant) and isinstance(index.value, int):
        if not -len(items) <= index.value < len(items):
            e.raise_error(IndexError, f"index {index.value} is out of range")
        return items[index.value]
    return _by_index(e, items, index)


def _sliced(e: Emitter, items: Sequence[Sugared], index: SliceValue, cls: type) -> Sugared:
    """A slice of a container of class ``cls``."""
    parts = index.parts()
    if not all(isinstance(p, Constant) for p in parts):
        e.fail("SM0211", "the bounds of a slice of modules must be known at compile time",
               error=NeedsConstant)  # fmt: skip
    found = tuple(items[slice(*(p.value for p in parts if isinstance(p, Constant)))])
    if issubclass(cls, nn.ParameterList):
        return ListDisplay(found, frozen=True)
    return ModuleSlice(found, frozen=True, container=cls)


def _by_key(e: Emitter, pairs: Sequence[tuple[str, Sugared]], key: Sugared) -> Sugared:
    """The value of a key, which may be known at run time only."""
    if isinstance(key, Constant):
        for name, value in pairs:
            if name == key.value:
                return value
        e.raise_error(KeyError, str(key.value))
    wanted = e.value_of_type(key, T.STR, "the key of a module dict")

    def place(first: int) -> Sugared:
        if first == len(pairs):
            e.raise_error(KeyError, wanted)
        here = e.builder.op("str::eq", wanted, e.builder.constant(pairs[first][0]))
        return choose(
            e, here, lambda: IRValue(e.int_constant(first)), lambda: place(first + 1)
        )  # fmt: skip

    return _chosen(e, [v for _, v in pairs], place(0))


def _by_index(e: Emitter, items: Sequence[Sugared], index: Sugared) -> Sugared:
    """One of several items by an index that is known at run time only."""
    given = index_value(e, index, "the index")
    op = e.builder.op
    count = e.int_constant(len(items))
    place = e.value(
        choose(
            e,
            op("int::lt", given, e.int_constant(0)),
            lambda: e.op("int::add", given, count),
            lambda: IRValue(given),
        )
    )
    outside = op("bool::or", op("int::lt", place, e.int_constant(0)), op("int::ge", place, count))

    def fail() -> None:
        text = op("str::concat", e.builder.constant("index "), op("int::str", given))
        text = op("str::concat", text, e.builder.constant(" is out of range"))
        e.raise_error(IndexError, text)

    when(e, outside, fail)
    return _chosen(e, items, IRValue(place))


def _chosen(e: Emitter, items: Sequence[Sugared], place: Sugared) -> Sugared:
    if all(isinstance(i, ModuleValue) for i in items):
        return ModuleChoice(tuple(i for i in items if isinstance(i, ModuleValue)), place)
    return e.subscript(IRValue(e.value(ListDisplay(tuple(items)))), place)


@ATTRIBUTES(ModuleChoice)
def _choice_attribute(e: Emitter, value: ModuleChoice, name: str) -> Sugared | None:
    first = vars(type(value.candidates[0].info.python)).get(name)
    if first is None:
        first = getattr(type(value.candidates[0].info.python), name, None)
    if isinstance(first, types.FunctionType):
        return BoundMethod(value, PythonObject(first))
    return dispatch(e, value, 0, lambda m: e.attribute(m, name))


def dispatch(e: Emitter, value: ModuleChoice, first: int, act: Any) -> Sugared:
    """``act`` on the module that the index of a choice picks."""
    if first == len(value.candidates) - 1:
        result: Sugared = act(value.candidates[first])
        return result
    here = e.builder.op("int::eq", e.value(value.index), e.int_constant(first))
    return choose(
        e, here,
        lambda: act(value.candidates[first]), lambda: dispatch(e, value, first + 1, act),
    )  # fmt: skip


@SUBSCRIPTS(ModuleSlice)
def _slice_subscript(e: Emitter, value: ModuleSlice, index: Sugared) -> Sugared:
    if isinstance(index, Constant) and isinstance(index.value, int):
        if not -len(value.items) <= index.value < len(value.items):
            e.raise_error(IndexError, f"index {index.value} is out of range")
        return value.items[index.value]
    if not isinstance(index, SliceValue):
        return _by_index(e, value.items, index)
    return _sliced(e, value.items, index, value.container)


@CALLS(ModuleSlice)
def _call_slice(e: Emitter, value: ModuleSlice, given: Arguments) -> Sugared:
    """A slice of a Sequential is one; other slices cannot be called."""
    if not issubclass(value.container, nn.Sequential) or len(given.all()) != 1:
        e.fail_type(f"a slice of a {value.container.__name__} cannot be called like this")
    result = given.all()[0]
    for item in value.items:
        result = e.call_positional(item, result)
    return result
