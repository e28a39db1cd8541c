from typing import List


def f(n: int, rows: List[List[int]]) -> List[int]:
    found: List[int] = []
    for k in range(3):
        found.append(sum(j for i in [1, 2] if n > 0 for j in range(2)))
        found.append(sum(i * j for i in range(k + 2) for j in range(3)))
        found.extend(list(x + k for row in rows if row for x in row if x != n))
        found.append(max((a * b + c for a in rows[0] for b in range(a) for c in (1, 2)), default=0))
    return found


ARGUMENTS = [
    lambda: (1, [[1, 2], [], [3]]),
    lambda: (0, [[0, 3, 1], [4]]),
]
