from dataclasses import dataclass
from typing import List


@dataclass(frozen=True, order=True)
class Key:
    n: int
    s: str


def f(a: List[List[Key]]):
    a.sort()
    return a, a[0] <= a[-1], a[0] > a[1]


ARGUMENTS = [lambda: ([[Key(2, "x"), Key(0, "y")], [Key(1, "z")], [Key(2, "x")]],)]
