"""Recordings with nested arguments and results, called by compiled code."""

from typing import Dict, List, NamedTuple, Tuple

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from tests.fourway import same

X = torch.arange(3.0)


class Point(NamedTuple):
    x: Tensor
    y: Tensor


def of_dict(d):
    return {"sum": d["a"] + d["b"][0], "both": (d["a"], [d["b"][0] * 2])}


def of_pair(pair, scale, mode):
    a, b = pair
    return [a * scale, b] if mode == "list" else a


def of_point(p):
    return Point(p.x + 1, p.y * 2), None


TRACED_DICT = scriptmode.trace(of_dict, ({"a": X, "b": [X]},))
TRACED_PAIR = scriptmode.trace(of_pair, ((X, X), 2, "list"))
TRACED_POINT = scriptmode.trace(of_point, (Point(X, X),))


def calls_dict(x: Tensor, d: Dict[str, Tensor]):
    found = TRACED_DICT({"b": [x + 1], "a": d["k"]})
    (a, b) = TRACED_DICT({"b": [x], "a": x})["both"]
    b.append(a)
    return found["sum"], a, b, len(found)


def calls_pair(x: Tensor, pairs: List[Tuple[Tensor, Tensor]]):
    first = TRACED_PAIR(pairs[0], 3, "list")
    first.append(x)
    return first, TRACED_PAIR((x, x), mode="list", scale=2)


def calls_point(x: Tensor):
    point, nothing = TRACED_POINT(Point(x, x + 5))
    return point, point.x, nothing is None


def calls_with_another_mode(x: Tensor):
    return TRACED_PAIR((x, x), 2, "tensor")


def calls_with_a_list(x: Tensor):
    return TRACED_PAIR([x, x], 2, "list")


def calls_with_three(x: Tensor):
    return TRACED_PAIR((x, x, x), 2, "list")


def calls_with_a_long_list(x: Tensor, xs: List[Tensor]):
    return TRACED_DICT({"a": x, "b": xs})["sum"]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (calls_dict, (X, {"k": X + 2})),
        (calls_pair, (X, [(X, X + 1)])),
        (calls_point, (X,)),
        (calls_with_a_long_list, (X, [X])),
    ],
)
def test_nested_values_go_in_and_out(function, arguments):
    compiled = scriptmode.script(function)
    same(function(*arguments), compiled(*arguments))
    assert not compiled.bailouts


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (calls_with_another_mode, "`mode` of the trace was 'list', which a recording keeps"),
        (calls_with_a_list, "`pair` of the trace was a tuple"),
        (calls_with_three, "argument pair: 2 items were traced"),
    ],
)
def test_other_structures_are_refused(function, message):
    with pytest.raises(scriptmode.ScriptTypeError, match=message):
        scriptmode.script(function)


def test_the_length_of_a_list_is_asked_at_run_time():
    compiled = scriptmode.script(calls_with_a_long_list)
    with pytest.raises(TypeError, match="1 items were traced"):
        compiled(X, [X, X])


def test_a_recorded_submodule_with_nested_arguments():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, pair):
            return {"out": self.linear(pair[0]) + pair[1]}

    class Outer(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner((x, x))["out"] * 2

    inner = Inner()
    traced = scriptmode.trace(inner, ((X, X),))
    compiled = scriptmode.script(Outer(traced))
    same(Outer(inner)(X), compiled(X))
