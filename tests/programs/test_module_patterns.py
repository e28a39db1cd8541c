"""What modules do: state made on first use, identity, ``__call__`` of their own, keyword hooks."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest
import torch
from torch import nn

from tests.fourway import check

X = torch.arange(3.0)


class LazyDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache: Optional[Dict[str, torch.Tensor]] = None

    def forward(self, x):
        if self.cache is None:
            self.cache = {}
        self.cache[f"x{len(self.cache)}"] = x
        return len(self.cache), self.cache


class LazyList(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache: Optional[List[torch.Tensor]] = None

    def forward(self, x):
        if self.cache is None:
            self.cache = []
        self.cache.append(x + len(self.cache))
        return torch.stack(self.cache)


class LazyTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache: Optional[torch.Tensor] = None

    def forward(self, x):
        if self.cache is None:
            self.cache = x
        elif self.cache.sum() > 10:
            self.cache = x * 2
        return self.cache + 1


class Unannotated(nn.Module):
    def __init__(self):
        super().__init__()
        self.cache = None

    def forward(self, x):
        if self.cache is None:
            self.cache = {}
        self.cache["x"] = x
        return len(self.cache)


class Counter:
    def __init__(self):
        self.seen: Optional[List[int]] = None
        self.last: Optional[int] = None

    def note(self, n: int) -> int:
        if self.seen is None:
            self.seen = [n]
        self.seen.append(n)
        self.last = n
        return self.last + len(self.seen)

    def reset(self) -> None:
        self.seen = None


def lazy_objects(n: int):
    c = Counter()
    first = c.note(n)
    c.reset()
    return first, c.note(n + 1), c.seen


class Doubled:
    """A property of the name of an attribute that is tested."""

    def __init__(self):
        self.reads = 0
        self.kept: Optional[int] = None

    @property
    def value(self) -> Optional[int]:
        self.reads += 1
        return self.kept

    @value.setter
    def value(self, new: Optional[int]) -> None:
        self.kept = None if new is None else new * 2


def through_a_property(n: int):
    d = Doubled()
    d.value = n
    found = d.value
    return found, d.reads


class OwnCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def __call__(self, x):
        return super().__call__(x) + 1

    def forward(self, x):
        return self.linear(x)


class Identities(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3)
        self.again = self.a
        self.other = nn.Tanh()
        self.layers = nn.ModuleList([self.a, self.b])

    def forward(self, x):
        found = 0
        for i, layer in enumerate(self.layers):
            if layer is self.a:
                found += 10**i
        return (
            self.a == self.a, self.a is self.a, self.a is self.b, self.again is self.a,
            self.a != self.b, self.a is self.other, self.other == self.a, found,
            self.a in self.layers, self.other in self.layers,
        )  # fmt: skip


class Scaled(nn.Module):
    def forward(self, x, scale=1.0, *, shift=0.0):
        return x * scale + shift


def doubles(module, args, kwargs):
    return args, {"scale": kwargs["scale"] * 2}


def in_training(module, args, kwargs):
    if module.training:
        return (args[0] + 1,), {"scale": 5.0}
    return None


class Hooked(nn.Module):
    def __init__(self, hook):
        super().__init__()
        self.inner = Scaled()
        self.inner.register_forward_pre_hook(hook, with_kwargs=True)
        self.inner.register_forward_hook(
            lambda m, a, kwargs, out: out + kwargs["scale"], with_kwargs=True
        )

    def forward(self, x):
        return self.inner(x, scale=3.0)


@pytest.mark.parametrize("cls", [LazyDict, LazyList, LazyTensor, Unannotated])
def test_state_that_is_made_on_first_use(cls):
    check(cls(), (X,))


def test_attributes_that_are_made_on_first_use():
    check(lazy_objects, (3,))
    check(through_a_property, (3,))


def test_a_call_method_of_the_module_s_own():
    check(OwnCall(), (X,))


def test_modules_are_compared_by_identity():
    check(Identities(), (X,))


def test_hooks_that_give_keyword_arguments():
    check(Hooked(doubles), (X,))
    check(Hooked(in_training), (X,))
    check(Hooked(in_training).eval(), (X,))
