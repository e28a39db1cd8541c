"""Builtins on numbers and text: conversions, abs, round, print, ... and ``math``."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from scriptmode.frontend.script import number_library, script_library
from scriptmode.frontend.script.arguments import one, take
from scriptmode.frontend.script.conditions import (
    members,
    split,
    truth_sugared,
)
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import own_method, plain
from scriptmode.frontend.script.handlers import OBJECT_CALLS
from scriptmode.frontend.script.host_calls import complex_of_text
from scriptmode.frontend.script.iteration import (
    index_value,
)
from scriptmode.frontend.script.methods import float_value
from scriptmode.frontend.script.number_methods import call_library, power_modulo
from scriptmode.frontend.script.operators import (
    binary,
    convert_number,
    is_tensor,
    needs_split,
)
from scriptmode.frontend.script.spreading import is_spread, whole_list
from scriptmode.frontend.script.text import concatenate, to_ascii, to_format, to_repr, to_str
from scriptmode.frontend.script.values import (
    Arguments,
    Constant,
    IRValue,
    PythonObject,
    StarredList,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T
from scriptmode.ops import table


def _by_type(e: Emitter, value: Sugared, act: Callable[[Sugared], Sugared]) -> Sugared:
    """``act`` on the value under each type that it may have."""
    if isinstance(value, IRValue) and len(members(value.type)) > 1:
        if isinstance(value.type, T.OptionalType):
            e.fail("SM0205", "a conversion of a value that may be None",
                   help="test it first: `if x is not None:`")  # fmt: skip
        return split(e, value, act)
    return act(value)


def _conversion(cls: type, target: T.Type) -> Callable[[Emitter, Arguments], Sugared]:
    def run(e: Emitter, given: Arguments) -> Sugared:
        if not given.positional and not given.keywords:
            return Constant(cls())
        if len(given.positional) > 1 or given.keywords:
            return _convert_two(e, cls, given)
        value = plain(e, given.positional[0])
        if isinstance(value, Constant):
            return _convert_constant(e, cls, value)
        return _by_type(e, value, lambda v: _convert(e, cls, target, v))

    return run


def _convert_constant(e: Emitter, cls: type, value: Constant) -> Sugared:
    try:
        converted = cls(value.value)
    except TypeError as error:
        e.fail_type(str(error))
    except (ValueError, ArithmeticError) as error:
        e.raise_error(type(error), str(error))
    if isinstance(value.value, str) and cls is float and math.isnan(converted):
        return e.op("float::nan")  # each is an object of its own
    return Constant(converted)


def _convert_two(e: Emitter, cls: type, given: Arguments) -> Sugared:
    if cls is int:
        text, base = take(e, given, "x", "base", required=2)
        assert text is not None and base is not None
        whole = e.value_of_type(text, T.STR, "the text of int()")
        return e.op("str::int_base", whole, index_value(e, base, "the base"))
    if cls is complex:
        parts = take(e, given, "real", "imag")
        if any(e.type_of(p) == T.COMPLEX for p in parts if p is not None):
            real, imag = (p or Constant(0.0) for p in parts)
            turned = binary(e, "mul", imag, Constant(1j))
            return binary(e, "add", real, turned)
        built = [float_value(e, p or Constant(0.0), "a part of complex()") for p in parts]
        return e.op("complex::make", *built)
    e.fail_type(f"{cls.__name__}() takes one argument")


def _convert(e: Emitter, cls: type, target: T.Type, value: Sugared) -> Sugared:
    t = e.type_of(value)
    built = e.value(value)
    if t == target:
        return value
    if t == T.TENSOR:
        return e.op(f"tensor::{cls.__name__}", built)
    kind = f"{t}::{cls.__name__}"
    if t in (T.INT, T.BOOL, T.FLOAT, T.COMPLEX, T.STR, T.NUMBER) and table.overloads(kind):
        return e.op(kind, built)
    if t == T.STR and target == T.COMPLEX:
        return complex_of_text(e, value)
    if t == T.BOOL and target == T.COMPLEX:
        return IRValue(convert_number(e, built, T.COMPLEX))
    e.fail_type(f"{cls.__name__}() of a {t}")


OBJECT_CALLS(int)(_conversion(int, T.INT))
OBJECT_CALLS(float)(_conversion(float, T.FLOAT))
OBJECT_CALLS(complex)(_conversion(complex, T.COMPLEX))


@OBJECT_CALLS(bool)
def _bool(e: Emitter, given: Arguments) -> Sugared:
    if not given.positional:
        return Constant(False)
    value = one(e, given)
    result = truth_sugared(e, value)
    if isinstance(result, IRValue) and result.facts is None and isinstance(value, IRValue):
        if value.facts is not None:
            result.facts = value.facts
    return result


@OBJECT_CALLS(abs)
def _abs(e: Emitter, given: Arguments) -> Sugared:
    value = one(e, given)
    if isinstance(value, Constant):
        return _fold(e, abs, given)
    if is_tensor(e, value):
        return e.call_positional(e.attribute(value, "abs"))

    def act(v: Sugared) -> Sugared:
        v = plain(e, v)
        t = e.type_of(v)
        if t == T.BOOL:
            v, t = IRValue(convert_number(e, e.value(v), T.INT)), T.INT
        if t == T.TENSOR:
            return e.call_positional(e.attribute(v, "abs"))
        if t not in (T.INT, T.FLOAT, T.COMPLEX):
            e.fail_type(f"abs() of a {t}")
        return e.op(f"{t}::abs", e.value(v))

    return _by_type(e, value, act)


@OBJECT_CALLS(round)
def _round(e: Emitter, given: Arguments) -> Sugared:
    value, digits = take(e, given, "number", "ndigits", required=1)
    assert value is not None
    if is_tensor(e, value):
        e.raise_error(TypeError, "type Tensor doesn't define __round__ method")
    if isinstance(value, Constant) and (digits is None or isinstance(digits, Constant)):
        return _fold(e, round, given)
    value = plain(e, value)
    t = e.type_of(value)
    if t == T.BOOL:
        value, t = IRValue(convert_number(e, e.value(value), T.INT)), T.INT
    if t not in (T.INT, T.FLOAT):
        if isinstance(value, IRValue) and needs_split(t):
            rest = given.positional[1:]
            return split(e, value, lambda v: _round(e, Arguments([v, *rest], given.keywords)))
        e.fail_type(f"round() of a {t}")
    if digits is None or e.type_of(digits) == T.NONE:
        return value if t == T.INT else e.op("float::round", e.value(value))
    return e.op(f"{t}::round_digits", e.value(value), index_value(e, digits, "ndigits"))


@OBJECT_CALLS(divmod)
def _divmod(e: Emitter, given: Arguments) -> Sugared:
    a, b = given.positional
    if T.TENSOR in (e.type_of(a), e.type_of(b)):
        e.fail_type(
            "divmod() is not defined for tensors",
            help="write `(torch.floor_divide(a, b), torch.remainder(a, b))`",
        )
    return TupleDisplay((binary(e, "floordiv", a, b), binary(e, "mod", a, b)))


@OBJECT_CALLS(pow, ("_operator", "pow"))
def _pow(e: Emitter, given: Arguments) -> Sugared:
    base, exponent, modulus = take(e, given, "base", "exp", "mod", required=2)
    assert base is not None and exponent is not None
    if modulus is not None:
        return power_modulo(e, base, exponent, modulus)
    return binary(e, "pow", base, exponent)


for _function, _kind in ((hex, "int::hex"), (oct, "int::oct"), (bin, "int::bin"),
                         (chr, "int::chr")):  # fmt: skip

    def _of_int(e: Emitter, given: Arguments, kind: str = _kind) -> Sugared:
        return e.op(kind, index_value(e, one(e, given), "the argument"))

    OBJECT_CALLS(_function)(_of_int)


@OBJECT_CALLS(ord)
def _ord(e: Emitter, given: Arguments) -> Sugared:
    return e.op("str::ord", e.value_of_type(one(e, given), T.STR, "the argument of ord()"))


def _has_known_hash(t: T.Type) -> bool:
    """Whether values hash as in CPython, or raise TypeError."""
    containers = (T.TupleType, T.VarTupleType, T.OptionalType, T.UnionType, T.EnumType)
    simple = (
        T.INT,
        T.FLOAT,
        T.BOOL,
        T.STR,
        T.COMPLEX,
        T.BYTES,
        T.RANGE,
        T.NONE,
        T.NUMBER,
        T.SIZE,
        T.NEVER,
    )
    return t in simple or isinstance(t, (*containers, *T.CONTAINERS))


@OBJECT_CALLS(hash)
def _hash(e: Emitter, given: Arguments) -> Sugared:
    subject = one(e, given)
    own = own_method(e, subject, "__hash__")
    if own is not None:
        return e.call_positional(own)
    if plain(e, subject) is subject and isinstance(e.type_of(subject), T.EnumType):
        subject = e.attribute(subject, "_name_")
    value = e.value(plain(e, subject))
    if value.type == T.DEVICE:
        found: Sugared = e.unit.call_python(e, hash, Arguments([IRValue(value)], {}), T.INT)
        return found
    unknown = [t for t in T.walk(value.type) if not _has_known_hash(t)]
    if unknown:
        e.not_built(f"hash() of a {unknown[0]} is")
    return IRValue(e.builder.node("prim::hash", [value], [T.INT]).output)


@OBJECT_CALLS(id)
def _id(e: Emitter, given: Arguments) -> Sugared:
    e.fail("SM0206", "id() has no meaning in compiled code", help="compare with `is`")


# text


@OBJECT_CALLS(str)
def _str(e: Emitter, given: Arguments) -> Sugared:
    return to_str(e, one(e, given)) if given.positional else Constant("")


@OBJECT_CALLS(repr)
def _repr(e: Emitter, given: Arguments) -> Sugared:
    return to_repr(e, one(e, given))


@OBJECT_CALLS(ascii)
def _ascii(e: Emitter, given: Arguments) -> Sugared:
    return to_ascii(e, one(e, given))


@OBJECT_CALLS(format)
def _format(e: Emitter, given: Arguments) -> Sugared:
    value, spec = take(e, given, "value", "spec", required=1)
    assert value is not None
    return to_format(e, value, spec or Constant(""))


@OBJECT_CALLS(print)
def _print(e: Emitter, given: Arguments) -> Sugared:
    options: dict[str, Sugared] = {"sep": Constant(" "), "end": Constant("\n")}
    to_stderr = False
    for key, value in given.keywords.items():
        if key == "flush":
            continue
        if key == "file":
            to_stderr = _is_stderr(e, value)
        elif key not in options:
            e.fail_type(f"print() got an unexpected keyword argument `{key}`")
        elif not isinstance(value, Constant) or value.value is not None:
            options[key] = value
    sep, end = options.values()
    if is_spread(given):
        texts = [_spread_texts(e, sep, given.positional)]
    else:
        texts = [to_str(e, v) for v in given.positional]
    if isinstance(sep, Constant) and isinstance(end, Constant) and not to_stderr:
        given_texts = {k: v.value for k, v in options.items() if isinstance(v, Constant)}
        named = {k: v for k, v in given_texts.items() if k in given.keywords}
        e.builder.node("prim::print", [e.value(t) for t in texts], **named)
        return Constant(None)
    pieces = [p for text in texts for p in (sep, text)][1:]
    whole = e.value(concatenate(e, [*pieces, end]))
    if to_stderr:
        e.builder.node("prim::python_call", [whole], [T.NONE], function=_write_stderr)
    else:
        e.builder.node("prim::print", [whole], end="")
    return Constant(None)


def _spread_texts(e: Emitter, sep: Sugared, given: Sequence[Sugared]) -> Sugared:
    """The texts of arguments, some of them ``*values``, with ``sep`` between them."""
    texts: list[Sugared] = []
    for value in given:
        if isinstance(value, StarredList):
            each = e.call_positional(PythonObject(script_library.texts), value.value)
            texts.append(StarredList(each))
        else:
            texts.append(to_str(e, value))
    return e.call_positional(PythonObject(script_library.joined), sep, whole_list(e, texts))


def _is_stderr(e: Emitter, file: Sugared) -> bool:
    """Whether print() goes to ``sys.stderr`` instead of ``sys.stdout``."""
    found = file.object if isinstance(file, PythonObject) else None
    if isinstance(file, Constant) and file.value is None:
        return False
    if found is None or found not in (sys.stdout, sys.stderr):
        e.not_built("print() to this file is", help="print to sys.stdout or sys.stderr")
    return found is sys.stderr


def _write_stderr(text: str) -> None:
    sys.stderr.write(text)


@OBJECT_CALLS(warnings.warn)
def _warn(e: Emitter, given: Arguments) -> Sugared:
    message, category, level = take(
        e, given, "message", "category", "stacklevel", required=1
    )[:3]  # fmt: skip
    assert message is not None
    cls = category.object if isinstance(category, PythonObject) else UserWarning
    number = level.value if isinstance(level, Constant) else 1
    e.builder.node("prim::warn", [e.value(to_str(e, message))], category=cls, stacklevel=number)
    return Constant(None)


# math

_MATH_INT = ("gcd", "lcm", "comb", "perm", "factorial", "isqrt")
_MATH_ROUND = ("floor", "ceil", "trunc")


def _math(name: str) -> Callable[[Emitter, Arguments], Sugared]:
    function = getattr(math, name)

    def run(e: Emitter, given: Arguments) -> Sugared:
        values = [*given.positional, *given.keywords.values()]
        if all(isinstance(v, Constant) for v in values):
            return _fold(e, function, given)
        if name in _MATH_ROUND and e.type_of(given.positional[0]) in (T.INT, T.BOOL):
            return IRValue(index_value(e, given.positional[0], "the argument"))
        if name == "log" and len(given.positional) == 2:
            parts = [float_value(e, p, "an argument of math.log") for p in given.positional]
            return e.op("math::log_base", *parts)
        if name == "hypot":
            is_spread = any(isinstance(p, StarredList) for p in given.positional)
            if len(given.positional) != 2 or is_spread:
                return call_library(e, number_library.hypot, *given.positional)
            parts = [float_value(e, p, "an argument of math.hypot") for p in given.positional]
            return call_library(e, number_library.hypot_of_two, *map(IRValue, parts))
        if name == "perm" and len(given.positional) == 1:
            return _math("factorial")(e, given)
        if name in ("gcd", "lcm") and len(given.positional) != 2:
            result: Sugared = Constant(0 if name == "gcd" else 1)
            for part in given.positional:
                result = run(e, Arguments([result, part], {}))
            return result
        return e.unit.call_op(e, f"math::{name}", given)

    return run


def _fold(e: Emitter, function: Any, given: Arguments) -> Sugared:
    positional = [v.value for v in given.positional if isinstance(v, Constant)]
    keywords = {k: v.value for k, v in given.keywords.items() if isinstance(v, Constant)}
    try:
        result = function(*positional, **keywords)
    except TypeError as error:
        e.fail_type(str(error))
    except (ValueError, ArithmeticError) as error:
        e.raise_error(type(error), str(error))
    if isinstance(result, tuple):
        return TupleDisplay(tuple(Constant(r) for r in result))
    return Constant(result)


for _name in dir(math):
    has_op = _name == "hypot" or table.overloads(f"math::{_name}")
    if callable(getattr(math, _name)) and has_op:
        OBJECT_CALLS(getattr(math, _name))(_math(_name))
