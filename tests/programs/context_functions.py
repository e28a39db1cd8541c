"""Programs with ``contextlib.contextmanager`` functions, for ``tests/frontend/script``."""

from __future__ import annotations

import contextlib
from typing import List

import torch


@contextlib.contextmanager
def logged(log: List[str], name: str):
    log.append("enter " + name)
    try:
        yield len(log)
    except ValueError as error:
        log.append("caught " + str(error))
    else:
        log.append("no error")
    finally:
        log.append("exit " + name)
    log.append("after " + name)


def jumps_and_errors(n: int):
    log: List[str] = []
    for i in range(3):
        with logged(log, str(i)) as k:
            log.append(str(k))
            if n == i:
                raise ValueError("bad", i)
            if n == i + 10:
                return log
            if n == i + 20:
                break
            if n == i + 30:
                continue
            if n == i + 40:
                raise KeyError(i)
        log.append("end")
    return log


def log_after_an_error(log: List[str], n: int):
    with logged(log, "a"), logged(log, "b"):
        if n == 1:
            raise KeyError("k")
        if n == 2:
            raise ValueError("v")
    return n


@contextlib.contextmanager
def plain(log: List[int]):
    log.append(1)
    yield
    log.append(2)


def an_error_ends_it(n: int):
    log: List[int] = []
    try:
        with plain(log):
            log.append(n)
            if n > 2:
                raise KeyError(n)
    except KeyError:
        log.append(9)
    return log


@contextlib.contextmanager
def another_error(cls_is_type: bool):
    try:
        yield
    except ValueError as error:
        if cls_is_type:
            raise TypeError("other") from error
        raise RuntimeError("other")  # noqa: B904


def errors_are_changed(n: int):
    with another_error(n > 0):
        if n != 5:
            raise ValueError(n)
    return n


@contextlib.contextmanager
def sometimes(n: int):
    if n > 0:
        yield n
    if n > 1:
        yield n


def generators_of_other_lengths(n: int):
    with sometimes(n) as k:
        if n == 3:
            raise ValueError("inside")
        return k


@contextlib.contextmanager
def without_gradients(flag: bool):
    with torch.no_grad():
        with torch.set_grad_enabled(flag):
            yield torch.is_grad_enabled()


def modes_inside(n: int):
    with without_gradients(n > 1) as flag:
        if n == 0:
            raise ValueError("out")
        inside = torch.is_grad_enabled()
    return flag, inside, torch.is_grad_enabled()


def nested_functions(n: int):
    out: List[int] = []

    @contextlib.contextmanager
    def around(v: int, *, w: int = 2):
        out.append(v)
        yield v + w
        out.append(-v)

    for i in range(n):
        with around(i, w=5) as a, around(i * 10) as b:
            if i == 2:
                continue
            out.append(a + b)
            if i == 4:
                break
    return out


@contextlib.contextmanager
def managers_in_managers(log: List[str]):
    with logged(log, "outer") as k:
        with contextlib.suppress(KeyError):
            yield k
        log.append("between")
    log.append("last")


def nested_managers(n: int):
    log: List[str] = []
    with managers_in_managers(log) as k:
        if n == 1:
            raise KeyError(k)
        if n == 2:
            raise ValueError(k)
    return log


@contextlib.contextmanager
def in_a_loop(log: List[int], n: int):
    for i in range(n):
        log.append(i)
        if i == 2:
            try:
                yield i
            finally:
                log.append(100 + i)


def a_yield_in_a_loop(n: int):
    log: List[int] = []
    with in_a_loop(log, n) as k:
        log.append(k * 7)
    return log


CASES = [
    (jumps_and_errors, (-1,), (1,), (11,), (21,), (31,), (41,)),
    (log_after_an_error, ([], 0), ([], 1), ([], 2)),
    (an_error_ends_it, (1,), (3,)),
    (errors_are_changed, (0,), (1,), (5,)),
    (generators_of_other_lengths, (0,), (1,), (2,), (3,)),
    (modes_inside, (0,), (1,), (2,)),
    (nested_functions, (7,)),
    (nested_managers, (0,), (1,), (2,)),
    (a_yield_in_a_loop, (4,), (1,)),
]
