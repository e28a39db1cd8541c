"""Loops over lists whose version without checks gives what the loop with checks gives."""

import pytest

from scriptmode import explain, script
from scriptmode.support import config
from tests.fourway import check

BIG = 2**63 - 1


def edit_rows(n: int, m: int, rows: int) -> list[list[int]]:
    d: list[list[int]] = []
    for i in range(rows):
        row: list[int] = []
        for j in range(m):
            row.append(i * j)
        d.append(row)
    for i in range(1, n):
        for j in range(1, m):
            d[i][j] = min(d[i - 1][j], d[i][j - 1]) + d[i - 1][j - 1]
    return d


def same_row(a: list[int], n: int) -> list[int]:
    b = a
    for j in range(1, n):
        b[j] = b[j - 1] + a[j] + a[j - 1]
    return b


def two_rows(a: list[int], b: list[int], n: int) -> int:
    total = 0
    for j in range(1, n):
        b[j] = a[j] + a[j - 1] + b[j - 1]
        total += b[j]
    return total


def two_names(a: list[int], same: bool, n: int) -> list[int]:
    b = a if same else [7] * len(a)
    for j in range(1, n):
        b[j] = a[j] * 2 + a[j - 1]
    return b


def fibonacci(n: int, room: int) -> list[int]:
    f = [1] * room
    for i in range(2, n):
        f[i] = f[i - 1] + f[i - 2]
    return f


def backwards(best: list[int], w: int, v: int, most: int) -> list[int]:
    for c in range(most, w - 1, -1):
        best[c] = max(best[c], best[c - w] + v)
    return best


def steps(marks: list[bool], start: int, stop: int, step: int) -> list[bool]:
    for j in range(start, stop, step):
        marks[j] = False
    return marks


def forwards_by_two(a: list[int], n: int) -> list[int]:
    for j in range(2, n, 2):
        a[j] = a[j - 2] + 1
    return a


def negative(a: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        total += a[j - 2]
    return total


def first_then_error(a: list[int], seen: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        seen[0] = j
        total += a[j]
    return total


def shrinks(a: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        total += a[j]
        if j == 2:
            a.pop()
    return total


def shrinks_under_another_name(a: list[int], n: int) -> int:
    b = a
    total = 0
    for j in range(n):
        if j == 2:
            del b[3]
        total += a[j]
    return total


def grows(a: list[int], n: int) -> list[int]:
    for j in range(n):
        a.append(a[j] + j)
    return a


def inserts(a: list[int], n: int) -> int:
    total = 0
    for j in range(1, n):
        total += a[j] + a[j - 1]
        a.insert(0, j)
    return total


def reverses(a: list[int], n: int) -> int:
    total = 0
    for j in range(1, n):
        total = total * 3 + a[j] + a[j - 1]
        a.reverse()
    return total


def both_grow(n: int, same: bool) -> list[int]:
    a: list[int] = []
    b = a if same else [5]
    for j in range(n):
        a.append(j)
        b.append(-j)
    return a + b


def appends_and_leaves(n: int, most: int) -> list[int]:
    out: list[int] = []
    for j in range(n):
        if j == most:
            break
        out.append(j)
    return out


def appends_some(n: int) -> list[int]:
    out: list[int] = []
    for j in range(n):
        if j % 3 == 0:
            continue
        out.append(j)
    return out


def appends_until_overflow(out: list[int], n: int, by: int) -> list[int]:
    for j in range(n):
        out.append(j * by)
    return out


def appends_texts(words: list[str], n: int) -> list[str]:
    out: list[str] = []
    for j in range(n):
        out.append(words[j] + "!")
    return out


def caught(a: list[int], n: int) -> int:
    total = 0
    out: list[int] = []
    try:
        for j in range(n):
            out.append(a[j])
            total += a[j]
    except IndexError:
        total += 1000
    return total + len(out)


def sums_until_overflow(a: list[int], n: int) -> int:
    for j in range(1, n):
        a[j] = a[j] + a[j - 1]
    return a[n - 1]


def guarded(grid: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        if j > 0 and j + 1 < n:
            total += grid[j - 1] + grid[j + 1]
        total += grid[j]
    return total


def writes_some(a: list[int], n: int) -> list[int]:
    for j in range(1, n):
        if a[j] < 3:
            a[j] = a[j - 1] + 1
    return a


def leaves_early(a: list[int], n: int, most: int) -> int:
    total = 0
    for j in range(1, n):
        if total > most:
            break
        total += a[j] + a[j - 1]
    return total


def carried_floats(a: list[float], n: int) -> list[float]:
    for j in range(1, n):
        a[j] = a[j] + a[j - 1] * 0.5
    return a


def sorts(a: list[int]) -> list[int]:
    n = len(a)
    for i in range(n):
        for j in range(n - 1 - i):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
    return a


def far_away(a: list[int], n: int, by: int) -> int:
    total = 0
    for j in range(n):
        total += a[j + by]
    return total


def lists_of_lists(rows: list[list[int]], n: int) -> list[list[int]]:
    for j in range(1, n):
        rows[j] = rows[j - 1]
    return rows


NUMBERS = [3, 1, 4, 1, 5, 9, 2, 6]
CASES = [
    (edit_rows, [(5, 6, 5), (1, 6, 5), (5, 1, 5), (5, 0, 5), (6, 6, 5), (0, 0, 0), (20, 30, 20)]),
    (same_row, [(NUMBERS, 8), (NUMBERS, 9), (NUMBERS, 1), (NUMBERS, 0), ([], 0), ([], 2)]),
    (two_rows, [(NUMBERS, [2] * 8, 8), (NUMBERS, [2] * 7, 8), ([1], NUMBERS, 8)]),
    (two_names, [(NUMBERS, True, 8), (NUMBERS, False, 8), (NUMBERS, True, 10)]),
    (fibonacci, [(10, 10), (11, 10), (2, 2), (90, 90), (3, 3)]),
    (backwards, [([0] * 9, 3, 5, 8), ([0] * 9, 3, 5, 9), ([0] * 9, 10, 5, 8), ([1] * 9, 0, 1, 8)]),
    (backwards, [([0] * 9, -1, 5, 7), ([0] * 9, -1, 5, 8), ([0] * 9, -BIG, 5, 0)]),
    (steps, [([True] * 9, 0, 9, 2), ([True] * 9, 1, 10, 3), ([True] * 9, 8, -1, -2)]),
    (steps, [([True] * 9, -9, 0, 4), ([True] * 9, -10, 0, 4), ([True] * 9, 0, 5, 0)]),
    (steps, [([True] * 9, 0, 9, BIG), ([True] * 9, 4, BIG, 7), ([True] * 9, 9, 9, 1)]),
    (forwards_by_two, [(NUMBERS, 8), (NUMBERS, 9), (NUMBERS, 7), (NUMBERS, 2)]),
    (negative, [(NUMBERS, 8), (NUMBERS, 10), (NUMBERS, 11), ([1], 1), ([1], 9)]),
    (first_then_error, [(NUMBERS, [0], 9), (NUMBERS, [0], 8), (NUMBERS, [], 8), ([], [0], 6)]),
    (shrinks, [(NUMBERS, 7), (NUMBERS, 8), ([1, 2, 3], 3)]),
    (shrinks_under_another_name, [(NUMBERS, 7), (NUMBERS, 8)]),
    (grows, [(NUMBERS, 8), (NUMBERS, 16), ([], 1), ([], 0)]),
    (inserts, [(NUMBERS, 8), (NUMBERS, 14), ([], 7)]),
    (reverses, [(NUMBERS, 8), (NUMBERS, 9)]),
    (both_grow, [(9, True), (9, False), (0, True)]),
    (appends_and_leaves, [(9, 4), (9, 9), (9, 0), (0, 0), (-3, 0)]),
    (appends_some, [(9,), (100,)]),
    (appends_until_overflow, [([], 8, 2**60), ([1], 4, 2**61)]),
    (appends_texts, [(["a", "b", "ü"] * 3, 9), (["a", "b"], 9), ([], 0)]),
    (caught, [(NUMBERS, 8), (NUMBERS, 12), ([], 7)]),
    (sums_until_overflow, [([2**62, 1, 1, 1, 1, 1], 6), ([1, 2, 3], 4), ([1, 2, 3], 3)]),
    (guarded, [(NUMBERS, 8), (NUMBERS, 9), ([1], 1)]),
    (writes_some, [(NUMBERS, 8), ([0] * 9, 9), ([0] * 9, 10)]),
    (leaves_early, [(NUMBERS, 8, 10), (NUMBERS, 80, 10), (NUMBERS, 80, 10**6)]),
    (carried_floats, [([0.5] * 9, 9), ([0.5] * 9, 10), ([], 1)]),
    (sorts, [(NUMBERS,), ([],), ([2, 1],), (list(range(20, 0, -1)),)]),
    (far_away, [(NUMBERS, 8, 0), (NUMBERS, 7, 1), (NUMBERS, 7, 2), (NUMBERS, 8, -8)]),
    (
        far_away,
        [(NUMBERS, 8, -9), (NUMBERS, 6, BIG), (NUMBERS, 6, BIG - 5), (NUMBERS, 6, -BIG - 1)],
    ),
    (lists_of_lists, [([[1], [2], [3], [4], [5], [6]], 6), ([[1], [2]], 7)]),
]


@pytest.mark.parametrize(("function", "calls"), CASES, ids=[f"{f.__name__}{i}" for i, (f, _) in enumerate(CASES)])  # fmt: skip
def test_loops_do_what_python_does(function, calls):
    check(function, *calls)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(
    ("function", "args", "after"),
    [
        (appends_until_overflow, ([1], 9, 2**60), [1, *(j * 2**60 for j in range(8))]),
        (sums_until_overflow, ([2**61] * 8, 8), [2**61, 2**62, 3 * 2**61, *[2**61] * 5]),
        (backwards, ([0] * 9, -BIG - 1, 5, 8), [0] * 9),
        (fibonacci, (100, 100), None),
    ],
)
def test_what_was_done_before_an_overflow_stays(function, args, after, level):
    args = [list(a) if isinstance(a, list) else a for a in args]
    with config.override(opt=level), pytest.raises(OverflowError):
        script(function)(*args)
    assert after is None or args[0] == after


def test_rows_that_are_one_object_are_not_carried():
    def shared(n: int) -> list[list[int]]:
        row = [1] * n
        rows = [row, row]
        for i in range(1, 2):
            for j in range(1, n):
                rows[i][j] = rows[i - 1][j] + rows[i][j - 1] + rows[i - 1][j - 1]
        return rows

    check(shared, (1,), (6,), (20,))


def test_a_table_has_a_version_without_checks():
    text = explain(script(edit_rows))
    assert "list::covers" in text
    assert "list::setitem_inside" in text
    assert "list::append_at" in text


def test_lists_that_shrink_have_none():
    text = explain(script(shrinks))
    assert "list::covers" not in text
