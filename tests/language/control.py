"""Control"""

import contextlib
import warnings
from typing import List, Optional

import torch


class Refused(ValueError):
    def __init__(self, code: int):
        super().__init__("refused", code)
        self.code = code


class Guard:
    def __init__(self, log: List[str]):
        self.log = log

    def __enter__(self):
        self.log.append("in")
        return self

    def __exit__(self, kind, value, trace):
        self.log.append("out")
        return kind is KeyError


def conditions(n: int = 3, x: torch.Tensor = torch.ones(1)):
    """`if`, `elif`, `else`, conditional expressions, the truth of every value"""
    if not n:
        return 0, ""
    elif x.sum() > 5:
        return 1, ""
    return 2, "yes" if [n] else "no"


def whiles(n: int = 10):
    """`while`, `break`, `continue`, `while ... else`"""
    total = 0
    while n > 0:
        n -= 1
        if n % 2:
            continue
        if n < -5:
            break
        total += n
    else:
        total += 1000
    return total


def fors(xs: List[int] = [1, 2, 3]):
    """`for` over every iterable, `for ... else`, the loop variable afterwards"""
    total = 0
    for x in xs:
        if x == 7:
            break
    else:
        total = 100
    for i, (a, b) in enumerate(zip(xs, "abc")):
        total += i + a + len(b)
    return total, x, i


def early_return(xs: List[int] = [4, 5]):
    """`return` anywhere, results of different types"""
    for x in xs:
        if x > 4:
            return x
    return None


def handlers(n: int = 0):
    """`try`, `except`, `else`, `finally`"""
    log = []
    try:
        log.append(str(10 // n))
    except (ValueError, ZeroDivisionError) as error:
        log.append(str(error))
    else:
        log.append("else")
    finally:
        log.append("finally")
    return log


def own_exceptions(n: int = 5):
    """exception classes of one's own, with fields; `raise ... from`"""
    try:
        raise Refused(n)
    except ValueError as error:
        if isinstance(error, Refused):
            return error.code, error.args, str(error), repr(error), type(error).__name__
        raise


def chained_exception(n: int = 5):
    """an exception that leaves reaches Python as itself, with cause and context"""
    try:
        raise KeyError("k")
    except KeyError as error:
        raise Refused(n) from error


def assertion(n: int = 5):
    """`assert`: `AssertionError`"""
    assert n < 3, f"{n} is too large"
    return n


@contextlib.contextmanager
def tagged(log: List[str], name: str):
    log.append(name)
    try:
        yield name
    finally:
        log.append("end of " + name)


def context_functions(n: int = 3):
    """`contextlib.contextmanager` as `with` and decorator, `ExitStack`, managers chosen at run time"""
    log: List[str] = []

    @tagged(log, "call")
    def double(x: int):
        return x * 2

    with contextlib.ExitStack() as stack:
        for i in range(n):
            stack.enter_context(tagged(log, str(i)))
    with tagged(log, "a") if n > 2 else contextlib.nullcontext("b") as name:
        log.append(name)
    return double(n), log


def with_statements(log: List[str] = []):
    """`with` of user classes, several items, suppression"""
    with Guard(log) as g, Guard(g.log):
        log.append("body")
        raise KeyError("gone")
    return log


def modes(x: torch.Tensor = torch.ones(2, requires_grad=True)):
    """`no_grad`, `enable_grad`, `inference_mode`, `autocast`, `record_function`, `nullcontext`"""
    with torch.no_grad():
        a = x * 2
        with torch.enable_grad():
            b = x * 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        c = torch.mm(torch.ones(2, 2), torch.ones(2, 2))
    with torch.profiler.record_function("part"), contextlib.nullcontext():
        d = x + 1
    return a.requires_grad, b.requires_grad, c.dtype, d.requires_grad


def walrus(xs: List[int] = [1, 5, 9]):
    """assignment expressions"""
    if (n := len(xs)) > 2:
        return [y for x in xs if (y := x * n) > 3], n
    return [], 0


def matching(command: str = "go", point: Optional[int] = 3):
    """`match`: literals, alternatives, sequences, mappings, classes, guards, captures"""
    match [command, point]:
        case ["stop", _]:
            return 0
        case ["go", int(n)] if n > 2:
            return n
        case _:
            return -1


def deletion(n: int = 3):
    """`del` of names, items, slices and keys"""
    xs = [1, 2, 3]
    d = {"a": 1}
    del xs[0], d["a"]
    y = n
    del n
    return xs, d, y


def augmented(xs: List[int] = [1, 2], n: int = 7):
    """augmented assignment of all kinds"""
    n += 1
    n //= 2
    n **= 2
    n |= 1
    n <<= 1
    xs[0] += n
    xs *= 2
    s = "a"
    s += "b"
    return xs, n, s


def warning(n: int = 1):
    """`warnings.warn`, `print` with `sep`, `end` and `file`"""
    warnings.warn(f"about {n}", stacklevel=2)
    print(n, [n], sep="-", end="!\n")
    return n
