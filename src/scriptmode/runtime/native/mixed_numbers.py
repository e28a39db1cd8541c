"""Equality and order of numbers of different types, exact where Python's are."""

from __future__ import annotations

from scriptmode.abi.objects import KIND_BOOL, KIND_COMPLEX, KIND_FLOAT, KIND_INT
from scriptmode.codegen.native import f64, i8, i64, load, native, ptr, trunc, zext
from scriptmode.runtime.native.quick import EQUAL, GREATER, LESS, UNORDERED, same_float


@native
def is_number(kind: i64) -> bool:
    """Whether int, float, bool or complex."""
    return kind >= KIND_INT and kind <= KIND_COMPLEX


@native
def sm_compare_int_float(a: i64, x: f64) -> i64:
    """Order of an int and a float without rounding: -1, 0, 1, or 2 for NaN."""
    if x != x:
        return UNORDERED
    if x >= 9223372036854775808.0:
        return LESS
    if x < -9223372036854775808.0:
        return GREATER
    whole = i64(trunc(x))
    if a != whole:
        return i64(LESS) if a < whole else GREATER
    rest = x - trunc(x)
    return i64(LESS) if rest > 0.0 else i64(GREATER) if rest < 0.0 else EQUAL


@native
def integer_at(kind: i64, slot: ptr) -> i64:
    """The value of an int or bool."""
    return zext(i64, load(i8, slot)) if kind == KIND_BOOL else load(i64, slot)


@native
def is_integer(kind: i64) -> bool:
    """Whether int or bool."""
    return kind in (KIND_INT, KIND_BOOL)


@native
def order_numbers(ka: i64, a: ptr, kb: i64, b: ptr) -> i64:
    """Order of two real numbers."""
    if is_integer(ka):
        x = integer_at(ka, a)
        if is_integer(kb):
            y = integer_at(kb, b)
            return i64(LESS) if x < y else i64(x > y)
        return sm_compare_int_float(x, load(f64, b))
    if is_integer(kb):
        order = sm_compare_int_float(integer_at(kb, b), load(f64, a))
        return order if order == UNORDERED else 0 - order
    p = load(f64, a)
    q = load(f64, b)
    if p < q:
        return LESS
    if p > q:
        return GREATER
    return i64(EQUAL) if p == q else UNORDERED


@native
def numbers_equal(ka: i64, a: ptr, kb: i64, b: ptr) -> bool:
    """Whether a container takes two numbers for equal."""
    if ka == KIND_COMPLEX:
        if kb == KIND_COMPLEX:
            return same_float(a, b) and same_float(a + 8, b + 8)
        return load(f64, a, 8) == 0.0 and order_numbers(KIND_FLOAT, a, kb, b) == EQUAL
    if kb == KIND_COMPLEX:
        return load(f64, b, 8) == 0.0 and order_numbers(ka, a, KIND_FLOAT, b) == EQUAL
    if ka == KIND_FLOAT and kb == KIND_FLOAT:
        return same_float(a, b)
    return order_numbers(ka, a, kb, b) == EQUAL
