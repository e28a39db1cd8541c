def f(a0: bool) -> int:
    c = 0
    for i2 in range(2, 0, -1):
        if True if i2 < i2 <= i2 else None:
            c += 1
    return c


ARGUMENTS = [lambda: (True,)]
