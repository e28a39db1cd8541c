"""Derivatives of a fixed tenth of the OpInfo table; ``python -m tests.opinfo gradients`` has all.

Second derivatives are those of torch's tape here: programs of their own take seconds to compile.
"""

from __future__ import annotations

from typing import Any

import pytest

from scriptmode.support import config
from tests.opinfo.differentiation import check
from tests.opinfo.table import all_ops, name_of

TENTH = [op for op in all_ops()[7::10] if op.supports_autograd and "jiterator" not in op.name]


@pytest.mark.parametrize("op", TENTH, ids=name_of)
def test_derivatives_are_those_of_eager(op: Any) -> None:
    with config.override(autodiff=True, autodiff_again=False):
        assert not check(op, most=2).failures
