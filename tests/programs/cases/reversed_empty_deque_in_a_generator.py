from collections import deque


def f(a: int) -> int:
    v2 = deque([])

    def g5(p6: int):
        yield from reversed(v2)

    v7 = list(g5(a))[:8]
    return len(v7)


ARGUMENTS = [lambda: (1,)]
