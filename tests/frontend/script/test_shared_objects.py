"""Mutable defaults are one object for all calls; cached functions keep their results."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

import scriptmode
from scriptmode.interp import Interpreter
from scriptmode.support import config
from scriptmode.support.diagnostics import CompileError, NotBuiltError
from tests.fourway import check


def remember(x: int, found: list[int] = []):  # noqa: B006
    found.append(x)
    return found


def count(key: str, seen={}):  # noqa: B006
    seen[key] = seen.get(key, 0) + 1
    return seen[key]


def forget() -> None:
    remember.__defaults__[0].clear()
    count.__defaults__[0].clear()


def runs(function: Callable[..., Any]) -> list[Any]:
    """Results of three calls, and what the defaults hold then, from the start."""
    forget()
    results = [function(n) for n in (3, 4, 5)]
    return [*results, dict(count.__defaults__[0]), list(remember.__defaults__[0])]


def check_state(function: Callable[[int], Any]) -> None:
    want = runs(function)
    for level in (0, 1):
        with config.override(opt=level):
            forget()
            assert runs(scriptmode.script(function)) == want
    forget()
    program, name, _ = scriptmode.script(function).__scriptmode_ir__()
    assert runs(lambda n: Interpreter(program).run(name, n)) == want


def test_a_mutable_default_is_shared_between_calls_and_with_python() -> None:
    def f(n: int):
        a, b = remember(n), remember(n + 1)
        return len(a), len(b), b[-1], count("a"), count("b"), count("a")

    check_state(f)


def test_a_mutable_default_of_a_function_that_is_called_deep_inside() -> None:
    def f(n: int):
        def inner(v: int):
            return len(remember(v))

        return [inner(i) for i in range(n)], count("k")

    check_state(f)


def test_the_hidden_parameters_are_not_shown() -> None:
    def f(n: int):
        return len(remember(n))

    assert scriptmode.script(f).schema == "f(int n) -> int"
    forget()


@functools.lru_cache(maxsize=None)
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.cache
def ways(a: int, b: int):
    if a == 0 or b == 0:
        return 1
    return ways(a - 1, b) + ways(a, b - 1)


def test_cached_functions_do_not_compute_again() -> None:
    def f(n: int):
        return fibonacci(n), fibonacci(n + 1), ways(14, 14)

    check(f, (60,))


def test_the_cache_of_a_nested_function_is_refused() -> None:
    def f(n: int):
        @functools.cache
        def square(k: int):
            return k * k

        return square(n)

    with pytest.raises(NotBuiltError, match="nested function"):
        scriptmode.script(f)


def test_a_default_of_an_entry_that_is_changed_or_kept_is_refused() -> None:
    def appends(n: int, seen: list[int] = []):  # noqa: B006
        seen.append(n)
        return len(seen)

    def stores(n: int, table: dict[int, int] = {}):  # noqa: B006
        table[n] = n
        return len(table)

    def returns(n: int, items: list[int] = []):  # noqa: B006
        return items

    def adds(n: int, seen: set[int] = {0}):  # noqa: B006
        seen.add(n)
        return len(seen)

    def augments(n: int, *, items: list[int] = []):  # noqa: B006
        items += [n]
        return len(items)

    for function in (appends, stores, returns, adds, augments):
        with pytest.raises(CompileError, match="write None as the default and make the"):
            scriptmode.script(function)


def test_a_default_of_an_entry_that_is_read_only_is_fine() -> None:
    def f(n: int, sizes: list[int] = [1, 2, 3], names: dict[str, int] = {"a": 1}):  # noqa: B006
        return sizes[n] + len(names), sum(sizes)

    check(f, (1,), (2,), (0, [7]))
