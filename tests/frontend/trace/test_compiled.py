"""Compiled functions and modules inside a trace are calls that keep their control flow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from scriptmode.frontend.trace import (
    Callee,
    call_compiled,
    call_program,
    is_tracing,
    trace_function,
)
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from scriptmode.ir.builder import Builder
from scriptmode.ir.graph import YIELD, Graph, Program
from scriptmode.ops.aten import schema_of
from tests.frontend.trace.helpers import agrees, check_program, quiet_trace, run


def gate_program() -> Program:
    """``def f(x, n: int): return (x if x.sum() else -x, n + n)``"""
    program = Program("f")
    graph = program.add(Graph("f"))
    x, n = graph.add_param(T.TENSOR, "x"), graph.add_param(T.INT, "n")
    b = Builder(graph.block, schema_of)
    node = b.if_node(
        b.op("tensor::bool", b.op("aten::relu", b.op("aten::sum", x, b.constant(None))))
    )
    with b.at(node.blocks[0]) as block:
        block.terminate(YIELD, [x])
    with b.at(node.blocks[1]) as block:
        block.terminate(YIELD, [b.op("aten::neg", x)])
    result = b.tuple([node.add_output(T.TENSOR), b.op("int::add", n, n)])
    graph.return_type = result.type
    graph.block.terminate(YIELD, [result])
    return program


class Compiled:
    def __init__(self, program):
        self.program = program

    def __scriptmode_ir__(self):
        return self.program, self.program.root, None

    def __call__(self, *args, **kwargs):
        if is_tracing():
            return call_compiled(self, args, kwargs)
        return Interpreter(self.program).run(self.program.root, *args, **kwargs)


def test_a_compiled_function_is_one_call_and_keeps_its_branches():
    gate = Compiled(gate_program())

    def function(x):
        y, n = gate(x, x.shape[0])
        z, _ = gate(-y, n=3)
        return y + z, y.new_zeros(n)

    result = quiet_trace(function, torch.ones(3))
    calls = [n for n in result.program.graph.nodes if n.kind == "prim::Call"]
    assert [n.attributes["callee"] for n in calls] == ["f", "f"]
    agrees(result, function, (torch.ones(2),), (-torch.ones(4),))


class CompiledModule(torch.nn.Module):
    def __init__(self, module, result):
        super().__init__()
        self.__dict__["result"] = result
        self.__dict__["module"] = module

    def __scriptmode_ir__(self):
        return self.result.program, self.result.program.root, self.module

    def __getattr__(self, name):
        return getattr(self.__dict__["module"], name)

    def forward(self, x):
        return self.module(x)


def test_a_compiled_module_is_called_with_its_own_class_type():
    inner = torch.nn.Linear(3, 3)
    compiled = CompiledModule(inner, quiet_trace(inner, torch.ones(2, 3)))

    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)
            self.gate = compiled

        def forward(self, x):
            return self.gate(self.linear(x)) + self.gate(x)

    module = Outer()
    result = trace_function(module, (torch.ones(2, 3),))
    check_program(result)
    assert len(result.program.functions) == 2
    x = torch.randn(4, 3)
    torch.testing.assert_close(run(result, x), module(x))


def test_a_recorded_function_with_nested_arguments_is_called_flat():
    inner = quiet_trace(
        lambda d: {"sum": d["a"] + d["b"][0]}, {"a": torch.ones(1), "b": [torch.ones(1)]}
    )
    root = inner.root
    callee = Callee(inner.program, root.name, flatten=root.flatten, unflatten=root.unflatten)

    def function(x):
        arguments = ({"a": x, "b": [x * 2]},)
        if is_tracing():
            return call_program(callee, arguments, {})["sum"]
        return x + x * 2

    result = quiet_trace(function, torch.ones(2))
    assert any(n.kind == "prim::Call" for n in result.program.graph.nodes)
    agrees(result, function, (torch.randn(3),))


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = [torch.ones(2), torch.zeros(2)]

    def forward(self, x: Tensor):
        self.cells = [c + 1 for c in self.cells]
        for cell in self.cells:
            x = x * 2 + cell
        return x + len(self.cells)


def test_a_compiled_module_is_traced_with_its_state():
    x, eager = torch.ones(2), Remembers()
    traced = scriptmode.trace(scriptmode.script(Remembers()), (x,), check_trace=False)
    for _ in range(3):
        assert torch.equal(traced(x), eager(x))


def test_a_compiled_container_of_modules_is_traced():
    x, eager = torch.ones(1, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    traced = scriptmode.trace(scriptmode.script(eager), (x,))
    assert torch.equal(traced(x - 3), eager(x - 3))


class MayGive(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return x, (x * 2 if bool(x.sum() > 0) else None)


def test_an_optional_result_is_what_it_was_when_traced():
    inner = scriptmode.script(MayGive())

    def gives(x: Tensor) -> Tensor:
        first, second = inner(x)
        return first if second is None else first + second

    given = scriptmode.trace(gives, (torch.ones(2),))
    assert torch.equal(given(torch.full((2,), 3.0)), gives(torch.full((2,), 3.0)))
    with pytest.raises(RuntimeError, match="gave a value when traced, not now"):
        given(-torch.ones(2))
    missing = scriptmode.trace(gives, (-torch.ones(2),))
    assert torch.equal(missing(-torch.ones(3)), -torch.ones(3))
    with pytest.raises(RuntimeError, match="gave None when traced, not now"):
        missing(torch.ones(2))


class CallsForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = scriptmode.trace(nn.Linear(2, 2), (torch.ones(2),))

    def forward(self, x: Tensor):
        return self.inner.forward(x) + self.inner(x)


def test_the_forward_of_a_traced_module_is_called_by_name():
    module = CallsForward()
    compiled = scriptmode.script(module)
    assert torch.equal(compiled(torch.ones(3, 2)), module(torch.ones(3, 2)))


class Exports(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)

    @scriptmode.export
    def twice(self, x: Tensor):
        return self.inner(x) * 2

    def forward(self, x: Tensor):
        return self.inner(x)


def test_exported_methods_of_a_traced_module_reach_its_submodules():
    module = Exports()
    traced = scriptmode.trace(module, (torch.ones(2),))
    assert torch.equal(traced.twice(torch.ones(2)), module.twice(torch.ones(2)))
