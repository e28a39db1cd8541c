"""Methods and attributes of numbers and of str that are compiled from ``number_library``."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.script import number_library as library
from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.functions import call_function
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.methods import METHODS
from scriptmode.frontend.script.operators import convert_number
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    DictDisplay,
    IRValue,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value


def call_library(e: Emitter, function: Callable[..., Any], *values: Sugared) -> Sugared:
    """Call a function of ``number_library``."""
    assert isinstance(function, types.FunctionType)
    return call_function(e, function, Arguments(list(values), {}))


def _enter_library(name: str) -> None:
    function = getattr(library, name)

    @OBJECT_CALLS(getattr(math, name))
    def call(e: Emitter, given: Arguments) -> Sugared:
        return call_function(e, function, given)


for _name in ("dist", "fsum", "sumprod"):
    if hasattr(math, _name):
        _enter_library(_name)


@OBJECT_CALLS(math.prod)
def _prod(e: Emitter, given: Arguments) -> Sugared:
    t = e.type_of(given.positional[0]) if given.positional else None
    is_float = isinstance(t, T.ListType) and t.element == T.FLOAT
    start = given.keywords.get("start", Constant(1))
    if is_float and isinstance(start, Constant) and type(start.value) is int:
        start = Constant(float(start.value))
    function: Callable[..., Any] = library.float_prod if is_float else library.prod
    assert isinstance(function, types.FunctionType)
    return call_function(e, function, Arguments(given.positional, {"start": start}, given.node))


@METHODS(("float", "as_integer_ratio"))
def _ratio(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return call_library(e, library.ratio_of_float, IRValue(owner))


@METHODS(("int", "as_integer_ratio"))
def _int_ratio(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return call_library(e, library.ratio_of_int, IRValue(owner))


@METHODS(("int", "conjugate"), ("float", "conjugate"), ("bool", "conjugate"))
def _conjugate(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return IRValue(convert_number(e, owner, T.INT) if owner.type == T.BOOL else owner)


@METHODS(("str", "translate"))
def _translate(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    table = one(e, given)
    if isinstance(table, DictDisplay) and not table.keys:  # nothing is replaced
        return IRValue(owner)
    return call_library(e, library.translated, IRValue(owner), IRValue(e.value(table)))


@OBJECT_CALLS(str.maketrans)
def _maketrans(e: Emitter, given: Arguments) -> Sugared:
    old, new, gone = take(e, given, "x", "y", "z", required=1)
    assert old is not None
    if new is None:
        e.not_built("str.maketrans() of a dict is", help="write the dict of code points itself")
    if gone is None:
        return call_library(e, library.translation, old, new)
    return call_library(e, library.translation_without, old, new, gone)


def escaped(e: Emitter, text: Sugared) -> Sugared:
    """A repr without characters beyond ASCII."""
    return call_library(e, library.escaped, text)


def power_modulo(e: Emitter, base: Sugared, exponent: Sugared, modulus: Sugared) -> Sugared:
    """``pow(base, exponent, modulus)``."""
    values = [IRValue(index_value(e, v, "an argument of pow()")) for v in (base, exponent, modulus)]
    return call_library(e, library.pow_modulo, *values)
