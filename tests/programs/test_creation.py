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


def rows_of_mixed_numbers(n: int):
    return (
        torch.tensor([[1.0, 2], [3, n]]),
        torch.tensor([[True, n], [3, 4]]),
        torch.tensor([[[1, 2.5], [n, 4]], [[n, 4], [5, 6]]]),
        torch.tensor([[1j, 2], [n, 1.5]]),
        torch.tensor([[1, 2], [n, 4]], dtype=torch.float16),
    )


def row_that_changes_later(n: int):
    row = [1, 2]
    made = torch.tensor([row, [3, 4.5]])
    row.append(n)
    return made, row


@pytest.mark.parametrize("function", [rows_of_mixed_numbers, row_that_changes_later])
def test_rows_may_have_numbers_of_several_types(function):
    check(function, (7,))
