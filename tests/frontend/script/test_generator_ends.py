"""Generators that are left early, sent values, or given errors: what runs, and when."""

from __future__ import annotations

from itertools import islice
from typing import Iterator, List

import pytest

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check
from tests.programs import coroutines, generator_ends


@pytest.mark.parametrize(
    "case", [*generator_ends.CASES, *coroutines.CASES], ids=lambda case: case[0].__name__
)
def test_generators_are_those_of_python(case):
    check(*case)


class Holder:
    def __init__(self, items: Iterator[int]) -> None:
        self.items = items


def guarded(log: List[str]):
    try:
        yield 1
        yield 2
    finally:
        log.append("end")


def in_a_list(n: int):
    log: List[str] = []
    return [next(g) for g in [guarded(log) for _ in range(n)]], log


def in_an_attribute(n: int):
    log: List[str] = []
    holder = Holder(guarded(log))
    return next(holder.items), log


def chosen(n: int):
    log: List[str] = []
    g = guarded(log) if n > 0 else guarded(log)
    return next(g), log


def second_name(n: int):
    log: List[str] = []
    a = guarded(log)
    b = a
    return next(b), log


def returned_with_what_it_holds(n: int):
    log: List[str] = []

    def make():
        return islice(guarded(log), 2)

    return next(make()), log


def returned_inside(n: int):
    log: List[str] = []

    def make():
        return enumerate(guarded(log), n)

    return next(make()), log


def passed_on(n: int):
    log: List[str] = []

    def same(g):
        return g

    return next(same(guarded(log))), log


@pytest.mark.parametrize(
    "function",
    [
        in_a_list,
        in_an_attribute,
        chosen,
        second_name,
        returned_with_what_it_holds,
        returned_inside,
        passed_on,
    ],
)
def test_where_the_end_of_a_generator_is_not_known_it_is_refused(function) -> None:
    with pytest.raises(CompileError, match="a generator with `yield` inside `try` or `with`"):
        scriptmode.script(function)
