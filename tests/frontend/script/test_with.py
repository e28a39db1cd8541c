"""``with`` in all its forms, four ways: order of events, exceptions, torch's modes afterwards."""

from __future__ import annotations

import contextlib

import pytest
import torch

import scriptmode
from tests.exceptions_alike import check_alike
from tests.fourway import check
from tests.programs import context_functions, contexts, managers


@pytest.mark.parametrize("case", contexts.CASES, ids=lambda case: case[0].__name__)
def test_a_with_does_what_it_does_in_python(case):
    check_alike(*case)
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("case", context_functions.CASES, ids=lambda case: case[0].__name__)
def test_a_context_manager_function_does_what_it_does_in_python(case):
    check_alike(*case)
    assert torch.is_grad_enabled()


def test_a_method_that_is_a_context_manager():
    class Deep(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.depth = 0

        @contextlib.contextmanager
        def deeper(self, by: int):
            before = self.depth
            self.depth += by
            try:
                yield self.depth
            finally:
                self.depth = before

        def forward(self, x):
            with self.deeper(2) as depth:
                x = x * depth + self.depth
            return x + self.depth

    check(Deep(), (torch.ones(2),))


@contextlib.contextmanager
def delegates():
    yield from range(3)


def test_a_context_manager_that_delegates():
    def f(n: int):
        with delegates() as k:
            return k + n

    check(f, (1,))


@pytest.mark.parametrize("case", managers.CASES, ids=lambda case: case[0].__name__)
def test_managers_of_contextlib_do_what_they_do_in_python(case):
    check(*case)


def test_output_is_not_redirected_inside():
    def f(n: int):
        with contextlib.redirect_stdout(None):
            print(n)

    with pytest.raises(scriptmode.CompileError, match="redirected"):
        scriptmode.script(f)


def test_a_generator_suspended_under_a_mode():
    def f(n: int):
        def items():
            with torch.no_grad():
                yield n
                yield n + 1

        inside = [torch.is_grad_enabled() for _ in items()]
        for _ in items():
            break
        return inside, torch.is_grad_enabled()

    check(f, (1,))
    assert torch.is_grad_enabled()
