"""Subscripts of tensors, read and assigned: eager's results, view-ness and errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from scriptmode.frontend import calls
from scriptmode.frontend.operands import ConstOperand, Operand, SequenceOperand, SliceOperand
from scriptmode.ir import types as T
from scriptmode.support.diagnostics import CompileError
from scriptmode.support.source import UNKNOWN
from tests.opinfo.building import Building


class _At:
    def __getitem__(self, index: Any) -> Any:
        return index


at, t = _At(), torch.tensor
MASK = torch.ones(2, 3, dtype=torch.bool)
MASK[0, 1] = False
SIX = t([0, 1, 0, 3, 2])

INDICES = [
    at[0], at[-1], at[1:], at[...], at[None], at[:, 1], at[..., 0], at[..., None], at[..., None, 0],
    at[0, ..., 1:], at[:, ..., :], at[:, :, :, :], at[0, 0, 0, 0], at[0, ..., 0, 0, 0], at[True],
    at[False], at[True, 0], at[:, True], at[()], at[[0, 1]], at[[0, slice(None)]],
    at[[[0, 1], [1, 0]]], at[[True, False]], at[[]], at[t(1)], at[t(True)], at[t(False)],
    at[t([1, 0])], at[t([True, False])], at[MASK], at[MASK, 1:2], at[MASK, 1], at[MASK, SIX],
    at[MASK, None, SIX], at[MASK, ..., SIX], at[MASK, ..., 0], at[MASK[:1], 1],
    at[:, torch.ones(3, 4, dtype=torch.bool)], at[..., t([True, False, True, True])],
    at[(0, 1), (1, 0)], at[:, t([[0, 1]]), t(1)], at[:, t(0), t(1)], at[:, t(True), 1],
    at[:, t([0, 1])], at[t([0, 1]), :, t([0, 1])], at[..., t([0, 1])], at[0, ..., t([0, 1])],
    at[None, t([0, 1])], at[t([0, 1]), None], at[::2, 1:3:2], at[-5:5], at[t(0) : t(1)], at[1:1],
    at[5], at[t([5])], at[[0, [1]]], at[1.5], at[0, t([0, 1]), ...], at[..., t([0, 1]), 0],
    at[t(1, dtype=torch.uint8)], at[[t(0), t(1)]], at[::-1], at[None, None, ..., None],
    at[0, None, ..., None, 1:], at[:0], at[0:2:3], at[t([-1])], at[t([[True, False, True]])],
]  # fmt: skip


def operand(building: Building, index: Any, *, constants: bool) -> Operand:
    def one(i: Any) -> Operand:
        if isinstance(i, slice):
            return SliceOperand(one(i.start), one(i.stop), one(i.step))
        if isinstance(i, (list, tuple)):
            return SequenceOperand(tuple(map(one, i)), "list" if isinstance(i, list) else "tuple")
        return ConstOperand(i) if constants else building.operand(i)

    return one(index)


def outcome(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (IndexError, TypeError, ValueError, RuntimeError) as error:
        return error


def assert_same(actual: Any, expected: Any) -> None:
    if isinstance(expected, Exception):
        assert isinstance(actual, CompileError) or type(actual) is type(expected), actual
    else:
        assert not isinstance(actual, Exception), actual
        assert torch.equal(actual, expected)


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("constants", [False, True], ids=["values", "constants"])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_a_subscript_reads_what_eager_reads(index: Any, constants: bool) -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)

    def run() -> torch.Tensor:
        building = Building()
        self = building.operand(x).value
        given = operand(building, index, constants=constants)
        return building.run(calls.subscript(building.builder, self, given, UNKNOWN))

    actual, expected = outcome(run), outcome(lambda: x[index])
    assert_same(actual, expected)
    if isinstance(expected, torch.Tensor):
        assert actual._is_view() == expected._is_view()
        assert (actual.data_ptr() == expected.data_ptr()) == expected._is_view() or not len(
            expected
        )


@pytest.mark.parametrize("constants", [False, True], ids=["values", "constants"])
@pytest.mark.parametrize("index", INDICES, ids=str)
def test_an_assignment_writes_what_eager_writes(index: Any, constants: bool) -> None:
    x = torch.arange(24.0).reshape(2, 3, 4)
    new: list[Any] = [2.5, True, t(3), t(4.0), torch.ones(1, 1), torch.ones(7)]
    part = outcome(lambda: x[index])
    if isinstance(part, torch.Tensor):
        new += [part + 100, (part + 50)[None, None]]
    for value in new:

        def ours(value: Any = value) -> torch.Tensor:
            y, building = x.clone(), Building()
            self = building.operand(y).value
            given = operand(building, index, constants=constants)
            calls.assign_subscript(building.builder, self, given, building.operand(value), UNKNOWN)
            building.run(building.builder.constant(None))
            return y

        def eagers(value: Any = value) -> torch.Tensor:
            y = x.clone()
            y[index] = value
            return y

        assert_same(outcome(ours), outcome(eagers))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (T.INT, 1), (T.BOOL, True), (T.BOOL, False), (T.ListType([T.INT]), [1, 0]),
        (T.ListType([T.BOOL]), [True, False]), (T.TupleType([T.INT, T.INT]), (1, 2)),
        (T.NUMBER, 1), (T.NONE, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_typed_value_indexes(kind: T.Type, value: Any) -> None:
    x, building = torch.arange(24.0).reshape(2, 3, 4), Building()
    self, index = building.operand(x).value, building.parameter(value, kind)
    result = calls.subscript(building.builder, self, index, UNKNOWN)
    assert torch.equal(building.run(result), x[value])


def test_a_known_rank_leaves_no_branch() -> None:
    building = Building()
    self = building.operand(torch.arange(6.0)).value
    index = building.operand(t([1, 2]))
    result = calls.subscript(building.builder, self, index, UNKNOWN, rank_of=lambda value: 1)
    assert not building.graph.find_all("prim::If")
    assert building.run(result).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("new", [[1, 2, 3, 4], "a", None], ids=str)
def test_only_tensors_and_numbers_are_assigned(new: Any) -> None:
    building = Building()
    self = building.operand(torch.zeros(2, 4)).value
    with pytest.raises(TypeError):
        calls.assign_subscript(
            building.builder, self, ConstOperand(0), building.operand(new), UNKNOWN
        )


def test_an_int_tensor_takes_a_float_truncated() -> None:
    x, building = torch.zeros(3, dtype=torch.int64), Building()
    self = building.operand(x).value
    calls.assign_subscript(building.builder, self, ConstOperand(0), ConstOperand(2.7), UNKNOWN)
    building.run(building.builder.constant(None))
    assert x.tolist() == [2, 0, 0]
