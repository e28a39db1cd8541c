"""Containers of tensors as arguments and results of programs that are differentiated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.autodiff.generator.judge import difference, interpreted, native, outcome
from tests.autodiff.gradients import leaves


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def product(xs: list[torch.Tensor], w):
    total = w
    for v in xs:
        total = total * v
    return total


CHANGES = {
    "append": lambda xs: xs.append(x(3)),
    "clear": lambda xs: xs.clear(),
    "replace": lambda xs: xs.__setitem__(0, x(3)),
    "swap": lambda xs: xs.reverse(),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("again", [False, True])
def test_a_list_that_changes_between_forward_and_backward(change, again):
    xs, w = [x(3), x(3)], x(3)
    tensors = [*xs, w]
    result = scriptmode.script(product)(xs, w)
    CHANGES[change](xs)
    found = torch.autograd.grad(result.sum(), tensors, create_graph=again)
    want = torch.autograd.grad(torch.stack(tensors).prod(0).sum(), tensors)
    torch.testing.assert_close(found, want)


@dataclass
class Output:
    loss: Tensor
    logits: Tensor
    steps: int = 0


@dataclass
class Pair:
    left: Tensor
    right: tuple[Tensor, list[Tensor]]
    name: str = "p"


class Tree:
    def __init__(self, value: Tensor, left: Tree | None, right: Tree | None):
        self.value = value
        self.left = left
        self.right = right


class State:
    def __init__(self, h: Tensor, n: int):
        self.h = h
        self.n = n


class Both(NamedTuple):
    a: Tensor
    b: list[Tensor]


def a_dict_result(a, n: int):
    found: dict[str, Tensor] = {}
    for i in range(n):
        found[str(i)] = torch.sin(a * i)
    found["a"] = a
    return found


def a_dict_beside_a_loss(a, w):
    loss = (a * w).sum()
    return loss, {"loss": loss.detach(), "logits": a * 2, "w": w}


def one_list_twice(a):
    found = [a * 2]
    found.append(a + found[0])
    return found, found, {"x": found}


def lists_in_lists(a, n: int):
    found: list[list[Tensor]] = []
    for i in range(n):
        found.append([a * i, torch.exp(a)])
    return found


def missing_elements(a):
    found: list[Tensor | None] = [None, a * 2]
    found.append(None)
    found.append(found[1])
    return found


def any_length(a, n: int):
    return tuple([a * i for i in range(n)])


def an_object(a, w):
    y = a * w
    return Output((y * y).sum(), y, 3)


def objects_that_share(a):
    y = a * 2
    one = Pair(y, (a + 1, [y, torch.sin(y)]))
    return {"one": one, "two": one}, [one, Pair(a, one.right)]


def named(a):
    return Both(a * 2, [a, a * a])


def views_of_arguments(a):
    found: dict[str, Tensor] = {}
    found["row"] = a[0]
    found["double"] = a[0] * 2
    return found


def a_dict(d: dict[str, Tensor], w):
    return d["x"] * w + torch.sin(d["y"])


def batches(batch: dict[str, list[Tensor]], w):
    total = w
    for key in batch:
        for v in batch[key]:
            total = torch.tanh(total * v)
    return total


def states(a, hidden: list[tuple[Tensor, Tensor]]):
    made: list[tuple[Tensor, Tensor]] = []
    for h, c in hidden:
        c = torch.tanh(c * a)
        made.append((h + c, c))
        a = h + c
    return a, made


def a_mixed_tuple(t: tuple[Tensor, list[Tensor], int], w):
    return t[0] * t[1][0] * w * t[2] + t[0]


def a_tuple_of_any_length(xs: tuple[Tensor, ...], w):
    total = w
    for v in xs:
        total = total * v
    return total, xs


def maybe(xs: list[Tensor] | None, w):
    if xs is None:
        return w * 2
    return w * xs[0]


def an_object_given(o: Output, w):
    return o.loss * w + o.logits * o.steps


def an_object_of_parts(p: Pair, w):
    return p.left * w + p.right[0] * p.right[1][0]


def an_object_that_changes(s: State, w):
    for _ in range(3):
        s.h = torch.tanh(s.h * w)
        s.n += 1
    return s.h.sum() * s.n


def an_object_that_comes_back(s: State, w):
    s.h = s.h * w
    return s, [s]


def a_list_that_grows(xs: list[Tensor], w):
    for i in range(2):
        xs.append(xs[i] * w)
    return torch.stack(xs).sum()


def a_list_that_comes_back(xs: list[Tensor], w):
    xs.append(w * xs[0])
    return xs, w * 2


def a_list_of_a_list(xs: list[Tensor], w):
    return [v * w for v in xs]


def an_element_that_is_set(xs: list[Tensor], w):
    xs[0] = xs[0] * w
    return xs[0] * xs[1]


def a_dict_that_changes(d: dict[str, Tensor], w):
    d["z"] = d["x"] * w
    del d["y"]
    return d["z"] * 2, d


def an_error_behind_a_write(xs: list[Tensor], w):
    xs.append(w * 2)
    if float(w.detach()[0]) < 5.0:
        raise ValueError("too small")
    return xs[0] * w


def sum_of_tree(t: Tree, w):
    total = t.value * w
    left = t.left
    if left is not None:
        total = torch.tanh(total + left.value)
    return total


def two_lists(xs: list[Tensor], ys: list[Tensor]):
    xs.append(ys[0] * 2)
    return ys[-1] * xs[0]


def tree():
    return Tree(x(3), Tree(x(3), None, None), None)


CASES = [
    (a_dict_result, lambda: (x(3), 3)),
    (a_dict_beside_a_loss, lambda: (x(3), x(3))),
    (one_list_twice, lambda: (x(3),)),
    (lists_in_lists, lambda: (x(3), 3)),
    (missing_elements, lambda: (x(3),)),
    (any_length, lambda: (x(3), 3)),
    (an_object, lambda: (x(3), x(3))),
    (objects_that_share, lambda: (x(3),)),
    (named, lambda: (x(3),)),
    (views_of_arguments, lambda: (x(3, 2),)),
    (a_dict, lambda: ({"y": x(3), "x": x(3)}, x(3))),
    (batches, lambda: ({"b": [x(3), x(3)], "a": [x(3)], "n": []}, x(3))),
    (states, lambda: (x(3), [(x(3), x(3)), (x(3), x(3))])),
    (a_mixed_tuple, lambda: ((x(3), [x(3)], 2), x(3))),
    (a_tuple_of_any_length, lambda: ((x(3), x(3)), x(3))),
    (maybe, lambda: ([x(3)], x(3))),
    (maybe, lambda: (None, x(3))),
    (an_object_given, lambda: (Output(x(1), x(3), 2), x(3))),
    (an_object_of_parts, lambda: (Pair(x(3), (x(3), [x(3)])), x(3))),
    (an_object_that_changes, lambda: (State(x(3), 1), x(3))),
    (an_object_that_comes_back, lambda: (State(x(3), 1), x(3))),
    (a_list_that_grows, lambda: ([x(3), x(3)], x(3))),
    (a_list_that_comes_back, lambda: ([x(3)], x(3))),
    (a_list_of_a_list, lambda: ([x(3), x(3)], x(3))),
    (an_element_that_is_set, lambda: ([x(3), x(3)], x(3))),
    (a_dict_that_changes, lambda: ({"y": x(3), "x": x(3)}, x(3))),
    (an_error_behind_a_write, lambda: ([x(3)], x(3))),
    (sum_of_tree, lambda: (tree(), x(3))),
    (two_lists, lambda: ([x(3)], [x(3)])),
]


def marked(arguments, mask):
    for number, tensor in enumerate(leaves(list(arguments))):
        tensor.requires_grad_(bool(mask >> number & 1))
    return arguments


def judged(function, make, mask):
    torch.manual_seed(1)
    arguments = marked(make(), mask)
    return outcome(lambda *given: (function(*given), given), arguments, second=True)


@pytest.mark.parametrize("way", [native, interpreted])
@pytest.mark.parametrize("number", range(len(CASES)))
def test_containers(number, way):
    function, make = CASES[number]
    compiled = way(function)
    for mask in (-1, 1, 2, 0):
        assert difference(judged(function, make, mask), judged(compiled.call, make, mask)) == ""
    assert compiled.gradients.reason == ""


def grown(t: Tree, w):
    t.value = t.value * w
    t.left = Tree(w * 2, t, None)
    return t


def test_rings_stay_on_the_tape():
    scripted = scriptmode.script(grown)
    found = []
    for call in (grown, scripted):
        torch.manual_seed(1)
        t, w = tree(), x(3)
        result = call(t, w)
        assert result is t and t.left.left is t
        found.append(torch.autograd.grad((t.value * t.left.value).sum(), w))
    torch.testing.assert_close(*found)
    assert "result of type" in scripted._dispatcher.primary.gradients.reason


def deep(t: Tree, w):
    return t.value * w


def test_objects_nested_too_deep_to_be_gone_through():
    t = Tree(x(3), None, None)
    for _ in range(5000):
        t = Tree(t.value, t, None)
    w = x(3)
    (found,) = torch.autograd.grad(scriptmode.script(deep)(t, w).sum(), w)
    torch.testing.assert_close(found, t.value.detach())


def test_one_list_given_twice():
    scripted = scriptmode.script(two_lists)
    xs, ys = [x(3)], [x(3)]
    want, got = two_lists(xs, xs), scripted(ys, ys)
    assert len(ys) == 2 and want.requires_grad and got.requires_grad
    torch.testing.assert_close(torch.autograd.grad(got.sum(), ys[0]), (4 * ys[0],))


def test_gradient_function_of_what_returns_containers_is_refused_or_right():
    def f(a):
        return (a * a).sum(), {"a": a}

    a = x(3)
    (_, aux), found = scriptmode.value_and_grad(f, has_aux=True)(a)
    torch.testing.assert_close(found, 2 * a)
    assert aux.keys() == {"a"}
