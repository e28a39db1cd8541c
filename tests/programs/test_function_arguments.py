"""Functions, classes and modules as arguments of entries: an instance is compiled for each."""

from __future__ import annotations

import enum
import functools
import math
import threading
from typing import Any, Callable, Optional, Type

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import scriptmode
from scriptmode.support import config
from tests.fourway import same

X = torch.tensor([1.0, -2.0])


def alike(function: Any, *calls: tuple[Any, ...]) -> Any:
    """Compiled calls give what eager ones do, twice, natively; returns what was compiled."""
    compiled = None
    for level in (0, 1):
        with config.override(opt=level):
            compiled = scriptmode.script(function)
            for _ in range(2):
                for args in calls:
                    same(function(*args), compiled(*args))
    return compiled


# ---- functions


def applies(x, g):
    return g(x) + 1


def annotated(x, g: Callable[[torch.Tensor], torch.Tensor]):
    return g(g(x))


def defaulted(x, *, g=torch.relu, n: int = 2):
    for _ in range(n):
        x = g(x)
    return x


def optional(x, g: Optional[Callable] = None):
    if g is not None:
        x = g(x)
    return x


def double(x):
    return x * 2


def scaled(x, scale, shift=0):
    return x * scale + shift


class Gain:
    def __init__(self, by):
        self.by = by
        self.calls = 0

    def apply(self, x):
        self.calls += 1
        return x * self.by

    @classmethod
    def twice(cls, x):
        return x * 2


def test_functions_of_all_kinds():
    compiled = alike(
        applies,
        (X, torch.relu), (X, torch.neg), (X, double), (X, lambda t: t * 3), (X, torch.Tensor.abs),
        (X, functools.partial(scaled, scale=3)), (X, torch.ops.aten.relu), (X, Gain.twice),
        (X, scriptmode.script(double)), (X, nn.functional.gelu), (2.0, math.sqrt), (-2, abs),
    )  # fmt: skip
    assert "function `relu`" in scriptmode.explain(compiled)
    alike(annotated, (X, torch.relu), (X, lambda t: t - 1))
    alike(defaulted, (X,))
    alike(optional, (X,), (X, torch.neg), (X, None))


def test_keyword_arguments_that_are_functions():
    compiled = scriptmode.script(defaulted)
    for keywords in ({"g": torch.neg}, {"n": 3, "g": double}, {"g": lambda t: t + 1}):
        same(defaulted(X, **keywords), compiled(X, **keywords))


def sorts(xs: list[int], key: Callable[[int], int]):
    return sorted(xs, key=key), list(map(key, xs))


def several(x, gs):
    for g in gs:
        x = g(x)
    return x


def by_name(x, table: dict[str, Callable], name: str):
    return table[name](x)


def starred(x, *gs, **named):
    for g in gs:
        x = g(x)
    for g in named.values():
        x = g(x)
    return x


def test_functions_in_containers():
    alike(sorts, ([3, 1, 2], lambda v: -v), ([3, -1, 2], abs))
    alike(several, (X, [torch.relu, double]), (X, (torch.neg,)), (X, [lambda t: t + 1]))
    table = {"a": torch.relu, "b": double}
    alike(by_name, (X, table, "a"), (X, table, "b"))
    alike(starred, (X,), (X, torch.neg, lambda t: t + 1))
    compiled = scriptmode.script(starred)
    same(starred(X, a=torch.neg, b=double), compiled(X, a=torch.neg, b=double))


def is_double(x, g):
    return g(x) if g is double else g(x) + 100


def test_identity_of_functions():
    alike(is_double, (X, double), (X, torch.neg), (X, lambda t: t))


# ---- closures


def make_scaler(k):
    return lambda t: t * k


def test_closures_share_an_instance():
    compiled = scriptmode.script(applies)
    for k in (1.0, 2.5, -1.0):
        same(applies(X, make_scaler(k)), compiled(X, make_scaler(k)))
    assert len(compiled.get_debug_state().execution_plans) == 1
    for k in (X, X * 2, 3, 4):
        same(applies(X, make_scaler(k)), compiled(X, make_scaler(k)))
    for flag in (True, False):
        function = lambda t: t if flag else t * 2  # noqa: E731
        same(applies(X, function), compiled(X, function))


def make_counter():
    n = 0
    seen = []

    def step(x):
        nonlocal n
        n += 1
        seen.append(n)
        return x * n

    def count():
        return n

    return step, count, seen


def counts(x, step, count):
    return step(x) + step(x) + count()


def test_closures_change_their_variables():
    compiled = scriptmode.script(counts)
    first, second, other = make_counter(), make_counter(), make_counter()
    same(counts(X, *other[:2]), compiled(X, *first[:2]))
    same(counts(X, *other[:2]), compiled(X, *first[:2]))
    assert first[1]() == 4 and first[2] == [1, 2, 3, 4] and second[1]() == 0
    compiled(X, *second[:2])
    assert second[1]() == 2 and second[2] == [1, 2]
    # the two do not share their variable
    same(counts(X, make_counter()[0], make_counter()[1]), compiled(
        X, make_counter()[0], make_counter()[1]))  # fmt: skip


def make_nested(k):
    def inner(t):
        return t * k

    def outer(t):
        return inner(t) + inner(t)

    return outer


def make_factorial():
    def factorial(n: int) -> int:
        return 1 if n < 2 else n * factorial(n - 1)

    return factorial


def compose(*functions):
    def run(x):
        for function in functions:
            x = function(x)
        return x

    return run


def test_closures_over_functions():
    compiled = scriptmode.script(applies)
    for k in (1.0, 2.0):
        same(applies(X, make_nested(k)), compiled(X, make_nested(k)))
    for args in ((5, make_factorial()), (6, make_factorial())):
        same(applies(*args), compiled(*args))
    for function in (compose(torch.neg, double), compose(torch.relu)):
        same(applies(X, function), compiled(X, function))


def repeated(n: int, g: Callable[[int], int]) -> int:
    total = 0
    for i in range(n):
        total += g(i)
    return total if n < 1 else total + repeated(n - 1, g)


def test_an_entry_passes_its_function_on():
    alike(repeated, (5, lambda v: v * 2), (4, abs))


def sums(n: int, g):
    total = 0
    for i in range(n):
        total += g(i)
    return total


def test_threads_pass_closures_of_their_own():
    compiled = scriptmode.script(sums)
    found: dict[int, set[int]] = {}

    def work(k: int) -> None:
        for _ in range(20):
            found.setdefault(k, set()).add(compiled(500, lambda v: v * k))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: {k * 499 * 250} for k in range(4)}


# ---- classes, methods, modules


class Plain:
    scale = 2

    def __init__(self, x):
        self.x = x

    @staticmethod
    def shift(x):
        return x + 1


class Other(Plain):
    scale = 3


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def makes(cls: Type[Plain], x):
    return cls(x).x * cls.scale + cls.shift(x)


def converts(x: int, cls: Type[int]):
    return cls(x), isinstance(x, cls)


def catches(x: int, kind: Type[Exception]):
    try:
        if x > 0:
            raise kind("a")
        return 1
    except kind:
        return 2


def names(x: int, kind: Type[enum.Enum]):
    return kind(x).name


def test_classes():
    alike(makes, (Plain, X), (Other, X))
    alike(converts, (2, int), (3, float), (4, str))
    alike(catches, (1, ValueError), (0, KeyError), (1, KeyError))
    alike(names, (1, Color), (2, Color))


def test_bound_methods_change_their_object():
    gain = Gain(3)
    compiled = scriptmode.script(applies)
    same(X * 3 + 1, compiled(X, gain.apply))
    same(X * 3 + 1, compiled(X, gain.apply))
    assert gain.calls == 2
    gain.by = 4
    same(X * 4 + 1, compiled(X, gain.apply))


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.linear(x) * self.calls

    def other(self, x):
        return self.linear(x)


def runs(module: nn.Module, x):
    return module(x) + 1


def in_turn(modules, x):
    for module in modules:
        x = module(x)
    return x


def multiplies(module: nn.Module, x):
    return module.weight @ x + module.bias, module.training


@pytest.mark.filterwarnings("ignore")
def test_modules():
    linear, relu = nn.Linear(2, 2), nn.ReLU()
    alike(runs, (linear, X), (relu, X), (scriptmode.script(nn.Linear(2, 2)), X))
    alike(in_turn, ([linear, relu], X), ([relu], X), (nn.ModuleList([linear, relu]), X))
    alike(multiplies, (linear, X))
    alike(applies, (X, linear), (X, Counting().other))
    compiled = scriptmode.script(runs)
    counting = Counting()
    first, second = compiled(counting, X), compiled(counting, X)
    same(2 * (first - 1), second - 1)
    assert counting.calls.item() == 2
    second.sum().backward()
    assert counting.linear.weight.grad is not None
    with torch.no_grad():
        counting.linear.weight.zero_()
        counting.linear.bias.zero_()
    same(compiled(counting, X).detach(), torch.ones(2))


class Activated(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x, act: Callable[[torch.Tensor], torch.Tensor] = torch.relu):
        return act(self.linear(x))


class Applied(nn.Module):
    def forward(self, x, act):
        return act(x)


def test_methods_of_modules_take_functions():
    module = Activated()
    compiled = scriptmode.script(module)
    for args in ((X,), (X, torch.neg), (X, lambda t: t * 3), (X, nn.Tanh())):
        same(module(*args), compiled(*args))
    alike(Applied(), (X, torch.neg), (X, double))


def returns_it(x, g: Callable):
    g(x)
    return g


def returns_double(x):
    return double


def test_functions_are_returned():
    compiled = scriptmode.script(returns_it)
    for function in (torch.relu, double, make_scaler(2.0), make_scaler(3.0), lambda t: t, int):
        assert compiled(X.sum(), function) is function
    assert scriptmode.script(returns_double)(X) is double


# ---- what is kept, refused


def test_instances_for_functions_are_forgotten():
    compiled = scriptmode.script(applies)
    for _ in range(40):
        linear = nn.Linear(2, 2)
        same(applies(X, linear), compiled(X, linear))
    assert len(compiled.get_debug_state().execution_plans) <= config.get("max_instances")


def test_a_function_is_not_known_before_a_call():
    compiled = scriptmode.script(annotated)
    assert compiled.schema == "annotated(Tensor x, function g) -> Never"
    compiled(X, double)
    assert compiled.schema.startswith("annotated(Tensor x, function `double` g)")


def test_what_does_not_compile_names_its_place():
    compiled = scriptmode.script(applies)
    with pytest.raises(scriptmode.ArgumentError, match="cannot be called"):
        compiled(X, X)
    with pytest.raises(scriptmode.ArgumentError, match="test_function_arguments.py"):
        compiled(X, lambda t: t.nothing)


@pytest.mark.bails_out
def test_calls_under_a_mode():
    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, function, kinds, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    compiled = scriptmode.script(applies)
    with Mode():
        same(applies(X, make_scaler(2.0)), compiled(X, make_scaler(2.0)))
        same(applies(X, torch.neg), compiled(X, torch.neg))


def test_calls_in_a_trace():
    compiled = scriptmode.script(applies)
    traced = scriptmode.trace(lambda x: compiled(x, double), (X,))
    same(applies(X * 3, double), traced(X * 3))
    with pytest.raises(scriptmode.ScriptError, match="closure variables"):
        scriptmode.trace(lambda x: compiled(x, make_scaler(2.0)), (X,))
