"""Calls of modules: hooks, forward, and methods of ``nn.Module`` answered at compile time."""

from __future__ import annotations

import inspect
import types
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.functions import (
    Target,
    bind,
    call_function,
    call_target,
    default_values,
)
from scriptmode.frontend.script.handlers import CALLS, OBJECT_CALLS
from scriptmode.frontend.script.linking import call_recording, is_traced
from scriptmode.frontend.script.module_containers import dispatch
from scriptmode.frontend.script.module_methods import METHODS
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.values import (
    KEYWORDS,
    Arguments,
    BoundMethod,
    Constant,
    DictDisplay,
    ModuleChoice,
    ModuleValue,
    PythonObject,
    StarredDict,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T


@CALLS(ModuleValue)
def call_module(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    """``module(...)``: hooks and forward, as ``nn.Module.__call__``."""
    python = module.info.python
    if is_traced(python):
        return call_recording(e, python, given, module.value)
    own_call = inspect.getattr_static(type(python), "__call__", None)
    is_generated = isinstance(python, torch.fx.GraphModule)  # its __call__ reports errors only
    if own_call is not inspect.getattr_static(nn.Module, "__call__") and not is_generated:
        if isinstance(own_call, types.FunctionType):
            return call_method(e, module, own_call, given)
    return call_with_hooks(e, module, given)


def call_with_hooks(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    """``forward`` between the module's hooks."""
    python = module.info.python
    if python._backward_hooks or python._backward_pre_hooks:
        return e.unit.call_module_in_python(e, module, given)  # they see the tape
    if python._forward_pre_hooks or python._forward_hooks:
        positional = [e.settle(a) for a in given.positional]  # hooks see the same objects
        keywords = {k: e.settle(v) for k, v in given.keywords.items()}
        given = Arguments(positional, keywords, given.node)
    for key, hook in python._forward_pre_hooks.items():
        if key in python._forward_pre_hooks_with_kwargs:
            given = _keyword_pre_hook(e, module, hook, given)
        else:
            given = _pre_hook(e, module, hook, given)
    result = e.call(e.attribute(module, "forward"), given)
    for key, hook in python._forward_hooks.items():
        result = e.settle(result)
        arguments: list[Sugared] = [module, TupleDisplay(tuple(given.positional))]
        if key in python._forward_hooks_with_kwargs:
            arguments.append(_keywords(e, given))
        answer = e.call_positional(e.unit.wrap(e, hook, "hook"), *arguments, result)
        result = _unless_none(e, answer, result)
    return result


def _keywords(e: Emitter, given: Arguments) -> Sugared:
    spread = given.keywords.get(KEYWORDS)
    if isinstance(spread, StarredDict):
        return spread.value
    return e.unit.frozen_dict((Constant(k), v) for k, v in given.keywords.items())


def _unless_none(e: Emitter, value: Sugared, default: Sugared) -> Sugared:
    """``default if value is None else value``."""
    t = e.type_of(value)
    if t == T.NONE:
        return default
    if not isinstance(t, T.OptionalType):
        return value
    built = e.value(value)
    missing = e.builder.node("prim::is_none", [built], [T.BOOL]).output
    return choose(
        e, missing, lambda: default, lambda: e.lift(e.builder.cast(built, t.element))
    )  # fmt: skip


def _pre_hook(e: Emitter, module: ModuleValue, hook: Any, given: Arguments) -> Arguments:
    before: Sugared = TupleDisplay(tuple(given.positional))
    answer = e.call_positional(e.unit.wrap(e, hook, "hook"), module, before)
    t = T.unwrap_optional(e.type_of(answer) or T.NONE)
    if isinstance(t, T.UnionType):
        e.not_built("a hook that returns a tuple on some paths and a value on others is")
    if t != T.NONE and not isinstance(t, T.TupleType) and not isinstance(answer, TupleDisplay):
        # a single value stands for a tuple of it
        before = given.positional[0] if len(given.positional) == 1 else before
        return Arguments([_unless_none(e, answer, before)], given.keywords, given.node)
    result = _unless_none(e, answer, before)
    items = e.unit.tuple_items(e, result)
    changed = [result] if items is None else list(items)
    return Arguments(changed, given.keywords, given.node)


def _keyword_pre_hook(e: Emitter, module: ModuleValue, hook: Any, given: Arguments) -> Arguments:
    before = TupleDisplay(tuple(given.positional))
    answer = e.call_positional(e.unit.wrap(e, hook, "hook"), module, before, _keywords(e, given))
    if e.type_of(answer) == T.NONE:
        return given
    if isinstance(e.type_of(answer), T.OptionalType):
        keys = tuple(map(Constant, given.keywords))
        as_dict = e.settle(DictDisplay(keys, tuple(given.keywords.values())))
        answer = _unless_none(e, answer, TupleDisplay((before, as_dict)))
    pair = e.unit.tuple_items(e, answer)
    items = None if pair is None or len(pair) != 2 else e.unit.tuple_items(e, pair[0])
    if pair is not None and items is not None and isinstance(e.type_of(pair[1]), T.DictType):
        return Arguments(list(items), {KEYWORDS: StarredDict(pair[1])}, given.node)
    if pair is None or items is None or not isinstance(pair[1], DictDisplay):
        e.not_built(
            "a forward pre-hook that changes keyword arguments on some paths only is",
            help="return `args, kwargs` with a dict display on every path",
        )
    keywords = {
        k.value: v for k, v in zip(pair[1].keys, pair[1].values, strict=True)
        if isinstance(k, Constant)
    }  # fmt: skip
    return Arguments(list(items), keywords, given.node)


def call_method(
    e: Emitter, module: ModuleValue, function: types.FunctionType, given: Arguments
) -> Sugared:
    """Call a Python function with the module as its first argument."""
    arguments = Arguments([module, *given.positional], given.keywords, given.node)
    if function is nn.Module.__call__:
        return call_with_hooks(e, module, given)
    special = METHODS.get(function)
    if special is not None:
        return special(e, module, given)
    marker = e.unit.marker_call(e, function, arguments)
    if marker is not None:
        result: Sugared = marker
        return result
    source = source_of(function)
    defaults, keyword_defaults = default_values(e, function)
    bound = bind(e, source, defaults, keyword_defaults, arguments)
    name = f"{module.info.type.name}.{function.__name__}"
    target = Target(source, function, function.__globals__, closure_of(function), name=name)
    return call_target(e, target, bound)


@CALLS(ModuleChoice)
def _call_choice(e: Emitter, value: ModuleChoice, given: Arguments) -> Sugared:
    return dispatch(e, value, 0, lambda m: call_module(e, m, given))


@CALLS(BoundMethod)
def _call_bound(e: Emitter, value: BoundMethod, given: Arguments) -> Sugared:
    function = value.function.object if isinstance(value.function, PythonObject) else None
    if isinstance(value.owner, ModuleChoice) and isinstance(function, types.FunctionType):
        name = function.__name__
        return dispatch(e, value.owner, 0, lambda m: e.call(e.attribute(m, name), given))
    if isinstance(value.owner, ModuleValue) and isinstance(function, types.FunctionType):
        return call_method(e, value.owner, function, given)
    arguments = Arguments([value.owner, *given.positional], given.keywords, given.node)
    if isinstance(function, types.FunctionType) and OBJECT_CALLS.get(function) is None:
        return call_function(e, function, arguments)
    return e.call(value.function, arguments)
