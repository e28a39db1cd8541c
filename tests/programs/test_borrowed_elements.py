"""Elements that are used without a reference: nothing may drop them too early, or keep them."""

import pytest

from tests.fourway import check


def replaced_while_in_use(rows: list[list[int]]) -> int:
    row = rows[0]
    rows[0] = [7, 8]
    return row[0] + len(row)


def replaced_through_another_name(rows: list[list[int]]) -> int:
    other = rows
    row = rows[0]
    other[0] = [9]
    row.append(4)
    return row[-1] + rows[0][0]


def removed_while_in_use(rows: list[list[int]]) -> int:
    row = rows[0]
    taken = rows.pop(0)
    taken = [0]
    rows.clear()
    return row[0] + len(taken)


def replaced_in_a_loop(rows: list[list[int]]) -> list[int]:
    found: list[int] = []
    row = rows[0]
    for i in range(3):
        found.append(row[0])
        rows[0] = [i]
    return found


def kept_by_the_result(words: list[str]) -> str:
    word = words[0]
    words[0] = "new"
    return word


def kept_in_a_container(words: list[str]) -> list[str]:
    return [words[0], words[1] + words[0]]


def taken_by_a_branch(words: list[str], flag: bool) -> str:
    word = words[0]
    if flag:
        words[0] = "new"
        word = word + words[0]
    return word


def changes_rows(rows: list[list[int]], row: list[int]) -> int:
    rows[0] = [1]
    return row[0]


def dropped_by_a_callee(rows: list[list[int]]) -> int:
    return changes_rows(rows, rows[0])


def nested(rows: list[list[list[int]]]) -> int:
    total = 0
    for i in range(len(rows)):
        for j in range(len(rows[i])):
            rows[i][j][0] += 1
            total += rows[i][j][0]
    return total


def pairs(items: list[tuple[str, int]]) -> str:
    text = ""
    for name, count in items:
        text += name * count
    return text


def written_by_its_own_loop(rows: list[list[int]]) -> int:
    total = 0
    for row in rows:
        rows[-1] = [total]
        total += row[0]
    return total


def the_container_goes_first(n: int) -> int:
    rows = [[n], [n + 1]]
    row = rows[1]
    rows = [[0]]
    return row[0] + rows[0][0]


@pytest.mark.parametrize(
    "function",
    [
        replaced_while_in_use, replaced_through_another_name, removed_while_in_use,
        replaced_in_a_loop, dropped_by_a_callee, written_by_its_own_loop,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_an_element_outlives_its_place(function):
    check(function, ([[1, 2], [3]],), ([[5], [6], [7]],))


def test_an_element_of_str_outlives_its_place():
    check(kept_by_the_result, (["a" * 50, "b"],))
    check(kept_in_a_container, (["a" * 50, "b"],))
    check(taken_by_a_branch, (["a" * 50, "b"], True), (["a" * 50, "b"], False))


def test_nested_elements_and_parts_of_elements():
    check(nested, ([[[1], [2]], [], [[3, 4]]],))
    check(pairs, ([("ab", 2), ("", 3), ("ü", 1)],))


def test_the_container_is_kept_while_an_element_is_in_use():
    check(the_container_goes_first, (4,))


def unused(rows: list[list[int]], words: list[str]) -> int:
    rows[0]
    rows[1]
    words[0]
    return len(rows)


def test_unused_elements():
    check(unused, ([[1], [2]], ["a" * 40]), ([[1]], ["a"]))


def errors_leave_nothing_behind(rows: list[list[int]], i: int) -> int:
    row = rows[i]
    return row[i] + rows[i + 1][0]


def test_errors_leave_nothing_behind():
    check(errors_leave_nothing_behind, ([[1, 2], [3]], 0), ([[1, 2], [3]], 1), ([[1], []], 0))
