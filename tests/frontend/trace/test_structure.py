"""Nested inputs and outputs: names of parameters, structure checks, rebuilt results."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import torch

import scriptmode
from scriptmode.frontend.trace import trace_function
from scriptmode.support.diagnostics import ArgumentError, TraceError
from tests.frontend.trace.helpers import quiet_trace, run, trace_agrees


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass
class Record:
    a: Any
    b: Any = None


def params(result):
    return [p.name for p in result.program.graph.params]


def test_leaves_are_named_after_the_argument():
    result = quiet_trace(
        lambda x, d, xs, *rest, k=1, **more: x + d["key"] + xs[0] + xs[1][0] + rest[0] + k + more["m"],
        torch.ones(2), {"key": torch.ones(2)}, [torch.ones(2), (torch.ones(2),)], torch.ones(2),
        k=3, m=0.5,
    )  # fmt: skip
    assert params(result) == ["x", "d_key", "xs_0", "xs_1_0", "rest_0", "k", "m"]
    assert [str(p.type) for p in result.program.graph.params[-2:]] == ["int", "float"]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: (x, x + 1),
        lambda x: [x, [x + 1, (x * 2,)]],
        lambda x: {"a": x, "b": {"c": x + 1}},
        lambda x: OrderedDict(z=x, a=x + 1),
        lambda x: Pair(x, (x + 1, None)),
        lambda x: Record(x + 1, Pair(x, 3)),
        lambda x: (x, None, 1, 2.5, "text", True),
        lambda x: x.max(0),
        lambda x: {"size": x.shape, "n": x.shape[0]},
        lambda x: None,
        lambda x: ((),),
        lambda x: (x,),
    ],
)
def test_results_come_back_in_their_structure(make):
    result = quiet_trace(make, torch.ones(3))
    x = torch.arange(4.0)
    got, want = run(result, x), make(x)
    if isinstance(want, Record):
        assert type(got) is Record
        got, want = dataclasses.astuple(got), dataclasses.astuple(want)
    assert type(got) is type(want)
    assert str(got) == str(want)


def test_containers_go_in_and_out():
    def function(d, pair, record):
        return {"sum": d["a"] + d["b"][0] + pair.first + record["k"], "rest": [d["b"][1], None]}

    def args(n):
        return (
            {"a": torch.ones(n), "b": [torch.ones(n), torch.zeros(n)]},
            Pair(torch.ones(n), None),
            OrderedDict(k=torch.ones(n)),
        )

    trace_agrees(function, args(2), args(5))


WRONG = [
    (({"a": 1},), {"s": "m"}, r"argument d: keys 'a', 'b' were traced, got 'a'"),
    (({"a": torch.ones(1), "b": [torch.ones(1)] * 2},), {"s": "m"}, r"d\['b'\]: 1 items"),
    (({"a": torch.ones(1), "b": [2]},), {"s": "m"}, r"d\['b'\]\[0\]: a value of type Tensor"),
    (({"a": torch.ones(1), "b": (torch.ones(1),)},), {"s": "m"}, r"d\['b'\]: a list was traced"),
    (({"a": torch.ones(1), "b": [torch.ones(1)]},), {"s": "other"}, r"s: 'm' was traced"),
    (({"a": torch.ones(1), "b": [torch.ones(1)]},), {}, r"missing a required argument: 's'"),
    (({"a": torch.ones(1), "b": [torch.ones(1)]}, "m", 4), {}, r"k: was left at its default"),
]


@pytest.mark.parametrize(("args", "kwargs", "message"), WRONG)
def test_another_structure_is_an_argument_error_that_names_the_place(args, kwargs, message):
    result = quiet_trace(
        lambda d, s, k=1: d["a"] + d["b"][0], {"a": torch.ones(1), "b": [torch.ones(1)]}, "m"
    )
    with pytest.raises(ArgumentError, match=message):
        run(result, *args, **kwargs)


def test_dicts_may_come_in_another_order():
    result = quiet_trace(lambda d: d["a"] - d["b"], {"a": torch.ones(1), "b": torch.zeros(1)})
    assert run(result, {"b": torch.zeros(1), "a": torch.ones(1)}).item() == 1


def test_an_int_serves_for_a_float():
    result = quiet_trace(lambda x, s: x * s, torch.ones(1), 0.5)
    assert run(result, torch.ones(1), 3).item() == 3


def test_partial_functions_and_callables_trace():
    result = quiet_trace(functools.partial(torch.add, alpha=2), torch.ones(2), torch.ones(2))
    assert run(result, torch.ones(3), torch.ones(3)).tolist() == [3.0] * 3


@pytest.mark.parametrize("value", [threading.Lock(), threading.local()])
def test_other_objects_are_refused(value):
    with pytest.raises(TraceError, match="cannot be an input"):
        trace_function(lambda v: torch.ones(1), (value,))


def test_results_of_other_classes_are_refused():
    class Holder:
        def __init__(self, x):
            self.x = x

    with pytest.raises(TraceError, match="Holder cannot be the result"):
        trace_function(Holder, (torch.ones(1),))


def test_a_list_of_arguments_is_taken_as_a_tuple_of_them():
    traced = scriptmode.trace(
        torch.add, [torch.ones(2), torch.ones(2)], check_inputs=[[torch.ones(3)] * 2]
    )
    assert traced(torch.ones(1), torch.zeros(1)).item() == 1
    assert scriptmode.trace(lambda: torch.zeros(2), [])().tolist() == [0, 0]
    module = scriptmode.trace_module(
        torch.nn.Bilinear(1, 1, 1), {"forward": [torch.ones(1, 1)] * 2}
    )
    assert module(torch.ones(2, 1), torch.ones(2, 1)).shape == (2, 1)
