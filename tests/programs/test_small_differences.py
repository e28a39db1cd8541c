"""Corners where a compiled program could answer something else than Python."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Name(str, enum.Enum):
    A = "a"
    B = "bb"


class Ratio(float, enum.Enum):
    HALF = 0.5


def test_members_of_data_enumerations_are_instances_of_their_data() -> None:
    def total(items: list[Any]):
        found = 0.0
        for item in items:
            if isinstance(item, int):
                found += item
            elif isinstance(item, str):
                found += len(item)
            elif isinstance(item, float):
                found += item * 100
        return found

    def made_after_the_test(n: int):
        items: list[Any] = [n, "text", 0.25, None, True]
        before = total(items)
        items.append(Level.HIGH)
        items.append(Name.B)
        items.append(Ratio.HALF)
        return before, total(items)

    def joined(b: bool):
        item: Any = Level.LOW if b else Name.A
        return isinstance(item, int), isinstance(item, str), isinstance(item, (str, float))

    check(made_after_the_test, (3,))
    check(joined, (True,), (False,))


def test_match_finds_members_of_data_enumerations() -> None:
    def kind(items: list[Any]):
        items.append(Level.HIGH)
        found: list[str] = []
        for item in items:
            match item:
                case int():
                    found.append("int")
                case str():
                    found.append("str")
                case _:
                    found.append("other")
        return found

    check(kind, ([1, "a", None],))


def test_divmod_of_tensors_is_refused() -> None:
    def f(x, n: int):
        return divmod(x, n)

    def g(x, n: int):
        return divmod(n, x)

    for function in (f, g):
        with pytest.raises(TypeError):
            function(torch.arange(3), 2)
        with pytest.raises(CompileError, match="divmod"):
            scriptmode.script(function)


class OnlyNext:
    def __init__(self) -> None:
        self.n = 0

    def __next__(self) -> int:
        self.n += 1
        if self.n > 3:
            raise StopIteration
        return self.n


class Starts:
    def __iter__(self) -> OnlyNext:
        return OnlyNext()


def test_an_object_with_next_alone_is_no_iterable() -> None:
    def loop():
        return [n for n in OnlyNext()]  # noqa: C416

    def joined():
        return list(OnlyNext())  # type: ignore[call-overload]

    for function in (loop, joined):
        with pytest.raises(TypeError):
            function()
        with pytest.raises(CompileError, match="cannot be iterated over"):
            scriptmode.script(function)

    def by_hand():
        it = OnlyNext()
        return next(it), next(it), [n for n in Starts()]  # type: ignore[attr-defined] # noqa: C416

    check(by_hand, ())


class Unchanged(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))


class Shadowed:
    y = 2.0

    def get(self) -> float:
        return self.y


@pytest.mark.bails_out
def test_attributes_that_hide_those_of_the_class() -> None:
    def read(items: list[Shadowed]):
        return [c.y for c in items], [c.get() for c in items]

    plain, own = Shadowed(), Shadowed()
    own.y = 5.0
    scripted = scriptmode.script(read)
    for items in ([plain], [plain, own], [own], [plain]):
        assert scripted(items) == read(items)
    interpreted = scriptmode.script(read)
    with Unchanged():
        assert interpreted([plain]) == read([plain])
        assert interpreted([plain, own]) == read([plain, own])


@dataclasses.dataclass(order=True)
class P:
    a: int


@dataclasses.dataclass(order=True)
class Q:
    a: int


@dataclasses.dataclass(order=True)
class R(P):
    b: int = 0


def test_comparisons_of_dataclasses_by_name() -> None:
    def same(p: P, q: P):
        return p.__lt__(q), p.__eq__(q), P.__ge__(p, q)

    def answers(p: P, q: Q):
        return p.__eq__(q) is NotImplemented, p.__lt__(q) is NotImplemented

    check(same, (P(1), P(2)), (P(2), P(2)))
    check(answers, (P(1), Q(1)))

    def handed_out(p: P, q: Q):
        return p.__lt__(q)

    assert handed_out(P(1), Q(2)) is NotImplemented
    with pytest.raises(CompileError):
        scriptmode.script(handed_out)


def counts_down_once(x: int):
    once, last = [], x - 1
    for i in range(0, -1, -1):
        once.append(i)
    for i in range(x, last, -1):
        once.append(i)
    for i in range(x, x - 5, -5):
        once.append(i)
    return once, len(range(0, -1, -1)), [i for i in range(x - x, -1, -1)], list(range(3, 3, -1))


def test_a_range_down_of_one_item():
    check(counts_down_once, (7,))


def imports_within(x: int):
    from . import generated_nothing

    return x, generated_nothing


def imports_a_module(x: int):
    from xml import sax

    return x + len(sax.__name__)


def test_imports_inside_of_functions():
    check(imports_a_module, (1,))
    check(imports_within, (1,))


def test_a_relative_import_without_a_package_raises(tmp_path):
    path = tmp_path / "alone.py"
    path.write_text("def f(x: int):\n    from . import other\n    return other, x\n")
    names: dict[str, object] = {"__name__": "alone"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    with pytest.raises(ImportError):
        names["f"](1)
    with pytest.raises(ImportError, match="no known parent package"):
        scriptmode.script(names["f"])(1)
