"""Containers that change while they are iterated over: each change, at each place, as in CPython."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Deque, Dict, List, Set  # noqa: UP035

import pytest

import scriptmode


def change_deque(d: Deque[int], op: int, k: int) -> None:
    if op == 0:
        d.rotate(k)
    elif op == 1:
        d.clear()
    elif op == 2:
        d.reverse()
    elif op == 3:
        d.insert(k, 9)
    elif op == 4:
        d.remove(k)
    elif op == 5:
        del d[k]
    elif op == 6:
        d.extend([])
    elif op == 7:
        d += [k]
    elif op == 8:
        d *= k
    elif op == 9:
        d.append(d.popleft())
    elif op == 10:
        d[0] = 5
    elif op == 11:
        d.extendleft([k])
    elif op == 12:
        d.append(k)
    elif op == 13:
        d.extend(d)
    elif op == 14:
        d.copy().append(1)


def over_deque(d: Deque[int], op: int, k: int, at: int):
    out: List[int] = []
    for v in d:
        out.append(v)
        if len(out) == at:
            change_deque(d, op, k)
    return out, d


def over_reversed_deque(d: Deque[int], op: int, k: int, at: int):
    out: List[int] = []
    for v in reversed(d):
        out.append(v)
        if len(out) == at:
            change_deque(d, op, k)
    return out, d


def by_next_of_deque(d: Deque[int], op: int, k: int, at: int):
    it = iter(d)
    r = reversed(d)
    texts: List[str] = []
    for q in range(at):
        next(it)
        next(r)
    change_deque(d, op, k)
    for q in range(4):
        try:
            texts.append(str(next(it)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
        try:
            texts.append(str(next(r)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
    return texts, d


def change_dict(d: Dict[int, int], op: int, k: int) -> None:
    if op == 0:
        d[k] = 1
    elif op == 1:
        d.pop(k, 0)
    elif op == 2:
        d.clear()
    elif op == 3:
        d.update({k: 2})
    elif op == 4:
        d.setdefault(k, 4)
    elif op == 5:
        d.popitem()
    elif op == 6:
        d.update({})
    elif op == 7:
        v = d.pop(k)
        d[k] = v
    elif op == 8:
        d |= {k: 3}


def change_ordered(d: OrderedDict[int, int], op: int, k: int) -> None:
    if op == 0:
        d[k] = 1
    elif op == 1:
        d.pop(k, 0)
    elif op == 2:
        d.clear()
    elif op == 3:
        d.update({k: 2})
    elif op == 4:
        d.setdefault(k, 4)
    elif op == 5:
        d.popitem()
    elif op == 6:
        d.update({})
    elif op == 7:
        d.move_to_end(k)
    elif op == 8:
        d.move_to_end(k, last=False)
    elif op == 9:
        d.popitem(last=False)
    elif op == 10:
        d |= {k: 3}


def change_set(d: Set[int], op: int, k: int) -> None:
    if op == 0:
        d.add(k)
    elif op == 1:
        d.discard(k)
    elif op == 2:
        d.clear()
    elif op == 3:
        d.update({k})
    elif op == 4:
        d.pop()
    elif op == 5:
        d.update([])
    elif op == 6:
        d ^= {k}
    elif op == 7:
        d &= {k}
    elif op == 8:
        d -= {k}
    elif op == 9:
        d.intersection_update([k])
    elif op == 10:
        d.symmetric_difference_update({k, k + 1})


def change_list(d: List[int], op: int, k: int) -> None:
    if op == 0:
        d.append(k)
    elif op == 1:
        d.pop()
    elif op == 2:
        d.clear()
    elif op == 3:
        d.insert(k, k)
    elif op == 4:
        del d[0]
    elif op == 5:
        d.reverse()
    elif op == 6:
        d[1:2] = [7, 8, 9]
    elif op == 7:
        d *= k
    elif op == 8:
        d.extend([k, k])
    elif op == 9:
        d.remove(k)


def over_dict(d: Dict[int, int], op: int, k: int, at: int):
    out: List[int] = []
    for v in d:
        out.append(v)
        if len(out) == at:
            change_dict(d, op, k)
    return out, d


def by_next_of_dict(d: Dict[int, int], op: int, k: int, at: int):
    it = iter(d.values())
    r = reversed(d)
    texts: List[str] = []
    for q in range(at):
        next(it)
        next(r)
    change_dict(d, op, k)
    for q in range(4):
        try:
            texts.append(str(next(it)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
        try:
            texts.append(str(next(r)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
    return texts, d


def over_ordered(d: OrderedDict[int, int], op: int, k: int, at: int):
    out: List[int] = []
    for v in d:
        out.append(v)
        if len(out) == at:
            change_ordered(d, op, k)
    return out, d


def by_next_of_ordered(d: OrderedDict[int, int], op: int, k: int, at: int):
    it = iter(d.values())
    r = reversed(d)
    texts: List[str] = []
    for q in range(at):
        next(it)
        next(r)
    change_ordered(d, op, k)
    for q in range(4):
        try:
            texts.append(str(next(it)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
        try:
            texts.append(str(next(r)))
        except RuntimeError as error:
            texts.append(str(error))
        except StopIteration:
            texts.append("end")
    return texts, d


def over_set(d: Set[int], op: int, k: int, at: int):
    out: List[int] = []
    for v in d:
        out.append(v)
        if len(out) == at:
            change_set(d, op, k)
    return out, list(d)


def over_list(d: List[int], op: int, k: int, at: int):
    out: List[int] = []
    for v in d:
        out.append(v)
        if len(out) == at:
            change_list(d, op, k)
        if len(out) > 9:
            break
    return out, d


MAKERS = {
    over_deque: (15, deque),
    over_reversed_deque: (15, lambda items: deque(items, 4)),
    by_next_of_deque: (15, deque),
    over_dict: (9, lambda items: dict.fromkeys(items, 0)),
    by_next_of_dict: (9, lambda items: dict.fromkeys(items, 0)),
    over_ordered: (11, lambda items: OrderedDict.fromkeys(items, 0)),
    by_next_of_ordered: (11, lambda items: OrderedDict.fromkeys(items, 0)),
    over_set: (11, set),
    over_list: (10, list),
}


def outcome(function, *arguments):
    """What a call returns, or the error that it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("function", MAKERS)
def test_each_change_at_each_place(function) -> None:
    count, make = MAKERS[function]
    compiled = scriptmode.script(function)
    for length in range(5):
        for op in range(count):
            for k in (-1, 0, 1, 2, 4):
                for at in range(length + 1):
                    given = (op, k, at)
                    want = outcome(function, make(range(length)), *given)
                    found = outcome(compiled, make(range(length)), *given)
                    assert found == want, (length, *given)
