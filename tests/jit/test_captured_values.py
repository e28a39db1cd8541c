"""Python values that a program has captured: constants while they stay, compiled again when not."""

from __future__ import annotations

import types
from typing import List

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests.fourway import same

NUMBER = 3
LIST = [1, 2]
TABLE = [[1, 2], [3, 4]]
DICT = {"a": 1, "b": 2}
TENSOR = torch.ones(2)
TENSORS = [torch.ones(2), torch.zeros(2)]
SPACE = types.SimpleNamespace(a=1, inner=types.SimpleNamespace(c=2))


class Config:
    rate = 0.1

    def __init__(self):
        self.size = 5

    @property
    def twice(self):
        return self.size * 2


CONFIG = Config()


def helper(x):
    return x + NUMBER


def reads(x: int):
    return (
        x + NUMBER, LIST[0] + len(LIST), DICT["a"], CONFIG.size, CONFIG.rate, Config.rate,
        SPACE.inner.c, CONFIG.twice, helper(x),
    )  # fmt: skip


@pytest.fixture
def place(monkeypatch):
    """Globals, objects and classes of this module, put back after the test."""
    here = globals()
    for name in ("NUMBER", "LIST", "TABLE", "DICT", "TENSOR", "CONFIG", "SPACE", "helper"):
        monkeypatch.setitem(here, name, here[name])
    monkeypatch.setitem(here, "LIST", list(LIST))
    monkeypatch.setitem(here, "DICT", dict(DICT))
    monkeypatch.setattr(Config, "rate", Config.rate)
    monkeypatch.setitem(here, "CONFIG", Config())
    inner = types.SimpleNamespace(c=2)
    monkeypatch.setitem(here, "SPACE", types.SimpleNamespace(a=1, inner=inner))
    return here


def test_changes_of_every_kind_are_seen(place):
    compiled = scriptmode.script(reads)

    def follow():
        for _ in range(2):
            same(reads(1), compiled(1))

    follow()
    place["NUMBER"] = 4
    follow()
    place["NUMBER"] = 2.5
    follow()
    LIST.append(7)
    follow()
    LIST[0] = 50
    follow()
    DICT["a"] = 9
    follow()
    CONFIG.size = 6
    follow()
    Config.rate = 0.5
    follow()
    CONFIG.rate = 0.7
    follow()
    SPACE.inner.c = 77
    follow()
    SPACE.inner = types.SimpleNamespace(c=3)
    follow()
    place["helper"] = lambda x: x * 100
    follow()
    place["len"] = lambda x: 42
    follow()
    del place["len"]
    follow()
    text = scriptmode.explain(compiled)
    assert "the captured `NUMBER` changed (2 times)" in text and "`LIST`" in text


def test_an_equal_value_compiles_nothing(place):
    compiled = scriptmode.script(reads)
    place["NUMBER"] = 1000
    compiled(1)
    for _ in range(3):
        place["NUMBER"] = int("1000")  # another object
        same(reads(1), compiled(1))
    assert "(2 times)" not in scriptmode.explain(compiled)


def test_unrelated_globals_compile_nothing(place):
    compiled = scriptmode.script(reads)
    place["another"] = 1
    compiled(1)
    del place["another"]
    compiled(1)
    assert "compiled again" not in scriptmode.explain(compiled)


def adds(x: Tensor):
    return x + TENSOR


def test_captured_tensors_are_live(place):
    compiled = scriptmode.script(adds)
    x = torch.ones(2)
    place["TENSOR"] = torch.ones(2)
    same(adds(x), compiled(x))
    TENSOR.add_(1)
    same(adds(x), compiled(x))
    TENSOR.data = torch.full((2,), 5.0)
    same(adds(x), compiled(x))
    TENSOR.requires_grad_()
    compiled(x).sum().backward()
    same(torch.ones(2), TENSOR.grad)
    place["TENSOR"] = torch.zeros(2)
    same(adds(x), compiled(x))


def changes(x: Tensor):
    TENSOR.add_(1)
    y = TENSOR + x
    TENSOR.mul_(2)
    return y, TENSOR, TENSOR is x


def test_a_captured_tensor_is_changed_in_place(place):
    compiled = scriptmode.script(changes)
    place["TENSOR"] = torch.ones(2)
    want = [torch.full((2,), 3.0), torch.full((2,), 4.0), False]
    got = compiled(torch.ones(2))
    same(want, list(got))
    assert got[1] is TENSOR
    assert compiled(TENSOR)[2] is True


def test_captured_lists_of_tensors():
    def f(x: Tensor, i: int):
        return TENSORS[0] + x, torch.stack(TENSORS), TENSORS[i]

    compiled = scriptmode.script(f)
    x = torch.ones(2)
    same(f(x, 1), compiled(x, 1))
    TENSORS[0].add_(5)
    same(f(x, 0), compiled(x, 0))
    TENSORS[1] = torch.full((2,), 9.0)
    same(f(x, 1), compiled(x, 1))
    assert compiled(x, 0)[2] is TENSORS[0]


def test_closure_variables():
    k = 1

    def inner(x: int):
        return x + k

    compiled = scriptmode.script(inner)
    assert compiled(1) == 2
    k = 10
    assert compiled(1) == 11
    k = "a"
    with pytest.raises(TypeError, match="the captured `k` changed"):
        compiled(1)
    k = 4
    assert compiled(1) == 5


def test_further_instances_follow():
    k = 1

    def inner(x):
        return x + k

    compiled = scriptmode.script(inner)
    assert [compiled(1), compiled(1.5)] == [2, 2.5]
    k = 2
    assert [compiled(1), compiled(1.5)] == [3, 3.5]
    k = 3
    assert [compiled(1.5), compiled(1)] == [4.5, 4]


class Scaled(nn.Module):
    scale = 2

    def forward(self, x: Tensor):
        return x * self.scale + NUMBER


def test_modules_follow_globals_and_class_attributes(place, monkeypatch):
    monkeypatch.setattr(Scaled, "scale", 2)
    eager = Scaled()
    compiled = scriptmode.script(eager)
    x = torch.ones(2)
    same(eager(x), compiled(x))
    place["NUMBER"] = 100
    same(eager(x), compiled(x))
    Scaled.scale = 3
    same(eager(x), compiled(x))


def reads_containers(i: int, k: str):
    return (
        LIST[i], LIST[1:], i in LIST, sum(LIST), max(LIST), [x * 2 for x in LIST], sorted(LIST),
        LIST + [4], LIST * 2, list(LIST), LIST.index(2), LIST.copy(), DICT[k], DICT.get(k, 0),
        k in DICT, list(DICT.items()), DICT.copy(), dict(DICT), {**DICT, "c": 5}, TABLE[i][0],
    )  # fmt: skip


def test_captured_containers_are_read():
    compiled = scriptmode.script(reads_containers)
    for i, k in ((0, "a"), (1, "b"), (-1, "a")):
        same(reads_containers(i, k), compiled(i, k))


def returned(i: int):
    return LIST


def appended(i: int):
    LIST.append(i)


def stored(i: int):
    return [LIST, [1]]


def assigned(i: int):
    DICT["a"] = i


def row(i: int) -> List[int]:
    return TABLE[i]


def test_a_copy_never_takes_the_place_of_a_captured_container(place):
    place["TABLE"] = [list(row) for row in TABLE]
    assert scriptmode.script(returned)(0) is LIST
    scriptmode.script(appended)(7)
    assert LIST == [1, 2, 7]
    assert scriptmode.script(stored)(0)[0] is LIST
    scriptmode.script(assigned)(9)
    assert DICT == {"a": 9, "b": 2}
    assert scriptmode.script(row)(1) is place["TABLE"][1]
