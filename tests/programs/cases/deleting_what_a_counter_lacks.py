from collections import Counter
from typing import Dict


def f(a: Counter[str], b: Dict[str, int], word: str) -> int:
    del a[word]
    del a["b"]
    del b[word]
    return a.total()


ARGUMENTS = [
    lambda: (Counter("abca"), {"a": 1}, "a"),
    lambda: (Counter("bb"), {"a": 1}, "c"),
    lambda: (Counter(), {"": 1}, ""),
]
