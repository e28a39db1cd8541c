"""``scriptmode.checkpoint``: gradients of a plain call, from what is computed again."""

import torch

import scriptmode
from scriptmode.ir import types as T
from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def chain(a, b):
    for _ in range(4):
        a = torch.tanh(torch.sin(a) * b)
    return a


def twice(a, b):
    y = scriptmode.checkpoint(chain, a, b)
    return scriptmode.checkpoint(chain, y, a) + y


def test_gradients_of_functions():
    check_gradients(twice, x(3), x(3))
    check_gradients(twice, x(3), torch.rand(3, dtype=torch.float64))
    check_gradients(twice, torch.rand(3, dtype=torch.float64), x(3))


def test_only_the_arguments_are_kept():
    scripted = scriptmode.script(twice)
    result = scripted(x(3), x(3))
    gradients = scripted._dispatcher.primary.gradients
    kept = gradients.differentiated().saved
    tensors = [saved for _, saved in kept if saved.value.type == T.TENSOR]
    assert ["checkpoint" in saved.reason for saved in tensors] == [True]
    result.sum().backward()


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 3)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, a):
        return self.drop(torch.relu(self.linear(a))) + a


class Stack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Block(), Block()])

    def forward(self, a, n: int):
        for block in self.blocks:
            a = scriptmode.checkpoint(block, a)
        for i in range(n):
            a = scriptmode.checkpoint(self.blocks[0], a) * i
        return a


def test_modules_with_random_numbers_in_loops():
    check_gradients(Stack().double(), x(2, 3), 2, second=False)


def test_the_random_numbers_after_a_backward_are_those_of_eager():
    module = Stack().double()
    found = []
    for way in (module, scriptmode.script(module)):
        torch.manual_seed(0)
        way(x(2, 3), 1).sum().backward()
        found.append(torch.rand(3))
    torch.testing.assert_close(*found)
