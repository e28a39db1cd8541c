from typing import List


def f(n: int, xs: List[int]):
    a = sum(i for i in range(0, 4) if False) + n
    b = sum(len("-".join("" for j in range(3) if True)) for i in range(0, 4) if False)
    k = 0
    while k < 2 and sum(i for i in xs if False) == 0:
        k += 1
    return a, b, k


ARGUMENTS = [lambda: (1, [1, 2]), lambda: (2, [])]
