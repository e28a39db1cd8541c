"""Programs with loops that have ``else`` parts, ``:=``, ``del`` and errors from everywhere."""

from __future__ import annotations

from typing import Dict, List

import scriptmode


@scriptmode.ignore
def python_raises(n: int) -> int:
    if n == 0:
        raise KeyError("from python", n)
    if n == 1:
        raise StopIteration("stop")
    return n


def an_error_of_python_is_caught(n: int):
    try:
        return python_raises(n)
    except KeyError as e:
        return len(e.args)


def an_error_of_python_goes_on(n: int):
    return python_raises(n)


def an_error_of_python_is_a_cause(n: int):
    try:
        return python_raises(n)
    except KeyError as e:
        raise ValueError("v") from e


def recursive(n: int) -> int:
    return 1 + recursive(n + 1)


def recursion_is_caught(n: int):
    try:
        return recursive(n)
    except RecursionError:
        return -1


def an_impossible_list(n: int):
    try:
        return len([0] * n)
    except MemoryError:
        return -1


def an_impossible_text(n: int):
    try:
        return len("ab" * n)
    except (MemoryError, OverflowError):
        return -1


def else_parts_inside_each_other(n: int):
    log: List[int] = []
    i = 0
    while i < 3:
        for j in range(4):
            if j == n:
                break
        else:
            log.append(i)
            i += 1
            continue
        log.append(-j)
        i += 1
        if i == n:
            break
    else:
        log.append(100)
    return log


def walrus_in_a_comprehension(xs: List[int]):
    return [y for x in xs if (y := x * 2) > 2], y


def walrus_behind_an_and(xs: List[int]):
    if (n := len(xs)) > 2 and (m := xs[0]) > 0:
        return n + m
    return n


def walrus_that_may_not_be_reached(xs: List[int]):
    big = len(xs) > 2 and (m := xs[0]) > 0
    return big, m


def items_in_a_try(d: Dict[str, List[int]], k: str):
    try:
        d[k][0] += 1
        d[k].append(2)
    except KeyError:
        d[k] = [0]
    except IndexError:
        del d[k]
    return d


def a_break_in_finally(n: int):
    for i in range(3):
        try:
            pass
        finally:
            if i == n:
                break
    return i


def a_return_in_finally_swallows(n: int):
    try:
        raise ValueError("lost")
    finally:
        return n  # noqa: B012


def numbers(n: int):
    for i in range(n):
        yield 10 // (i - 2)


def an_error_of_a_generator(n: int):
    out: List[int] = []
    try:
        for v in numbers(n):
            out.append(v)
    except ZeroDivisionError:
        out.append(99)
    return out


CASES = [
    (an_error_of_python_is_caught, (0,), (2,)),
    (an_error_of_python_goes_on, (0,), (1,), (2,)),
    (an_error_of_python_is_a_cause, (0,)),
    (recursion_is_caught, (0,)),
    (an_impossible_list, (10**18,), (5,)),
    (an_impossible_text, (10**18,), (5,)),
    (else_parts_inside_each_other, (0,), (2,), (9,)),
    (walrus_in_a_comprehension, ([1, 2, 3],), ([],)),
    (walrus_behind_an_and, ([1, 2, 3],), ([],)),
    (walrus_that_may_not_be_reached, ([1, 2, 3],), ([],)),
    (items_in_a_try, ({"a": [1]}, "a"), ({"a": []}, "a"), ({}, "q")),
    (a_break_in_finally, (1,), (7,)),
    (a_return_in_finally_swallows, (1,)),
    (an_error_of_a_generator, (1,), (5,)),
]
