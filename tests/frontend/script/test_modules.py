"""Modules: attributes, children, containers, hooks, inheritance, mutation."""

from __future__ import annotations

import copy
from typing import Any, Final, NamedTuple, Optional

import pytest
import torch
from torch import Tensor, nn

import scriptmode
import scriptmode.support.markers as markers
from scriptmode.frontend.script import compile_module
from scriptmode.interp import Interpreter
from scriptmode.ir import types as T
from tests.frontend.script.helpers import check, compiled, text_of

X = torch.tensor([[1.0, -2.0, 3.0, 0.5]])


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        return -x


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.gate(self.linear(x)) + h)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell()

    def forward(self, x: Tensor, h: Tensor, n: int):
        for _ in range(n):
            h = self.cell(x, h)
        return h


def test_the_first_program() -> None:
    program = check(Loop(), (X, X, 0), (X, X, 3), (-X, X, 2))
    assert program.root.endswith("Loop.forward")
    assert program.self_object is not None


def test_modules_of_equal_structure_share_a_type_and_its_functions() -> None:
    model = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)
    )
    program = check(model, (X,))
    linears = [t for t in program.classes.values() if t.original_name == "Linear"]
    assert len(linears) == 2
    assert len([f for f in program.functions if ".Linear." in f]) == 2


def test_containers_are_iterated_indexed_and_sliced() -> None:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)])
            self.table = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Sigmoid()})
            self.scales = nn.ParameterList([nn.Parameter(torch.ones(1) * i) for i in range(2)])

        def forward(self, x: Tensor, n: int):
            for i, layer in enumerate(self.layers):
                x = layer(x) * i
            for layer, scale in zip(self.layers[:2], self.scales):
                x = layer(x) + scale
            for name, module in self.table.items():
                x = module(x) * len(name)
            for module in reversed(self.layers):
                x = module(x)
            first = self.layers[0](x)
            last = self.layers[-1](x)
            chosen = self.layers[n](x)
            if "a" in self.table and "z" not in self.table:
                chosen = self.table["a"](chosen)
            return first, last, chosen, len(self.layers), [m(x) for m in self.table.values()]

    check(M(), (X, 0), (X, 1), (X, -1), (X, 7))


def test_loops_over_modules_take_break_continue_and_return() -> None:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)])

        def forward(self, x: Tensor, n: int):
            for i, layer in enumerate(self.layers):
                if i == n:
                    continue
                x = layer(x)
                if x.sum() > 100:
                    break
                if i + n == 4:
                    return x, True
            return x, False

    torch.manual_seed(0)
    check(M(), (X, 0), (X, 1), (X, 2), (X * 1000, 3))


def test_state_is_mutated_as_in_eager() -> None:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(4))
            self.calls = 0
            self.scale = 1
            self.seen: list[int] = []
            self.last: Optional[Tensor] = None
            self.register_buffer("cache", None)

        def forward(self, x: Tensor):
            self.calls += 1
            self.total += x[0]
            self.scale = self.scale * 0.5
            self.seen.append(self.calls)
            if self.last is not None:
                x = x + self.last
            self.last = x
            return x, self.calls, self.scale, len(self.seen)

    eager = M()
    module = copy.deepcopy(eager)
    program = compile_module(module)
    for _ in range(3):
        want = eager(X)
        got = Interpreter(program).run_root(X)
        assert torch.equal(want[0], got[0]) and want[1:] == got[1:]
    assert module.calls == eager.calls and module.seen == eager.seen
    assert torch.equal(module.total, eager.total)


def test_attributes_that_may_be_none_are_refined_until_they_may_change() -> None:
    class M(nn.Module):
        state: Optional[Tensor]

        def __init__(self) -> None:
            super().__init__()
            self.state = None

        def reset(self) -> None:
            self.state = None

        def forward(self, x: Tensor, n: int):
            if self.state is None:
                self.state = x
            else:
                x = x + self.state
            assert self.state is not None
            y = self.state * 2
            while self.state is not None and n > 0:
                y = y + self.state
                n -= 1
                if n == 1:
                    self.reset()
            return x, y, self.state

    module = M()
    program = check(module, (X, 0), (X, 3))
    assert "Optional[Tensor]" in text_of(program)

    class Wrong(M):
        def forward(self, x: Tensor, n: int):
            if self.state is not None:
                self.reset()
                return self.state + x
            return x

    wrong = Wrong()
    wrong.state = X
    check(wrong, (X, 0))  # a TypeError at run time, as in eager


def test_none_parameters_and_submodules_are_pruned() -> None:
    class M(nn.Module):
        def __init__(self, with_norm: bool) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4, bias=with_norm)
            self.norm = nn.LayerNorm(4) if with_norm else None

        def forward(self, x: Tensor):
            x = self.linear(x)
            if self.norm is not None:
                x = self.norm(x)
            if self.linear.bias is not None:
                x = x + self.linear.bias
            return x

    for flag in (True, False):
        assert "prim::If" not in text_of(check(M(flag), (X,)))


def test_training_is_a_run_time_flag() -> None:
    class M(nn.Module):
        def forward(self, x: Tensor):
            return x + 1 if self.training else x - 1

    module = M()
    program = compiled(module)
    assert Interpreter(program).run_root(X).equal(X + 1)
    module.eval()
    assert Interpreter(program).run_root(X).equal(X - 1)


def test_inheritance_super_properties_and_class_attributes() -> None:
    class Base(nn.Module):
        factor = 3
        names: Final[list[str]] = ["a", "b"]

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        @property
        def doubled(self) -> Tensor:
            return self.weight * 2

        @staticmethod
        def add(a: Tensor, b: Tensor) -> Tensor:
            return a + b

        @classmethod
        def scaled(cls, a: Tensor) -> Tensor:
            return a * cls.factor

        def forward(self, x: Tensor) -> Tensor:
            return x * self.factor

    class Derived(Base):
        factor = 4

        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x) + self.doubled
            for name in self.names:
                y = y + len(name)
            return self.add(y, self.scaled(x)) + Base.forward(self, x)

    check(Derived(), (X,))


def test_functions_and_constants_as_attributes() -> None:
    class M(nn.Module):
        __constants__ = ["sizes"]

        def __init__(self) -> None:
            super().__init__()
            self.activation = torch.nn.functional.gelu
            self.reduce = lambda t: t.sum(0)
            self.sizes = [2, 2]
            self.kind = "x"
            self.shape = (4, 1)
            self.table = {"x": 1.5}
            self.dtype = torch.float64

        def forward(self, x: Tensor):
            y = self.activation(x).reshape(self.sizes)
            if self.kind == "x":
                y = y * self.table[self.kind]
            return self.reduce(y), x.reshape(self.shape).to(self.dtype), getattr(self, "kind")

    check(M(), (X,))


def test_forward_hooks_are_compiled() -> None:
    def before(module: nn.Module, args: Any) -> Any:
        return (args[0] * 2,)

    def after(module: nn.Module, args: Any, output: Any) -> Any:
        return output + args[0]

    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)
            self.inner.register_forward_pre_hook(before)
            self.inner.register_forward_hook(after)

        def forward(self, x: Tensor):
            return self.inner(x)

    check(M(), (X,))


def test_parametrizations_compile() -> None:
    module = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    check(module, (X,))
    check(nn.Sequential(nn.utils.spectral_norm(nn.Linear(4, 4))).eval(), (X,))


def test_walks_over_parameters_and_children() -> None:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.b = nn.Sequential(nn.ReLU(), nn.Linear(4, 4))
            self.c = self.a

        def forward(self, x: Tensor):
            total = torch.zeros(())
            for p in self.parameters():
                total = total + p.sum()
            for name, p in self.named_parameters():
                total = total + p.mean() * len(name)
            for child in self.children():
                x = child(x)
            device = next(self.parameters()).device
            return total, x.to(device), len(list(self.modules())), hasattr(self, "a")

    check(M(), (X,))


def test_exported_methods_and_other_entries() -> None:
    class M(nn.Module):
        def forward(self, x: Tensor):
            return self.helper(x)

        def helper(self, x: Tensor):
            return x + 1

        @markers.export
        def extra(self, x: Tensor, n: int = 3):
            return x * n

        @torch.jit.export
        def older(self, x: Tensor):
            return x

    program = compiled(M())
    (owner,) = (t for t in program.classes.values() if t.original_name == "M")
    assert set(owner.methods) == {"forward", "extra", "older"}
    assert program.functions[owner.methods["extra"]].defaults == {"n": 3}
    only = compiled(M(), methods=["helper"])
    assert Interpreter(only).run_root(X).equal(X + 1)


def test_a_module_chosen_at_run_time_may_have_any_class() -> None:
    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Sequential(nn.Linear(4, 2), nn.Tanh())])

        def forward(self, x: Tensor, i: int):
            return self.heads[i].forward(x), self.heads[i](x)

    check(M(), (X, 0), (X, -1), (X, 5))


def test_modules_are_arguments_of_functions() -> None:
    def run(layer: nn.Module, x: Tensor) -> Tensor:
        return layer(x)

    class M(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.ReLU()

        def forward(self, x: Tensor):
            for layer in [self.a, self.b]:
                x = run(layer, x)
            return (lambda m, v: m(v))(self.b, x)

    check(M(), (X,))


def test_unknown_attributes_are_refused() -> None:
    class Unknown(nn.Module):
        def forward(self, x: Tensor):
            return x + self.missing

    with pytest.raises(AttributeError, match="missing"):
        compiled(Unknown())


def test_types_of_entry_arguments_can_be_given() -> None:
    class M(nn.Module):
        def forward(self, x, y=None):
            return x if y is None else x + y

    assert str(compiled(M()).graph.params[2].type) == "None"
    program = compiled(M(), {"x": T.TENSOR, "y": T.TENSOR})
    assert Interpreter(program).run_root(X, X).equal(X + X)


def test_lists_of_anything_are_known_when_compiled() -> None:
    class Step(NamedTuple):
        scale: float
        shape: tuple

    class Model(nn.Module):
        steps: list[Any]

        def __init__(self) -> None:
            super().__init__()
            self.steps = [Step(2.0, (1, 2)), Step(0.5, (3,))]

        def forward(self, x: Tensor):
            for step in self.steps:
                x = x * step.scale + len(step.shape)
            return x

    model = Model()
    check(model, (torch.rand(3),))
    x = torch.rand(3)
    torch.testing.assert_close(scriptmode.script(model)(x), model(x))
