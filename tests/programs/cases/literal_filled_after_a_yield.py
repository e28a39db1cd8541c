"""A list that a generator fills only after a yield learns its element type there, not before."""

from itertools import cycle
from typing import List, Tuple


def again(xs):
    items = []
    for x in xs:
        yield x
        items.append(x)
    while len(items) > 0:
        for x in items:
            yield x


def f(n: int) -> Tuple[int, List[str]]:
    total = 0
    texts: List[str] = []
    while total < n:
        for i in range(3):
            rows = [q for _, q in zip(range(3), again([[(i, "a")]]))]
            rows += [q for _, q in zip(range(2), cycle([[(1, "b")]]))]
            for row in rows:
                for number, text in row:
                    total += number
                    texts.append(text)
    return total, texts


ARGUMENTS = [lambda: (5,), lambda: (0,), lambda: (40,)]
