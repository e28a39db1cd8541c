"""``torch.autograd.Function.apply`` in scripted and traced code: Python runs it, on eager's tape."""

from typing import Tuple

import pytest
import torch
from torch import Tensor

import scriptmode


class Scaled(torch.autograd.Function):
    """Ten times the gradient that autograd would give."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor * 10, None


class Both(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        def unused():
            return 1

        return x * 2, x + 1

    @staticmethod
    def backward(ctx, first, second):
        return first + second


class Counted(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x) -> Tuple[Tensor, int]:
        return x * 2, x.size(0)

    @staticmethod
    def backward(ctx, grad, count):
        return grad


class InPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.add_(1)

    @staticmethod
    def backward(ctx, grad):
        return grad


class OfList(torch.autograd.Function):
    @staticmethod
    def forward(ctx, xs):
        return xs[0] * 2


def composed(x: Tensor):
    a, b = Both.apply(x)
    return Scaled.apply(a, 3.0) + b


def counted(x: Tensor):
    y, count = Counted.apply(x)
    return y * count


def in_place(x: Tensor):
    y = x * 2
    z = InPlace.apply(y)
    return y + z


def compiled_by(way, function):
    if way == "script":
        return scriptmode.script(function)
    return scriptmode.trace(function, torch.ones(3))


@pytest.mark.parametrize("way", ["script", "trace"])
@pytest.mark.parametrize("function", [composed, counted, in_place])
def test_values_and_gradients_are_those_of_the_function(way, function):
    compiled = compiled_by(way, function)
    ours = torch.arange(3.0, requires_grad=True)
    eager = torch.arange(3.0, requires_grad=True)
    got, want = compiled(ours), function(eager)
    torch.testing.assert_close(got, want)
    got.sum().backward()
    want.sum().backward()
    torch.testing.assert_close(ours.grad, eager.grad)
    assert not compiled.bailouts


def test_a_result_of_another_type_is_an_error_of_the_call():
    class Text(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return "text"

    def function(x: Tensor):
        return Text.apply(x)

    with pytest.raises(TypeError):
        scriptmode.script(function)(torch.ones(1))


def test_a_trace_refuses_tensors_inside_containers():
    with pytest.raises(scriptmode.TraceError, match="a container of tensors"):
        scriptmode.trace(lambda x: OfList.apply([x]), torch.ones(1))


def test_a_trace_refuses_backward_hooks_that_it_would_lose():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    module[0].register_full_backward_hook(lambda m, before, after: None)
    with pytest.raises(scriptmode.TraceError, match="a backward hook on a Linear"):
        scriptmode.trace(module, torch.ones(1, 2))


def test_errors_of_python_code_inside_of_torch_leave_as_themselves():
    class Refused(Exception):
        pass

    def refuse(x):
        raise Refused("no room")

    scripted = scriptmode.script(lambda x, w: torch.sin(x * w))
    x = torch.rand(3).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(refuse, lambda x: x):
        with pytest.raises(Refused, match="no room") as raised:
            scripted(x, x)
    assert any("torch.sin" in note for note in raised.value.__notes__)
