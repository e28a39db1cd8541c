"""Class statements inside compiled functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import List

import pytest
import torch

import scriptmode
from tests.fourway import check

OFFSET = 10


def test_a_class_inside_a_function():
    def f(n: int):
        class Box:
            kind = "box"

            def __init__(self, value):
                self.value = value

            def twice(self):
                return Box(self.value * 2 + OFFSET)

        class Big(Box):
            def twice(self):
                return Box(super().twice().value * 100)

        boxes = [Box(n), Big(n)]
        return [b.twice().value for b in boxes], Box.kind, Box(n).twice().value

    check(f, (3,), (4,))


def test_a_class_reads_constants_of_the_function_around():
    def f(n: int):
        scale = 3

        class Scaled:
            factor = scale * 2

            def of(self, x):
                return x * scale + self.factor

        return Scaled().of(n)

    check(f, (3,))


def test_dataclasses_and_enums_inside_functions():
    def f(n: int):
        @dataclass
        class Pair:
            a: int
            b: int = 5

        class Color(Enum):
            RED = 1
            BLUE = 2

        p = Pair(n)
        return p.a + p.b, p == Pair(n, 5), Color.RED.value, Color.BLUE.name

    check(f, (3,))


def test_a_class_that_reads_a_variable_known_at_run_time_is_refused():
    def f(n: int):
        class Box:
            def value(self):
                return n

        return Box().value()

    with pytest.raises(scriptmode.CompileError, match="pass `n` to its __init__"):
        scriptmode.script(f)


def test_each_class_has_variables_of_its_own():
    def made(n: int):
        class Made:
            total = 0
            order: List[int] = []

            def add(self, k: int) -> int:
                Made.total += k
                self.order.append(k)
                return Made.total

        return Made()

    def f(n: int):
        class Base:
            count = 0
            scale = torch.ones(2) * 2
            functions = [torch.sin, torch.cos]  # noqa: RUF012

            @classmethod
            def make(cls):
                cls.count += 1
                return cls()

        class Other(Base):
            count = 10

        Base.make()
        Other.make()
        one = made(n)
        found = [one.add(1), one.add(n)]
        for _ in range(2):

            class Inner:
                hits = 0

                def hit(self) -> int:
                    Inner.hits += 1
                    return Inner.hits

            found += [Inner().hit(), Inner().hit()]
        return Base.count, Other.count, found, made(n).add(5), Base.functions[0](Base.scale)

    check(f, (3,))
