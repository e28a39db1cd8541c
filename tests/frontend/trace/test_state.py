"""Tracing leaves state as one eager run does, and nothing behind; module state is read and written."""

from __future__ import annotations

import builtins
import math
import threading

import pytest
import torch

from scriptmode.frontend.trace import is_tracing, trace_function, trace_module_methods
from scriptmode.frontend.trace.check import check_trace
from scriptmode.support.diagnostics import TraceError
from tests.frontend.trace.helpers import agrees, check_program, quiet_trace, run, warnings_of


class Running(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(3))
        self.plain = torch.ones(3)
        self.calls = 0

    def forward(self, x):
        self.mean = self.mean * 0.9 + x
        return self.mean + self.plain


class Counting(Running):
    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def test_assigned_buffers_are_written_by_the_program():
    module = Running()
    result = quiet_trace(module, torch.ones(3))
    assert torch.equal(module.mean, torch.ones(3))
    agrees(result, module, (torch.ones(3),), (torch.arange(3.0),))


def test_other_assignments_warn():
    _, caught = warnings_of(Counting(), torch.ones(3))
    assert ["`calls`" in str(w.message) for w in caught] == [True]


def test_tracing_and_checking_is_one_eager_run_for_state():
    def model():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Dropout(), Running())

    x, y = torch.randn(3, 3), torch.randn(3, 3)
    x, y = x[0].repeat(3, 1) + torch.eye(3), y
    traced, eager = model(), model()
    torch.manual_seed(1)
    result = quiet_trace(traced, x)
    check_trace(result, check_inputs=[(y,)])
    state = torch.get_rng_state()
    torch.manual_seed(1)
    eager(x)
    assert torch.equal(state, torch.get_rng_state())
    for name, value in eager.state_dict().items():
        torch.testing.assert_close(traced.state_dict()[name], value)


def test_arguments_are_changed_once():
    x = torch.zeros(3)
    result = quiet_trace(lambda x: x.add_(1), x)
    check_trace(result)
    assert x.tolist() == [1, 1, 1]


def originals():
    return (
        torch.nn.Module.__dict__["__call__"], torch.autograd.Function.__dict__["apply"],
        math.sqrt, builtins.min, builtins.max, builtins.range,
    )  # fmt: skip


def fails(x):
    x + 1
    raise KeyError("mine")


def test_an_exception_leaves_nothing_behind():
    before = originals()
    with pytest.raises(KeyError, match="mine"):
        trace_function(fails, (torch.ones(1),))
    assert originals() == before
    assert not is_tracing()
    assert torch._C._len_torch_function_stack() == 0


def test_a_caught_exception_records_nothing():
    def guarded(x):
        try:
            return x.view(7)
        except RuntimeError:
            return x + 1

    result = quiet_trace(guarded, torch.ones(3))
    ops = [n.kind for n in result.program.graph.nodes if n.kind.startswith("aten")]
    assert len(ops) == 1 and ops[0].startswith("aten::add")


def test_other_threads_are_not_recorded():
    seen = []

    def work():
        seen.append((is_tracing(), torch.nn.Linear(1, 1)(torch.ones(1)).shape, min(3, 1)))

    def function(x):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert is_tracing()
        return x + 1

    result = quiet_trace(function, torch.ones(1))
    assert seen == [(False, torch.Size([1]), 1)]
    assert len([n for n in result.program.graph.nodes if n.kind.startswith("aten")]) == 1


def test_modules_of_closures_and_globals_stay_modules():
    net = torch.nn.Linear(3, 3)

    def function(x):
        return net(x) @ net.weight

    result = quiet_trace(function, torch.ones(2, 3))
    assert result.program.globals == {"net": net}
    with torch.no_grad():
        net.weight.zero_()
    agrees(result, function, (torch.ones(5, 3),))


def test_a_parameter_as_input_is_an_input():
    net = torch.nn.Linear(3, 3)
    result = quiet_trace(lambda w, x: x @ w + net(x), net.weight, torch.ones(2, 3))
    got = run(result, torch.zeros(3, 3), torch.ones(2, 3))
    torch.testing.assert_close(got, net(torch.ones(2, 3)))


def test_several_methods_share_one_program():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(2, 2)

        def forward(self, x):
            return self.lin(x)

        def twice(self, x, n):
            return self.lin(self.lin(x)) * n

    module = Two()
    inputs = {"forward": torch.ones(1, 2), "twice": (torch.ones(1, 2), 3)}
    result = trace_module_methods(module, inputs)
    check_program(result)
    check_trace(result)
    x = torch.randn(4, 2)
    torch.testing.assert_close(run(result, x, 2, method="twice"), module.twice(x, 2))
    torch.testing.assert_close(run(result, x), module(x))


def test_code_that_asks_torch_is_told_that_it_is_traced():
    seen = []

    def function(x):
        seen.append(torch.jit.is_tracing())
        return torch.func.functional_call(net, {"weight": net.weight * 2}, (x,))

    net = torch.nn.Linear(2, 2)
    result = quiet_trace(function, torch.ones(1, 2))
    assert seen == [True] and not torch.jit.is_tracing()
    agrees(result, function, (torch.ones(3, 2),))


REFUSED = {
    "autograd function": (lambda x: Double.apply([x]), "a container of tensors"),
    "backward": (lambda x: x.sum().backward(), r"backward\(\)"),
    "grad": (lambda x: torch.autograd.grad(x.sum(), x), "torch.autograd.grad"),
    "hook": (lambda x: (x * 1).register_hook(print), "a hook on a tensor"),
    "inference mode": (lambda x: in_inference_mode(x), "inference_mode"),
    "autocast": (lambda x: in_autocast(x), "autocast"),
    "set data": (lambda x: set_data(x * 1), "assigning `data`"),
    "trace": (lambda x: trace_function(torch.sin, (x,)), "inside a trace"),
}


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def in_inference_mode(x):
    with torch.inference_mode():
        return x * 2


def in_autocast(x):
    with torch.autocast("cpu"):
        return x @ x


def set_data(x):
    x.data = x * 2
    return x


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_refused_at_its_place(name):
    function, message = REFUSED[name]
    with pytest.raises(TraceError, match=message) as caught:
        trace_function(function, (torch.ones(2, 2, requires_grad=True),))
    assert name == "trace" or caught.value.span.file == __file__


class Sub(torch.Tensor):
    pass


def test_tensor_subclasses_are_refused():
    with pytest.raises(TraceError, match="a Sub cannot be recorded"):
        trace_function(torch.sin, (torch.ones(1).as_subclass(Sub),))


def test_torchs_own_code_is_not_told_that_it_is_traced():
    """Functions of ``torch.compile`` refuse to run when they are."""
    names: dict[str, object] = {"torch": torch}
    text = "def asks(): return torch._C._is_tracing()"
    exec(compile(text, f"{torch.__path__[0]}/made_up.py", "exec"), names)
    seen = []

    def function(x):
        seen.extend([names["asks"](), torch.jit.is_tracing(), torch._C._is_tracing()])
        return x + 1

    trace_function(function, (torch.ones(2),))
    assert seen == [False, True, True]
