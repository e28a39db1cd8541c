"""Functions that call themselves have a reverse program of their own."""

import torch

import scriptmode
from tests.autodiff.gradients import check_gradients


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


def test_lists_of_tensors_are_left_to_the_tape():
    check_gradients(lists, x(2), [x(2)], 3, differentiated=False)
