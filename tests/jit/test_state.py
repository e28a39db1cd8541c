"""State of compiled modules that is not parameters: read and written from either side."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import scriptmode

X = torch.ones(3)


class Counter(nn.Module):
    limit: int | None

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.rate = 0.5
        self.flag = True
        self.name = "counter"
        self.limit = 1000
        self.history: list[int] = []
        self.register_buffer("last", torch.zeros(3))
        self.plain = torch.ones(3)
        self.maybe: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(self.calls)
        if self.limit is not None and self.calls > self.limit:
            raise ValueError("too many calls")
        y = x * self.rate + self.calls
        self.last = y
        self.plain = self.plain + 1
        return y if self.flag else -y


def pair():
    return Counter(), scriptmode.script(Counter())


def test_mutation_in_forward_is_seen_from_python():
    eager, compiled = pair()
    for _ in range(3):
        torch.testing.assert_close(compiled(X), eager(X))
        assert (compiled.calls, compiled.history) == (eager.calls, eager.history)
        assert torch.equal(compiled.last, eager.last)
        assert torch.equal(compiled.plain, eager.plain)
        assert torch.equal(compiled.state_dict()["last"], eager.state_dict()["last"])
    assert type(compiled.calls) is int


def test_attributes_are_written_from_python():
    eager, compiled = pair()
    for model in (eager, compiled):
        model.rate = 2.0
        model.flag = False
        model.calls = 10
    torch.testing.assert_close(compiled(X), eager(X))
    assert compiled.rate == 2.0 and compiled.calls == 11 and compiled.name == "counter"


def test_a_value_of_another_type_is_refused():
    _, compiled = pair()
    with pytest.raises(TypeError):
        compiled.calls = "three"
    with pytest.raises(TypeError):
        compiled.last = 3
    assert compiled.calls == 0


def test_an_optional_attribute():
    _, compiled = pair()
    compiled.limit = 1
    compiled(X)
    with pytest.raises(ValueError, match="too many calls"):
        compiled(X)
    assert compiled.calls == 2 and compiled.history == [1, 2]
    compiled.limit = None
    compiled(X)


def test_a_new_attribute_lives_in_python():
    _, compiled = pair()
    compiled.remark = "mine"
    assert compiled.remark == "mine"
    del compiled.remark
    with pytest.raises(AttributeError, match="remark"):
        compiled.remark


def test_buffers_assigned_from_python():
    eager, compiled = pair()
    for model in (eager, compiled):
        model.last = torch.full((3,), 7.0)
        model.plain = torch.full((3,), 7.0)
    assert torch.equal(compiled.last, eager.last)
    compiled(X), eager(X)
    assert torch.equal(compiled.plain, eager.plain)


def test_lists_read_are_copies_or_the_state():
    _, compiled = pair()
    compiled(X)
    compiled.history = [5, 6]
    compiled(X)
    assert compiled.history == [5, 6, 2]


def test_deep_copies_have_their_own_counters():
    _, compiled = pair()
    compiled(X)
    twin = copy.deepcopy(compiled)
    twin(X)
    assert (compiled.calls, twin.calls) == (1, 2)
    assert (compiled.history, twin.history) == ([1], [1, 2])


def test_the_eager_module_gets_the_state_back():
    _, compiled = pair()
    compiled(X)
    eager = compiled.to_eager()
    assert type(eager) is Counter and eager.calls == 1 and eager.history == [1]


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Counter()
        self.second = Counter()
        self.shared = self.first

    def forward(self, x):
        return self.first(x) + self.second(x) * 10 + self.shared(x)


def test_submodules_have_their_own_state():
    eager, compiled = Nested(), scriptmode.script(Nested())
    assert compiled.shared is compiled.first
    assert [n for n, _ in compiled.named_modules()] == [n for n, _ in eager.named_modules()]
    for _ in range(2):
        torch.testing.assert_close(compiled(X), eager(X))
    assert (compiled.first.calls, compiled.second.calls, compiled.shared.calls) == (4, 2, 4)
    compiled.first.calls = eager.first.calls = 100
    torch.testing.assert_close(compiled(X), eager(X))
    torch.testing.assert_close(compiled.second(X), eager.second(X))
    assert compiled.second.calls == eager.second.calls


def test_tied_parameters_stay_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x))

    eager = Tied()
    compiled = scriptmode.script(eager)
    assert compiled.b.weight is compiled.a.weight
    assert len(list(compiled.parameters())) == 3
    compiled(X).sum().backward()
    got = eager.a.weight.grad.clone()
    eager.zero_grad()
    eager(X).sum().backward()
    torch.testing.assert_close(got, eager.a.weight.grad)


def test_parameters_replaced_by_data_or_assignment():
    net = nn.Linear(3, 3)
    compiled = scriptmode.script(net)
    net.weight.data = torch.eye(3)
    torch.testing.assert_close(compiled(X), X + net.bias)
    compiled.weight = nn.Parameter(torch.eye(3) * 2)
    torch.testing.assert_close(compiled(X), X * 2 + net.bias)
    assert net.weight is compiled.weight
