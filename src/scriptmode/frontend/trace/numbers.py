"""Sizes and numbers during a trace: subclasses of int and float that record their arithmetic.

``x.shape[0] // 2`` appends ``int::floordiv`` and is an int to everybody else.  A comparison, a
truth value or a conversion to a plain number gives Python's value and is frozen, with a warning.
Outside their trace these are plain numbers.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any

from scriptmode.frontend.trace.state import Sink, active_recorder
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value
from scriptmode.ops import table
from scriptmode.ops.scalars import INT_MAX, INT_MIN


class TracedInt(int):
    """An int that is a value of the recorded program."""

    _recorder: Sink
    _traced: Value

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int.__int__(self),)

    def __copy__(self) -> TracedInt:
        return self

    def __deepcopy__(self, memo: Any) -> TracedInt:
        return self

    __hash__ = int.__hash__


class TracedFloat(float):
    """A float that is a value of the recorded program."""

    _recorder: Sink
    _traced: Value

    def __reduce__(self) -> tuple[Any, ...]:
        return float, (float.__float__(self),)

    def __copy__(self) -> TracedFloat:
        return self

    def __deepcopy__(self, memo: Any) -> TracedFloat:
        return self

    __hash__ = float.__hash__


TracedNumber = TracedInt | TracedFloat


def traced_int(recorder: Sink, value: int, traced: Value) -> TracedInt:
    """``value`` tied to the IR value ``traced``."""
    number = TracedInt(value)
    number._recorder, number._traced = recorder, traced
    return number


def traced_float(recorder: Sink, value: float, traced: Value) -> TracedFloat:
    """``value`` tied to the IR value ``traced``."""
    number = TracedFloat(value)
    number._recorder, number._traced = recorder, traced
    return number


def traced_number(recorder: Sink, value: Any, traced: Value) -> Any:
    """``value`` tied to ``traced`` when it is an int or float, else ``value``."""
    if traced.type == T.INT:
        return traced_int(recorder, value, traced)
    if traced.type == T.FLOAT:
        return traced_float(recorder, value, traced)
    return value


def is_live(number: Any) -> bool:
    """Whether ``number`` belongs to the trace that is being recorded by this thread."""
    return isinstance(number, (TracedInt, TracedFloat)) and (
        getattr(number, "_recorder", None) is not None and number._recorder is active_recorder()
    )


def plain(number: Any) -> Any:
    """The plain Python number."""
    if isinstance(number, TracedInt):
        return int.__int__(number)
    if isinstance(number, TracedFloat):
        return float.__float__(number)
    return number


def value_of(recorder: Sink, number: Any) -> Value | None:
    """The IR value of an int or float (bool counts as int); None when it has none."""
    if is_live(number):
        traced: Value = number._traced
        return traced
    number = plain(number)
    if isinstance(number, bool):
        return recorder.constant(int(number))
    if isinstance(number, int):
        return recorder.constant(int(number)) if INT_MIN <= number <= INT_MAX else None
    return recorder.constant(float(number)) if isinstance(number, float) else None


def as_float(recorder: Sink, value: Value) -> Value:
    """``value`` as a float."""
    return recorder.emit("int::float", value) if value.type == T.INT else value


def as_traced_float(number: Any) -> Any:
    """A live number as a traced float."""
    if isinstance(number, TracedFloat):
        return number
    recorder: Sink = number._recorder
    return traced_float(recorder, float(plain(number)), as_float(recorder, number._traced))


_ARITHMETIC = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "pow": operator.pow,
    "lshift": operator.lshift, "rshift": operator.rshift, "and": operator.and_,
    "or": operator.or_, "xor": operator.xor,
}  # fmt: skip
_INT_ONLY = frozenset(["lshift", "rshift", "and", "or", "xor"])


def _record_arithmetic(recorder: Sink, name: str, a: Any, b: Any, result: Any) -> Any:
    left, right = value_of(recorder, a), value_of(recorder, b)
    if left is None or right is None or not isinstance(result, (int, float)):
        recorder.freeze("number", result, f"a number left the trace in an operation ({name})")
        return result
    if left.type == T.INT and right.type == T.INT:
        if isinstance(result, int) and not INT_MIN <= result <= INT_MAX:
            recorder.freeze("number", result, "an int outside 64 bits left the trace")
            return result
        kind = "int::pow_float" if name == "pow" and isinstance(result, float) else f"int::{name}"
    else:
        left, right = as_float(recorder, left), as_float(recorder, right)
        kind = f"float::{name}"
    return traced_number(recorder, result, recorder.emit(kind, left, right))


def _binary(name: str, function: Callable[[Any, Any], Any], reflected: bool) -> Any:
    def method(self: Any, other: Any, *modulus: Any) -> Any:
        if modulus:
            return pow(plain(self), plain(other), *map(plain, modulus))
        if not isinstance(other, (int, float)):
            return _with_foreign(self, other, name, reflected)
        a, b = (other, self) if reflected else (self, other)
        if name in _INT_ONLY and not (isinstance(a, int) and isinstance(b, int)):
            return NotImplemented
        result = function(plain(a), plain(b))
        if not is_live(self) and not is_live(other):
            return result
        return _record_arithmetic(active_recorder(), name, a, b, result)

    return method


def _with_foreign(self: Any, other: Any, name: str, reflected: bool) -> Any:
    if is_live(self) and isinstance(other, (list, tuple, str, bytes, complex)):
        # [item] * n and the like: the length of the result cannot follow n
        recorder: Sink = self._recorder
        recorder.freeze("number", plain(self), f"a size was used to build a {type(other).__name__}")
        a, b = (other, plain(self)) if reflected else (plain(self), other)
        return _ARITHMETIC[name](a, b)
    return NotImplemented


def _comparison(name: str, function: Callable[[Any, Any], bool]) -> Any:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        result = function(plain(self), plain(other))
        recorder = active_recorder()
        if is_live(self) or is_live(other):
            recorder.freeze("comparison", result, "comparing a size gives a Python bool")
        return result

    return method


def _unary(name: str, function: Callable[[Any], Any]) -> Any:
    def method(self: Any) -> Any:
        result = function(plain(self))
        if not is_live(self):
            return result
        recorder: Sink = self._recorder
        if name == "pos":
            return traced_number(recorder, result, self._traced)
        prefix = "int" if isinstance(self, int) else "float"
        return traced_number(recorder, result, recorder.emit(f"{prefix}::{name}", self._traced))

    return method


def _conversion(name: str, function: Callable[[Any], Any]) -> Any:
    def method(self: Any) -> Any:
        result = function(plain(self))
        if is_live(self):
            self._recorder.freeze(name, result, f"converting a size to a Python {name}")
        return result

    return method


def _rounding(name: str, function: Callable[[Any], int]) -> Any:
    def method(self: Any) -> Any:
        result = function(plain(self))
        if not is_live(self):
            return result
        recorder: Sink = self._recorder
        traced = self._traced
        if traced.type == T.FLOAT:
            traced = recorder.emit(f"math::{name}", traced)
        return traced_int(recorder, result, traced)

    return method


def _round(self: Any, digits: Any = None) -> Any:
    result = round(plain(self), plain(digits))
    if not is_live(self):
        return result
    recorder: Sink = self._recorder
    prefix = "int" if isinstance(self, int) else "float"
    if digits is None:
        traced = self._traced if prefix == "int" else recorder.emit("float::round", self._traced)
    else:
        count = value_of(recorder, digits)
        assert count is not None, "round() takes an int"
        traced = recorder.emit(f"{prefix}::round_digits", self._traced, count)
    return traced_number(recorder, result, traced)


def _divmod(self: Any, other: Any) -> Any:
    if not isinstance(other, (int, float)):
        return NotImplemented
    return self // other, self % other


def _reflected_divmod(self: Any, other: Any) -> Any:
    if not isinstance(other, (int, float)):
        return NotImplemented
    return other // self, other % self


def _install(cls: Any) -> None:
    for name, function in _ARITHMETIC.items():
        if cls is TracedInt or name not in _INT_ONLY:
            setattr(cls, f"__{name}__", _binary(name, function, False))
            setattr(cls, f"__r{name}__", _binary(name, function, True))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(cls, f"__{name}__", _comparison(name, getattr(operator, name)))
    for name in ("neg", "abs", "pos"):
        setattr(cls, f"__{name}__", _unary(name, getattr(operator, name)))
    for name in ("floor", "ceil", "trunc"):
        setattr(cls, f"__{name}__", _rounding(name, getattr(math, name)))
    for name in ("bool", "int", "float", "complex"):
        setattr(cls, f"__{name}__", _conversion(name, getattr(builtins, name)))
    cls.__round__ = _round
    cls.__divmod__, cls.__rdivmod__ = _divmod, _reflected_divmod
    cls.__hash__ = int.__hash__ if cls is TracedInt else float.__hash__


_install(TracedInt)
_install(TracedFloat)
TracedInt.__invert__ = _unary("invert", operator.invert)  # type: ignore[method-assign]


# functions of Python that do not ask the number itself


def call_math(name: str, original: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """``math.name(*args)`` with at least one traced argument."""
    if name in ("floor", "ceil", "trunc"):
        return original(*args)  # these ask the number
    recorder = active_recorder()
    result = original(*map(plain, args))
    definition = _math_op(name, len(args))
    values = [value_of(recorder, a) for a in args]
    if definition is None or any(v is None for v in values) or isinstance(result, bool):
        recorder.freeze(f"math.{name}", result, f"math.{name} of a size gives a Python number")
        return result
    inputs = []
    for argument, value in zip(definition.schema.arguments, values, strict=True):
        assert value is not None
        inputs.append(as_float(recorder, value) if argument.type == T.FLOAT else value)
    return traced_number(recorder, result, recorder.emit(definition.schema.kind, *inputs))


def _math_op(name: str, count: int) -> table.OpDef | None:
    name = "log_base" if name == "log" and count == 2 else name
    for definition in table.overloads(f"math::{name}"):
        schema = definition.schema
        if len(schema.arguments) == count and len(schema.returns) == 1:
            return definition
    return None


def call_extremum(name: str, original: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """``min(*args)`` or ``max(*args)`` of numbers, at least one of them traced."""
    recorder = active_recorder()
    items = list(args[0]) if len(args) == 1 else list(args)
    best = items[0]
    for item in items[1:]:
        best = _better(recorder, name, item, best, original(plain(best), plain(item)))
    return best


def _better(recorder: Any, name: str, item: Any, best: Any, result: Any) -> Any:
    a, b = value_of(recorder, item), value_of(recorder, best)
    if a is None or b is None or a.type != b.type:
        # the result's type would depend on the values
        recorder.freeze(name, result, f"{name}() of a size and another type gives a Python number")
        return result
    prefix = "int" if a.type == T.INT else "float"
    kind = f"{prefix}::lt" if name == "min" else f"{prefix}::gt"
    return traced_number(recorder, result, recorder.select(kind, a, b))
