"""Modules and functions that only eager's own machinery can run, left to Python.

A module with backward hooks, ``torch.utils.checkpoint.checkpoint``, and what the transforms of
``torch.func`` make of a function.  The result is a tensor, unless ``forward`` or the function is
annotated with another type.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
import torch.utils.checkpoint

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.values import (
    Arguments,
    BoundMethod,
    Constant,
    ModuleValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.support.markers import ignore


def _call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def call_module_in_python(e: Emitter, module: ModuleValue, given: Arguments) -> Sugared:
    """``module(...)`` by ``nn.Module.__call__`` itself."""
    arguments = Arguments([module, *given.positional], given.keywords, given.node)
    return call_python(e, _call, arguments, _result_type(e, module))


def _result_type(e: Emitter, function: Sugared) -> T.Type:
    found: Any = None
    if isinstance(function, ModuleValue):
        found = type(function.info.python).forward
    elif isinstance(function, PythonObject):
        found = function.object
    if isinstance(found, types.FunctionType):
        return e.unit.declared.annotated_result(e, found)
    return T.TENSOR


@OBJECT_CALLS(("torch.utils.checkpoint", "checkpoint"))
def _checkpoint(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        e.fail_type("checkpoint() misses the function")
    function, *rest = given.positional
    result = _result_type(e, function)
    run: Callable[..., Any] = torch.utils.checkpoint.checkpoint
    if isinstance(function, ModuleValue):
        return call_python(e, run, given, result)
    if isinstance(function, BoundMethod) and isinstance(function.owner, ModuleValue):
        method = _method(function)
        return call_python(
            e, _bound_first(run, method), Arguments([function.owner, *rest], given.keywords), result
        )
    if not isinstance(function, PythonObject):
        e.not_built(f"checkpoint of {function.describe()} is", help="use a function of a module")
    return call_python(
        e, _with_first(run, function.object), Arguments(rest, given.keywords), result
    )


def _method(function: BoundMethod) -> str:
    inner = function.function
    return str(inner.object.__name__) if isinstance(inner, PythonObject) else ""


def _with_first(run: Callable[..., Any], first: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return run(first, *args, **kwargs)

    return call


def _bound_first(run: Callable[..., Any], method: str) -> Callable[..., Any]:
    def call(owner: Any, *args: Any, **kwargs: Any) -> Any:
        return run(getattr(owner, method), *args, **kwargs)

    return call


@OBJECT_CALLS(torch.func.functional_call)
def _functional_call(e: Emitter, given: Arguments) -> Sugared:
    module = given.positional[0] if given.positional else None
    if not isinstance(module, ModuleValue):
        e.not_built("functional_call of a module that is chosen at run time is",
                    help="call it on a module's attribute")  # fmt: skip
    return call_python(e, torch.func.functional_call, given, _result_type(e, module))


def _enter_transform(transform: Callable[..., Any]) -> None:
    @OBJECT_CALLS(transform)
    def call(e: Emitter, given: Arguments) -> Sugared:
        first = given.positional[0] if given.positional else None
        if not isinstance(first, PythonObject):
            e.not_built(
                f"torch.func.{transform.__name__} of a nested function is",
                help="define the function at module level",
            )
        plain = [_option(e, v) for v in given.positional[1:]]
        named = {k: _option(e, v) for k, v in given.keywords.items()}
        return PythonObject(_left(transform(first.object, *plain, **named)))


def _option(e: Emitter, value: Sugared) -> Any:
    """An option of a transform: a constant, or tuples of them."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, TupleDisplay):
        return tuple(_option(e, item) for item in value.items)
    e.not_built("an option of torch.func that is known at run time only is", help="use a constant")


def _left(function: Callable[..., Any]) -> Callable[..., Any]:
    @ignore
    def call(*args: Any) -> torch.Tensor:
        return function(*args)  # type: ignore[no-any-return]

    return call


for _transform in (
    torch.func.vmap, torch.func.grad, torch.func.jacrev, torch.func.jacfwd, torch.func.hessian,
):  # fmt: skip
    _enter_transform(_transform)

__all__ = ["call_module_in_python"]
