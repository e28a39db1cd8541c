"""Errors name the code, the place and the way out; nothing fails with an internal error."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Optional

import pytest
import torch
from torch import Tensor

from scriptmode.frontend.script import compile_function
from scriptmode.support.diagnostics import CompileError, InternalError, ScriptTypeError
from tests.frontend.script.helpers import check, compiled

X = torch.ones(3)


class Colour(Enum):
    RED = 1
    GREEN = "g"


class Pair(NamedTuple):
    a: int
    b: Tensor

    def total(self, k: int):
        return self.a * k + self.b


def wrong(function: Any, text: str, error: type[Exception] = CompileError) -> CompileError:
    with pytest.raises(error, match=text) as caught:
        compile_function(function)
    assert isinstance(caught.value, CompileError)
    assert not isinstance(caught.value, InternalError)
    assert caught.value.span is not None and caught.value.span.line > 0
    return caught.value


def deep(x: Tensor) -> Tensor:
    return x.missing()


def deeper(x: Tensor) -> Tensor:
    return deep(x) + 1


def test_an_error_in_a_deep_call_shows_the_chain_of_callers() -> None:
    def f(x: Tensor):
        return deeper(x)

    found = wrong(f, "missing", AttributeError)
    assert [site.function.rpartition(".")[2] for site in found.diagnostics[0].chain] == [
        "f",
        "deeper",
    ]
    assert "return x.missing()" in str(found) and "return deep(x) + 1" in str(found)


def test_operations_on_wrong_types() -> None:
    def add(n: int, s: str):
        return n + s

    def call(n: int):
        return n(1)

    def index(d: dict[str, int]):
        return d[1]

    def iterate(n: int):
        for i in n:
            pass

    def append(xs: list[int]):
        xs.append("a")

    def optional(x: Optional[int]):
        return x + 1

    def attribute(x: Optional[Tensor]):
        return x.shape

    def order(a: complex):
        return a < a

    for function, text in (
        (add, "`\\+` is not defined for int and str"), (call, "cannot be called"),
        (index, "the key must be str"), (iterate, "cannot be iterated"),
        (append, "str does not fit into a List\\[int\\]"), (optional, "may be None"),
        (attribute, "may be None"), (order, "complex"),
    ):  # fmt: skip
        wrong(function, text)


def test_wrong_argument_lists() -> None:
    def g(a, b=1, *, c=2):
        return a

    def missing(x: Tensor):
        return g()

    def many(x: Tensor):
        return g(x, 1, 2)

    def twice(x: Tensor):
        return g(x, a=x)

    def unknown(x: Tensor):
        return g(x, d=1)

    for function, text in (
        (missing, "missing 1 required positional argument: 'a'"), (many, "takes from 1 to 2 pos"),
        (twice, "multiple values"), (unknown, "unexpected keyword"),
    ):  # fmt: skip
        wrong(function, text, TypeError)


def test_constructs_outside_the_language() -> None:
    def generator(n: int):
        yield n

    wrong(generator, "generator cannot be returned to Python", TypeError)

    async def later(n: int):
        return n

    wrong(later, "async", SyntaxError)


def test_names_and_annotations() -> None:
    def unknown(x: Tensor):
        return undefined + x  # noqa: F821

    def early(x: Tensor):
        y = z  # noqa: F821
        z = x  # noqa: F841
        return y

    def bad(x: "NoSuchType"):  # noqa: F821
        return x

    wrong(unknown, "`undefined` is not defined", NameError)
    wrong(early, "used before it is assigned", NameError)
    assert wrong(bad, "NoSuchType", TypeError).span.column > 0


def test_functions_without_source() -> None:
    scope: dict[str, Any] = {}
    exec("def f(x):\n    return x", scope)
    with pytest.raises(CompileError, match="no source text"):
        compile_function(scope["f"])
    with pytest.raises(CompileError, match="not a Python function"):
        compile_function(len)


def test_integers_outside_64_bits_are_refused() -> None:
    def f(n: int):
        return n + 2**70

    wrong(f, "does not fit into 64 bits")


def test_enums_and_named_tuples_have_their_members() -> None:
    def f(c: Colour, p: Pair, n: int):
        d = Colour.RED if n > 0 else Colour.GREEN
        q = p._replace(a=n)
        return (
            c is Colour.RED, d == Colour.GREEN, d, d.name, d.value, c.name, [m.name for m in Colour],
            q, q.total(2), q._asdict()["a"], Colour("g"), isinstance(d, Colour),
        )  # fmt: skip

    check(f, (Colour.RED, Pair(1, X), 1), (Colour.GREEN, Pair(1, X), 0))


def test_is_between_numbers_is_refused() -> None:
    def f(a: int, b: int):
        return a is b

    wrong(f, "no fixed meaning")


def test_refinement_by_conditions() -> None:
    def f(a: Optional[int], b: Optional[Tensor], s: Optional[str]):
        out = 0
        if a is not None and a > 1 and b is not None:
            out = a + int(b.sum())
        if not (a is None or s is None):
            out += a + len(s)
        has = b is not None
        if has:
            out += int(b.sum())
        if s:
            out += len(s)
        c = a if a is not None else 7
        d = a or 3
        if b is None:
            return out, c, d
        assert s is not None, "no s"
        while a is not None:
            out += a
            a = None if a > 5 else a + 3
        return out, c, d, b.sum(), s.upper()

    check(
        f, (None, None, None), (2, X, "ab"), (0, X, ""), (2, None, "x"), (None, X, None),
    )  # fmt: skip


def test_programs_of_wrong_arguments_still_verify() -> None:
    def f(x: Tensor, n: int):
        a, b = (1, 2, n)
        return a + b

    check(f, (X, 3))
    compiled(f)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: [1, 2].index(),
        lambda x: [x].append(x, x),
        lambda x: {"a": 1}.get(),
        lambda x: {"a": 1}.pop(),
        lambda x: dict.fromkeys(),
        lambda x: "abc".find(),
        lambda x: "abc".split(nothing=1),
        lambda x: len(),
        lambda x: max(),
        lambda x: list(map()),
        lambda x: list(filter(None)),
        lambda x: slice(),
        lambda x: super(x),
        lambda x: abs(x, x),
    ],
)
def test_calls_of_builtins_that_python_refuses_are_refused(wrong):
    with pytest.raises(ScriptTypeError):
        compile_function(wrong)
