"""Containers of module state: the same objects in Python and in the compiled module."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import scriptmode

X = torch.ones(2)


class Store(nn.Module):
    def __init__(self):
        super().__init__()
        self.items: list[int] = [1]
        self.table: dict[str, list[int]] = {"a": [1]}
        self.nested: list[list[int]] = [[1], [2]]
        self.tensors: list[Tensor] = []
        self.maybe: list[int] | None = None
        self.alias = self.items

    def forward(self, x: Tensor) -> Tensor:
        self.items.append(len(self.items))
        self.tensors.append(x)
        return x * sum(self.items)

    @scriptmode.export
    def own(self) -> list[int]:
        return self.items

    @scriptmode.export
    def row(self, key: str) -> list[int]:
        return self.table[key]

    @scriptmode.export
    def store(self, given: list[int]) -> int:
        self.items = given
        self.maybe = given
        self.table["given"] = given
        self.nested.append(given)
        return len(given)

    @scriptmode.export
    def add(self, n: int) -> int:
        self.items.append(n)
        self.nested[0].append(n)
        self.table["a"].append(n)
        if self.maybe is not None:
            self.maybe.append(n)
        return len(self.items)

    @scriptmode.export
    def total(self) -> int:
        found = sum(self.items) + sum(self.alias)
        for row in self.nested:
            found += sum(row)
        for key in self.table:
            found += sum(self.table[key]) * len(key)
        return found

    @scriptmode.export
    def forget(self) -> int:
        self.items = [0]
        self.alias = self.items
        self.nested.clear()
        return 0


def run(script):
    """The same use of an eager and of a compiled module; what it has seen."""
    eager, compiled = Store(), scriptmode.script(Store())
    want, got = script(eager), script(compiled)
    assert want == got
    return got


def test_an_attribute_is_the_same_list_each_time():
    def use(m):
        items = m.items
        items.append(5)
        m.add(7)
        items += [8]
        return m.items is items, m.alias is items, m.total(), items, m.nested, m.table

    run(use)


def test_a_returned_list_is_the_modules_own():
    def use(m):
        mine = m.own()
        mine.append(3)
        row = m.row("a")
        row.append(4)
        m.add(9)
        return mine is m.own(), mine is m.items, m.row("a") is row, mine, row, m.total()

    run(use)


def test_a_list_that_is_stored_stays_the_callers():
    def use(m):
        given = [1, 2]
        m.store(given)
        given.append(3)
        seen = [m.total(), m.items is given, m.nested[2] is given, m.table["given"] is given]
        m.add(4)
        m.maybe.append(5)
        return seen, given, m.total(), m.maybe is given

    run(use)


def test_an_assigned_list_is_shared():
    def use(m):
        mine, inner = [4], [6]
        m.items = mine
        m.nested = [inner, inner]
        m.add(5)
        inner.append(1)
        mine.append(2)
        return mine, inner, m.total(), m.nested[0] is m.nested[1], m.alias

    run(use)


def test_a_list_that_the_module_has_given_up_is_free():
    def use(m):
        items, inner = m.items, m.nested[0]
        m.forget()
        items.append("not an int")
        inner.append("neither")
        return items, m.items, m.total(), m.nested

    run(use)


def test_errors_keep_what_was_changed_before():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.items: list[int] = []

        def forward(self, n: int) -> int:
            self.items.append(n)
            if n > 1:
                raise ValueError(n)
            return n

    eager, compiled = Failing(), scriptmode.script(Failing())
    for m in (eager, compiled):
        items = m.items
        m(1)
        with pytest.raises(ValueError, match="2"):
            m(2)
        assert items == [1, 2] and m.items is items


def test_a_value_of_another_type_is_refused_by_name():
    compiled = scriptmode.script(Store())
    compiled.items.append("text")
    with pytest.raises(TypeError, match=r"part of a compiled module's state.*List\[int\]"):
        compiled.total()
    compiled.items.pop()
    assert compiled.total() > 0


def test_lists_shared_by_two_modules_stay_shared():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = Store(), Store()
            self.b.items = self.a.items

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x) + self.b(x)

    eager, compiled = Outer(), scriptmode.script(Outer())
    for _ in range(2):
        torch.testing.assert_close(compiled(X), eager(X))
    assert compiled.a.items is compiled.b.items
    assert compiled.a.items == eager.a.items


def test_the_eager_module_and_copies_have_their_own():
    model = Store()
    compiled = scriptmode.script(model)
    compiled.items.append(9)
    copied = copy.deepcopy(compiled)
    compiled.add(5)
    assert model.items == [1]
    assert copied.items == [1, 9] and copied.alias is copied.items
    assert compiled.items == [1, 9, 5]
    model.items.append(77)
    assert compiled.total() == 2 * 15 + 3 + 5 + 6


def test_ignored_methods_see_and_change_the_same_lists():
    class Calls(nn.Module):
        def __init__(self):
            super().__init__()
            self.items: list[int] = [1]

        @scriptmode.ignore
        def note(self) -> int:
            self.items.append(10)
            return len(self.items)

        def forward(self, n: int) -> int:
            self.items.append(n)
            return self.note() + sum(self.items)

    eager, compiled = Calls(), scriptmode.script(Calls())
    for m in (eager, compiled):
        items = m.items
        assert m(2) == 3 + 13
        items.append(3)
        assert m(4) == 6 + 30
        assert m.items is items


def test_tensors_and_nothing_else_cost_no_pairs():
    compiled = scriptmode.script(Store())
    for _ in range(3):
        compiled(X)
    mirrors = compiled._instance.tree.memory.mirrors
    assert not mirrors._pairs
    assert len(compiled.tensors) == 3
    compiled(X)
    compiled(X)
    assert not mirrors._pairs, "what Python has dropped is dropped"


def test_a_compiled_module_inside_another_keeps_its_state():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.n = 0
            self.items: list[int] = []
            self.drop = nn.Dropout()

        def forward(self, x: Tensor) -> Tensor:
            self.n += 1
            self.items.append(self.n)
            return self.drop(x) + self.n

    class Outer(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) * 2

    def use(inner, outer):
        found = [outer(X), inner.n, list(inner.items), inner(X)]
        items = inner.items
        items.append(20)
        inner.n = 10
        found += [outer(X), items, inner.items is items, outer.inner.n]
        return found

    eager = Inner().eval()
    compiled = scriptmode.script(Inner().eval())
    want = use(eager, Outer(eager))
    got = use(compiled, scriptmode.script(Outer(compiled)))
    assert str(want) == str(got)
