"""Powers whose type depends on values: ``2 ** -1`` is a float, ``(-8.0) ** 0.5`` complex.

Inside a program a power has one type, int of ints and float of floats, and raises ValueError where
Python's result is of the other.  What the entry returns may be either, and so may a power of a
number whose type is not known (``x.item() ** 2``): there it is what Python gives.
"""

from __future__ import annotations

import ast

from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.enums import plain
from scriptmode.frontend.script.flow import choose
from scriptmode.frontend.script.operators import binary, convert_number
from scriptmode.frontend.script.values import Constant, Sugared
from scriptmode.ir import types as T
from scriptmode.ir.graph import Value

_REAL = (T.INT, T.BOOL, T.FLOAT)


def returned_power(e: Emitter, node: ast.BinOp) -> Sugared:
    """A power that the entry returns."""
    a, b = plain(e, e.expression(node.left)), plain(e, e.expression(node.right))
    with e.at(node):
        return exact_power(e, a, b)


def exact_power(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    """``a ** b`` of the type that Python gives."""
    if isinstance(a, Constant) and isinstance(b, Constant):
        return binary(e, "pow", a, b)
    s, t = e.type_of(a), e.type_of(b)
    if s not in _REAL or t not in _REAL:
        return binary(e, "pow", a, b)
    if T.FLOAT not in (s, t):
        return _int_or_float(e, a, b)
    return _float_or_complex(e, a, b)


def _int_or_float(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    if isinstance(b, Constant):
        return binary(e, "pow", a, b)
    x, y = (convert_number(e, e.value(v), T.INT) for v in (a, b))
    return choose(
        e, e.builder.op("int::lt", y, e.int_constant(0)),
        lambda: e.op("int::pow_float", x, y), lambda: e.op("int::pow", x, y),
    )  # fmt: skip


def _float_or_complex(e: Emitter, a: Sugared, b: Sugared) -> Sugared:
    if isinstance(b, Constant) and float(b.value).is_integer():
        return binary(e, "pow", a, b)
    if isinstance(a, Constant) and not a.value < 0:
        return binary(e, "pow", a, b)
    x, y = (convert_number(e, e.value(v), T.FLOAT) for v in (a, b))
    return choose(
        e, _has_complex_power(e, x, y),
        lambda: e.op("complex::pow", *(e.builder.op("float::complex", v) for v in (x, y))),
        lambda: e.op("float::pow", x, y),
    )  # fmt: skip


def _has_complex_power(e: Emitter, x: Value, y: Value) -> Value:
    op = e.builder.op
    finite = op("bool::and", op("math::isfinite", x), op("math::isfinite", y))
    fraction = op("bool::not", op("float::is_integer", y))
    negative = op("float::lt", x, e.builder.constant(0.0))
    return op("bool::and", negative, op("bool::and", finite, fraction))
