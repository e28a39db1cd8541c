"""Torch's functions that ask about the world rather than compute: answered at compile time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from scriptmode.frontend.script.builtin_types import is_instance
from scriptmode.frontend.script.comparisons import is_none
from scriptmode.frontend.script.conditions import members, truth
from scriptmode.frontend.script.contexts import on_device
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.flow import when
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.support import markers


def _answer(value: Any) -> Callable[[Emitter, Arguments], Sugared]:
    return lambda e, given: Constant(value)


# compiled code is scripted, and never traced or captured by another compiler
@OBJECT_CALLS(("torch._jit_internal", "is_scripting"), markers.is_scripting)
def _is_scripting(e: Emitter, given: Arguments) -> Sugared:
    """True, except in torch's code that refuses scripting where it works here."""
    return Constant(e.scope.source.module not in _SCRIPTABLE_AFTER_ALL)


_SCRIPTABLE_AFTER_ALL = ("torch.nn.utils.parametrize",)
OBJECT_CALLS(
    ("torch.jit._trace", "is_tracing"), ("torch.compiler", "is_compiling"),
    ("torch.compiler", "is_dynamo_compiling"), ("torch.compiler", "is_exporting"),
    ("torch._dynamo.external_utils", "is_compiling"),
    torch._C._are_functorch_transforms_active, ("torch._utils", "is_compiling"),
)(_answer(False))  # fmt: skip
OBJECT_CALLS(torch._C._get_tracing_state)(_answer(None))
if hasattr(torch, "_is_tracing"):
    OBJECT_CALLS(torch._is_tracing)(_answer(False))
OBJECT_CALLS(
    torch.overrides.has_torch_function, torch.overrides.has_torch_function_unary,
    torch.overrides.has_torch_function_variadic,
)(_answer(False))  # fmt: skip
OBJECT_CALLS(torch._C._get_privateuse1_backend_name)(
    lambda e, given: Constant(torch._C._get_privateuse1_backend_name())
)


@OBJECT_CALLS(torch.is_tensor)
def _is_tensor(e: Emitter, given: Arguments) -> Sugared:
    arguments = Arguments([given.positional[0], PythonObject(torch.Tensor)], {}, given.node)
    return is_instance(e, arguments)


@OBJECT_CALLS(("torch.jit", "annotate"), markers.annotate)
def _annotate(e: Emitter, given: Arguments) -> Sugared:
    declared, value = given.positional
    t = e.unit.declared.annotation_value(e, declared)
    built = e.settle(value, t)
    if t is not None and isinstance(e.type_of(built), T.OptionalType):
        return built
    return built


@OBJECT_CALLS(("torch.jit._script", "_unwrap_optional"), markers._unwrap_optional)
def _unwrap(e: Emitter, given: Arguments) -> Sugared:
    """The value of an Optional; an AssertionError when it is None."""
    value = given.positional[0]

    def fail() -> None:
        e.raise_error(AssertionError, "Unwrapping null optional")

    missing = is_none(e, value)
    if isinstance(missing, Constant):
        if missing.value:
            fail()
        return value
    when(e, e.value(missing), fail)
    t = e.type_of(value)
    assert t is not None, "only values of a type may be None at run time"
    rest = T.union_of([m for m in members(t) if m != T.NONE])
    return e.lift(e.builder.cast(e.value(value), rest))


@OBJECT_CALLS(torch._assert)
def _assert(e: Emitter, given: Arguments) -> Sugared:
    test, message = given.positional
    outcome = truth(e, test)
    if outcome is True:
        return Constant(None)

    def fail() -> None:
        e.raise_error(AssertionError, e.value(e.unit.to_str(e, message)))

    if outcome is False:
        fail()
    assert not isinstance(outcome, bool)
    when(e, e.builder.op("bool::not", outcome), fail)
    return Constant(None)


@OBJECT_CALLS(torch.is_grad_enabled)
def _is_grad_enabled(e: Emitter, given: Arguments) -> Sugared:
    return e.op("torch::is_grad_enabled")


@OBJECT_CALLS(torch.is_inference_mode_enabled)
def _is_inference(e: Emitter, given: Arguments) -> Sugared:
    return e.op("torch::is_inference_mode_enabled")


@OBJECT_CALLS(torch.get_default_dtype)
def _default_dtype(e: Emitter, given: Arguments) -> Sugared:
    return e.op("torch::get_default_dtype")


@OBJECT_CALLS(torch.is_autocast_enabled)
def _is_autocast(e: Emitter, given: Arguments) -> Sugared:
    device = given.positional[0] if given.positional else Constant("cuda")
    return on_device(e, device, lambda name: e.op("torch::is_autocast_enabled", name))


@OBJECT_CALLS(torch.is_autocast_cpu_enabled)
def _is_autocast_cpu(e: Emitter, given: Arguments) -> Sugared:
    return e.op("torch::is_autocast_enabled", e.value(Constant("cpu")))


@OBJECT_CALLS(torch.device)
def _device(e: Emitter, given: Arguments) -> Sugared:
    parts = [*given.positional, *given.keywords.values()]
    if all(isinstance(p, Constant) for p in parts):
        try:
            return Constant(torch.device(*(p.value for p in parts if isinstance(p, Constant))))
        except RuntimeError as error:
            e.fail_type(str(error).splitlines()[0])
    if e.type_of(parts[0]) == T.DEVICE:
        return parts[0]
    built = [e.value(p) for p in parts]
    return e.op("device::make" if len(built) == 1 else "device::make_index", *built)


@OBJECT_CALLS(torch.Size)
def _size(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return e.op("size::from_list", e.builder.list([], T.INT))
    value = given.positional[0]
    if e.type_of(value) == T.SIZE:
        return value
    built = e.value(e.unit.built_list(e, value), T.ListType([T.INT]))
    if built.type != T.ListType([T.INT]):
        e.fail_type(f"torch.Size of a {built.type}")
    return e.op("size::from_list", built)


@OBJECT_CALLS(nn.Parameter)
def _parameter(e: Emitter, given: Arguments) -> Sugared:
    e.not_built("making an nn.Parameter inside compiled code is", help="make it in __init__")
