"""check_trace names the first node that diverges, with the user's line."""

from __future__ import annotations

import random
import warnings

import pytest
import torch

from scriptmode.frontend.trace import trace_function
from scriptmode.frontend.trace.check import check_trace
from scriptmode.support.diagnostics import TraceError, TracerWarning


def traced(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return trace_function(function, args)


def silent(result, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_trace(result, **options)


def branch(x):
    if x.sum() > 0:
        return x * 2
    return x - 3


def half(x):
    return x[: int(x.shape[0]) // 2]


def noise(x):
    return x * random.random()


def dropped(x):
    return torch.nn.functional.dropout(x, 0.5) + torch.rand(3)


@pytest.mark.parametrize("function", [branch, half, dropped], ids=lambda f: f.__name__)
def test_a_trace_that_reproduces_passes_silently(function):
    silent(traced(function, torch.ones(3)))


def test_another_branch_names_the_node_that_eager_runs_now():
    result = traced(branch, torch.ones(3))
    with pytest.raises(TraceError) as caught:
        silent(result, check_inputs=[(torch.ones(2),), (-torch.ones(3),)])
    text = str(caught.value)
    assert "the trace of branch differs from eager on check_inputs[1]" in text
    assert "return x - 3" in text
    assert "first different node: " in text


def test_a_frozen_number_names_both_values():
    result = traced(half, torch.ones(4))
    with pytest.raises(TraceError, match="the constant 4 is 6 now|the constant 2 is 3 now"):
        silent(result, check_inputs=[torch.ones(6)])


def test_a_program_that_fails_is_reported():
    result = traced(lambda x: x.view(int(x.shape[0]), 1), torch.ones(4))
    with pytest.raises(TraceError, match="the program raises RuntimeError"):
        silent(result, check_inputs=[torch.ones(6)])


def test_randomness_of_python_is_a_warning():
    result = traced(noise, torch.ones(3))
    with pytest.warns(TracerWarning, match="different results on equal input") as caught:
        check_trace(result)
    assert caught[0].filename == __file__


def test_numbers_alone_are_a_warning_that_names_the_node():
    def function(x):
        return torch.tanh(x) * 2

    result = traced(function, torch.ones(3))

    def wrong(method, flat):
        return torch.tanh(flat[0]) * 2.5

    with pytest.warns(TracerWarning, match="differs from eager on the example"):
        check_trace(result, wrong)


def test_the_tolerance_is_the_callers():
    result = traced(lambda x: x * 2, torch.ones(3))
    silent(result, runner=lambda method, flat: flat[0] * 2.001, tolerance=0.1)


def test_an_error_of_the_function_on_check_inputs_is_raised_as_it_is():
    result = traced(lambda x: x.view(2, 2), torch.ones(4))
    with pytest.raises(RuntimeError, match="invalid for input of size 5"):
        silent(result, check_inputs=[torch.ones(5)])
