from typing import List, Optional, Union


class Shape:
    def __init__(self, size: int):
        self.size = size


class Square(Shape):
    pass


def f(a: Shape, b: Optional[int], c: Union[int, str]) -> List[int]:
    found: List[int] = []

    def of(n: int) -> int:
        for i in range(n):
            if isinstance(a, Square) and i > 0:
                break
        if b is not None and n > 1:
            n += b
        if isinstance(c, int):
            n += c
        elif n > 2:
            n += len(c)
        if a.size > 2:
            n += 1
        return n + (b or 0) + (c if isinstance(c, int) else 0)

    def items(n: int):
        for i in range(n % 6):
            for j in range(1, 4, 2):
                yield n >> j
                if isinstance(a, Square):
                    break
            if b is None:
                return
            yield b + i

    for n in range(5):
        found.append(of(n))
        found += list(items(n))
    return found


ARGUMENTS = [
    lambda: (Square(1), 2, "abc"),
    lambda: (Shape(5), None, 4),
    lambda: (Square(3), 0, ""),
]
