"""``template % values``: every conversion of every kind of value, and Python's errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import scriptmode
from tests.fourway import check

VALUES: list[tuple[str, Any]] = [
    ("str", "ab"), ("str", "a"), ("int", 3), ("bool", True), ("float", 2.5), ("List[int]", [1]),
    ("Optional[int]", None), ("Optional[int]", 3), ("Tensor", torch.tensor(3)), ("complex", 1j),
]  # fmt: skip


@pytest.mark.parametrize("conversion", ["d", "i", "x", "c", "e", ".2f", "5s", "r", "5", "z", ""])
def test_each_conversion_of_each_value_is_what_python_gives(conversion: str) -> None:
    unit = scriptmode.CompilationUnit()
    for number, (kind, value) in enumerate(VALUES):
        unit.define(f"def f{number}(a: {kind}):\n    return '<%{conversion}>' % a\n")
        compiled = unit.find_function(f"f{number}")
        assert compiled is not None
        try:
            want = f"<%{conversion}>" % value
        except (TypeError, ValueError) as error:
            with pytest.raises(type(error)) as raised:
                compiled(value)
            assert str(raised.value) == str(error)
        else:
            assert compiled(value) == want


def test_wrong_formats_raise_where_they_are_reached() -> None:
    def late(b: bool, s: str):
        if b:
            return "%s in template %" % s  # noqa: F501
        return "%d" % s

    def caught(s: str):
        try:
            return "%d" % s
        except TypeError as error:
            return str(error)

    check(late, (True, "a"), (False, "a"))
    check(caught, ("a",))
