"""Write a random program: declarations, helper functions, the root function ``f``, argument sets.

Every program is typed, ends, and keeps its numbers and containers small: loops have few trips and
count them, sums are taken modulo a prime, strings and lists that grow are cut.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.generator import collections_of_python as collections_of_python
from tests.generator import control as control
from tests.generator import kinds as K
from tests.generator import shared_parts as shared_parts
from tests.generator.bodies import Body, Signature
from tests.generator.kinds import Kind
from tests.generator.more_types import NAMED
from tests.generator.protocols import BOXES, CALLS, FLAGS

FEATURES = frozenset(
    ["tensors", "sets", "enums", "classes", "dataclasses", "frozen", "keys", "try", "closures", "generators",
     "match", "boxes", "flags", "bytes", "collections", "frozensets", "calls", "unions", "named", "complex"]
)  # fmt: skip

HEADER = """\
import functools
import math
import torch
from bisect import bisect_left
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum
from heapq import nsmallest
from itertools import accumulate, chain, cycle, islice, pairwise, product, repeat, takewhile, zip_longest
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Set, Tuple, Union
from torch import Tensor
"""

ENUMS = """
class Color(Enum):
    RED = 1
    GREEN = 2
    BLUE = 3


class Level(IntEnum):
    LOW = 1
    MID = 5
    HIGH = 9
"""

DATACLASSES = """
@dataclass
class Point:
    x: int
    name: str = "p"

    def moved(self, by: int) -> "Point":
        return Point((self.x + by) % 1009, self.name)

    def __add__(self, other: "Point") -> "Point":
        return Point((self.x + other.x) % 1009, (self.name + other.name)[:6])
"""

CLASSES = """
class Shape:
    def __init__(self, size: int):
        self.size = size
        self.tags: List[str] = []

    def area(self) -> int:
        return self.size

    def grow(self, by: int) -> None:
        self.size = (self.size + by) % 1009
        if len(self.tags) < 5:
            self.tags.append("g" + str(by))

    def __len__(self) -> int:
        return len(self.tags)


class Square(Shape):
    def area(self) -> int:
        return self.size * self.size


class Round(Shape):
    def __init__(self, size: int, extra: int):
        super().__init__(size)
        self.extra = extra

    def area(self) -> int:
        return super().area() * 3 + self.extra


class Node:
    def __init__(self, value: int, next: "Optional[Node]"):
        self.value = value
        self.next = next

    def total(self) -> int:
        found = self.value
        node = self.next
        steps = 0
        while node is not None and steps < 20:
            found = (found + node.value) % 1009
            node = node.next
            steps += 1
        return found
"""

FROZEN = """
@dataclass(frozen=True, order=True)
class Key:
    n: int
    s: str
"""

ERRORS = """
class Refused(Exception):
    pass


class Worse(Refused):
    pass
"""


@dataclass(frozen=True)
class Program:
    """The text of a program, which defines ``f``, ``ARGUMENTS``, a list of functions, and ``LEVELS``."""

    seed: int
    text: str


def random_program(seed: int, features: frozenset[str] = FEATURES) -> Program:
    """The program of a seed, which uses some of the ``features``."""
    rng = random.Random(seed)
    used = frozenset(f for f in sorted(features) if rng.random() < 0.6)
    if "frozen" in used:
        used |= {"keys"}
    parts = [HEADER]
    if "enums" in used:
        parts.append(ENUMS)
    if "classes" in used:
        parts.append(CLASSES)
    if "dataclasses" in used:
        parts.append(DATACLASSES)
    if "frozen" in used:
        parts.append(FROZEN)
    if "try" in used:
        parts.append(ERRORS)
    if "boxes" in used:
        parts.append(BOXES)
    if "flags" in used:
        parts.append(FLAGS)
    if "calls" in used:
        parts.append(CALLS)
    if "named" in used:
        parts.append(NAMED)
    helpers: list[Signature] = []
    for index in range(rng.randrange(0, 3)):
        body = Body(rng, used, tuple(helpers), size=rng.randrange(1, 5))
        parameters = [K.random_kind(rng, used, 1) for _ in range(rng.randrange(1, 4))]
        result = K.random_kind(rng, used, 1)
        signature = Signature(f"h{index}", tuple(parameters), result, steered=True)
        parts.append(body.function(signature))
        helpers.append(signature)
    body = Body(rng, used, tuple(helpers), size=rng.choice((2, 3, 4, 6, 8, 10, 12)))
    parameters = [K.random_kind(rng, used, 2) for _ in range(rng.randrange(1, 5))]
    root = Signature("f", tuple(parameters), K.random_kind(rng, used, 2))
    parts.append(body.function(root))
    parts.append(_arguments(rng, parameters))
    if seed % 4:  # each level costs as much as the rest; most faults are the optimiser's
        parts.append("LEVELS = (1,)\n")
    return Program(seed, "\n".join(parts))


def _arguments(rng: random.Random, parameters: list[Kind]) -> str:
    """Argument sets, made anew for each call; equal kinds are aliases now and then.

    The last argument says which ways the call takes through the program.
    """
    lines = ["", "ARGUMENTS = ["]
    for _ in range(6):
        values = [*(K.literal(rng, k, 4) for k in parameters), str(rng.randrange(1024))]
        same = [
            (i, j) for j in range(len(parameters)) for i in range(j)
            if parameters[i] == parameters[j] and parameters[i].inner
        ]  # fmt: skip
        if same and rng.random() < 0.4:
            i, j = rng.choice(same)
            others = ", ".join("a" if k in (i, j) else v for k, v in enumerate(values))
            lines.append(f"    lambda: (lambda a: ({others},))({values[i]}),")
        else:
            lines.append(f"    lambda: ({', '.join(values)},),")
    lines.append("]")
    return "\n".join(lines) + "\n"
