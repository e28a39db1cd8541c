"""Classes of named tuples that a function makes, buffers that it registers again."""

from __future__ import annotations

import collections
import typing
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests.fourway import check


def named_inside(n: int, x: Tensor):
    Pair = collections.namedtuple("Pair", ["first", "second"], defaults=[2.5])
    Place = collections.namedtuple("Place", "x y")
    Row = typing.NamedTuple("Row", [("size", int), ("tensor", Tensor)])
    pair, row = Pair(n), Row(n + 1, x)
    place = Place(y=x, x=n)
    first, second = pair._replace(first=3)
    return first, second, pair.first, place.y * place.x, row.tensor + row.size, repr(pair), len(row)


def test_a_named_tuple_that_the_function_makes():
    check(named_inside, (4, torch.ones(2)))


def bad_field(n: int):
    return collections.namedtuple("Pair", ["first", "class"])(n, n)


def test_a_name_that_is_no_field():
    check(bad_field, (1,))


def unknown_fields(name: str):
    return collections.namedtuple("One", [name])(1)


def test_fields_known_at_run_time_only_are_refused():
    with pytest.raises(scriptmode.CompileError, match="SM0103"):
        scriptmode.script(unknown_fields)


class Result(NamedTuple):
    value: Tensor
    calls: Tensor


class Registers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("cache", torch.zeros(2))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Result:
        before = self.cache
        self.register_buffer("cache", x * 2)
        self.register_buffer("scratch", x.sum(), persistent=False)
        return Result(self.cache + before, self.scratch)


def test_a_buffer_is_registered_again():
    check(Registers(), (torch.ones(2),))


class Taken(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor):
        self.register_buffer("weight", x)
        return x


def test_a_parameter_is_no_buffer():
    check(Taken(), (torch.ones(2),))
