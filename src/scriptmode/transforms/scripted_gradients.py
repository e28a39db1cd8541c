"""``scriptmode.grad`` and ``value_and_grad`` inside compiled programs.

::

    def step(w, x):
        value, dw = scriptmode.value_and_grad(loss)(w, x)
        return w - 0.1 * dw

The function is compiled with the program and recorded on torch's tape, without Python; libtorch
walks the tape (``autograd::grad``).  The result is differentiable again where grad mode is on and
an argument requires a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.handlers import CALLS, OBJECT_CALLS
from scriptmode.frontend.script.iteration import items_of
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.transforms import gradients


@dataclass(eq=False)
class GradientFunction(Sugared):
    """``scriptmode.grad(function, argnums, has_aux)``."""

    function: Sugared
    argnums: tuple[int, ...]
    is_single: bool
    has_aux: bool
    with_value: bool

    def parts(self) -> tuple[Sugared, ...]:
        return (self.function,)

    def with_parts(self, parts: Sequence[Sugared]) -> Sugared:
        return GradientFunction(
            parts[0], self.argnums, self.is_single, self.has_aux, self.with_value
        )

    def key(self) -> Any:
        return (self.argnums, self.is_single, self.has_aux, self.with_value)


def _make(name: str, with_value: bool) -> Any:
    def make(e: Emitter, given: Arguments) -> Sugared:
        names = ("func", "argnums", "has_aux")
        bound = {**dict(zip(names, given.positional, strict=False)), **given.keywords}
        if "func" not in bound or len(given.positional) > 3 or set(bound) - set(names):
            e.fail_type(f"scriptmode.{name}() takes a function, argnums and has_aux")
        argnums = _constant(e, bound.get("argnums", Constant(0)), name)
        has_aux = _constant(e, bound.get("has_aux", Constant(False)), name)
        is_single = isinstance(argnums, int)
        chosen = (argnums,) if is_single else tuple(argnums)
        return GradientFunction(bound["func"], chosen, is_single, bool(has_aux), with_value)

    return make


OBJECT_CALLS(gradients.grad)(_make("grad", False))
OBJECT_CALLS(gradients.value_and_grad)(_make("value_and_grad", True))


def _constant(e: Emitter, value: Sugared, name: str) -> Any:
    items = None if isinstance(value, Constant) else items_of(e, value)
    if items is not None:
        return [_constant(e, item, name) for item in items]
    if not isinstance(value, Constant):
        e.fail_type(f"argnums and has_aux of scriptmode.{name}() must be known at compile time")
    return value.value


@CALLS(GradientFunction)
def _call(e: Emitter, value: GradientFunction, given: Arguments) -> Sugared:
    if given.keywords:
        e.fail_type("the arguments of a gradient function are positional")
    arguments = list(given.positional)
    again = e.call(PythonObject(torch.is_grad_enabled), Arguments([], {}))
    own: list[Sugared] = []
    chosen: list[Sugared] = []
    for number in value.argnums:
        if not -len(arguments) <= number < len(arguments):
            e.fail_type(f"there is no argument {number} to differentiate by")
        arguments[number] = _variables(e, arguments[number], own)
        chosen.append(arguments[number])
    function = with_aux if value.has_aux else without_aux
    parts = [value.function, TupleDisplay(tuple(own)), again, *arguments]
    result = e.call(PythonObject(function), Arguments(parts, {}))
    values = items_of(e, result)
    assert values is not None
    *outputs, found = values
    cotangents = items_of(e, found)
    assert cotangents is not None
    remaining = iter([e.call(PythonObject(filled), Arguments([c, x], {}))
                      for c, x in zip(cotangents, own, strict=True)])  # fmt: skip
    slopes = [_structured(e, argument, remaining) for argument in chosen]
    slope = slopes[0] if value.is_single else TupleDisplay(tuple(slopes))
    if value.has_aux:
        output, aux = outputs
        if value.with_value:
            return TupleDisplay((TupleDisplay((output, aux)), slope))
        return TupleDisplay((slope, aux))
    return TupleDisplay((outputs[0], slope)) if value.with_value else slope


def _variables(e: Emitter, argument: Sugared, own: list[Sugared]) -> Sugared:
    """An argument with its tensors as variables of the tape, which are added to ``own``."""
    if e.type_of(argument) == T.TENSOR:
        made = e.call(PythonObject(variable), Arguments([argument], {}))
        own.append(made)
        return made
    items = items_of(e, argument)
    if items is None:
        e.fail_type(
            f"no gradient by an argument of type {e.type_of(argument)} in compiled code",
            help="pass tensors, or tuples of tensors",
        )
    return TupleDisplay(tuple(_variables(e, item, own) for item in items))


def _structured(e: Emitter, argument: Sugared, remaining: Any) -> Sugared:
    if e.type_of(argument) == T.TENSOR:
        found: Sugared = next(remaining)
        return found
    items = items_of(e, argument)
    assert items is not None
    return TupleDisplay(tuple(_structured(e, item, remaining) for item in items))


# ---- in the script language


def variable(x: Tensor) -> Tensor:
    """A tensor to differentiate by: itself where it has a history that counts."""
    if torch.is_grad_enabled() and x.requires_grad:
        return x
    return x.detach().requires_grad_()


def filled(cotangent: Tensor | None, x: Tensor) -> Tensor:
    """A gradient: zeros where nothing depends on ``x``."""
    return torch.zeros_like(x) if cotangent is None else cotangent


def without_aux(function, own, again, *args):  # type: ignore[no-untyped-def]
    """The value of a function, and its gradients by ``own``."""
    with torch.enable_grad():
        value = function(*args)
        found = torch.autograd.grad(value, own, create_graph=again, allow_unused=True)
    return value if again else value.detach(), found


def with_aux(function, own, again, *args):  # type: ignore[no-untyped-def]
    """The same for a function that returns a pair."""
    with torch.enable_grad():
        value, aux = function(*args)
        found = torch.autograd.grad(value, own, create_graph=again, allow_unused=True)
    return value if again else value.detach(), aux, found
