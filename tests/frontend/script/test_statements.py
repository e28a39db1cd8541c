"""Statements: assignment, branches, loops, returns, exceptions."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from scriptmode.support.diagnostics import CompileError
from tests.frontend.script.helpers import check, compiled, text_of

X = torch.tensor([1.0, -2.0, 3.0])


def test_branches_join_values_of_different_types() -> None:
    def f(n: int):
        if n > 2:
            y = 1
        elif n > 1:
            y = "a"
        else:
            y = None
        return y

    check(f, (3,), (2,), (1,))


def test_early_returns_leave_from_anywhere() -> None:
    def f(x: Tensor, n: int):
        for i in range(n):
            for j in range(i):
                if i * j == 6:
                    return x * i
                if j > 3:
                    break
            else:
                x = x + 1
        return x

    check(f, (X, 0), (X, 3), (X, 9))


def test_loops_with_break_continue_and_else() -> None:
    def f(xs: list[int], limit: int):
        total = 0
        for x in xs:
            if x < 0:
                continue
            if x > limit:
                break
            total += x
        else:
            total = -total
        while total > 3:
            total -= 2
            if total == 4:
                break
        else:
            total += 100
        return total

    check(f, ([1, 2, 3], 5), ([1, -2, 3, 9, 4], 5), ([], 0), ([4, 4], 9))


def test_carried_variables_widen_until_their_types_settle() -> None:
    def f(xs: list[float]):
        last = None
        total = 0
        for x in xs:
            if last is not None and last > x:
                total = total + 1
            else:
                total = total + x
            last = x
        return total, last

    check(f, ([],), ([1.5],), ([2.5, 1.0, 3.0],))


def test_a_variable_first_bound_in_a_loop_may_be_used_after_it() -> None:
    def f(n: int):
        for i in range(n):
            y = i * 2
        return i + y

    check(f, (3,), (0,))


def test_endless_loops_bind_what_their_breaks_bind() -> None:
    def f(n: int):
        while True:
            y = n * 2
            n -= 1
            if y < 5:
                break
        return y

    def never_ends_normally(n: int):
        while True:
            n += 1
            if n > 10:
                return n

    check(f, (9,))
    check(never_ends_normally, (3,))


def test_a_list_that_grows_while_iterated_is_seen_growing() -> None:
    def f(xs: list[int]):
        for x in xs:
            if len(xs) < 6:
                xs.append(x + 1)
        return xs

    check(f, ([1, 2],))


def test_a_dict_that_changes_while_iterated_raises() -> None:
    def f(d: dict[str, int]):
        total = 0
        for key in d:
            total += d[key]
            if key == "b":
                d["new"] = 1
        return total

    check(f, ({"a": 1},), ({"a": 1, "b": 2, "c": 3},), ({"b": 2},))


def test_tuples_are_unrolled_and_still_take_break_and_continue() -> None:
    def f(n: int, x: Tensor):
        out = 0
        for v in (1, 2.5, "three", x):
            if n == 1:
                break
            if isinstance(v, str):
                continue
            if n == 2 and isinstance(v, float):
                break
            if isinstance(v, Tensor):
                out = out + int(v.sum())
            else:
                out = out + v
        return out

    check(f, (0, X), (1, X), (2, X))


def test_iterating_ranges_enumerations_and_zips() -> None:
    def f(xs: list[int], ys: list[str], a: int, b: int, c: int):
        out = [0]
        for i, (x, y) in enumerate(zip(xs, ys), 1):
            out.append(i * x + len(y))
        for i in range(a, b, c):
            out.append(i)
        for i in range(10, 0, -3):
            out.append(i)
        for x in reversed(xs):
            out.append(x)
        for i, x in enumerate(reversed(range(a))):
            out.append(i * x)
        return out

    check(f, ([1, 2, 3], ["a", "bb"], 1, 9, 2), ([], [], 9, 1, -4), ([1], ["x"], 0, 5, 0))


def test_zip_strict_raises_when_lengths_differ() -> None:
    def f(xs: list[int], ys: list[int]):
        return [x * y for x, y in zip(xs, ys, strict=True)]

    check(f, ([1, 2], [3, 4]), ([1], [1, 2]), ([1, 2], [1]))


def test_iterating_a_tensor_a_str_and_a_dict() -> None:
    def f(x: Tensor, s: str, d: dict[str, int]):
        rows = [row.sum() for row in x]
        text = ""
        for c in s:
            text = c + text
        total = 0
        for k, v in d.items():
            total += v * len(k)
        return rows, text, total, [v for v in d.values()]

    check(f, (torch.ones(2, 3), "abcé", {"a": 1, "bb": 2}))


def test_unpacking_of_every_form() -> None:
    def f(x: Tensor, xs: list[int], t: tuple[int, tuple[str, float]]):
        a, (b, c) = t
        p, *q = xs
        *r, s = xs
        h, w = x.shape
        m = n = xs
        i, j = 1, 2
        i, j = j, i
        return a, b, c, p, q, r, s, h, w, m is n, i, j

    check(f, (torch.ones(2, 3), [1, 2, 3], (1, ("a", 2.5))), (torch.ones(2), [1], (1, ("a", 2.5))))


def test_augmented_assignment_changes_in_place_what_python_changes() -> None:
    def f(x: Tensor, xs: list[int], n: int):
        y = x
        y += 1
        zs = xs
        zs += [n]
        xs[0] *= 3
        x[0] -= 5
        n //= 2
        n **= 2
        n <<= 1
        return y is x, zs is xs, n

    check(f, (X, [1, 2], 7))


def test_item_and_slice_assignment_and_deletion() -> None:
    def f(xs: list[int], d: dict[str, int], x: Tensor):
        xs[1:3] = [9]
        xs[-1] = 4
        del xs[0]
        del d["a"]
        d["z"] = 3
        x[0] = 7
        x[1:] = 0
        return xs, d, x

    check(f, ([1, 2, 3, 4, 5], {"a": 1, "b": 2}, X), ([1], {}, X))


def test_assertions_and_exceptions_reach_python_as_themselves() -> None:
    class Custom(ValueError):
        pass

    def f(n: int):
        assert n != 1, f"n is {n}"
        assert n != 2
        if n == 3:
            raise Custom("three")
        if n == 4:
            raise KeyError
        if n == 5:
            raise ValueError(n)
        return 10 // n

    check(f, (0,), (1,), (2,), (3,), (4,), (5,), (6,))


def test_statements_after_an_exit_are_not_compiled() -> None:
    def f(x: Tensor):
        return x
        unknown(x)  # noqa: F821

    check(f, (X,))


def test_a_branch_known_at_compile_time_is_not_compiled() -> None:
    def f(x: Tensor, flag: bool = True):
        if not torch.jit.is_scripting():
            yield_ = unknown_name  # noqa: F821, F841
            try:
                pass
            finally:
                pass
        y = None
        if y is None:
            return x
        return y.foo

    program = compiled(f)
    assert "prim::If" not in text_of(program)


def test_unbound_variables_are_errors() -> None:
    def f(n: int):
        if n > 0:
            y = 1
        return y

    with pytest.raises(CompileError, match=r"SM0207.*`y` may be unbound") as caught:
        compiled(f)
    assert caught.value.span is not None and "return y" in str(caught.value)
    assert isinstance(caught.value, NameError)


def test_type_comments_and_annotations_type_empty_displays() -> None:
    def f(n: int):
        a: list[int] = []
        b = []  # type: list[str]
        c: dict[str, list[int]] = {}
        return a, b, c, len(a)

    check(f, (1,))


def test_element_types_of_empty_displays_come_from_their_uses() -> None:
    def f(n: int, x: Tensor):
        a = []
        b = {}
        c = []
        d = [None] * n
        for i in range(n):
            a.append(i * 0.5)
            b[str(i)] = [i]
            c += [x]
            d[i] = i
        e = []
        e.append([])
        e[0].append(1)
        return a, b, c, d, e

    check(f, (0, X), (3, X))


def test_elements_of_several_types_make_unions() -> None:
    def f(x: Tensor):
        a = [1]
        a.append(2.5)
        a[0] = "x"
        b = [x, None, x]
        return a, b, [1, "a", None]

    check(f, (X,))


def test_with_no_grad_restores_the_mode_on_every_way_out() -> None:
    def f(x: Tensor, n: int):
        for _ in range(n):
            with torch.no_grad():
                if n == 1:
                    return x * 2, torch.is_grad_enabled()
                if n == 2:
                    break
                y = x * 3
            x = x * y
        with torch.no_grad(), torch.enable_grad():
            z = x * 2
        return z, torch.is_grad_enabled()

    x = X.clone().requires_grad_()
    check(f, (x, 0), (x, 1), (x, 2), (x, 3))


def test_print_and_warn(capsys: pytest.CaptureFixture[str]) -> None:
    def f(n: int):
        print("n", n, 1.5, None, sep="-", end="!\n")
        warnings.warn("careful")
        return n

    program = compiled(f)
    from scriptmode.interp import Interpreter

    with pytest.warns(UserWarning, match="careful"):
        Interpreter(program).run_root(3)
    assert capsys.readouterr().out == "n-3-1.5-None!\n"


def test_walrus_and_conditional_expressions() -> None:
    def f(n: int, x: Tensor):
        if (m := n * 2) > 4:
            return m
        y = m if n > 1 else 0.5
        while (n := n + 1) < 7:
            pass
        return y, n, [k for i in range(3) if (k := i * m) > 1]

    check(f, (0, X), (2, X), (4, X))


def test_imports_inside_functions() -> None:
    def f(a: float):
        import math as m
        from math import sqrt

        return m.floor(a) + sqrt(4.0)

    check(f, (2.5,))


def test_deleting_a_variable_makes_it_unbound() -> None:
    def f(n: int):
        y = n
        del y
        return y  # noqa: F821

    with pytest.raises(CompileError, match="SM0207"):
        compiled(f)
