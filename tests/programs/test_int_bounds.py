"""Ints whose bounds are known: checks may go, errors and values may not."""

import pytest

import scriptmode
from scriptmode.interp import Interpreter
from scriptmode.support import config
from tests.fourway import check, compare, outcome

BIG = 2**63 - 1


def check_overflow(function, *argument_sets):
    """Native code does as the interpreter, which raises where Python's ints leave 64 bits."""
    for level in (0, 1):
        with config.override(opt=level):
            compiled = scriptmode.script(function)
        program, name, _ = compiled.__scriptmode_ir__()
        for args in argument_sets:
            want = outcome(lambda *a: Interpreter(program).run(name, *a), args)
            compare(want, outcome(compiled, args), f"native, opt {level}")


def sums(a: list[int], start: int) -> int:
    total = start
    for i in range(len(a)):
        total += a[i] * (i + 1)
    return total


def grows(x: int) -> int:
    for i in range(70):
        x = x * 2 + i
    return x


def shrinks(n: int) -> int:
    while n > -(2**62):
        n = n * 3 - 1
    return n - 2**62 - 2**62


def wraps_round(a: list[int], shift: int) -> int:
    total = 0
    for i in range(len(a)):
        total += a[i - shift]
    return total


def walks_down(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


def mixed_signs(a: int, b: int) -> list[int]:
    found: list[int] = []
    for i in range(-3, 4):
        for j in range(-2, 3):
            if j != 0:
                found.append((a + i) // j)
                found.append((b + i) % j)
            if i > 0 and j > 0:
                found.append(i // j * 10 + i % j)
    return found


def branches(n: int) -> int:
    if n < 0:
        return -n
    if n > 10 and n < 100:
        return n * n
    if not n <= 100:
        return n + 1
    return n - 1


def both_ways(n: int) -> int:
    step = 1 if n > 0 else -1
    total = 0
    for i in range(n, n + 5 * step, step):
        total = total * 3 + i
    return total


def ranges(start: int, stop: int, step: int) -> list[int]:
    found: list[int] = []
    for i in range(start, stop, step):
        found.append(i)
        if len(found) == 5:
            break
    return found


def inner_break(n: int) -> int:
    best = -1
    for i in range(n):
        for j in range(i, n):
            if i * j > 12:
                best = i - j
                break
            best += 1
    return best


@pytest.mark.parametrize("a", [[], [1], [1, -2, 3], [BIG], [BIG, 1], [-BIG, -1, -1]])
def test_sums(a):
    check_overflow(sums, (a, 0), (a, BIG), (a, -BIG))


def test_growing():
    check_overflow(grows, (0,), (1,), (-1,), (-(2**40),))
    check_overflow(shrinks, (0,), (-5,), (7,))


def test_indices():
    check(wraps_round, ([1, 2, 3], 0), ([1, 2, 3], 1), ([1, 2, 3], 3), ([1, 2], 4), ([1], -1))


def test_division():
    check_overflow(walks_down, (1,), (27,), (2**40 + 1,), (2**62 - 1,))
    check_overflow(mixed_signs, (7, -7), (-8, 5), (2**63 - 4, -(2**63) + 3))


def test_branches():
    check_overflow(branches, *((n,) for n in (-BIG - 1, -BIG, -1, 0, 10, 11, 99, 100, 101, BIG)))
    check_overflow(both_ways, (3,), (-3,), (0,), (BIG - 5,), (-BIG,))


def test_ranges():
    check(ranges, (0, 3, 1), (3, 0, 1), (3, 0, -1), (0, 10, 3), (10, 0, -4), (1, 2, 0))
    check(
        ranges, (-BIG - 1, BIG, 1), (-BIG - 1, BIG, BIG), (BIG, -BIG - 1, -BIG), (BIG - 2, BIG, 1)
    )
    check(ranges, (BIG, -BIG - 1, -BIG - 1), (0, BIG, 2**62), (5, 5, -1))
    check(inner_break, (0,), (1,), (9,))
