"""Ops of other libraries whose kernels are Python, or which libtorch's interfaces cannot call."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.fourway import check

X = torch.linspace(-1, 1, 6).reshape(2, 3)


class OwnError(Exception):
    pass


@pytest.fixture(scope="module")
def library():
    lib = torch.library.Library("sm_tests", "FRAGMENT")
    for schema, kernel in (
        ("scale(Tensor x, Scalar n) -> Tensor", lambda x, n: x * n),
        ("pair(Tensor x) -> (Tensor, int)", lambda x: (x + 1, 3)),
        (
            "named(Tensor x, str s, int[] l, *, float? f=None) -> Tensor",
            lambda x, s, l, f=None: x + len(s) + sum(l) + (f or 0.0),
        ),
        ("fails(Tensor x) -> Tensor", _fails),
    ):
        lib.define(schema)
        lib.impl(schema.partition("(")[0], kernel, "CompositeExplicitAutograd")
    yield lib
    lib._destroy()


def _fails(x):
    raise OwnError("mine", 3)


def test_numbers_and_several_results_cross(library):
    class M(nn.Module):
        def forward(self, x, k: int):
            y = torch.ops.sm_tests.scale(x, 2) + torch.ops.sm_tests.scale(x, 2.5)
            z, n = torch.ops.sm_tests.pair(x)
            w = torch.ops.sm_tests.named(y, "ab", [1, k], f=0.5)
            return w + z + torch.ops.sm_tests.scale(x, k), n

    check(M(), (X, 3))


def test_exceptions_of_python_kernels_arrive_as_themselves(library):
    def f(x, n: int):
        if n:
            return torch.ops.sm_tests.fails(x)
        return x

    compiled = check(f, (X, 1), (X, 0))
    with pytest.raises(OwnError) as info:
        compiled(X, 1)
    assert info.value.args == ("mine", 3)


def test_ops_defined_by_functions_may_change_their_arguments():
    @torch.library.custom_op("sm_tests_2::foo", mutates_args=())
    def foo(x: Tensor, n: int, s: float = 2.0) -> Tensor:
        return x * n * s

    @torch.library.custom_op("sm_tests_2::bump", mutates_args=("x",))
    def bump(x: Tensor) -> None:
        x.add_(1)

    def f(x):
        bump(x)
        torch.ops.sm_tests_2.bump(x)
        return torch.ops.sm_tests_2.foo(x, 3) + foo(x, 2, s=1.0)

    check(f, (X,))
