"""Loops over what is one iterable on one path and another on another, four ways."""

from __future__ import annotations

from typing import Dict, List, Tuple, Union

import pytest
import torch

import scriptmode
from scriptmode.support.diagnostics import CompileError
from tests.fourway import check


def range_or_reversed(n: int, b: bool):
    return [t for t in (reversed(range(n)) if b else range(n))]


def range_reversed_later(n: int, b: bool):
    seen: List[int] = []
    steps = range(n)
    if b:
        steps = reversed(steps)
    for t in steps:
        seen.append(t)
    return seen


def list_or_reversed(n: int, b: bool):
    xs = list(range(n))
    seen: List[int] = []
    for t in reversed(xs) if b else xs:
        seen.append(t)
        if len(xs) < 6:
            xs.append(10 * t)
    return seen


def list_or_iterator(n: int, b: bool):
    xs = list(range(n))
    return [t for t in (sorted(xs) if b else iter(xs))]


def iterators_of_two_kinds(n: int, b: bool):
    xs = list(range(n))
    it = iter(xs) if b else reversed(xs)
    first = next(it, -1)
    return first, list(it)


def keys_forwards_or_backwards(n: int, b: bool):
    d = {str(i): i for i in range(n)}
    it = reversed(d) if b else iter(d)
    seen: List[str] = []
    for key in it:
        seen.append(key)
    return seen


def set_or_list_or_text(n: int, b: bool):
    total = 0
    for t in {n, n + 1} if b else [n]:
        total += t
    return total


def calls_of_two_kinds(n: int, b: bool):
    xs = list(range(n))
    total = 0
    for t in map(lambda q: q + 1, xs) if b else filter(lambda q: q > 1, xs):
        total = total * 3 + t
    for i, t in enumerate(xs) if b else zip(xs, xs):
        total = total * 3 + i + t
    return total


@pytest.mark.parametrize(
    "f",
    [range_or_reversed, range_reversed_later, list_or_reversed, list_or_iterator, iterators_of_two_kinds,
     keys_forwards_or_backwards, set_or_list_or_text, calls_of_two_kinds],
)  # fmt: skip
def test_a_loop_goes_over_either(f) -> None:
    check(f, *((n, b) for n in (0, 1, 3) for b in (True, False)))


def test_views_of_a_dict_of_either_type() -> None:
    def f(d: Union[Dict[int, int], Dict[str, int]]):
        text = ""
        for k in d.keys():
            text += str(k)
        for k, v in d.items():
            text += str(k) + str(v)
        total = 0
        for v in d.values():
            total += v
        return text, total, len(list(d.keys())), sorted(d.values()), len(d.items())

    check(f, ({1: 2, 3: 4},), ({"a": 1},), ({},))


def test_views_of_two_kinds_are_refused() -> None:
    def f(d: Dict[int, int], b: bool):
        total = 0
        for k in d.keys() if b else d.values():
            total += k
        return total

    with pytest.raises(CompileError, match="on different paths") as caught:
        scriptmode.script(f)
    assert caught.value.diagnostics[0].span.line == 5 + f.__code__.co_firstlineno - 3


def text_or_numbers(x: Union[str, List[int]], y: str):
    out = [str(a) for a in x]
    for a in x:
        out.append(str(a))
    return out, "-".join(y for a in x[:1])


def text_or_tensor(x: Union[str, torch.Tensor], y: str):
    it = iter(x)
    return [str(a) for a in it], list(map(lambda q: "-".join(q for a in x[:1]), y))


def one_of_many(x: Union[str, Tuple[int, ...], torch.Tensor, Dict[int, int]], y: str):
    it = iter(x)
    return str(next(it)), [str(a) for a in it], [str(pair) for pair in zip(y, x)]


def test_texts_and_sequences_meet_in_one_variable():
    check(text_or_numbers, ("ab", "q"), ([1, 2], "r"))
    check(text_or_tensor, ("ab", "qz"), (torch.ones(2), "qx"))
    check(one_of_many, ("ab", "q"), (torch.ones(2), "q"), ((1, 2), "q"), ({1: 2}, "qw"))
