"""Annotations of entries: every form that has a static meaning, and those that leave it open."""

from __future__ import annotations

import collections.abc
import numbers
from typing import (
    Annotated,
    Any,
    Collection,
    Dict,
    Final,
    Generic,
    Hashable,
    Iterable,
    List,
    Literal,
    Mapping,
    MutableMapping,
    MutableSequence,
    NamedTuple,
    NewType,
    Optional,
    Sequence,
    SupportsInt,
    Tuple,
    TypedDict,
    TypeVar,
    Union,
)  # fmt: skip

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.fourway import same

T_ = TypeVar("T_")
BOUND = TypeVar("BOUND", bound=int)
CHOICE = TypeVar("CHOICE", int, str)
UserId = NewType("UserId", int)
X = torch.ones(2)


class Sizes(TypedDict):
    a: int
    b: int


class Pair(NamedTuple, Generic[T_]):
    first: T_
    second: int


def compare(annotation, body, *arguments):
    """Compile ``body`` with its parameter annotated, and compare each call with eager."""
    body.__annotations__ = {"x": annotation}
    compiled = scriptmode.script(body)
    for x in arguments:
        for _ in range(2):
            same(body(x), compiled(x))


CASES = [
    ("Optional[int]", lambda x: 1 if x is None else x, (None, 2)),
    (int | None, lambda x: 1 if x is None else x, (None, 2)),
    (list[int], lambda x: sum(x), ([1, 2],)),
    (dict[str, list[float]], lambda x: x["a"][0], ({"a": [1.0]},)),
    (Literal["a", "b"], lambda x: x + "c", ("a", "zz")),
    (Final[int], lambda x: x, (1,)),
    (Annotated[int, "meta"], lambda x: x + 1, (1,)),
    (UserId, lambda x: x + 1, (1,)),
    (Sequence[int], lambda x: x[0] + len(x), ([1, 2], (1, 2))),
    (Iterable[int], lambda x: sum(x), ([1, 2], (1, 2))),
    (Collection[int], lambda x: len(x), ([1], (1, 2), {"a": 1})),
    (Mapping[str, int], lambda x: x["a"], ({"a": 1},)),
    (MutableMapping[str, int], lambda x: list(x.items()), ({"a": 1},)),
    (MutableSequence[int], lambda x: x * 2, ([3],)),
    (collections.abc.Sequence[Tensor], lambda x: torch.stack(list(x)), ([X], (X, X))),
    (Tuple[int, ...], lambda x: sum(x), ((1, 2, 3), ())),
    (Tuple[()], lambda x: len(x), ((),)),
    (Sizes, lambda x: x["a"] + x["b"], ({"a": 1, "b": 2},)),
    (torch.FloatTensor, lambda x: x + 1, (X,)),
    (torch.LongTensor, lambda x: x + 1, (X.long(),)),
    (torch.return_types.max, lambda x: x.values, (torch.eye(2).max(0),)),
    (Pair[int], lambda x: x.first + x.second, (Pair(1, 2),)),
    (list, lambda x: len(x), ([1], ["a"])),
    (tuple, lambda x: len(x), ((1, 2), ())),
    (List, lambda x: len(x), ([1],)),
    (Dict, lambda x: len(x), ({"a": 1}, {1: 2})),
    (Union[int, str, None], lambda x: str(x), (1, "s", None)),
    # what is open is as the caller has it
    (T_, lambda x: x, (1, "s", [1], X)),
    (BOUND, lambda x: x * 2, (3,)),
    (CHOICE, lambda x: x + x, (1, "a")),
    (List[T_], lambda x: x[0], ([1], ["a"])),
    (Dict[str, T_], lambda x: x["a"], ({"a": 1}, {"a": "x"})),
    (Optional[T_], lambda x: x, (None, 3)),
    (numbers.Number, lambda x: x * 2, (1, 2.5)),
    (SupportsInt, lambda x: int(x), (2.5, 3)),
    (Hashable, lambda x: x, (3, "a")),
    (Sequence, lambda x: len(x), ([1], (1, 2))),
    (object, lambda x: str(x), (1, "a")),
    (Any, lambda x: x == 3, (3, "a", X)),
    (Any, lambda x: 1 if x else 2, (1, [], None)),
    (Any, lambda x: len(x), ([1], "abc", {})),
    (Any, lambda x: x + x, (1, 2.5, "a", X)),
    (Any, lambda x: x.upper(), ("a",)),
]


@pytest.mark.parametrize(
    ("annotation", "body", "arguments"),
    CASES,
    ids=[str(c[0])[:40] + str(i) for i, c in enumerate(CASES)],
)
@pytest.mark.bails_out  # containers in an Any are interpreted
def test_annotation(annotation, body, arguments):
    compare(annotation, body, *arguments)


def test_type_variables_of_two_parameters():
    def f(x: T_, y: T_) -> T_:
        return x + y

    compiled = scriptmode.script(f)
    for x, y in ((1, 2), ("a", "b"), (X, X), (1.5, 2)):
        same(f(x, y), compiled(x, y))


@pytest.mark.parametrize("name", ["ndarray", "float32"])
def test_numpy_is_refused(name):
    numpy = pytest.importorskip("numpy")

    def f(x):
        return x

    f.__annotations__ = {"x": getattr(numpy, name)}
    with pytest.raises(scriptmode.CompileError, match="numpy"):
        scriptmode.script(f)


def test_what_compiles_for_no_type_is_an_error_at_once():
    def f(x: Any):
        return x.no_such_attribute

    with pytest.raises(scriptmode.CompileError, match="no_such_attribute"):
        scriptmode.script(f)


def test_annotations_of_variables_may_be_quoted():
    def sums(xs: "List[int]") -> "int":
        total: "int" = 0
        last: "Optional[int]" = None
        for x in xs:
            total, last = total + x, x
        return total if last is None else total + last

    assert scriptmode.script(sums)([1, 2]) == 5
    assert scriptmode.script(sums)([]) == 0


def test_a_type_comment_may_leave_out_the_result():
    def commented(a, b):
        # type: (Tensor, int)
        return a * b, b + 1

    same(commented(X, 3), scriptmode.script(commented)(X, 3))
