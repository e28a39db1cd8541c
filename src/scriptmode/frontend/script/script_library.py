"""Functions of Python's library in the language itself, compiled where they are called."""

from __future__ import annotations

from typing import Any


def sort_by_comparison(items: list[Any], keys: list[Any], reverse: bool) -> None:
    """Sort ``items`` by ``keys``, which are asked for ``<`` only: binary insertion, stable."""
    if reverse:
        items.reverse()
        keys.reverse()
    for at in range(1, len(keys)):
        pivot = keys[at]
        item = items[at]
        low = 0
        high = at
        while low < high:
            middle = (low + high) // 2
            if pivot < keys[middle]:
                high = middle
            else:
                low = middle + 1
        if low < at:
            del keys[at]
            del items[at]
            keys.insert(low, pivot)
            items.insert(low, item)
    if reverse:
        items.reverse()


# collections.Counter


def most_common(counts: Any, n: int | None = None) -> Any:
    """Pairs of element and count, the most common first."""
    pairs = sorted(counts.items(), key=lambda pair: pair[1], reverse=True)
    if n is None:
        return pairs
    return pairs[: max(n, 0)]


def elements(counts: Any) -> Any:
    """Each element as often as it counts."""
    return [element for element, count in counts.items() for _ in range(count)]


def total(counts: Any) -> int:
    """The sum of the counts."""
    return sum(counts.values())


def counter_add(a: Any, b: Any) -> Any:
    """``a + b``: positive counts only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        if count + b[element] > 0:
            made[element] = count + b[element]
    for element, count in b.items():
        if element not in a and count > 0:
            made[element] = count
    return made


def counter_sub(a: Any, b: Any) -> Any:
    """``a - b``: positive counts only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        if count - b[element] > 0:
            made[element] = count - b[element]
    for element, count in b.items():
        if element not in a and count < 0:
            made[element] = 0 - count
    return made


def counter_and(a: Any, b: Any) -> Any:
    """``a & b``: the smaller counts, positive ones only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        least = min(count, b[element])
        if least > 0:
            made[element] = least
    return made


def counter_or(a: Any, b: Any) -> Any:
    """``a | b``: the larger counts, positive ones only."""
    made = a.copy()
    made.clear()
    for element, count in a.items():
        most = max(count, b[element])
        if most > 0:
            made[element] = most
    for element, count in b.items():
        if element not in a and count > 0:
            made[element] = count
    return made
