"""Functions that call themselves have a reverse program of their own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.autodiff.generator.judge import difference, interpreted, native
from tests.autodiff.gradients import check_gradients
from tests.autodiff.test_containers import judged


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def power(a, n: int):
    if n == 0:
        return torch.ones(2, dtype=a.dtype)
    return power(a, n - 1) * a


def test_an_entry_that_calls_itself():
    check_gradients(power, x(2), 3)
    check_gradients(power, x(2), 0)  # the result does not depend on the argument


def test_a_reverse_program_runs_twice_and_frees_what_it_kept():
    a = x(2)
    result = scriptmode.script(power)(a, 4)
    for _ in range(2):
        (found,) = torch.autograd.grad(result.sum(), a, retain_graph=True)
        torch.testing.assert_close(found, 4 * a.detach() ** 3)
    torch.autograd.grad(result.sum(), a)


class Tree(torch.nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.leaf = torch.nn.Linear(size, 2 * size)
        self.node = torch.nn.Linear(2 * size, 2 * size)

    def forward(self, xs, left: list[int], right: list[int]):
        return self.visit(len(left) - 1, xs, left, right)[0]

    def visit(
        self, i: int, xs: torch.Tensor, left: list[int], right: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if left[i] < 0:
            h, c = self.leaf(xs[i]).chunk(2, -1)
            return torch.tanh(h), c
        hl, cl = self.visit(left[i], xs, left, right)
        hr, cr = self.visit(right[i], xs, left, right)
        h, c = self.node(torch.cat([hl, hr], -1)).chunk(2, -1)
        return torch.sigmoid(h) * cl, c + cr


def test_a_tree_whose_nodes_share_parameters():
    left, right = [-1, -1, -1, 0, 3], [-1, -1, -1, 1, 2]
    check_gradients(Tree(3).double(), x(5, 3), left, right)
    check_gradients(Tree(3).double(), x(1, 3), [-1], [-1])


def even(a, n: int) -> torch.Tensor:
    return a if n == 0 else odd(a * a, n - 1)


def odd(a, n: int) -> torch.Tensor:
    h = torch.zeros_like(a)
    if n > 3:
        for i in range(2):
            h = h + even(a + i, n - 1) * i
        return h
    return torch.sin(even(a, n - 1))


def test_functions_that_call_one_another_also_in_loops():
    check_gradients(even, x(2), 6)


def drops(a, b, n: int):
    """Calls whose results get no cotangent are reversed too."""
    if n == 0:
        return a, b
    p, q = drops(a * b, b, n - 1)
    if bool(a.sum() > 100):
        return p, q
    return p * 2, b


def test_results_that_are_not_used():
    check_gradients(drops, x(2), x(2), 3)
    check_gradients(drops, x(2), torch.rand(2, dtype=torch.float64), 3)


def lists(a, parts: list[torch.Tensor], n: int):
    return a if n == 0 else lists(a * parts[0], parts, n - 1)


def test_lists_of_tensors():
    check_gradients(lists, x(2), [x(2)], 3)


class Branch:
    def __init__(self, value: Tensor, left: Branch | None, right: Branch | None):
        self.value = value
        self.left = left
        self.right = right


def folded(t: Branch | None, w: Tensor) -> Tensor:
    if t is None:
        return w * 2
    return torch.tanh(t.value * folded(t.left, w) + folded(t.right, w) * w)


def built(a: Tensor, n: int) -> Branch | None:
    if n == 0:
        return None
    return Branch(a * n, built(a + n, n - 1), built(torch.sin(a), n - 2 if n > 1 else 0))


def built_and_folded(a, n: int):
    return folded(built(a, n), a)


def first(xs: list[Tensor], w: Tensor) -> Tensor:
    if len(xs) == 0:
        return w
    return first(xs[1:], torch.sin(w * xs[0]))


def collected(t: Branch, into: list[Tensor], w: Tensor) -> int:
    into.append(t.value * w)
    n = 1
    left, right = t.left, t.right
    if left is not None:
        n += collected(left, into, w)
    if right is not None:
        n += collected(right, into, w)
    return n


def collection(t: Branch, w: Tensor):
    into: list[Tensor] = []
    n = collected(t, into, w)
    return torch.stack(into).prod(0) * n, into


def pieces(a: Tensor, n: int) -> list[Tensor]:
    if n == 0:
        return [a]
    found = pieces(a * 2, n - 1)
    found.append(found[-1] * a)
    return found


def renewed(t: Branch, w: Tensor) -> int:
    t.value = t.value * w
    left = t.left
    return 1 if left is None else renewed(left, w) + 1


def renewal(a: Tensor, w: Tensor):
    t = Branch(a, Branch(a * 2, None, None), None)
    n = renewed(t, w) + renewed(t, a)
    assert t.left is not None
    return t.value * t.left.value * n


def tree():
    return Branch(x(3), Branch(x(3), None, Branch(x(3), None, None)), Branch(x(3), None, None))


STRUCTURED = [
    (folded, lambda: (tree(), x(3))),
    (built_and_folded, lambda: (x(3), 3)),
    (first, lambda: ([x(3), x(3), x(3)], x(3))),
    (collection, lambda: (tree(), x(3))),
    (pieces, lambda: (x(3), 3)),
    (renewal, lambda: (x(3), x(3))),
]


@pytest.mark.parametrize("way", [native, interpreted])
@pytest.mark.parametrize("number", range(len(STRUCTURED)))
def test_recursion_over_containers_and_objects(number, way):
    function, make = STRUCTURED[number]
    compiled = way(function)
    for mask in (-1, 1, 2):
        assert difference(judged(function, make, mask), judged(compiled.call, make, mask)) == ""
    assert compiled.gradients.reason == ""
