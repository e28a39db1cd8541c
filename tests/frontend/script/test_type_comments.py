"""Types in comments: of the whole signature, and behind each parameter."""

from __future__ import annotations

from typing import List, Optional, Tuple  # noqa: F401

import pytest
import torch
import torch.nn.functional as F
from torch._jit_internal import BroadcastingList2

import scriptmode
from tests.fourway import check


def test_each_parameter_may_have_a_comment() -> None:
    def f(a,  # type: int
          b,  # type: List[int]
          *,
          c=None,  # type: Optional[int]
          ):  # fmt: skip
        # type: (...) -> List[int]
        return b + [a] if c is None else b + [c]

    compiled = scriptmode.script(f)
    assert compiled(1, [2]) == [2, 1]
    assert compiled(1, [2], c=3) == [2, 3]
    assert str(compiled.graph.params[1].type) == "List[int]"


def test_a_comment_may_span_lines_of_parameters() -> None:
    def f(a,
          b,
          ):  # fmt: skip
        # type: (int, Tuple[int, str]) -> str
        return b[1] * a

    check(f, (2, (1, "a")))


def test_a_comment_names_as_many_types_as_there_are_parameters() -> None:
    def f(a, b):
        # type: (int) -> int
        return a

    with pytest.raises(RuntimeError, match="1 types for 2 parameters"):
        scriptmode.script(f)


def test_annotate_takes_a_type_and_a_value() -> None:
    def f(x: torch.Tensor):
        return scriptmode.annotate(List[int], 3, 4)  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="a type and a value"):
        scriptmode.script(f)


def test_broadcasting_lists_are_lists_or_numbers() -> None:
    def f(x: torch.Tensor, size: BroadcastingList2[int]):
        return F.max_pool2d(x, size)

    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    check(f, (x, [2, 1]), (x, 2))

    def g(x, size: "BroadcastingList2[int]"):
        return F.max_pool2d(x, size)

    f.__annotations__["size"] = None  # as without the __future__ import
    assert torch.equal(scriptmode.script(f)(x, [2, 2]), F.max_pool2d(x, [2, 2]))
    assert str(scriptmode.script(g).graph.params[1].type) == "List[int]"
