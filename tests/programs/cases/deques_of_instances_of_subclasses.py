from collections import deque
from typing import Deque


class Shape:
    def __init__(self, size: int):
        self.size = size

    def area(self) -> int:
        return self.size


class Square(Shape):
    def area(self) -> int:
        return self.size * self.size


def f(a: Deque[Shape]) -> int:
    a.rotate(1)
    return sum([s.area() * (i + 1) for i, s in enumerate(a)])


ARGUMENTS = [
    lambda: (deque([Square(3), Shape(2)]),),
    lambda: (deque([]),),
]
