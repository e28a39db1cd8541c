"""Scans, remainders, activations, rolls: kernels against eager, and what they leave to torch."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import scriptmode
from scriptmode.loops.sharing import VIEWS
from tests.loops.specialized import Specialized

ODD = torch.tensor(
    [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, 3e38, -1.0, 2.5, -3.0, 3.0, -7.25]
)


def scans(x: Tensor, n: Tensor):
    return (
        x.cumsum(1), x.cumsum(0) * 2, x.cumprod(1), n.cumsum(0), (n > 1).cumsum(1),
        torch.cumsum(n, 1, dtype=torch.float32), torch.softmax(x, 1).cumsum(1) > 0.5,
    )  # fmt: skip


def integers(n: Tensor):
    return (
        n % 5, n // 3, torch.fmod(n, 4), torch.div(n, 3, rounding_mode="trunc"),
        torch.div(n, 7, rounding_mode="floor"), (n + 1) % n.size(0), n % 5.5,
    )  # fmt: skip


def floats(x: Tensor, y: Tensor):
    return x % 1.5, torch.fmod(x, y), torch.remainder(x, y), torch.div(x, y, rounding_mode="trunc")


def activations(x: Tensor):
    return (
        F.relu6(x), F.selu(x), F.celu(x, 1.5), F.hardsigmoid(x), F.hardswish(x), F.logsigmoid(x),
        torch.isfinite(x),
    )  # fmt: skip


def moved(x: Tensor):
    return x.roll(1, 1), x.roll((-2, 3), (0, 1)) + x, torch.roll(x, 7, -1) * 2


def hot(n: Tensor, x: Tensor, y: Tensor):
    return F.one_hot(n, 5), F.one_hot(n, 5).float() * 2, torch.outer(x, y), torch.outer(x, n)


def where_best(x: Tensor):
    return x.argmax(), x.argmin() + 1, (x * 2).t().argmax()


CASES = {
    "scans": (scans, lambda: (torch.randn(4, 9), torch.randint(0, 4, (5, 6)))),
    "scans of doubles": (scans, lambda: (torch.randn(9, 4).t().double(), torch.arange(6)[None])),
    "integers": (integers, lambda: (torch.arange(-17, 18).reshape(7, 5),)),
    "narrow integers": (integers, lambda: (torch.arange(-17, 18).to(torch.int8),)),
    "floats": (floats, lambda: (torch.randn(3, 11) * 9, torch.randn(11))),
    "doubles": (floats, lambda: (torch.randn(3, 11).double() * 9, torch.randn(11).double())),
    "activations": (activations, lambda: (torch.randn(5, 13) * 3,)),
    "activations of odd values": (activations, lambda: (ODD,)),
    "odd remainders": (floats, lambda: (ODD.unsqueeze(1), ODD)),
    "moved": (moved, lambda: (torch.randn(5, 4),)),
    "hot": (hot, lambda: (torch.tensor([0, 4, 2]), torch.randn(4), torch.randn(3))),
    "where the best is": (where_best, lambda: (torch.randn(7, 11),)),
    "where an odd one is": (where_best, lambda: (ODD.reshape(3, 4),)),
}


@pytest.mark.parametrize("name", CASES)
def test_they_give_what_eager_gives(name):
    function, make = CASES[name]
    torch.manual_seed(5)
    arguments = make()
    expected = function(*arguments)
    special = Specialized(function, arguments)
    assert special.changed and not set(special.left) - VIEWS, special.left
    for found in (special.interpret(*arguments), special.run(*arguments)):
        for got, want in zip(found, expected, strict=True):
            torch.testing.assert_close(got, want, equal_nan=True)


def of_one(x: Tensor):
    y = x * 2
    best, where = y.max(0)
    return (
        y.argmax(0), y.argmin(), best, where, y.sum(0), y.amax(0, keepdim=True), y.mean(-1),
        (y > 0).any(0), y.prod(0), y.logsumexp(0), torch.argmax(y, 0, keepdim=True),
    )  # fmt: skip


def test_a_number_has_a_dimension_to_fold():
    x = torch.tensor(-1.5)
    special = Specialized(of_one, (x,))
    for got, want in zip(special.run(x), of_one(x), strict=True):
        torch.testing.assert_close(got, want)


def with_nothing(x: Tensor, none: Tensor):
    a = x * 2
    return (
        F.pad(none, (1, 1, 1, 1), value=2.5) + 1, torch.cat([none, a]), torch.cat([a, none, a]) - 1,
        F.pad(a[5:], (0, 0, 2, 1)) * 2, torch.cat([a[:0], a, a[5:]]),
    )  # fmt: skip


def test_what_has_no_elements_is_neither_read_nor_written():
    x, none = torch.randn(5, 3), torch.empty(0, 3)
    special = Specialized(with_nothing, (x, none))
    assert special.changed
    for _ in range(20):
        kept = torch.full((64,), 7.0)  # memory beside what is made
        found = special.run(x, none)
        for got, want in zip(found, with_nothing(x, none), strict=True):
            torch.testing.assert_close(got, want)
        assert torch.equal(kept, torch.full((64,), 7.0))


def test_scans_of_long_rows_are_left_to_torch():
    x = torch.randn(3, 700)
    special = Specialized(lambda x: x.cumsum(1) * 2, (x,))
    assert special.left == ["aten::cumsum"]
    torch.testing.assert_close(special.run(x), x.cumsum(1) * 2)


def classes(n: Tensor):
    return F.one_hot(n, 3) * 2


def test_a_class_that_does_not_exist_is_torchs_error():
    compiled = scriptmode.specialize(scriptmode.script(classes), (torch.tensor([0, 2]),))
    assert torch.equal(compiled(torch.tensor([1, 2])), classes(torch.tensor([1, 2])))
    for n in ([0, 3], [-1, 0]):
        with pytest.raises(RuntimeError, match="Class values must be"):
            compiled(torch.tensor(n))


def dividing(n: Tensor, by: int):
    n // by  # raises, though nobody wants what it gives
    return n % 3 + 1


def test_a_division_by_zero_that_nobody_needs_raises():
    n = torch.arange(4)
    compiled = scriptmode.specialize(scriptmode.script(dividing), (n, 2))
    assert torch.equal(compiled(n, 2), dividing(n, 2))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        dividing(n, 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled(n, 0)
