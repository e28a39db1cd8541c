"""Instances of user classes that exist before the program: captured, or kept by modules."""

from __future__ import annotations

import copy

import torch
from torch import nn

import scriptmode
from tests.fourway import check

X = torch.ones(2)


class Counter:
    def __init__(self, n):
        self.n = n
        self.seen = [n]

    def value(self):
        return self.n + len(self.seen)

    def bump(self):
        self.n += 1
        self.seen.append(self.n)


class Chosen(nn.Module):
    """Objects in a dict, chosen at run time."""

    def __init__(self):
        super().__init__()
        self.own = Counter(2)
        self.table = {1: Counter(5), 2: Counter(7)}

    def forward(self, x, k: int):
        return x * self.own.value() + self.table[k].value()


class Written(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = Counter(2)

    def forward(self, x):
        self.own.bump()
        self.own.n += 1
        self.own.seen.append(3)
        return x * self.own.value()


class Later(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = None

    def forward(self, x, k: int):
        if self.own is None:
            self.own = Counter(k)
        self.own.bump()
        return x * self.own.value()


SHARED = Counter(3)


def bump_shared(x):
    SHARED.bump()
    return x * SHARED.n


def test_objects_in_module_attributes_are_chosen_written_and_made():
    check(Chosen(), (X, 1), (X, 2))
    check(Written(), (X,))
    check(Later(), (X, 4))


def test_an_object_of_a_modules_state_is_the_same_each_time():
    eager, compiled = Written(), scriptmode.script(Written())
    for model in (eager, compiled):
        own = model.own
        model(X)
        own.n += 10
        own.seen.append(1)
        model(X)
        assert model.own is own
    assert vars(eager.own) == vars(compiled.own)
    copied = copy.deepcopy(compiled)
    copied(X)
    assert vars(eager.own) == vars(compiled.own) != vars(copied.own)


def test_a_captured_object_is_changed_in_place():
    compiled = scriptmode.script(bump_shared)
    before = SHARED.n
    seen = SHARED.seen
    assert compiled(X)[0] == before + 1 == SHARED.n
    SHARED.n = 20
    assert compiled(X)[0] == 21 == SHARED.n
    assert seen is SHARED.seen and seen[-1] == 21


def test_slices_take_bounds_that_are_ints_or_tensors():
    def crop(x, box, flag: bool):
        low = box[0] if flag else 0
        high = max(box[1], 1)
        x[low:high] = x[low:high] + 1
        return x[low:high]

    check(
        crop, (torch.zeros(5), torch.tensor([1, 3]), True), (X.clone(), torch.tensor([1, 2]), False)
    )


def test_a_part_of_a_tensor_takes_one_of_several_kinds_of_number():
    def fill(x, n: int):
        value = 2.5 if n > 1 else n
        x[0] = value
        return x

    check(fill, (torch.zeros(3), 1), (torch.zeros(3), 2))
