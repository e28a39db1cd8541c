from typing import List


class Shape:
    def __init__(self, size: int):
        self.size = size
        self.tags: List[str] = []


class Square(Shape):
    def __init__(self, size: int, extra: int):
        self.size = size
        self.extra = extra
        self.tags: List[str] = []


def f(a0: Shape, a1: List[Shape]) -> int:
    c = 0
    for i1 in range(4):
        a1, a1 = (a1, a1)
        try:

            def g4(p5: int):
                for i6 in range(p5 % 6):
                    if isinstance(a0, Square):
                        yield (i1 // i1)
                    yield 10
                    if a1 != a1:
                        return

            for i8 in g4(100):
                c += i8
        except ZeroDivisionError:
            pass
    return c


ARGUMENTS = [lambda: (Square(1, 2), [Square(1, 2)])]
