"""Functions"""

import functools
import itertools
from typing import Callable, List, Type

SCALE = 3
TABLE = {"a": 1, "b": 2}
COUNT = 0
SEEN: List[int] = []


def twice(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs) * 2

    return wrapper


@twice
def decorated_helper(n: int):
    return n + 1


def collect(*args, scale: int = 1, **kwargs):
    total = 0
    for a in args:
        total += a
    return total * scale + len(kwargs)


def positional(a: int, /, b: int, *, c: int = 4):
    return a * 100 + b * 10 + c


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def is_even(n: int) -> bool:
    return True if n == 0 else is_odd(n - 1)


def is_odd(n: int) -> bool:
    return False if n == 0 else is_even(n - 1)


def apply(function: Callable[[int], int], n: int):
    return function(n)


def countdown(n: int):
    while n > 0:
        yield n
        n -= 1
    return


def variable_arguments(n: int = 2):
    """`*args` and `**kwargs`, specialised for each call"""
    xs = [1, 2]
    return collect(n, 3, scale=2, other=1), collect(), collect(*xs), positional(1, *[2], **{"c": 3})


def keyword_only(n: int = 2):
    """keyword-only and positional-only parameters, defaults"""
    return positional(n, 2), positional(n, b=3, c=1)


def recursion(n: int = 12):
    """recursion and mutual recursion"""
    return fibonacci(n), is_even(n)


def too_deep(n: int = 10):
    """recursion that is too deep: `RecursionError`"""

    def forever(k: int) -> int:
        return forever(k + 1) + 1

    try:
        return forever(n)
    except RecursionError:
        return -1


def closures(n: int = 3):
    """nested functions, lambdas, closures, `nonlocal`"""
    count = 0

    def increment(by: int):
        nonlocal count
        count += by
        return count

    increment(n)
    double = lambda x: x * 2 + count  # noqa: E731
    return increment(1), double(n)


def values(n: int = 3):
    """functions as values: arguments, list elements, results"""

    def adder(k: int):
        return lambda x: x + k

    table = [adder(1), adder(10), lambda x: x * x]
    chosen = table[n % 3]
    return apply(adder(5), n), [f(n) for f in table], chosen(n)


def partials(n: int = 3):
    """`functools.partial`"""
    f = functools.partial(positional, 1, c=9)
    return f(n)


def decorators(n: int = 3):
    """decorators with `functools.wraps` are applied"""
    return decorated_helper(n)


def mutable_default(n: int = 3):
    """a mutable default is one object for all calls"""

    def add(x: int, found: List[int] = []):
        found.append(x)
        return len(found)

    return add(n), add(n)


def generators(n: int = 4):
    """generator functions and generator expressions"""
    g = countdown(n)
    first = next(g)
    squares = (x * x for x in range(n))
    return first, list(g), sum(squares), [a for a in countdown(3) if a > 1]


def generators_with_ends(n: int = 4):
    """`yield` inside `try`, `finally`, `with`; a generator left early or closed runs them"""
    log: List[str] = []

    def guarded():
        try:
            yield from range(n)
        finally:
            log.append("end")

    for x in guarded():
        if x == 1:
            break
    it = guarded()
    log.append(str(next(it)))
    it.close()
    return log


def coroutines(n: int = 4):
    """`x = yield v`, `send`, `throw`, `StopIteration.value`, results of `yield from`"""

    def summing():
        total = 0
        while True:
            x = yield total
            if x is None:
                return total
            total += x

    def outer():
        result = yield from summing()
        yield -result

    it = outer()
    next(it)
    return it.send(n), it.send(2), next(it)


def itertools_functions(n: int = 3):
    """`itertools`, `groupby` and `tee` among them"""
    a, b = itertools.tee(range(n))
    groups = [(k, list(g)) for k, g in itertools.groupby([1, 1, n, n])]
    return groups, next(a), list(zip(a, b)), list(itertools.product([n], "ab", [1, 2]))


def assigned_outside(n: int = 2):
    """`global` and `nonlocal` of what is outside, captured containers changed in place"""
    global COUNT
    COUNT += n
    SEEN.append(COUNT)
    result = COUNT, len(SEEN), SEEN[0]
    COUNT = 0
    SEEN.clear()
    return result


@functools.singledispatch
def described(x):
    return "other"


@described.register
def _(x: int):
    return f"int {x}"


def single_dispatch(n: int = 2):
    """`functools.singledispatch`, by the class of the first argument"""
    return described(n), described(1.5)


def function_arguments(g: Callable[[int], int] = abs, kind: Type[float] = float, n: int = -2):
    """functions, lambdas, closures, partials, classes and modules as arguments of entries"""
    return g(n), kind(n)


def captured(n: int = 2):
    """captured globals are constants, guarded against change"""
    return n * SCALE + TABLE["b"]
