"""Every standard nn module, scripted and traced, train and eval, equals eager on three calls."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

import scriptmode
from tests.fourway import compare, interpret, outcome
from tests.programs.nn_modules import ROWS

CASES = [
    pytest.param(make, arguments, training, id=f"{name}-{'train' if training else 'eval'}")
    for name, make, argument_sets in ROWS
    for training in (False, True)
    for arguments in [argument_sets]
]


def built(make, training: bool) -> torch.nn.Module:
    torch.manual_seed(0)
    return make().train(training)


def run_state(module: torch.nn.Module) -> list[object]:
    return [(n, b.clone()) for n, b in module.named_buffers()]


@pytest.mark.parametrize("make, argument_sets, training", CASES)
def test_scripted_module_equals_eager(make, argument_sets, training):
    eager = built(make, training)
    scripted = scriptmode.script(copy.deepcopy(eager))
    for args in argument_sets:
        for call in range(3):
            want = outcome(eager, args)
            compare(want, outcome(scripted, args), f"script, call {call}")
    for (name, want), (_, got) in zip(run_state(eager), run_state(scripted)):
        torch.testing.assert_close(got, want, msg=lambda m: f"buffer {name}: {m}")
    if torch.is_grad_enabled() and argument_sets:
        interpreted = scriptmode.script(built(make, training))
        want = outcome(built(make, training), argument_sets[0])
        got = outcome(lambda *a: interpret(interpreted, *a), argument_sets[0])
        compare(want, got, "interpreter")


@pytest.mark.parametrize("make, argument_sets, training", CASES)
def test_traced_module_equals_eager(make, argument_sets, training):
    for args in argument_sets:
        eager = built(make, training)
        subject = copy.deepcopy(eager)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(3)
            traced = scriptmode.trace(subject, args, check_trace=not training)
        torch.manual_seed(3)
        eager(*copy.deepcopy(args))  # tracing ran the module once
        for call in range(3):
            want = outcome(eager, args)
            compare(want, outcome(traced, args), f"trace, call {call}")


@pytest.mark.parametrize("make, argument_sets, training", CASES[::7])
def test_calls_under_no_grad_and_inference_mode_equal_eager(make, argument_sets, training):
    eager = built(make, training)
    scripted = scriptmode.script(copy.deepcopy(eager))
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            want = outcome(eager, argument_sets[0])
            compare(want, outcome(scripted, argument_sets[0]), context.__name__)
