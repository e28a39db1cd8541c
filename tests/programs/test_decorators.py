"""Decorators of users and of the standard library."""

from __future__ import annotations

import contextlib
import functools

import pytest
import torch
from torch import nn

import scriptmode
from tests.fourway import check, same

X = torch.tensor([1.0, -2.0])
EVENTS: list = []


def twice(function):
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) * 2

    return wrapper


def scale(by, *, shift=0):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs) * by + shift

        return wrapper

    return decorate


def counted(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


@contextlib.contextmanager
def noted(n):
    EVENTS.append(n)
    yield
    EVENTS.append(-n)


@twice
def plain(x):
    return x + 1


@scale(3, shift=1)
@twice
def both(x, *, y=2):
    return x - y


@counted
def increment(n: int):
    return n + 1


@noted(3)
def with_context(n: int):
    return n + 1


def uses(x):
    return plain(x) + both(x) + both(x, y=7)


def calls_counted(n: int):
    return increment(n) + increment(n)


def test_wrappers():
    check(uses, (X,))
    for function in (plain, both):
        compiled = scriptmode.script(function)
        for _ in range(2):
            same(function(X), compiled(X))
    same(both(X, y=5), scriptmode.script(both)(X, y=5))


def test_wrappers_that_count_in_an_attribute_of_themselves():
    compiled = scriptmode.script(calls_counted)
    increment.calls = 0
    assert compiled(3) == 8 and increment.calls == 2
    increment.calls = 10
    assert compiled(3) == 8 and increment.calls == 12


def test_context_managers_as_decorators():
    EVENTS.clear()
    assert scriptmode.script(with_context)(1) == 2
    assert EVENTS == [3, -3]


class Counted:
    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.function(x) * self.calls


@Counted
def first(x):
    return x + 1


@Counted
def second(x):
    return x - 1


def calls_instances(x):
    return first(x) + second(x) + first(x)


def takes_instance(x, other: Counted):
    return first(x) + other(x)


def test_classes_as_decorators():
    first.calls = second.calls = 0
    want = calls_instances(X)
    first.calls = second.calls = 0
    compiled = scriptmode.script(calls_instances)
    same(want, compiled(X))
    assert (first.calls, second.calls) == (2, 1)
    first.calls, before = 0, first.function
    first.function = torch.neg
    second.calls = 0
    want = calls_instances(X)
    first.calls = second.calls = 0
    same(want, compiled(X))
    first.function = before
    with pytest.raises(NotImplementedError, match="not known"):
        scriptmode.script(takes_instance)(X, Counted(torch.neg))


@functools.singledispatch
def kind(x):
    return "other"


class Base:
    pass


class Below(Base):
    pass


@kind.register
def _(x: Base):
    return "base"


@kind.register(int)
@kind.register(float)
def _(x):
    return "number"


@kind.register
def _(x: torch.Tensor, scale: float = 2.0):
    return f"tensor {scale}"


def dispatches(n: int):
    objects = [Base(), Below()]
    either = 1 if n > 2 else "text"
    return (
        [kind(o) for o in objects], kind(n), kind(1.5), kind(True), kind("a"), kind([1]), kind(None),
        kind(either), kind(torch.ones(1), scale=3.0), kind(torch.ones(1)),
    )  # fmt: skip


class Shape:
    def __init__(self, size: int):
        self.size = size

    def __hash__(self):
        return self.size

    def __eq__(self, other):
        return self.size == other.size

    @functools.singledispatchmethod
    def add(self, x):
        return "unknown"

    @add.register
    def _(self, x: int):
        return x + self.size

    @add.register
    def _(self, x: str):
        return x * self.size

    def times(self, by: int, plus: int = 0):
        return self.size * by + plus

    double = functools.partialmethod(times, 2, plus=1)

    @functools.lru_cache(maxsize=None)
    def power(self, n: int):
        return self.size**n


def methods(n: int):
    shape = Shape(n)
    powers = shape.power(2) + shape.power(2) + shape.power(3)
    return shape.add(1), shape.add("a"), shape.add(1.5), shape.double(), powers


def registers_later(n: int):
    return LATER(n), LATER("a")


@functools.singledispatch
def LATER(x):
    return "other"


def test_single_dispatch():
    check(dispatches, (1,), (3,))
    compiled = scriptmode.script(registers_later)
    assert compiled(1) == ("other", "other")
    LATER.register(int, lambda x: "int")
    assert compiled(1) == ("int", "other")
    LATER.register(int, lambda x: "again")
    assert compiled(1) == ("again", "other")


def test_methods_made_by_functools():
    check(methods, (2,))
    for n in (3, 4):
        same(methods(n), scriptmode.script(methods)(n))


class Cached(nn.Module):
    def __init__(self):
        super().__init__()
        self.computed = 0

    @functools.cached_property
    def factor(self):
        self.computed += 1
        return self.computed * 3

    def forward(self, x):
        return x * self.factor + self.factor, self.computed


def test_cached_properties_of_modules():
    check(Cached(), (X,))
    eager = Cached()
    assert eager.factor == 3
    same(eager(X), scriptmode.script(eager)(X))
