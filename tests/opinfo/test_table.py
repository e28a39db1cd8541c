"""A fixed tenth of the OpInfo table; ``python -m tests.opinfo`` runs the whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.opinfo.table import FEW, WAYS, all_ops, check, name_of

TENTH = [op for op in all_ops()[3::10] if "jiterator" not in op.name]


@pytest.mark.parametrize("op", TENTH, ids=name_of)
def test_an_op_gives_what_eager_gives(op: Any) -> None:
    for way in WAYS:
        row = check(op, way, FEW)
        assert row.is_pass, str(row)
