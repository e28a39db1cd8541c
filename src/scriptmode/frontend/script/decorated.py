"""What decorators of the standard library make of functions and methods.

``functools.singledispatch`` (and its method), ``partialmethod``, ``lru_cache`` on methods and
``cached_property`` of modules; and the functions that instances of decorators' classes hold::

    class Counted:
        def __init__(self, function): self.function = function
        def __call__(self, x): return self.function(x)

    @Counted
    def g(x): ...           # g.function is known: g exists before the program
"""

from __future__ import annotations

import functools
import gc
import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script.classes_as_values import ClassOf
from scriptmode.frontend.script.conditions import members, split
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.instances import python_class, under_each
from scriptmode.frontend.script.module_state import get_attribute, presence
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    IRValue,
    ModuleValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T

_EXAMPLE: Any = functools.singledispatch(lambda x: x)
_SINGLE_DISPATCH = _EXAMPLE.__code__


def is_single_dispatch(obj: Any) -> bool:
    """Whether an object is a function made by ``functools.singledispatch``."""
    return isinstance(obj, types.FunctionType) and obj.__code__ is _SINGLE_DISPATCH


def call_single_dispatch(e: Emitter, obj: Any, given: Arguments) -> Sugared:
    """Call the implementation for the class of the first argument."""
    if not given.positional:
        name = getattr(obj.__wrapped__, "__name__", "singledispatch function")
        e.raise_error(TypeError, f"{name} requires at least 1 positional argument")
    return _dispatch(e, obj, given, 0)


def call_descriptor(e: Emitter, obj: Any, given: Arguments) -> Sugared | None:
    """Call a ``partialmethod`` or ``singledispatchmethod`` with its owner; None of others."""
    if isinstance(obj, functools.partialmethod):
        bound = [e.unit.wrap(e, a, "argument") for a in obj.args]
        keywords = {k: e.unit.wrap(e, v, k) for k, v in obj.keywords.items()}
        own, *rest = given.positional
        arguments = Arguments([own, *bound, *rest], {**keywords, **given.keywords}, given.node)
        return e.call(e.unit.wrap(e, obj.func, "func"), arguments)
    if isinstance(obj, functools.singledispatchmethod):
        if len(given.positional) < 2:
            e.raise_error(TypeError, "singledispatchmethod requires at least 1 positional argument")
        return _dispatch(e, obj.dispatcher, given, 1)
    return None


def _dispatch(e: Emitter, dispatcher: Any, given: Arguments, place: int) -> Sugared:
    registry = _registry(dispatcher)
    e.unit.program.captures.add_items(registry, getattr(dispatcher, "__name__", "singledispatch"))
    first = e.settle(given.positional[place])

    def call(value: Sugared, cls: type) -> Sugared:
        positional = list(given.positional)
        positional[place] = value
        found = dispatcher.dispatch(cls)
        if isinstance(found, (classmethod, staticmethod)):
            e.not_built("a class method or static method under singledispatchmethod is")
        return e.call(PythonObject(found), Arguments(positional, given.keywords, given.node))

    if isinstance(first, IRValue) and len(members(first.type)) > 1:

        def on_one(value: Sugared) -> Sugared:
            positional = list(given.positional)
            positional[place] = value
            again = Arguments(positional, given.keywords, given.node)
            return _dispatch(e, dispatcher, again, place)

        return split(e, first, on_one)
    cls = e.call_positional(PythonObject(type), first)
    if isinstance(cls, ClassOf) and isinstance(cls.owner, IRValue):
        return under_each(
            e, cls.owner,
            lambda c: id(dispatcher.dispatch(python_class(c))),
            lambda v, c: call(v, python_class(c)),
        )  # fmt: skip
    if not isinstance(cls, PythonObject):
        e.not_built(f"singledispatch over {first.describe()} is")
    if cls.object is torch.Tensor and nn.Parameter in registry:
        e.not_built("singledispatch that tells parameters from tensors is")
    return call(first, cls.object)


def _registry(dispatcher: Any) -> dict[Any, Any]:
    """The dict behind the registry of implementations."""
    found: dict[Any, Any] = next(d for d in gc.get_referents(dispatcher.registry))
    return found


def is_bound_specially(found: Any) -> bool:
    """Whether a class attribute is a method made by ``partialmethod``, ``lru_cache`` or so."""
    return isinstance(found, (functools.partialmethod, functools.singledispatchmethod)) or (
        hasattr(found, "cache_info") and isinstance(found, functools._lru_cache_wrapper)
    )


def bind_specially(owner: Sugared, found: Any) -> Sugared:
    """Such a method of its owner."""
    return BoundMethod(owner, PythonObject(found))


def module_cached_property(e: Emitter, module: ModuleValue, found: Any, name: str) -> Sugared:
    """A ``cached_property`` of a module: computed when it is first read, then an attribute."""

    def compute() -> Sugared:
        value = e.settle(e.call_positional(e.unit.wrap(e, found.func, name), module))
        e.unit.assign_module_attribute(e, module, name, value)
        return value

    present = presence(e, module, name)
    if present is None:
        return compute()
    return choose(
        e, e.value(present), lambda: e.lift(get_attribute(e, module, name)), compute
    )  # fmt: skip


def known_attribute(e: Emitter, value: IRValue, t: T.ClassType, name: str) -> Sugared | None:
    """A function that captured instances of the class hold; None where they do not."""
    objects = e.unit.objects.instances_holding(t.python_class, name)
    if not objects:
        return None
    for candidate in e.unit.classes.concrete(t):
        e.unit.classes.absent.discard((candidate, name))
    return _one_of(e, value, t, objects, name)


def _one_of(
    e: Emitter, value: IRValue, t: T.ClassType, objects: Sequence[Any], name: str
) -> Sugared:
    if not objects:
        e.raise_error(
            NotImplementedError,
            f"`{name}` of this instance of {t.original_name} is not known to the program",
        )
    first, rest = objects[0], objects[1:]
    own = e.unit.captured_object(e, first, t.original_name, t)
    same = e.unit.identical(e, value, own)

    def found() -> Sugared:
        held = vars(first)[name]
        e.unit.program.captures.add_attribute(first, name, held)
        return e.unit.wrap(e, held, name)

    return choose(e, e.value(same), found, lambda: _one_of(e, value, t, rest, name))
