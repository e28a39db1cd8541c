"""Functions and modules that archives are made of; a second process loads them without this file."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
from typing import Dict, List, NamedTuple, Optional, Tuple, Union  # noqa: UP035

import torch
from torch import Tensor, nn

import scriptmode


@dataclasses.dataclass
class Item:
    price: int
    name: str = "item"

    def dearer(self, by: int) -> Item:
        return Item(self.price + by, self.name)


@dataclasses.dataclass(frozen=True, order=True)
class Key:
    row: int
    column: int


class Node:
    def __init__(self, value: int, next: Optional[Node] = None):
        self.value = value
        self.next = next


class Pair(NamedTuple):
    first: Tensor
    second: int


class Mode(enum.Enum):
    FAST = 1
    EXACT = "exact"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 5


class Wrong(ValueError):
    def __init__(self, text: str, code: int):
        super().__init__(text)
        self.code = code


class Shop(nn.Module):
    """State of every kind, with submodules that are shared and listed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3, bias=False), self.first, nn.Tanh()])
        self.named = nn.ModuleDict({"a": nn.Sequential(nn.Linear(3, 2), nn.ReLU())})
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.register_parameter("missing", None)
        self.items = [Item(1), Item(2, "two")]
        self.by_key = {Key(0, 1): 0.5, Key(1, 0): float("inf")}
        self.mode = Mode.EXACT
        self.level = Level.HIGH
        self.last: Optional[Item] = None
        self.texts = ("é", "漢字")
        self.recent = collections.deque([1, 2], 3)
        self.scale = 2.5

    def forward(self, x: Tensor, names: List[str]) -> Tuple[Tensor, Dict[str, int]]:
        for layer in self.layers:
            x = layer(x)
        self.count += 1
        found = {name: len(name) for name in names}
        if self.mode == Mode.EXACT and int(self.level) > 1:
            x = x * self.scale
        self.items.append(self.items[0].dearer(len(names)))
        self.last = self.items[-1]
        self.recent.append(len(names))
        return x @ self.weight, found

    @scriptmode.export
    def total(self, by: int = 1, *, key: Optional[Key] = None) -> float:
        """What everything costs."""
        found = 0.0
        for item in self.items:
            found += item.price * by
        if key is not None:
            found += self.by_key[key]
        return found


def gated(x: Tensor, n: int = 3, *, word: str = "up"):
    """A loop and a branch."""
    for i in range(n):
        if x.sum() > i and word == "up":
            x = x * 2
        else:
            x = x - 1
    return x


def containers(rows: List[List[int]], way: Union[int, str]):
    seen: Dict[Tuple[int, str], List[float]] = {}
    for row in rows:
        for v in row:
            seen.setdefault((v, str(way)), []).append(v / 2)
    kept = {k for k, _ in seen if k > 1}
    return seen, kept, [f"{v:>4}|{way!r}" for v in sorted(kept)]


def instances(node: Node, key: Key, mode: Mode):
    length = 0
    at: Optional[Node] = node
    while at is not None:
        at.value += key.row
        length += 1
        at = at.next
    if mode == Mode.FAST:
        raise Wrong(f"after {length}", length)
    return Node(length, node), Pair(torch.ones(1), length), Key(length, 0), Mode.FAST


def values_of(node: Node):
    found: List[int] = []
    at: Optional[Node] = node
    while at is not None and len(found) < 4:
        if at.next is not None and at.next.value > 1:
            found.append(-at.value)
        found.append(at.value)
        at = at.next
    return found


def recursive(n: int) -> int:
    return n if n < 2 else recursive(n - 1) + recursive(n - 2)


TABLE = torch.arange(12.0).reshape(3, 4)


def constants(x: Tensor):
    return x + TABLE[1], torch.zeros(2, dtype=torch.float64, device="cpu"), (1 + 2j), b"\x00\xff"


def recorded(pair: Dict[str, Tensor], n: float):
    return {"sum": pair["a"] + n, "both": (pair["b"], [pair["a"] * pair["b"]])}


class Branches(nn.Module):
    """A recording inside of a script."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = scriptmode.trace(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.ones(1, 3))

    def forward(self, x: Tensor):
        return self.inner(x) if x.sum() > 0 else x


class Terms(tuple):
    """A class with a length of its own, as physicists have them."""

    def __len__(self):
        raise NotImplementedError

    def __iter__(self):
        raise NotImplementedError


class Scaled(nn.Module):
    """A part that keeps such a value, and a number that calls may change."""

    def __init__(self) -> None:
        super().__init__()
        self.terms = Terms((1, 2))
        self.times = 3
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor, more: int = 0):
        return self.linear(x) * (self.times + more)


class Computing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.computed = 0

    @functools.cached_property
    def factor(self):
        self.computed += 1
        return self.computed * 3

    def forward(self, x: Tensor):
        return x * self.factor + self.factor, self.computed


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = scriptmode.script(Scaled())
        self.other = Scaled()

    def forward(self, x: Tensor):
        return self.part(x) + self.other(x, more=1)


@scriptmode.ignore
def in_python(text: str) -> str:
    return text[::-1]


@scriptmode.unused
def not_compiled(text: str) -> int:
    return len(text)


def calls_python(x: Tensor, text: str):
    kept: List[int] = x.long().tolist()
    return (
        in_python(text),
        x.tolist(),
        not_compiled(text),
        text.encode("latin-1", "replace"),
        kept,
        hash(3.5),
    )


def of_functions(n: int):
    table = [abs, recursive]
    table.append(lambda q: q + n)
    return [f(n) for f in table]
