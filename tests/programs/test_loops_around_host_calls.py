"""Loops over containers, in which Python is called: the containers of the caller cross each time."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Deque, Dict, List  # noqa: UP035

import pytest

import scriptmode
from tests.fourway import check

TEXTS = {i: "abc" for i in range(6)}


def test_dicts_keep_their_places_behind_what_was_deleted() -> None:
    def f(d: Dict[int, str], s: str):
        del d[0]
        keys: List[int] = []
        for k in d:
            d[k] = d[k] + str(len(s.encode()))
            keys.append(k)
        pairs = [(k, v, s.encode()) for k, v in d.items()]
        return keys, pairs, [(k, s.encode()) for k in reversed(d)]

    check(f, (TEXTS, "é"), (dict(reversed(TEXTS.items())), "x"))


def test_dicts_with_text_keys_keep_their_places() -> None:
    def f(d: Dict[str, int], s: str):
        d.pop("a")
        return [(k, s.encode()) for k in d], d

    check(f, ({"a": 1, "é": 2, "long key of some text": 3, "d": 4}, "x"))


def test_ordered_dicts_and_deques_are_not_changed_by_it() -> None:
    def f(d: OrderedDict[int, str], q: Deque[str], s: str):
        d.move_to_end(2)
        q.rotate(1)
        found = [(k, s.encode()) for k in d]
        own = deque(["p", "q"], 3)
        mixed = [(t, u, s.encode()) for t in q for u in own]
        for t in own:
            if len(t.encode()) > 1:
                own.append(t)
        return found, mixed, own

    check(f, (OrderedDict(TEXTS), deque(["a", "b", "c"]), "x"))


def test_a_deque_that_the_loop_changes_raises() -> None:
    def f(q: Deque[str], s: str):
        seen: List[bytes] = []
        try:
            for t in q:
                seen.append(t.encode())
                if len(seen) == 2:
                    q.append(s)
        except RuntimeError as error:
            return str(error), seen
        return "", seen

    check(f, (deque(["a", "b", "c"]), "x"), (deque(["a"]), "x"))


@scriptmode.ignore
def change(q: Deque[int], d: Dict[int, int], way: int) -> int:
    """What a function of Python does to containers that a loop goes over."""
    if way == 1:
        q[0] = 70
        d[2] = 90
    elif way == 2:
        q.append(q.popleft())
    elif way == 3:
        d[50] = 1
    return way


def over_deque(q: Deque[int], d: Dict[int, int], way: int):
    return [(v, change(q, d, way)) for v in q], q


def over_dict(q: Deque[int], d: Dict[int, int], way: int):
    return [(k, v, change(q, d, way if k == 1 else 0)) for k, v in d.items()], d


def over_own(q: Deque[int], d: Dict[int, int], way: int):
    mine = deque([4, 5])
    return [(v, change(mine, d, way)) for v in mine], mine


@pytest.mark.parametrize("function", [over_deque, over_dict, over_own])
def test_what_python_changes_under_a_loop_is_seen(function) -> None:
    def called(callee, way):
        q, d = deque([1, 2, 3]), {1: 10, 2: 20, 3: 30}
        try:
            return callee(q, d, way), q, d
        except RuntimeError as error:
            return str(error), q, d

    compiled = scriptmode.script(function)
    for way in range(4):
        assert called(compiled, way) == called(function, way)
