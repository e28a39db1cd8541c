def even(n: int) -> bool:
    return True if n <= 0 else odd(n - 1)


def odd(n: int) -> bool:
    return False if n <= 0 else even(n - 1)


def f(a: int) -> int:
    found = []
    count = int(odd(a)) + int(even(a))
    found.append("a")
    values = {}
    values[a] = odd(a + 1)
    return count + len(found) + int(values[a])


ARGUMENTS = [lambda: (1,), lambda: (8,)]
