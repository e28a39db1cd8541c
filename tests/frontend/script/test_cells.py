"""Variables that closures share: nonlocal, late binding, recursion of nested functions."""

from __future__ import annotations

import pytest

import scriptmode
from scriptmode.support.diagnostics import ScriptSyntaxError
from tests.fourway import check

# ruff: noqa: E731, B023


def test_counters_keep_their_own_state() -> None:
    def f(n: int):
        def counter():
            count = 0

            def more():
                nonlocal count
                count += 1
                return count

            return more

        c = counter()
        d = counter()
        for i in range(n):
            c()
        return c(), d()

    check(f, (3,))


def test_closures_in_a_list_share_the_loop_variable() -> None:
    def f(n: int):
        fs = []
        for i in range(n):
            fs.append(lambda: i)
        return [f() for f in fs]

    check(f, (0,), (3,))


def test_a_nested_function_adds_to_an_outer_variable() -> None:
    def f(n: int):
        total = 0

        def add(x: int):
            nonlocal total
            total += x

        for i in range(n):
            add(i)
        return total

    check(f, (4,))


def test_a_returned_closure_sees_a_later_assignment() -> None:
    def f(n: int):
        def deco(f):
            return lambda x: f(x)

        k = 1
        g = deco(lambda x: x + k)
        k = 5
        return g(n)

    check(f, (1,))


def test_defaults_keep_the_value_of_the_iteration() -> None:
    def f(n: int):
        fs = [(lambda x, i=i: x + i) for i in range(n)]
        return [f(10) for f in fs]

    check(f, (3,))


def test_an_outer_optional_is_narrowed_and_assigned() -> None:
    def f(n: int):
        best = None

        def visit(k: int):
            nonlocal best
            if best is None or k > best:
                best = k

        for i in [3, 1, n, 2]:
            visit(i)
        if best is not None:
            return best + 1
        return -1

    check(f, (9,), (0,))


def test_a_recursive_closure_fills_an_outer_list() -> None:
    def f(n: int):
        result = []

        def visit(k: int):
            if k > 0:
                result.append(k)
                visit(k - 1)

        visit(n)
        return result

    check(f, (0,), (4,))


def test_nested_functions_call_each_other() -> None:
    def f(n: int):
        def even(k: int) -> bool:
            return True if k == 0 else odd(k - 1)

        def odd(k: int) -> bool:
            return False if k == 0 else even(k - 1)

        return even(n), odd(n)

    check(f, (0,), (5,))


def test_a_variable_that_is_bound_after_the_function() -> None:
    def f(n: int):
        def g():
            return x

        if n > 2:
            x = 3
        return g()

    check(f, (1,), (3,))


def test_a_closure_reads_the_variable_of_now() -> None:
    def f(n: int):
        x = n

        def g():
            return x * 2

        a = g()
        x = 10
        return a, g()

    check(f, (3,))


def test_a_closure_passed_to_map_writes_outer_variables() -> None:
    def f(n: int):
        state = {"a": 0}
        acc = 0.0

        def step(v):
            nonlocal acc
            acc = acc + v
            state["a"] += 1
            return acc

        xs = list(map(step, [1.0, 2.0, 3.5]))
        return xs, acc, state

    check(f, (3,))


def test_a_lambda_calls_itself_by_the_variables_name() -> None:
    def f(n: int):
        fact = lambda k: 1 if k <= 1 else k * fact(k - 1)
        return fact(n)

    check(f, (5,))


def test_nonlocal_reaches_through_two_functions() -> None:
    def f(n: int):
        def outer():
            v = n

            def mid():
                def inner():
                    nonlocal v
                    v += 1

                inner()
                inner()

            mid()
            return v

        return outer()

    check(f, (5,))


def test_a_memo_of_a_recursive_closure_gets_its_types_from_its_use() -> None:
    def f(n: int):
        memo = {}

        def fib(k: int) -> int:
            if k in memo:
                return memo[k]
            r = k if k < 2 else fib(k - 1) + fib(k - 2)
            memo[k] = r
            return r

        return fib(n)

    check(f, (50,))


def test_a_closure_that_keeps_a_comprehensions_variable_is_refused() -> None:
    def f(n: int):
        functions = [lambda x: x + i for i in range(n)]
        return [g(1) for g in functions]

    with pytest.raises(ScriptSyntaxError, match="comprehension's `i`"):
        scriptmode.script(f)
