"""``torch.tensor`` of numbers: dtypes whose range eager checks."""

import pytest
import torch

from tests.fourway import check


def narrow(a: int, b: float):
    return (
        torch.tensor(a, dtype=torch.uint8),
        torch.tensor(b, dtype=torch.int64),
        torch.tensor(a, dtype=torch.int16),
        torch.tensor(b, dtype=torch.int8),
    )


@pytest.mark.parametrize(
    "arguments", [(7, 2.7), (-1, -3.5), (300, 1.0), (1, float("nan")), (1, 1e30), (2**15, 0.0)]
)
def test_numbers_fit_integer_dtypes_or_raise_as_in_eager(arguments):
    check(narrow, arguments)
