"""Functions that are left to Python; types as values; corners of numbers and exceptions."""

from __future__ import annotations

from typing import Any, List, Union

import pytest
import torch

import scriptmode


@scriptmode.ignore
def commented(n):
    # type: (int) -> List[int]
    return [n]


@scriptmode.ignore
def wrong(n: int) -> int:
    return "text"  # type: ignore[return-value]


@scriptmode.ignore
def unannotated(n: int):
    return {"n": n}


def test_a_type_comment_says_what_an_ignored_function_gives() -> None:
    def f(n: int):
        return commented(n)[0] + 1

    assert scriptmode.script(f)(3) == 4


def test_a_result_that_nothing_uses_may_be_anything() -> None:
    def f(n: int):
        unannotated(n)
        wrong(n)
        return n

    assert scriptmode.script(f)(3) == 3


def test_a_result_of_another_type_is_a_runtime_error_and_a_type_error() -> None:
    def f(n: int):
        return wrong(n)

    for family in (RuntimeError, TypeError):
        with pytest.raises(family, match="'text' where int is expected"):
            scriptmode.script(f)(3)


def test_isinstance_of_the_package_needs_what_a_container_contains() -> None:
    def bare(x: Any):
        return scriptmode.isinstance(x, List)

    def listed(x: Any):
        return scriptmode.isinstance(x, [int, str])

    for function in (bare, listed):
        with pytest.raises(RuntimeError):
            scriptmode.script(function)
        with pytest.raises(RuntimeError):
            function([1])


def test_unions_of_classes_are_values() -> None:
    def f(x: Union[int, str, None, List[int]]):
        return isinstance(x, int | None), scriptmode.isinstance(x, int | List[int])

    for value in (1, "a", None, [1]):
        assert scriptmode.script(f)(value) == f(value)


def test_annotations_that_are_no_types_are_value_errors_too() -> None:
    def f(x: "Missing"):  # type: ignore[name-defined]  # noqa: F821
        return x

    with pytest.raises(ValueError, match="Missing"):
        scriptmode.script(f)


def test_powers_of_numbers_of_unknown_type_are_of_any_type() -> None:
    def f(x, y):
        a = x.item() ** y.item()
        return a, pow(x.item(), y.item()), 2 ** y.item(), x.item() ** 2

    for base in (2, -2, 0.5, -0.5, True):
        for exponent in (3, -3, 0.5):
            inputs = torch.tensor(base), torch.tensor(exponent)
            assert repr(scriptmode.script(f)(*inputs)) == repr(f(*inputs))
