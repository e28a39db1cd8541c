"""Methods and functions left to Python: what they see of a module, and what they change in it."""

from __future__ import annotations

from typing import List

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests import fourway


class Counter(nn.Module):
    """State of every kind, changed natively and by Python in turn."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.name = "a"
        self.seen: List[int] = [7]
        self.inner = nn.Linear(2, 2)
        self.register_buffer("total", torch.zeros(2))

    def forward(self, x: Tensor):
        alias = self.seen
        self.count += 1
        self.total = self.total + x
        self.seen.append(self.count)
        answer = self.in_python(x, alias)
        alias.append(100)
        return x * answer + self.total, self.count, self.name, alias, self.seen

    @scriptmode.ignore
    def in_python(self, x: Tensor, alias: List[int]) -> int:
        assert type(self).__name__ == "Counter" and alias is self.seen
        self.count += 10
        self.name += "b"
        self.seen.append(int(self.total.sum()))
        self.total = self.total * 2
        return len(self.name)


def test_ignored_method_shares_all_state():
    eager, x = Counter(), torch.ones(2)
    compiled = scriptmode.script(Counter())
    for _ in range(3):
        want, got = eager(x), compiled(x)
        fourway.same(list(want), list(got))
        fourway.same(eager.total, compiled.total)
        assert got[3] is got[4]
        assert (eager.count, eager.name, eager.seen) == (
            compiled.count,
            compiled.name,
            compiled.seen,
        )


def test_interpreted_code_lends_the_eager_module():
    fourway.check(Counter(), (torch.ones(2),))


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, x: Tensor):
        self.count += 1
        self.fail()
        return x

    @scriptmode.ignore
    def fail(self) -> int:
        self.count += 1
        raise KeyError(self.count)


def test_what_a_failing_method_changed_stays_changed():
    eager, compiled = Failing(), scriptmode.script(Failing())
    for _ in range(3):
        for module in (eager, compiled):
            with pytest.raises(KeyError):
                module(torch.ones(1))
        assert eager.count == compiled.count


class Wrong(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = [answer]
        self.count = 0

    def forward(self, x: Tensor):
        return x * self.give()

    @scriptmode.ignore
    def give(self) -> int:
        return WRONG[0]


WRONG: list = [2.5]


def test_an_answer_of_another_type_is_refused():
    with pytest.raises(TypeError, match="a Python function gave 2.5 where int is expected"):
        scriptmode.script(Wrong(2))(torch.ones(1))


@scriptmode.ignore
def spoil(values: List[int]) -> int:
    values.append("a")  # type: ignore[arg-type]
    return len(values)


def test_a_container_that_no_longer_fits_is_refused():
    def own(n: int):
        values = [n]
        return spoil(values)

    def given(values: List[int]):
        return spoil(values)

    message = r"a Python function gave \[2, 'a'\] where List\[int\] is expected"
    for function, argument in ((own, 2), (given, [2])):
        with pytest.raises(TypeError, match=message):
            scriptmode.script(function)(argument)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Counter()
        self.total = 0

    def forward(self, x: Tensor):
        self.inner.count += 5
        self.look()
        return x + self.inner.count + self.total

    @scriptmode.ignore
    def look(self) -> None:
        self.total += self.inner.count
        self.inner.count = 1
        self.inner.total = torch.full((2,), 3.0)


def test_submodules_are_shared_too():
    fourway.check(Outer(), (torch.ones(2),))


class Unused(nn.Module):
    def forward(self, x: Tensor):
        if scriptmode.is_scripting():
            return x
        return self.other(x)

    @scriptmode.unused
    def other(self, x: Tensor) -> Tensor:
        return eval("x")


def test_a_branch_for_eager_only_may_call_what_is_unused():
    fourway.check(Unused(), (torch.ones(2),))
