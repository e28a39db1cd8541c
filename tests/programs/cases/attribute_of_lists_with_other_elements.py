"""An attribute is given lists whose elements differ, and is filled with what only one admits."""

from typing import List, Union

import torch
from torch import Tensor


class Box:
    def __init__(self, items):
        self.items = items


class Given:
    def __init__(self, items):
        self.items = items


class Later:
    def __init__(self):
        self.items = None
        self.table = {}

    def fill(self, n: int, x: Tensor):
        self.items = [n]
        if n > 1:
            self.items = [n, None]
        self.table = {"n": n}
        if n > 2:
            self.table = {"x": x, "n": n}
        self.table["more"] = x


def own(x: Tensor, n: int) -> str:
    box = Box([n])
    if n > 1:
        box.items = [n, x]
    box.items.append(x)
    return str(len(box.items)) + str(box.items[0])


def wider(x: Tensor, n: int) -> int:
    box = Box([1, 2])
    xs: List[Union[Tensor, int]] = [x, n]
    box.items = xs
    box.items.append(n)
    return len(xs) + len(box.items)


def of_caller(x: List[int], n: int) -> List[int]:
    box = Given(x)
    box.items.append(n)
    if n > 1:
        box = Given([n])
    box.items += [n]
    return box.items


def f(x: Tensor, numbers: List[int], n: int) -> str:
    later = Later()
    later.fill(n, x)
    count = 0 if later.items is None else len(later.items)
    names = sorted(later.table)
    return f"{own(x, n)} {wider(x, n)} {of_caller(numbers, n)} {numbers} {count} {names}"


ARGUMENTS = [lambda n=n: (torch.ones(2), [4, 5], n) for n in range(4)]
