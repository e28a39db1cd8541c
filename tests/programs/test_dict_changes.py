"""Loops over dicts that they change meet the keys that they meet in CPython, or its errors."""

import random
from typing import List, Tuple

import scriptmode


def changed_in_loop(
    n: int, copied: bool, rolls: List[float], picks: List[int], added: List[int]
) -> Tuple[List[int], str]:
    d = {i: 0 for i in range(n)}
    if copied:
        d = dict(d)
    met: List[int] = []
    text = ""
    try:
        for k in d:
            at = len(met)
            met.append(k)
            r, new = rolls[at % len(rolls)], added[at % len(added)]
            if at > 100:
                break
            if r < 0.35 and len(d) > 0:
                keys = list(d)
                d.pop(keys[picks[at % len(picks)] % len(keys)], 0)
                d[new] = 1
            elif r < 0.7:
                d.pop(k, 0)
                d[new] = 1
            elif r < 0.78:
                copy = d.copy()
                d.clear()
                d.update(copy)
            elif r < 0.86:
                other = dict(d)
                if len(other) > 1:
                    other.pop(k, 0)
                d |= other
            elif r < 0.93:
                more = d.copy()
                more.update({new: 1, new + 1: 2})
                if len(more) == len(d):
                    d.clear()
                    d.update(more)
            elif len(d) > 0:
                d.popitem()
                d.setdefault(new, 3)
    except RuntimeError as error:
        text = str(error)
    return met, text


def test_a_loop_over_a_dict_that_it_changes():
    compiled = scriptmode.script(changed_in_loop)
    for seed in range(3000):
        rng = random.Random(seed)
        most = rng.choice((10, 60))
        arguments = (
            rng.randrange(rng.choice((4, 12, 30))),
            rng.random() < 0.3,
            [rng.random() for _ in range(29)],
            [rng.randrange(100) for _ in range(31)],
            [rng.randrange(most) for _ in range(37)],
        )
        assert compiled(*arguments) == changed_in_loop(*arguments), seed
