"""Elements of tensors as Python numbers: read where they lie, or by torch where that is needed."""

import pytest
import torch

import scriptmode
from tests.fourway import check

DTYPES = [
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def numbers(x: torch.Tensor, y: torch.Tensor) -> tuple[list[float], list[int], list[bool]]:
    floats: list[float] = []
    ints: list[int] = []
    flags: list[bool] = []
    for i in range(-x.shape[0], x.shape[0]):
        for j in range(-x.shape[1], x.shape[1]):
            floats.append(float(x[i, j].item()))
            ints.append(int(x[i][j].item()))
            flags.append(bool(x[i, j]))
    for i in range(y.shape[0]):
        floats.append(float(y[i]))
        ints.append(int(y[i]))
        floats.append(float(y[i].item()))
        if y[i]:
            flags.append(bool(y[i] > 1))
    return floats, ints, flags


def tensors(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.tensor([[0, 1, -2.5], [3, 0.25, 100]]).to(dtype)
    return x, torch.tensor([-0.0, 1, 2]).to(dtype)


def test_every_dtype():
    check(numbers, *[tensors(dtype) for dtype in DTYPES])


def test_strides_and_offsets():
    x, y = tensors(torch.float32)
    wide = torch.arange(24.0).reshape(4, 6)
    views = [x.t(), wide[1:3, ::2], wide[:, 1:2], wide[:0], x[:1].expand(3, 3)]
    check(numbers, *[(view, y) for view in views], (x, wide[2, ::3]), (x, y.expand(3)))


def single(x: torch.Tensor) -> tuple[float, bool, float]:
    return float(x.item()), bool(x), float(x)


def test_one_element_of_any_rank_and_nan():
    check(single, *[(torch.full((1,) * n, 2.5),) for n in range(5)], (torch.tensor(float("nan")),))


def first(x: torch.Tensor) -> float:
    return float(x[0].item())


def corner(x: torch.Tensor, i: int, j: int) -> float:
    return float(x[i, j].item())


def test_errors_are_those_of_torch():
    check(first, (torch.ones(1, 1),), (torch.ones(2, 2),), (torch.tensor(1.0),), (torch.ones(0),))
    check(corner, (torch.ones(2, 2), 2, 0), (torch.ones(2, 2), 0, -3), (torch.ones(2, 2, 1), 0, 1))
    check(single, (torch.ones(2),), (torch.ones(0),))


def test_tensors_that_are_not_plain():
    check(first, (torch.tensor([1.0, 2.0]).to_sparse(),))
    with pytest.raises(RuntimeError, match="meta"):
        scriptmode.script(single)(torch.ones(1, device="meta"))
    negative = torch.view_as_complex(torch.tensor([[1.0, 2.0]])).conj().imag
    check(first, (negative,))
    with torch.inference_mode():
        check(first, (torch.ones(2),))


def changed(x: torch.Tensor) -> list[float]:
    found: list[float] = []
    for i in range(3):
        found.append(float(x[0, i].item()))
        x[0, 1] += 1
        x.mul_(2)
    return found


def test_elements_that_change():
    check(changed, (torch.ones(2, 3),))


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_tensors_that_require_gradients():
    check(first, (torch.ones(2, requires_grad=True),))
    check(single, (torch.ones(1, requires_grad=True),))
