"""Functions of Python's library that compiled code leaves to Python, by a counted host call.

One row for each: the function, the types of its arguments (those after ``|`` may be left out) and
of its result.  ``cmath`` is here because its values are CPython's own formulas; clocks, random
numbers and the environment are the process's.
"""

from __future__ import annotations

import cmath
import os
import random
import time
from collections.abc import Callable
from typing import Any

import torch

from scriptmode.frontend.script.arguments import take
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import plain
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.iteration import index_value
from scriptmode.frontend.script.methods import METHODS, float_value
from scriptmode.frontend.script.objects import call_python
from scriptmode.frontend.script.operators import convert_number
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    PythonObject,
    Sugared,
)
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ir.types import Type

_TEXT_OR_NONE = T.OptionalType([T.STR])
_LETTERS = {"i": T.INT, "f": T.FLOAT, "c": T.COMPLEX, "s": T.STR, "b": T.BOOL, "y": T.BYTES}

_ROWS: list[tuple[Callable[..., Any], str, Type]] = [
    (time.time, "", T.FLOAT), (time.perf_counter, "", T.FLOAT), (time.monotonic, "", T.FLOAT),
    (time.process_time, "", T.FLOAT), (time.thread_time, "", T.FLOAT), (time.time_ns, "", T.INT),
    (time.perf_counter_ns, "", T.INT), (time.monotonic_ns, "", T.INT), (time.sleep, "f", T.NONE),
    (random.random, "", T.FLOAT), (random.getrandbits, "i", T.INT),
    (os.getenv, "s", _TEXT_OR_NONE),
    *((getattr(cmath, name), "c", T.COMPLEX) for name in (
        "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "exp", "log10", "sin",
        "sinh", "sqrt", "tan", "tanh",
    )),
    (cmath.log, "c|c", T.COMPLEX), (cmath.phase, "c", T.FLOAT), (cmath.rect, "ff", T.COMPLEX),
    (cmath.polar, "c", T.TupleType([T.FLOAT, T.FLOAT])),
    *((getattr(cmath, name), "c", T.BOOL) for name in ("isnan", "isinf", "isfinite")),
]  # fmt: skip

# the old constructors: of sizes, of numbers, of another tensor
_LEGACY = [
    getattr(torch, f"{name}Tensor") for name in (
        "Bool", "Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double",
    )
]  # fmt: skip

# methods of the generator behind the functions of ``random``
_RANDOM: list[tuple[str, str, Type]] = [
    ("randint", "ii", T.INT), ("uniform", "ff", T.FLOAT), ("randrange", "i|ii", T.INT),
    ("gauss", "|ff", T.FLOAT), ("normalvariate", "|ff", T.FLOAT), ("seed", "i", T.NONE),
    ("random", "", T.FLOAT), ("getrandbits", "i", T.INT),
    ("expovariate", "f", T.FLOAT), ("triangular", "|fff", T.FLOAT), ("betavariate", "ff", T.FLOAT),
]  # fmt: skip


def _argument(e: Emitter, value: Sugared, letter: str, name: str) -> Sugared:
    what = f"an argument of {name}()"
    if letter == "i":
        return IRValue(index_value(e, value, what))
    if letter == "f":
        return IRValue(float_value(e, value, what))
    if letter == "c":
        number = e.value(plain(e, value))
        if number.type not in (T.INT, T.FLOAT, T.BOOL, T.COMPLEX):
            e.fail_type(f"{what} must be a number, not {number.type}")
        return IRValue(convert_number(e, number, T.COMPLEX))
    return IRValue(e.value_of_type(value, _LETTERS[letter], what))


def _host(
    e: Emitter, function: Callable[..., Any], letters: str, result: Type, given: Arguments
) -> Sugared:
    name = function.__name__
    required, _, optional = letters.partition("|")
    every = required + optional
    if given.keywords or not len(required) <= len(given.positional) <= len(every):
        e.fail_type(f"{name}() takes {len(required)} to {len(every)} arguments by position here")
    values = [
        _argument(e, v, letter, name) for v, letter in zip(given.positional, every, strict=False)
    ]
    return call_python(e, function, Arguments(values, {}), result)


def _enter_row(function: Callable[..., Any], letters: str, result: Type) -> None:
    @OBJECT_CALLS(function)
    def call(e: Emitter, given: Arguments) -> Sugared:
        return _host(e, function, letters, result, given)


def _enter_random(name: str, letters: str, result: Type) -> None:
    @OBJECT_CALLS(getattr(random.Random, name))
    def call(e: Emitter, given: Arguments) -> Sugared:
        owner, *rest = given.positional
        if not isinstance(owner, PythonObject) or owner.object is not random._inst:
            e.not_built("a generator of random numbers of one's own is",
                        help="use the functions of `random`, or torch's")  # fmt: skip
        function = getattr(random, name)
        return _host(e, function, letters, result, Arguments(rest, given.keywords))


def _enter_legacy(cls: Callable[..., Any]) -> None:
    @OBJECT_CALLS(cls)
    def call(e: Emitter, given: Arguments) -> Sugared:
        positional = [e.settle(v) for v in given.positional]
        return call_python(e, cls, Arguments(positional, given.keywords), T.TENSOR)


for _legacy in _LEGACY:
    _enter_legacy(_legacy)
for _row in _ROWS:
    _enter_row(*_row)
for _random in _RANDOM:
    _enter_random(*_random)


@OBJECT_CALLS(torch.manual_seed)
def _manual_seed(e: Emitter, given: Arguments) -> Sugared:
    return _host(e, torch.manual_seed, "i", T.GENERATOR, given)


@OBJECT_CALLS(torch.initial_seed)
def _initial_seed(e: Emitter, given: Arguments) -> Sugared:
    return _host(e, torch.initial_seed, "", T.INT, given)


@OBJECT_CALLS(torch.Generator)
def _generator(e: Emitter, given: Arguments) -> Sugared:
    (device,) = take(e, given, "device")
    values = [] if device is None else [device]
    return call_python(e, torch.Generator, Arguments(values, {}), T.GENERATOR)


def _seed_of(name: str, letters: str, result: Type) -> Callable[..., Sugared]:
    def call(e: Emitter, owner: Value, given: Arguments) -> Sugared:
        taken = take(e, given, *("seed" for _ in letters), required=len(letters))
        values = [IRValue(owner), *(v for v in taken if v is not None)]
        return call_python(e, getattr(torch.Generator, name), Arguments(values, {}), result)

    return call


METHODS(("Generator", "seed"))(_seed_of("seed", "", T.INT))
METHODS(("Generator", "initial_seed"))(_seed_of("initial_seed", "", T.INT))
METHODS(("Generator", "manual_seed"))(_seed_of("manual_seed", "i", T.GENERATOR))
METHODS(("Generator", "get_state"))(_seed_of("get_state", "", T.TENSOR))


@OBJECT_CALLS(cmath.isclose)
def _isclose(e: Emitter, given: Arguments) -> Sugared:
    options: dict[str, Sugared] = {}
    for key, value in given.keywords.items():
        options[key] = IRValue(float_value(e, value, key))
    values = [_argument(e, v, "c", "isclose") for v in given.positional]
    return call_python(e, cmath.isclose, Arguments(values, options), T.BOOL)


# methods


def _complex_of_text(text: str) -> complex:
    return complex(text)


def _hex_of_float(value: float) -> str:
    return value.hex()


def _bytes_of_int(value: int, length: int, order: str, signed: bool) -> bytes:
    return value.to_bytes(length, "little" if order == "little" else "big", signed=signed)


def _int_of_bytes(data: bytes, order: str, signed: bool) -> int:
    return int.from_bytes(data, "little" if order == "little" else "big", signed=signed)


@METHODS(("str", "format_map"))
def _format_map(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    e.not_built("str.format_map() is", help="use `format(...)` or an f-string")


def complex_of_text(e: Emitter, text: Sugared) -> Sugared:
    """``complex(text)``."""
    return call_python(e, _complex_of_text, Arguments([text], {}), T.COMPLEX)


@OBJECT_CALLS(("builtins", "float.fromhex"))
def _fromhex(e: Emitter, given: Arguments) -> Sugared:
    return _host(e, float.fromhex, "s", T.FLOAT, given)


@METHODS(("float", "hex"))
def _hex(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    return call_python(e, _hex_of_float, Arguments([IRValue(owner)], {}), T.STR)


def _signed(e: Emitter, given: Arguments) -> Sugared:
    return _argument(e, given.keywords.pop("signed", Constant(False)), "b", "to_bytes")


def _order(e: Emitter, value: Sugared) -> Sugared:
    if not isinstance(value, Constant) or value.value not in ("big", "little"):
        e.not_built("a byte order other than 'big' or 'little' is")
    return _argument(e, value, "s", "to_bytes")


@METHODS(("int", "to_bytes"))
def _to_bytes(e: Emitter, owner: Value, given: Arguments) -> Sugared:
    signed = _signed(e, given)
    length, order = take(e, given, "length", "byteorder", required=0)
    size = Constant(1) if length is None else length
    values = [_argument(e, size, "i", "to_bytes"), _order(e, order or Constant("big")), signed]
    return call_python(e, _bytes_of_int, Arguments([IRValue(owner), *values], {}), T.BYTES)


@OBJECT_CALLS(("builtins", "int.from_bytes"))
def _from_bytes(e: Emitter, given: Arguments) -> Sugared:
    signed = _signed(e, given)
    data, order = take(e, given, "bytes", "byteorder", required=1)
    assert data is not None
    values = [_argument(e, data, "y", "from_bytes"), _order(e, order or Constant("big")), signed]
    return call_python(e, _int_of_bytes, Arguments(values, {}), T.INT)
