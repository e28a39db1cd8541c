"""Tuples whose length is known at run time only, because a program makes them grow."""

from __future__ import annotations

from collections import deque
from typing import Dict, List, Optional, Set, Tuple

import pytest
import torch

import scriptmode
from scriptmode.support.diagnostics import ScriptTypeError
from tests.fourway import check


def test_tuples_grow_in_loops() -> None:
    def f(n: int):
        at_the_end = ()
        for i in range(n):
            at_the_end = at_the_end + (i,)
        at_the_front = (0.5,)
        while len(at_the_front) < n:
            at_the_front = (at_the_front[0] * 2, *at_the_front)
        mixed = (1,)
        for i in at_the_front:
            mixed += (i,)
        return at_the_end, at_the_front, mixed, at_the_end[-1], len(mixed)

    check(f, (4,))


def test_what_is_done_with_a_tuple_that_grew() -> None:
    def f(n: int):
        t = ()
        for i in range(n):
            t += (str(i),)
        return (
            ",".join(t), t[0], t[1:], "1" in t, t.index("1"), {t: 1}, sorted(t), list(t),
            t == ("0", "1", "2"), hash(t) == hash(("0", "1", "2")), t * 2, max(t), [*t, "x"],
            t + ("y",), t < ("1",),
        )  # fmt: skip

    check(f, (3,))


def test_tuples_grow_by_recursion_closures_and_handlers() -> None:
    def down(n: int):
        if n == 0:
            return ()
        return (n, *down(n - 1))

    def f(n: int):
        seen = ()

        def add(x: int):
            nonlocal seen
            seen = (*seen, x)

        for i in range(n):
            add(i)
        tried = ()
        try:
            for i in range(n):
                tried += (i,)
                if i == 2:
                    raise ValueError("enough")
        except ValueError:
            tried += (99,)
        return down(n), seen, tried

    check(f, (2,), (5,))


def test_tuples_grow_in_attributes() -> None:
    class Kept:
        def __init__(self):
            self.items = ()
            self.typed: Tuple[float, ...] = ()

        def add(self, x: int):
            self.items += (x,)
            self.typed = (*self.typed, x * 0.5)

    def f(n: int):
        kept = Kept()
        for i in range(n):
            kept.add(i)
        return kept.items, kept.typed

    check(f, (3,))


class Collects(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.outputs = ()

    def forward(self, x: torch.Tensor):
        hidden = ()
        for _ in range(3):
            x = torch.relu(x + 1)
            hidden = (*hidden, x)
        self.outputs = (*self.outputs, x.sum())
        return torch.cat(hidden), hidden[-1], len(self.outputs)


def test_tuples_of_tensors_grow_in_a_module() -> None:
    check(Collects(), (torch.ones(2),))


def test_a_tuple_that_grows_or_is_none() -> None:
    def f(n: int):
        t = None
        for i in range(n):
            t = (i,) if t is None else (*t, i)
        return t

    check(f, (0,), (3,))


def test_tuples_of_fixed_lengths_go_where_any_length_may_be() -> None:
    def plus(t: Tuple[int, ...]) -> Tuple[int, ...]:
        return (*t, 1)

    def chosen(n: int) -> Tuple[int, ...]:
        if n > 2:
            return (1, 2, 3)
        if n > 1:
            return ()
        return (n,)

    def f(n: int):
        listed: List[Tuple[int, ...]] = [(1, 2)]
        listed.append(())
        listed.append((n,))
        table: Dict[str, Tuple[int, ...]] = {"a": (1,), "b": ()}
        table["c"] = (4, 5)
        unique: Set[Tuple[int, ...]] = {(1,)}
        unique.add((1, 2))
        maybe: Optional[Tuple[int, ...]] = None
        if n:
            maybe = (1, 2)
        return (
            plus((n, 2)), plus(()), chosen(n), sum(chosen(3)), listed, table, (1, 2) in unique,
            maybe, (1, 2) in listed, listed.index(()),
        )  # fmt: skip

    check(f, (0,), (1,), (2,), (3,))


def test_tuples_of_many_lengths_meet_in_containers_and_unions() -> None:
    def f(n: int):
        grown = ()
        for i in range(n):
            grown += (i,)
        joined = [grown] + [(1, 2)]
        joined.append((5, 6, 7))
        text = ["q", grown]
        text.append((7, 8))
        text = text + [(3, 4)]
        either = grown if n > 1 else "s"
        shrinking = (1, 2, 3)
        while shrinking:
            shrinking = shrinking[1:]
        paths = deque([((0,), 0)])
        done = []
        while paths:
            path, depth = paths.popleft()
            if depth == n:
                done.append(path)
            else:
                for step in (1, 2):
                    paths.append(((*path, step), depth + 1))
        return joined, text, either, shrinking, done, [isinstance(x, tuple) for x in text]

    check(f, (1,), (3,))


def test_tuples_that_nest_for_ever_are_refused() -> None:
    def f(n: int):
        linked = ()
        for i in range(n):
            linked = (i, linked)
        return n

    with pytest.raises(ScriptTypeError, match="do not settle"):
        scriptmode.script(f)
