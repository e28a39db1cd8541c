import functools
from typing import List


class Point:
    def __init__(self, x: int):
        self.x = x
        self.y = None


@functools.lru_cache(None)
def make(n: int) -> Point:
    return Point(n)


def keep(n: int, seen: List[Point] = [Point(1)]) -> int:
    seen.append(Point(n))
    return len(seen)


def f(n: int) -> int:
    c = keep(n) + make(n).x
    p = make(n)
    p.y = 5
    q = make(n + 1)
    if q.y is None:
        q.y = 7
    return c * 0 + (p.y or 0) + (q.y or 0)


ARGUMENTS = [lambda: (4,)]
