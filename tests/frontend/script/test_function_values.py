"""Functions as values: stored, chosen at run time, returned with what they close over."""

from __future__ import annotations

import functools
import operator
from typing import Any

import pytest
import torch
from torch import Tensor

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check


def add(a: int, b: int) -> int:
    return a + b


def mul(a: int, b: int) -> int:
    return a * b


OPERATIONS = {"add": add, "mul": mul}


def test_closures_are_returned_with_what_they_close_over() -> None:
    def f(n: int):
        def make(k):
            def inner(x):
                return x + k

            return inner

        f, g = make(n), make(2 * n)
        return f(1) * 100 + g(1)

    check(f, (3,))


def test_functions_of_a_list_are_chosen_by_a_variable_index() -> None:
    def f(n: int):
        functions = [lambda x: x + 1, lambda x: x * n, abs]
        return functions[n % 3](-7), functions[-1 - n % 3](-9)

    check(f, (3,), (4,), (5,))


def test_functions_are_appended_to_a_list_and_called() -> None:
    def f(n: int):
        steps = []
        for i in range(n):
            if i % 2 == 0:
                steps.append(lambda x: x + n)
            else:
                steps.append(lambda x: x * 2)
        result = 1
        for step in steps:
            result = step(result)
        return result

    check(f, (0,), (5,))


def test_a_list_of_functions_can_be_changed() -> None:
    def f(n: int):
        steps = [abs]
        steps.append(lambda x: x * n)
        steps[0] = lambda x: x - 1
        table = {"a": add}
        table["m"] = mul
        del table["a"]
        return [s(-3) for s in steps], table["m"](n, n), len(table)

    check(f, (4,))


def test_functions_of_a_dict_are_chosen_by_a_variable_key() -> None:
    def f(name: str, a: int, b: int):
        return OPERATIONS[name](a, b)

    check(f, ("add", 2, 3), ("mul", 2, 3), ("pow", 2, 3))


def test_a_branch_chooses_a_function() -> None:
    def f(n: int):
        g = add if n > 2 else mul
        h = None
        if n > 3:
            h = g
        return g(3, n), h(n, n) if h is not None else -1

    check(f, (1,), (3,), (5,))


def test_functions_are_composed_in_a_loop() -> None:
    def f(n: int):
        def compose(f, g):
            return lambda x: f(g(x))

        f = lambda x: x + 1  # noqa: E731
        for _ in range(n):
            f = compose(f, lambda x: x * 2)
        return f(1)

    check(f, (0,), (1,), (6,))


def test_partials_bound_methods_and_builtins_are_values() -> None:
    def f(n: int):
        words = ["b", "a"]
        p = functools.partial(add, n)
        functions = [p, functools.partial(p, 2), functools.partial(mul, b=n)]
        grow = words.append
        grow("c")
        pick = max if n > 2 else min
        return functions[0](3), functions[1](), functions[2](5), words, pick(words)

    check(f, (1,), (3,))


def test_tensors_and_lists_are_kept_inside_of_functions() -> None:
    def f(x: Tensor, n: int):
        scales = [x + i for i in range(n)]
        functions = [lambda v: v * scales[0], lambda v: v + x]
        seen: list[int] = []

        def note(v: int):
            seen.append(v)
            return v

        notes = [note, abs]
        for i in range(n):
            x = functions[i % 2](x)
            notes[i % 2](-i)
        return x, seen

    check(f, (torch.rand(3), 4))


def test_arms_that_take_other_arguments_raise_when_they_are_reached() -> None:
    def f(n: int):
        table = {1: lambda a: -a, 2: lambda a, b: a + b}
        if n == 1:
            return table[n](5)
        return table[n](5, n)

    check(f, (1,), (2,))


def test_operator_functions_are_values() -> None:
    def f(n: int, a: int, b: int):
        operations = [operator.add, operator.sub, operator.mul]
        return operations[n](a, b)

    check(f, (0, 7, 3), (1, 7, 3), (2, 7, 3))


def test_functions_are_passed_on_and_compared() -> None:
    def f(n: int):
        def apply_all(functions, v):
            for g in functions:
                v = g(v)
            return v

        g = add if n > 1 else mul
        same = g is add
        return apply_all([lambda x: x + n, lambda x: x * n], 3), same, g == mul

    check(f, (1,), (4,))


def test_a_function_does_not_leave_the_program() -> None:
    def f(n: int) -> Any:
        return [lambda x: x + n]

    with pytest.raises(CompileError, match="function"):
        scriptmode.script(f)(3)


def test_reduce_and_getters() -> None:
    def f(xs: list[int], pairs: list[tuple[int, str]]):
        total = functools.reduce(operator.add, xs)
        longest = functools.reduce(lambda a, b: a if len(a) > len(b) else b, ["a", "bcd", "ef"])
        by_name = operator.itemgetter(1)
        names = [by_name(p) for p in pairs]
        return total, functools.reduce(lambda a, b: a * 2 + b, xs, 1), longest, names

    check(f, ([3, 1, 2], [(1, "x"), (2, "y")]), ([], [(1, "x")]))
