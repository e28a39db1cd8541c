"""Our rules for tangents, op by op, against torch's forward mode."""

from __future__ import annotations

import pytest
import torch

from scriptmode.autodiff import differentiate  # noqa: F401  (enters the rules)
from scriptmode.autodiff.tangent_rule import all_tangents
from tests.opinfo.pushing import check
from tests.opinfo.table import all_ops, name_of

_NAMES = {kind.removeprefix("aten::").partition(".")[0] for kind in all_tangents()}
_OTHER = {  # the database's names
    "add": "add", "true_divide": "div", "nn.functional.linear": "linear",
    "native_layer_norm": "layer_norm",
}  # fmt: skip


def _has_rules(op: object) -> bool:
    name = op.name.rpartition(".")[2]  # type: ignore[attr-defined]
    return name in _NAMES or name in _OTHER


OPS = [op for op in all_ops() if _has_rules(op) and torch.float64 in op.supported_dtypes("cpu")]


@pytest.mark.parametrize("op", OPS[::6], ids=name_of)
def test_tangents_are_those_of_torch(op):
    for dtype in (torch.float64, torch.complex128):
        if dtype in op.supported_dtypes("cpu"):
            row = check(op, dtype, most=2)
            assert not row.failures
