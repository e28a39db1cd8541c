"""Attributes of modules that are containers of ``collections``, read and changed."""

from __future__ import annotations

import collections
import copy
from typing import Dict, List

import torch
from torch import nn

import scriptmode
from tests.fourway import check


class Journal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = collections.deque([1, 2], maxlen=3)
        self.seen = collections.OrderedDict()
        self.groups = collections.defaultdict(list)
        self.count = collections.Counter()
        self.named = collections.OrderedDict([("b", torch.ones(1)), ("a", torch.zeros(1))])

    def forward(self, x, key: str):
        self.last.append(x.numel())
        self.seen[key] = len(self.last)
        self.groups[key].append(3)
        self.count[key] += 1
        total = torch.zeros(1)
        for name, value in self.named.items():
            total = total + value * len(name)
        return list(self.last), self.seen, self.groups, self.count, self.last, total


class Declared(nn.Module):
    groups: Dict[str, List[str]]

    def __init__(self) -> None:
        super().__init__()
        self.groups = collections.defaultdict(list)

    def forward(self, key: str):
        return key in self.groups.keys(), len(self.groups)


def test_containers_of_collections_are_state() -> None:
    eager = Journal()
    compiled = scriptmode.script(copy.deepcopy(eager))
    for key in "aab":
        want, got = eager(torch.ones(2), key), compiled(torch.ones(2), key)
        assert str(want) == str(got)
    assert [type(getattr(compiled, n)) for n in ("last", "seen", "groups", "count")] == [
        collections.deque,
        collections.OrderedDict,
        collections.defaultdict,
        collections.Counter,
    ]
    assert not compiled.bailouts


def test_an_annotation_says_what_an_empty_defaultdict_holds() -> None:
    assert scriptmode.script(Declared())("a") == (False, 0)


def test_devices_hash_as_in_python() -> None:
    def f(a: torch.device, b: torch.device):
        return hash(a) == hash(b), hash(a)

    check(f, (torch.device("cpu"), torch.device("cuda:1")), (torch.device("cpu"),) * 2)
