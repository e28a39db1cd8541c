"""At optimisation level 0 neither our passes nor LLVM's run: what they hide is seen in the tests."""

from __future__ import annotations

import pytest

import scriptmode
from scriptmode.support import config


def total(n: int) -> int:
    found = 0
    for i in range(n):
        found += i * i
    return found


@pytest.mark.parametrize(("opt", "level"), [(0, 0), (1, 2)])
def test_llvm_optimises_scalar_loops_unless_nothing_is_to_be_optimised(opt, level):
    with config.override(opt=opt):
        compiled = scriptmode.script(total)
        assert compiled(10) == total(10)
    assert compiled._dispatcher.primary.compiled.level == level
