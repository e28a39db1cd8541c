"""``with`` in all its forms, four ways: order of events, exceptions, torch's modes afterwards."""

from __future__ import annotations

import contextlib

import pytest
import torch

import scriptmode
from tests.exceptions_alike import check_alike
from tests.programs import contexts


@pytest.mark.parametrize("case", contexts.CASES, ids=lambda case: case[0].__name__)
def test_a_with_does_what_it_does_in_python(case):
    check_alike(*case)
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.is_inference_mode_enabled()


@contextlib.contextmanager
def manager(n: int):
    yield n


def uses_a_generator(n: int):
    with manager(n) as y:
        return y


def test_a_context_manager_of_a_generator_is_refused():
    with pytest.raises(scriptmode.CompileError, match="contextlib.contextmanager"):
        scriptmode.script(uses_a_generator)
