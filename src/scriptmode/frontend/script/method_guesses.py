"""Compile methods that no compiled code calls, for types as annotations and defaults say."""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scriptmode.frontend.script import annotations as A
from scriptmode.frontend.script.classes import (
    names_for,
)
from scriptmode.frontend.script.environment import closure_of
from scriptmode.frontend.script.functions import Target, instance_of
from scriptmode.frontend.script.shapes import Leaf, Shape, Static
from scriptmode.frontend.script.source import source_of
from scriptmode.frontend.script.values import (
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T

if TYPE_CHECKING:
    from scriptmode.frontend.script.unit import Unit


def compile_guess(unit: Unit, function: types.FunctionType, t: T.ClassType) -> None:
    """Compile a method of an instance for parameters as their annotations and defaults say."""
    names = names_for(function)
    shapes: dict[str, Shape] = {}
    for index, parameter in enumerate(inspect.signature(function).parameters.values()):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            nothing: Sugared = TupleDisplay(())
            shapes[parameter.name] = Static(nothing, nothing.key(), ())
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            nothing = unit.frozen_dict(())
            shapes[parameter.name] = Static(nothing, nothing.key(), ())
        else:
            kind = t if index == 0 else _guessed_type(unit, parameter, names)
            shapes[parameter.name] = Leaf(kind)
    target = Target(source_of(function), function, function.__globals__, closure_of(function))
    instance_of(unit, target, shapes, None)


def _guessed_type(unit: Unit, parameter: inspect.Parameter, names: Mapping[str, Any]) -> T.Type:
    annotated: T.Type | None = None
    if parameter.annotation is not inspect.Parameter.empty:
        with contextlib.suppress(A.BadAnnotation):
            annotated = A.resolve(parameter.annotation, names, unit.type_of_class)
    if parameter.default is inspect.Parameter.empty:
        return annotated or T.TENSOR
    own = unit.type_of_object(parameter.default)
    if annotated is not None:
        return T.optional_of(annotated) if parameter.default is None else annotated
    return own or T.TENSOR
