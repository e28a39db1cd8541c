"""A fixed tenth of the OpInfo table as native code; ``make opinfo`` runs the whole, and all samples."""

from __future__ import annotations

from typing import Any

import pytest

from tests.opinfo.native import check
from tests.opinfo.table import FEW, all_ops, name_of

TENTH = [op for op in all_ops()[3::10] if "jiterator" not in op.name]

# op -> what its Python source in torch needs that is not built yet
NOT_SCRIPTED = {
    "masked.amax": "a class that reads the variable",
    "masked.log_softmax": "a class that reads the variable",
}


@pytest.mark.parametrize("op", TENTH, ids=name_of)
def test_a_scripted_call_gives_what_eager_gives(op: Any) -> None:
    row = check(op, "script", FEW)
    if name_of(op) in NOT_SCRIPTED:
        assert "NotBuiltError" in row.failure and NOT_SCRIPTED[name_of(op)] in row.failure
    else:
        assert row.is_pass, str(row)


@pytest.mark.parametrize("op", TENTH, ids=name_of)
def test_a_traced_call_gives_what_eager_gives(op: Any) -> None:
    row = check(op, "trace", FEW)
    assert row.is_pass, str(row)
