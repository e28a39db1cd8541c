"""``with`` in all its forms, four ways: order of events, exceptions, torch's modes afterwards."""

from __future__ import annotations

import contextlib

import pytest
import torch

import scriptmode
from tests.exceptions_alike import check_alike
from tests.fourway import check
from tests.programs import context_functions, contexts


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


def test_a_context_manager_that_delegates_is_refused():
    def f(n: int):
        with delegates() as k:
            return k + n

    with pytest.raises(scriptmode.CompileError, match="yield from"):
        scriptmode.script(f)


def test_a_context_manager_chosen_at_run_time_is_refused():
    def f(n: int):
        log: list[str] = []
        first, second = context_functions.logged(log, "a"), context_functions.logged(log, "b")
        with first if n > 1 else second:
            log.append("x")
        return log

    with pytest.raises(scriptmode.CompileError, match="chosen at run time"):
        scriptmode.script(f)


def test_a_generator_that_is_left_inside_a_with_is_refused():
    def f(n: int):
        def items():
            with torch.no_grad():
                yield n

        return list(items())

    with pytest.raises(scriptmode.CompileError, match="yield"):
        scriptmode.script(f)
