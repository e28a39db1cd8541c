"""annotate, isinstance with elements and unwrapping, by their names here and in torch.jit."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

import pytest
import torch

import scriptmode
from tests.fourway import check


def test_unwrapping_is_checked():
    def f(x: Optional[int], y: Union[int, str, None]) -> int:
        a = scriptmode._unwrap_optional(x)
        b = torch.jit._unwrap_optional(y)
        return a + (b if isinstance(b, int) else len(b))

    check(f, (1, 2), (1, "abc"), (None, 2), (1, None))


def test_annotate_types_what_a_display_leaves_open():
    def f(n: int):
        a = scriptmode.annotate(List[Optional[int]], [])
        for i in range(n):
            a.append(i)
        a.append(None)
        return a, torch.jit.annotate(Dict[str, float], {})

    check(f, (0,), (3,))


@pytest.mark.parametrize(
    ("value", "target", "wanted"),
    [
        ([1, 2], List[int], True),
        ([1, "a"], List[int], False),
        ({"a": 1}, Dict[str, int], True),
        ({"a": 1}, Dict[str, str], False),
        ((1, "a"), Tuple[int, str], True),
        ((1, 2, 3), Tuple[int, ...], True),
        ((1,), Tuple[int, str], False),
        (None, Optional[int], True),
        ([None, 1], List[Optional[int]], True),
        ({"a": [(1, 2.0)]}, Dict[str, List[Tuple[int, float]]], True),
        ("a", (int, str), True),
        ("a", int, False),
        ({1}, set[int], True),
    ],
)
def test_isinstance_looks_into_containers(value, target, wanted):
    assert scriptmode.isinstance(value, target) is wanted


def test_isinstance_of_an_empty_container_warns_in_eager_mode():
    with pytest.warns(scriptmode.ScriptWarning, match="empty list"):
        assert scriptmode.isinstance([], List[str])
    with pytest.raises(RuntimeError, match="says nothing of its elements"):
        scriptmode.isinstance([], list)


@pytest.mark.bails_out
def test_isinstance_of_any_in_compiled_code():
    def f(x: Any) -> int:
        if scriptmode.isinstance(x, List[int]):
            return len(x)
        if torch.jit.isinstance(x, Dict[str, int]):
            return x["a"]
        if scriptmode.isinstance(x, (int, float)):
            return 7
        return -1

    compiled = scriptmode.script(f)
    for x in ([1, 2], {"a": 3}, 1, 2.5, "s"):
        assert compiled(x) == f(x)
