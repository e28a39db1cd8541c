"""Interfaces and protocols: classes whose methods say only how others are called."""

from __future__ import annotations

from typing import List, Optional, Protocol

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.fourway import check, same


@scriptmode.interface
class Scaled:
    def scale(self, x: Tensor) -> Tensor:
        """A signature may have a docstring."""

    def times(self, n: int) -> int:
        pass


class Twice:
    def scale(self, x: Tensor) -> Tensor:
        return x * 2

    def times(self, n: int) -> int:
        return n * 2


class By:
    def __init__(self, k: int):
        self.k = k

    def scale(self, x: Tensor) -> Tensor:
        return x * self.k

    def times(self, n: int) -> int:
        return n * self.k


class Named(Protocol):
    name: str

    def size(self) -> int: ...

    def twice(self) -> int:
        return self.size() * 2


class Derived(Named):
    def __init__(self):
        self.name = "derived"

    def size(self) -> int:
        return 1


class Alike:
    def __init__(self):
        self.name = "alike"

    def size(self) -> int:
        return 2

    def twice(self) -> int:
        return -1


class HasSum(Protocol):
    def sum(self) -> Tensor: ...


def uses(s: Scaled, x: Tensor, n: int):
    return s.scale(x), s.times(n) + 1


def names(x: Named) -> str:
    return x.name * x.size() + str(x.twice())


@pytest.mark.parametrize("make", [Twice, lambda: By(3)])
def test_entries_take_whatever_implements_an_interface(make):
    compiled = scriptmode.script(uses)
    same(uses(make(), torch.ones(2), 4), compiled(make(), torch.ones(2), 4))


@pytest.mark.parametrize("make", [Derived, Alike])
def test_entries_take_whatever_implements_a_protocol(make):
    assert scriptmode.script(names)(make()) == names(make())


def test_a_protocol_may_be_implemented_by_tensors():
    def f(x: HasSum):
        return x.sum() + 1

    same(f(torch.ones(3)), scriptmode.script(f)(torch.ones(3)))


def test_variables_and_lists_of_interfaces():
    def f(x: Tensor, n: int):
        both: List[Scaled] = [Twice(), By(n)]
        one: Optional[Scaled] = None
        if n > 3:
            one = By(5)
        more: List[Named] = [Derived(), Alike()]
        total = sum([s.times(n) for s in both]) if one is None else one.times(n)
        return total, uses(both[1], x, n), [names(m) for m in more]

    check(f, (torch.ones(2), 2), (torch.ones(2), 5))
