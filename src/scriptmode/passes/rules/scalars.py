"""Rules on int, float and bool: exact ones only.

Floats: ``x + 0.0`` is not ``x`` (-0.0 + 0.0 is 0.0), ``x - x`` is not 0.0 (inf - inf is NaN).
Ints: ``-(-x)`` is not ``x``, as it raises for the least int.
"""

from __future__ import annotations

from typing import Any

from scriptmode.ir.graph import Node, Value
from scriptmode.passes.rewrite import Const, rule


def is_const(value: Value, expected: Any) -> bool:
    """Whether ``value`` is this constant, of the same class."""
    if not value.is_constant or type(value.constant) is not type(expected):
        return False
    return repr(value.constant) == repr(expected)


@rule("int::add")
def add_zero(node: Node) -> Value | None:
    """int::add(x, 0) -> x"""
    x, y = node.inputs
    return x if is_const(y, 0) else None


@rule("int::add")
def add_to_zero(node: Node) -> Value | None:
    """int::add(0, x) -> x"""
    x, y = node.inputs
    return y if is_const(x, 0) else None


@rule("int::sub")
def subtract_zero(node: Node) -> Value | None:
    """int::sub(x, 0) -> x"""
    x, y = node.inputs
    return x if is_const(y, 0) else None


@rule("int::sub", "int::xor")
def subtract_itself(node: Node) -> Const | None:
    """int::sub(x, x) -> 0"""
    x, y = node.inputs
    return Const(0) if x is y else None


@rule("int::mul", "int::floordiv")
def multiply_by_one(node: Node) -> Value | None:
    """int::mul(x, 1) -> x"""
    x, y = node.inputs
    return x if is_const(y, 1) else None


@rule("int::mul")
def multiply_one_by(node: Node) -> Value | None:
    """int::mul(1, x) -> x"""
    x, y = node.inputs
    return y if is_const(x, 1) else None


@rule("int::mul")
def multiply_by_zero(node: Node) -> Const | None:
    """int::mul(x, 0) -> 0"""
    x, y = node.inputs
    return Const(0) if is_const(x, 0) or is_const(y, 0) else None


@rule("int::eq", "int::le", "int::ge", "bool::eq")
def equal_to_itself(node: Node) -> Const | None:
    """int::eq(x, x) -> True"""
    x, y = node.inputs
    return Const(True) if x is y else None  # not for floats: NaN


@rule("int::ne", "int::lt", "int::gt", "bool::ne")
def unequal_to_itself(node: Node) -> Const | None:
    """int::lt(x, x) -> False"""
    x, y = node.inputs
    return Const(False) if x is y else None


@rule("float::mul", "float::truediv")
def scale_by_one(node: Node) -> Value | None:
    """float::mul(x, 1.0) -> x"""
    x, y = node.inputs
    return x if is_const(y, 1.0) else None


@rule("float::sub")
def subtract_float_zero(node: Node) -> Value | None:
    """float::sub(x, 0.0) -> x"""
    x, y = node.inputs
    return x if is_const(y, 0.0) else None


@rule("float::neg", "bool::not", "int::invert")
def undo_twice(node: Node) -> Value | None:
    """bool::not(bool::not(x)) -> x"""
    match node.inputs:
        case [Value(Node(kind, [x]))] if kind == node.kind:
            return x
    return None


@rule("bool::and")
def and_true(node: Node) -> Value | None:
    """bool::and(x, True) -> x"""
    x, y = node.inputs
    return x if is_const(y, True) else y if is_const(x, True) else None


@rule("bool::or")
def or_false(node: Node) -> Value | None:
    """bool::or(x, False) -> x"""
    x, y = node.inputs
    return x if is_const(y, False) else y if is_const(x, False) else None


@rule("int::bool")
def bool_of_int_of_bool(node: Node) -> Value | None:
    """int::bool(bool::int(x)) -> x"""
    match node.inputs:
        case [Value(Node("bool::int", [x]))]:
            return x
    return None
