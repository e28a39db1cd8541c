"""Containers of tensors: items are equal when they are one object or by the truth of ``==``."""

from __future__ import annotations

from typing import List

import torch
from torch import Tensor

from tests.fourway import check


def test_membership_and_search() -> None:
    def f(a: List[Tensor], x: Tensor):
        found = x in a, a.index(x), a.count(x), a[0] in a, x in (a[0], x), x not in a[:1]
        a.remove(x)
        return found, a

    check(f, ([torch.tensor(3), torch.tensor(1), torch.tensor(2)], torch.tensor(1)))


def test_an_item_that_is_not_there_raises() -> None:
    def index(a: List[Tensor], x: Tensor):
        return a.index(x)

    def remove(a: List[Tensor], x: Tensor):
        a.remove(x)

    for f in (index, remove):
        check(f, ([torch.tensor(3)], torch.tensor(1)), ([], torch.tensor(1)))


def test_comparing_several_elements_raises_unless_it_is_the_same_tensor() -> None:
    def other(a: List[Tensor], x: Tensor):
        return x in a

    def same(a: List[Tensor], x: Tensor):
        return a[0] in a, a == [a[0]], (x, x) == (x, x), {"k": x} == {"k": x}, [a] == [a]

    def equal(a: List[Tensor], x: Tensor):
        return a == [x]

    for f in (other, same, equal):
        check(f, ([torch.ones(2)], torch.ones(2)))


def test_items_behind_a_difference_are_not_compared() -> None:
    def f(x: Tensor, y: Tensor):
        return (1, x) == (2, y), (1, x) < (2, y), [torch.tensor(0), x] == [torch.tensor(1), y]

    check(f, (torch.ones(2), torch.zeros(2)))


def test_nan_equals_itself_only_as_the_same_tensor() -> None:
    def f(a: List[Tensor]):
        x = a[0]
        return x in a, a == [x], a == [x.clone()], [x] != [x], a.count(x), a.count(x.clone())

    check(f, ([torch.tensor(float("nan"))],))


def test_sorting_tensors_of_one_element() -> None:
    def f(a: List[Tensor]):
        b = sorted(a)
        a.sort(reverse=True)
        return b, a, sorted(a, key=lambda t: -t.item()), min(a), max(a, key=lambda t: t.item())

    check(f, ([torch.tensor(3.0), torch.tensor(1.0), torch.tensor(2.0)],), ([torch.ones(2)] * 2,))
