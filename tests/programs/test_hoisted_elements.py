"""Elements that loops read again and again: errors and order stay where they were."""

from tests.fourway import check


def inner_rows(grid: list[list[int]], i: int, n: int) -> int:
    total = 0
    for j in range(n):
        total += grid[i][j]
        grid[i + 1][j] = total
    return total


def raises_late(a: list[int], seen: list[str], n: int) -> int:
    total = 0
    for j in range(n):
        seen.append("step")
        if j == 2:
            total += a[5]
        total += a[-1]
    return total


def never_read(a: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        if j > 100:
            total += a[7]
        total += j
    return total


def grows(a: list[int], n: int) -> int:
    total = 0
    for j in range(n):
        a.append(j)
        total += a[3] if len(a) > 3 else 0
    return total


def grows_under_another_name(a: list[int], n: int) -> int:
    b = a
    total = 0
    for j in range(n):
        b[0] = j
        total += a[0]
    return total


def texts(words: list[str], i: int, n: int) -> str:
    out = ""
    for j in range(n):
        out += words[i] + words[-1]
    return out


def squares(n: int) -> list[int]:
    return [i * i for i in range(n)]


def triangle(n: int) -> list[list[int]]:
    rows: list[list[int]] = []
    for i in range(n):
        row: list[int] = [1]
        for j in range(i):
            row.append(rows[i - 1][j] + (rows[i - 1][j + 1] if j + 1 < i else 0))
        rows.append(row)
    return rows


def test_rows_of_a_grid():
    grid = [[1, 2], [3, 4], [5, 6]]
    check(inner_rows, (grid, 0, 2), (grid, 1, 2), (grid, 2, 2), (grid, -1, 2), (grid, 9, 0))
    check(inner_rows, (grid, 0, 3), ([[], []], 0, 1), (grid, -4, 1), (grid, 9, 1))


def test_errors_come_when_they_came():
    check(raises_late, ([1], [], 2), ([1], [], 3), ([], [], 1), ([1] * 6, [], 5), ([], [], 0))
    check(never_read, ([], 50), ([1] * 9, 102))


def test_lists_that_change_are_read_anew():
    check(grows, ([], 6), ([9, 9, 9, 9], 2))
    check(grows_under_another_name, ([0], 4), ([], 1), ([], 0))


def test_texts():
    check(texts, (["a" * 40, "b"], 0, 3), (["a"], 0, 0), (["a"], 1, 2), ([], 0, 1))


def test_lists_that_loops_fill():
    check(squares, (0,), (3,), (5000,))
    check(triangle, (0,), (12,))
