"""Calls of modules: hooks, forward, and methods of ``nn.Module`` answered at compile time."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.functions import Target, bind, call_function, call_target
from scriptmode.frontend.script.handlers import CALLS
from scriptmode.frontend.script.linking import call_recording, is_traced
from scriptmode.frontend.script.modules import (
    child,
    dispatch,
    distinct_children,
    get_attribute,
    module_subscript,
    named,
)
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    IterableValue,
    ListDisplay,
    ModuleChoice,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T

if TYPE_CHECKING:
    pass

_CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
_PARAMETER_CONTAINERS = (nn.ParameterList, nn.ParameterDict)


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
    _refuse_backward_hooks(e, module)
    for key, hook in python._forward_pre_hooks.items():
        given = _pre_hook(e, module, hook, given, key in python._forward_pre_hooks_with_kwargs)
    result = e.call(e.attribute(module, "forward"), given)
    for key, hook in python._forward_hooks.items():
        with_keywords = key in python._forward_hooks_with_kwargs
        result = _hook(e, module, hook, given, result, with_keywords)
    return result


def _refuse_backward_hooks(e: Emitter, module: ModuleValue) -> None:
    python = module.info.python
    if python._backward_hooks or python._backward_pre_hooks:
        e.not_built(f"a backward hook on {module.describe()} is", help="remove the hook")


def _pre_hook(
    e: Emitter, module: ModuleValue, hook: Any, given: Arguments, with_keywords: bool
) -> Arguments:
    function = e.unit.wrap(e, hook, "hook")
    positional = TupleDisplay(tuple(given.positional))
    if with_keywords:
        keywords = e.unit.frozen_dict((Constant(k), v) for k, v in given.keywords.items())
        result = e.call_positional(function, module, positional, keywords)
        if e.type_of(result) != T.NONE:
            e.not_built("a forward pre-hook that changes keyword arguments is")
        return given
    result = e.call_positional(function, module, positional)
    t = e.type_of(result)
    if t == T.NONE:
        return given
    if isinstance(t, (T.OptionalType, T.UnionType)):
        e.not_built("a hook that changes its input on some paths only is")
    items = e.unit.tuple_items(e, result)
    changed = list(items) if items is not None else [result]
    return Arguments(changed, given.keywords)


def _hook(
    e: Emitter,
    module: ModuleValue,
    hook: Any,
    given: Arguments,
    output: Sugared,
    with_keywords: bool,
) -> Sugared:
    function = e.unit.wrap(e, hook, "hook")
    output = e.settle(output)
    arguments: list[Sugared] = [module, TupleDisplay(tuple(given.positional))]
    if with_keywords:
        arguments.append(e.unit.frozen_dict((Constant(k), v) for k, v in given.keywords.items()))
    result = e.call_positional(function, *arguments, output)
    t = e.type_of(result)
    if t == T.NONE:
        return output
    if isinstance(t, (T.OptionalType, T.UnionType)):
        e.not_built("a hook that changes its output on some paths only is")
    return result


def call_method(
    e: Emitter, module: ModuleValue, function: types.FunctionType, given: Arguments
) -> Sugared:
    """Call a Python function with the module as its first argument."""
    arguments = Arguments([module, *given.positional], given.keywords, given.node)
    special = _METHODS.get(function)
    if special is not None:
        answer: Sugared = special(e, module, given)
        return answer
    marker = e.unit.marker_call(e, function, arguments)
    if marker is not None:
        result: Sugared = marker
        return result
    source = source_of(function)
    defaults = [e.unit.wrap_default(e, d) for d in function.__defaults__ or ()]
    keyword_defaults = {
        k: e.unit.wrap_default(e, d) for k, d in (function.__kwdefaults__ or {}).items()
    }
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
    if isinstance(function, types.FunctionType):
        return call_function(e, function, arguments)
    return e.call(value.function, arguments)


# methods of nn.Module that are answered at compile time


def _named_modules(
    e: Emitter, module: ModuleValue, prefix: str = "", seen: set[int] | None = None
) -> list[tuple[str, ModuleValue, nn.Module]]:
    """Every module below, with the actual Python object that identifies it, once each."""
    return _walk_modules(e, module, module.info.python, prefix, set() if seen is None else seen)


def _walk_modules(
    e: Emitter, module: ModuleValue, python: nn.Module, prefix: str, seen: set[int]
) -> list[tuple[str, ModuleValue, nn.Module]]:
    if id(python) in seen:
        return []
    seen.add(id(python))
    found = [(prefix, module, python)]
    for name, inner in python._modules.items():
        if inner is not None:
            path = f"{prefix}.{name}" if prefix else name
            found += _walk_modules(e, child(e, module, name), inner, path, seen)
    return found


def _named_tensors(
    e: Emitter, module: ModuleValue, given: Arguments, group: str
) -> list[tuple[str, Sugared]]:
    recurse = given.keywords.get("recurse", Constant(True))
    modules = _named_modules(e, module)
    if isinstance(recurse, Constant) and not recurse.value:
        modules = modules[:1]
    found: list[tuple[str, Sugared]] = []
    seen: set[int] = set()
    for path, owner, python in modules:
        for name, tensor in getattr(python, group).items():
            if tensor is None or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            whole = f"{path}.{name}" if path else name
            found.append((whole, e.lift(get_attribute(e, owner, name))))
    return found


def _pairs(items: Sequence[tuple[str, Sugared]]) -> Sugared:
    return ListDisplay(tuple(TupleDisplay((Constant(n), v)) for n, v in items), frozen=True)


def _only(items: Sequence[tuple[str, Sugared]]) -> Sugared:
    return ListDisplay(tuple(v for _, v in items), frozen=True)


def _train(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    e.not_built("changing the training mode inside a compiled program is")


def _dict_view(kind: str) -> Any:
    def view(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
        items = e.unit.frozen_dict((Constant(n), v) for n, v in named(e, module))
        return IterableValue(kind, (items,))

    return view


def _length(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return e.unit.length(e, module)


def _contains(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return contains_key(e, module, given.positional[0])


def contains_key(e: Emitter, module: ModuleValue, item: Sugared) -> Sugared:
    """``key in module``."""
    if not isinstance(item, Constant):
        e.not_built("`in` of a module container with a variable key is")
    return Constant(item.value in [n for n, _ in named(e, module)])


def _getitem(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    return module_subscript(e, module, given.positional[0])


_METHODS: dict[Any, Any] = {
    nn.Module.parameters: lambda e, m, a: _only(_named_tensors(e, m, a, "_parameters")),
    nn.Module.named_parameters: lambda e, m, a: _pairs(_named_tensors(e, m, a, "_parameters")),
    nn.Module.buffers: lambda e, m, a: _only(_named_tensors(e, m, a, "_buffers")),
    nn.Module.named_buffers: lambda e, m, a: _pairs(_named_tensors(e, m, a, "_buffers")),
    nn.Module.children: lambda e, m, a: _only(distinct_children(e, m)),
    nn.Module.named_children: lambda e, m, a: _pairs(distinct_children(e, m)),
    nn.Module.modules: lambda e, m, a: _only([(n, v) for n, v, _ in _named_modules(e, m)]),
    nn.Module.named_modules: lambda e, m, a: _pairs([(n, v) for n, v, _ in _named_modules(e, m)]),
    nn.Module.train: _train,
    nn.Module.eval: _train,
    nn.Module.__call__: lambda e, m, a: call_module(e, m, a),
}
for _container in (*_CONTAINERS, *_PARAMETER_CONTAINERS):
    for _name, _handler in (
        ("keys", _dict_view("keys")), ("values", _dict_view("values")),
        ("items", _dict_view("items")), ("__len__", _length), ("__contains__", _contains),
        ("__getitem__", _getitem),
    ):  # fmt: skip
        _found = vars(_container).get(_name)
        if isinstance(_found, types.FunctionType):
            _METHODS[_found] = _handler
