from typing import List


def f(a: List[int]) -> List[int]:
    a.reverse()
    return a


ARGUMENTS = [lambda: ([],), lambda: ([1],), lambda: ([1, 2, 3],)]
