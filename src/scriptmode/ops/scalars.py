"""Ops on int, float, bool, complex and None, with CPython's meaning.

``int`` is 64-bit: a result outside raises OverflowError.  Operands are of exactly the named type;
the front ends insert ``int::float`` and friends where Python converts.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any

from scriptmode.ops.table import Effect, op, op_family

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def check_int(value: int) -> int:
    """``value``, or OverflowError when it does not fit into 64 bits."""
    if not INT_MIN <= value <= INT_MAX:
        raise OverflowError("int too large for 64 bits")
    return value


def _checked(function: Callable[..., Any]) -> Callable[..., int]:
    return lambda *args: check_int(function(*args))


_COMPARISONS = {
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt,
    "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip

for _name, _function in _COMPARISONS.items():
    for _type in ("int", "float", "bool"):
        op(f"{_type}::{_name}({_type} a, {_type} b) -> bool")(_function)
    # exact, without rounding the int, as Python compares
    op(f"int::{_name}_float(int a, float b) -> bool")(_function)
    if _name in ("eq", "ne"):
        op(f"complex::{_name}(complex a, complex b) -> bool")(_function)

for _name, _function in {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul,
}.items():  # fmt: skip
    op(f"int::{_name}(int a, int b) -> int", raises=[OverflowError])(_checked(_function))
    op(f"float::{_name}(float a, float b) -> float")(_function)
    op(f"complex::{_name}(complex a, complex b) -> complex")(_function)

for _name, _function in {"floordiv": operator.floordiv, "mod": operator.mod}.items():
    op(f"int::{_name}(int a, int b) -> int", raises=[ZeroDivisionError, OverflowError])(
        _checked(_function)
    )
    op(f"float::{_name}(float a, float b) -> float", raises=[ZeroDivisionError])(_function)

op_family(
    [
        "int::truediv(int a, int b) -> float",
        "float::truediv(float a, float b) -> float",
        "complex::truediv(complex a, complex b) -> complex",
    ],
    operator.truediv,
    raises=[ZeroDivisionError],
)


@op("int::pow(int a, int b) -> int", raises=[OverflowError, ValueError])
def _int_pow(a: int, b: int) -> int:
    if b < 0:
        raise ValueError("negative exponent of an int power whose result is typed int")
    if abs(a) > 1 and b > 64:
        raise OverflowError("int too large for 64 bits")
    return check_int(a**b)


@op("int::pow_float(int a, int b) -> float", raises=[ZeroDivisionError, OverflowError])
def _int_pow_float(a: int, b: int) -> float:
    """``a ** b`` for an exponent known to be negative."""
    value: float = float(a) ** b
    return value


@op("float::pow(float a, float b) -> float", raises=[ZeroDivisionError, OverflowError, ValueError])
def _float_pow(a: float, b: float) -> float:
    value: complex | float = a**b
    if isinstance(value, complex):
        raise ValueError("power of a negative float with a fractional exponent is complex")
    return value


op("complex::pow(complex a, complex b) -> complex", raises=[ZeroDivisionError, OverflowError])(
    operator.pow
)
op("int::neg(int a) -> int", raises=[OverflowError])(_checked(operator.neg))
op("int::abs(int a) -> int", raises=[OverflowError])(_checked(abs))
op_family(["float::neg(float a) -> float", "complex::neg(complex a) -> complex"], operator.neg)
op_family(["float::abs(float a) -> float"], abs)
op("complex::abs(complex a) -> float", raises=[OverflowError])(abs)
op("int::invert(int a) -> int")(operator.invert)
op("int::lshift(int a, int b) -> int", raises=[ValueError, OverflowError])(
    lambda a, b: check_int(a << b if b < 64 or a == 0 else INT_MAX + 1)
)
op("int::rshift(int a, int b) -> int", raises=[ValueError])(operator.rshift)
for _name, _function in {"and": operator.and_, "or": operator.or_, "xor": operator.xor}.items():
    op(f"int::{_name}(int a, int b) -> int")(_function)
    op(f"bool::{_name}(bool a, bool b) -> bool")(_function)
op("bool::not(bool a) -> bool")(operator.not_)

# conversions
op("int::float(int a) -> float")(float)
op("int::bool(int a) -> bool")(bool)
op("int::complex(int a) -> complex")(complex)
op("bool::int(bool a) -> int")(int)
op("bool::float(bool a) -> float")(float)
op("float::bool(float a) -> bool")(bool)
op("float::complex(float a) -> complex")(complex)
op("float::int(float a) -> int", raises=[OverflowError, ValueError])(_checked(int))
op("complex::bool(complex a) -> bool")(bool)
op("complex::make(float re, float im) -> complex")(complex)
op("complex::real(complex a) -> float")(lambda a: a.real)
op("complex::imag(complex a) -> float")(lambda a: a.imag)
op("complex::conjugate(complex a) -> complex")(lambda a: a.conjugate())
op("float::round(float a) -> int", raises=[OverflowError, ValueError])(_checked(round))
op("float::round_digits(float a, int digits) -> float", raises=[OverflowError])(round)
op("int::round_digits(int a, int digits) -> int", raises=[OverflowError])(_checked(round))
op("float::is_integer(float a) -> bool")(lambda a: a.is_integer())
# what containers ask of two floats: NaN is identical to itself
for _type in ("float", "complex"):
    op(f"{_type}::same({_type} a, {_type} b) -> bool")(lambda a, b: a is b or a == b)
op("float::nan() -> float", effects=Effect.IO)(lambda: float("nan"))  # two are not to be merged
op("int::bit_length(int a) -> int")(lambda a: a.bit_length())
op("int::bit_count(int a) -> int")(lambda a: a.bit_count())

# ATen's Scalar
op("number::int(number a) -> int", raises=[OverflowError, ValueError, TypeError])(_checked(int))
op("number::float(number a) -> float", raises=[TypeError])(float)
op("number::bool(number a) -> bool")(bool)
op("number::complex(number a) -> complex")(complex)

# math, as CPython's module
_MATH_FLOAT = [
    "sqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos",
    "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "gamma", "lgamma", "erf", "erfc",
    "degrees", "radians", "fabs", "ulp", "cbrt", "exp2",
]  # fmt: skip
for _name in _MATH_FLOAT:
    if hasattr(math, _name):
        op(f"math::{_name}(float x) -> float", raises=[ValueError, OverflowError])(
            getattr(math, _name)
        )
for _name in ("atan2", "copysign", "fmod", "pow", "remainder", "nextafter"):
    op(f"math::{_name}(float x, float y) -> float", raises=[ValueError, OverflowError])(
        getattr(math, _name)
    )
op("math::log_base(float x, float base) -> float", raises=[ValueError, ZeroDivisionError])(math.log)
for _name in ("isnan", "isinf", "isfinite"):
    op(f"math::{_name}(float x) -> bool")(getattr(math, _name))
for _name in ("floor", "ceil", "trunc"):
    op(f"math::{_name}(float x) -> int", raises=[OverflowError, ValueError])(
        _checked(getattr(math, _name))
    )
for _name in ("gcd", "lcm", "comb", "perm"):
    op(f"math::{_name}(int a, int b) -> int", raises=[ValueError, OverflowError])(
        _checked(getattr(math, _name))
    )
for _name in ("factorial", "isqrt"):
    op(f"math::{_name}(int a) -> int", raises=[ValueError, OverflowError])(
        _checked(getattr(math, _name))
    )
op("math::ldexp(float x, int i) -> float", raises=[OverflowError])(math.ldexp)
op("math::frexp(float x) -> (float, int)")(math.frexp)
op("math::modf(float x) -> (float, float)")(math.modf)
op(
    "math::isclose(float a, float b, *, float rel_tol=1e-09, float abs_tol=0.0) -> bool",
    raises=[ValueError],
)(lambda a, b, rel_tol, abs_tol: math.isclose(a, b, rel_tol=rel_tol, abs_tol=abs_tol))

# text of numbers
op("int::str(int a) -> str")(str)
op("float::str(float a) -> str")(str)
op("bool::str(bool a) -> str")(str)
op("complex::str(complex a) -> str")(str)
op("int::format(int a, str spec) -> str", raises=[ValueError])(builtins.format)
op("float::format(float a, str spec) -> str", raises=[ValueError])(builtins.format)
op("str::int(str s) -> int", raises=[ValueError, OverflowError])(_checked(int))
op("str::int_base(str s, int base) -> int", raises=[ValueError, OverflowError])(_checked(int))
op("str::float(str s) -> float", raises=[ValueError])(float)
op("int::hex(int a) -> str")(hex)
op("int::oct(int a) -> str")(oct)
op("int::bin(int a) -> str")(bin)
op("int::chr(int a) -> str", raises=[ValueError, OverflowError])(chr)
