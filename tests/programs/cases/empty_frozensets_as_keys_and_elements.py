from typing import Dict, FrozenSet, List


def f(a: Dict[FrozenSet[int], int]) -> int:
    a[frozenset([])] = 3
    b: List[FrozenSet[int]] = [frozenset([]), frozenset()]
    b.append(frozenset([]))
    c = {frozenset([]): 1, frozenset([4]): 2}
    d: Dict[FrozenSet[int], bool] = {frozenset([]): True}
    e = [frozenset([5]), frozenset([])]
    return len(a) + len(b) + len(c) + len(d) + len(e)


ARGUMENTS = [lambda: ({frozenset([1]): 2},)]
