"""Grad modes that a program changes: its caller finds the thread as it was, also after an error."""

from __future__ import annotations

import pytest
import torch

import scriptmode
from scriptmode.interp import Interpreter

X = torch.rand(2, 2)


def product(x, w):
    with torch.no_grad():
        y = x + 1
        z = torch.mm(y, w)
    return z


def with_enable(x, w):
    with torch.enable_grad():
        return torch.mm(x, w)


def nested(x, w):
    with torch.no_grad():
        with torch.enable_grad():
            y = x * 2
        for _ in range(3):
            with torch.set_grad_enabled(True):
                y = torch.mm(y, w)
    return y


def in_a_helper(x, w):
    y = x * 2
    with torch.no_grad():
        y = product(y, w)
    return y


def compiled_forms(function):
    return scriptmode.script(function), scriptmode.trace(function, (X, X))


@pytest.mark.parametrize("function", [product, with_enable, nested, in_a_helper])
@pytest.mark.parametrize("mode", [True, False])
def test_an_exception_leaves_the_callers_mode(function, mode):
    for compiled in compiled_forms(function):
        with torch.set_grad_enabled(mode):
            torch.testing.assert_close(compiled(X, X), function(X, X))
            assert torch.is_grad_enabled() is mode
            with pytest.raises(RuntimeError, match="mat1 and mat2"):
                compiled(X, torch.rand(3, 3))
            assert torch.is_grad_enabled() is mode


@pytest.mark.parametrize("function", [product, nested, in_a_helper])
def test_the_interpreter_leaves_the_callers_mode(function):
    for compiled in compiled_forms(function):
        program, name, _ = compiled.__scriptmode_ir__()
        with pytest.raises(RuntimeError):
            Interpreter(program).run(name, X, torch.rand(3, 3))
        assert torch.is_grad_enabled()


def test_gradients_flow_around_a_no_grad_region():
    def f(x):
        with torch.no_grad():
            scale = x.sum()
        return x * scale

    x = X.clone().requires_grad_()
    want = torch.autograd.grad(f(x).sum(), x)[0]
    for compiled in (scriptmode.script(f), scriptmode.trace(f, (X,))):
        assert torch.equal(torch.autograd.grad(compiled(x).sum(), x)[0], want)


def set_and_leave(x):
    torch.set_grad_enabled(False)
    return x + 1


def set_and_keep(x):
    guard = torch.set_grad_enabled(False)  # noqa: F841
    return x + 1


def set_by_the_private_name(x):
    torch._C._set_grad_enabled(False)
    return x + 1


@pytest.mark.parametrize("function", [set_and_leave, set_and_keep])
def test_a_mode_without_an_end_stays_as_in_eager(function):
    compiled = scriptmode.script(function)
    try:
        compiled(X)
        assert not torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


@pytest.mark.parametrize("function", [set_and_leave, set_and_keep, set_by_the_private_name])
def test_a_mode_without_an_end_is_refused_by_trace(function):
    if function is set_by_the_private_name:
        with pytest.raises(scriptmode.CompileError, match=r"set_grad_enabled"):
            scriptmode.script(function)
    try:
        with pytest.raises(scriptmode.TraceError, match="grad mode"):
            scriptmode.trace(function, (X,))
    finally:
        torch.set_grad_enabled(True)
