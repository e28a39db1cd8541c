"""A list of functions to which one more is learnt to belong, over which a generator expression goes."""

from typing import Callable, List


def f(n: int) -> int:
    least = min([], key=lambda q: -q, default=n)
    functions: List[Callable[[int], int]] = []
    for _ in range(1):
        functions.append(lambda q: q * 2 + least)
    return sum(q(3) for q in functions)


ARGUMENTS = [lambda: (1,), lambda: (5,)]
