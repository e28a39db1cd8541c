"""Programs of scalars and containers, most with the same algorithm in C (``limits.c``).

``cases()`` gives each program with its arguments, and ``c_limits()`` the C functions on the same
data, compiled with gcc where there is one.
"""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def edit_distance(a: list[int], b: list[int]) -> int:
    n, m = len(a), len(b)
    d: list[list[int]] = []
    for i in range(n + 1):
        row: list[int] = []
        for j in range(m + 1):
            row.append(i + j if i * j == 0 else 0)
        d.append(row)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            c = 0 if a[i - 1] == b[j - 1] else 1
            d[i][j] = min(min(d[i - 1][j] + 1, d[i][j - 1] + 1), d[i - 1][j - 1] + c)
    return d[n][m]


def word_count(text: str) -> dict[str, int]:
    d: dict[str, int] = {}
    for w in text.split(" "):
        if len(w) > 2:
            if w in d:
                d[w] += 1
            else:
                d[w] = 1
    return d


def collatz(limit: int) -> int:
    longest = 0
    best = 0
    for start in range(1, limit):
        n = start
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        if steps > longest:
            longest = steps
            best = start
    return best


def sieve(limit: int) -> int:
    is_prime = [True] * (limit + 1)
    is_prime[0] = False
    is_prime[1] = False
    i = 2
    while i * i <= limit:
        if is_prime[i]:
            for j in range(i * i, limit + 1, i):
                is_prime[j] = False
        i += 1
    count = 0
    for flag in is_prime:
        if flag:
            count += 1
    return count


def place_queens(row: int, n: int, columns: list[bool], rising: list[bool],
                 falling: list[bool]) -> int:  # fmt: skip
    if row == n:
        return 1
    count = 0
    for column in range(n):
        up = row + column
        down = row - column + n - 1
        if columns[column] or rising[up] or falling[down]:
            continue
        columns[column] = True
        rising[up] = True
        falling[down] = True
        count += place_queens(row + 1, n, columns, rising, falling)
        columns[column] = False
        rising[up] = False
        falling[down] = False
    return count


def queens(n: int) -> int:
    return place_queens(0, n, [False] * n, [False] * (2 * n), [False] * (2 * n))


def grow(depth: int, left: list[int], right: list[int]) -> int:
    if depth == 0:
        left.append(-1)
        right.append(-1)
        return len(left) - 1
    a = grow(depth - 1, left, right)
    b = grow(depth - 1, left, right)
    left.append(a)
    right.append(b)
    return len(left) - 1


def weigh(node: int, left: list[int], right: list[int]) -> int:
    if node < 0:
        return 0
    return 1 + weigh(left[node], left, right) + weigh(right[node], left, right)


def tree(depth: int) -> int:
    left: list[int] = []
    right: list[int] = []
    root = grow(depth, left, right)
    return weigh(root, left, right)


def spell(n: int) -> str:
    text = ""
    for i in range(n):
        text += "abcdefghij"[i % 10]
        if i % 7 == 6:
            text += ", "
    return text


def histogram(values: list[int]) -> int:
    counts: dict[int, int] = {}
    for v in values:
        if v in counts:
            counts[v] += 1
        else:
            counts[v] = 1
    most = 0
    for v in values:
        if counts[v] > most:
            most = counts[v]
    return most


def rising(a: list[int]) -> int:
    """The length of the longest rising subsequence."""
    n = len(a)
    best = [1] * n
    for i in range(n):
        for j in range(i):
            if a[j] < a[i] and best[j] + 1 > best[i]:
                best[i] = best[j] + 1
    most = 0
    for length in best:
        if length > most:
            most = length
    return most


def knapsack(weights: list[int], values: list[int], capacity: int) -> int:
    best = [0] * (capacity + 1)
    for i in range(len(weights)):
        w = weights[i]
        v = values[i]
        for c in range(capacity, w - 1, -1):
            best[c] = max(best[c], best[c - w] + v)
    return best[capacity]


def common(a: str, b: str) -> int:
    """The length of the longest common subsequence, by a list of lists."""
    n, m = len(a), len(b)
    t = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            if a[i - 1] == b[j - 1]:
                t[i][j] = t[i - 1][j - 1] + 1
            else:
                t[i][j] = max(t[i - 1][j], t[i][j - 1])
    return t[n][m]


def pairs(values: list[int], target: int) -> int:
    """Distances between values and the last one that makes ``target`` with them."""
    where: dict[int, int] = {}
    found = 0
    for i, v in enumerate(values):
        other = target - v
        if other in where:
            found += i - where[other]
        where[v] = i
    return found


def distinct(values: list[int]) -> int:
    seen: set[int] = set()
    again: set[int] = set()
    for v in values:
        if v in seen:
            again.add(v)
        else:
            seen.add(v)
    return len(seen) * 1000 + len(again)


def anagrams(words: list[str]) -> int:
    groups: dict[str, list[str]] = {}
    for w in words:
        key = "".join(sorted(w))
        if key not in groups:
            groups[key] = []
        groups[key].append(w)
    return max([len(g) for g in groups.values()])


def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


@dataclass
class Case:
    """A program, its arguments, and what of its result the C function returns, if there is one."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    c_args: tuple[Any, ...] = ()
    measure: Callable[[Any], int] = int


def int_array(values: list[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * len(values))(*values)


def some_text(rng: random.Random) -> str:
    words = [
        "".join(chr(97 + rng.randrange(26)) for _ in range(rng.randrange(1, 9)))
        for _ in range(300)
    ]  # fmt: skip
    return " ".join(words[int(rng.random() ** 3 * 300)] for _ in range(2000))


def cases() -> list[Case]:
    """The programs on fixed data."""
    rng = random.Random(1)
    a = [rng.randrange(8) for _ in range(120)]
    b = [rng.randrange(8) for _ in range(110)]
    text = some_text(rng)
    values = [rng.randrange(500) for _ in range(5000)]
    letters = ["".join(chr(97 + rng.randrange(4)) for _ in range(n)) for n in (120, 110)]
    x, y = (text.encode() for text in letters)
    weights, prices = values[:40], values[40:80]
    words = ["".join(chr(97 + rng.randrange(5)) for _ in range(4)) for _ in range(1000)]
    return [
        Case(edit_distance, (a, b), (int_array(a), len(a), int_array(b), len(b))),
        Case(word_count, (text,), (text.encode(), len(text)), len),
        Case(collatz, (3000,), (3000,)),
        Case(sieve, (20000,), (20000,)),
        Case(queens, (7,), (7,)),
        Case(tree, (11,), (11,)),
        Case(spell, (5000,), (5000,), len),
        Case(histogram, (values,), (int_array(values), len(values))),
        Case(fibonacci, (20,), (20,)),
        Case(rising, (values[:200],), (int_array(values[:200]), 200)),
        Case(
            knapsack,
            (weights, prices, 900),
            (int_array(weights), int_array(prices), len(weights), 900),
        ),
        Case(common, (letters[0], letters[1]), (x, len(x), y, len(y))),
        Case(pairs, (values, 500)),
        Case(distinct, (values,)),
        Case(anagrams, (words,)),
    ]


def c_limits() -> ctypes.CDLL | None:
    """The compiled ``limits.c``; None without gcc."""
    compiler = shutil.which("gcc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("limits.c")
    target = Path(tempfile.mkdtemp()) / "limits.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(source), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


def c_call(library: ctypes.CDLL, case: Case) -> Callable[[], int]:
    """A call of a program's C function on its data."""
    function = getattr(library, case.function.__name__)
    function.restype = ctypes.c_int64
    function.argtypes = [
        ctypes.c_int64 if isinstance(a, int) else ctypes.c_void_p for a in case.c_args
    ]
    return lambda: function(*case.c_args)
