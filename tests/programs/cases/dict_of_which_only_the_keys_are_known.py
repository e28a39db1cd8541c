def f(n: int) -> int:
    a2 = {}
    a2.pop(n, 0)
    return len(a2)


ARGUMENTS = [lambda: (1,)]
