"""Methods that return NotImplemented on some of their run-time paths."""

from __future__ import annotations

import pytest

import scriptmode
from tests.fourway import check


class Left:
    def __init__(self, v: int):
        self.v = v

    def __add__(self, other):
        if self.v > 0:
            return self.v + 1
        return NotImplemented

    def __iadd__(self, other):
        if self.v > 5:
            self.v += 100
            return self
        return NotImplemented

    def __eq__(self, other):
        if not isinstance(other, Left) or self.v < 0:
            return NotImplemented
        return self.v == other.v

    def __lt__(self, other):
        if self.v < 0:
            return NotImplemented
        return self.v < other.v

    def __contains__(self, item: int) -> bool:
        return item == self.v


class Right:
    def __init__(self, v: int):
        self.v = v

    def __radd__(self, other):
        if self.v > 10:
            return NotImplemented
        return 50


class Later(Left):
    def __eq__(self, other):
        same = super().__eq__(other)
        if same is NotImplemented:
            return self.v == -1
        return same


class Plain:
    def __init__(self, v: int):
        self.v = v

    def __eq__(self, other):
        return super().__eq__(other)


def adds(x: int, y: int):
    return Left(x) + Right(y)


def adds_number(x: int):
    return Left(x) + 5


def adds_in_place(x: int, y: int):
    left = Left(x)
    left += Right(y)
    return left.v if isinstance(left, Left) else left


def equals(x: int):
    a, b = Left(x), Left(x)
    c, d = Later(x), Plain(x)
    return (
        a == b,
        a == a,
        a != b,
        a == 3,
        a in [b, a],
        a in [b],
        c == 1,
        c == a,
        d == d,
        d == a,
        d != Plain(x),
    )


def orders(x: int):
    return Left(x) < Left(2), [p.v for p in sorted([Left(3), Left(x)])], min(Left(x), Left(7)).v


def asks(x: int):
    first = Left(x).__eq__(Left(x))
    if first is NotImplemented:
        return "not implemented"
    return "equal" if first else "other"


def gives(x: int):
    return Left(x).__eq__(Left(x))


def test_operators():
    check(adds, (1, 1), (-1, 1), (-1, 11))
    check(adds_number, (1,), (-1,))
    check(adds_in_place, (6, 1), (1, 1), (-1, 1), (-1, 11))


def test_comparisons():
    check(equals, (1,), (-1,))
    check(orders, (1,), (-1,))


def test_it_is_told_apart():
    check(asks, (1,), (-1,))


def test_it_does_not_leave_the_program():
    with pytest.raises(scriptmode.CompileError, match="NotImplemented cannot be returned"):
        scriptmode.script(gives)
