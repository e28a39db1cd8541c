"""Gathers, sorts and largest elements as kernels: against eager, and what they leave to torch."""

import math
from typing import List

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import scriptmode
from scriptmode.ir import types as T
from scriptmode.loops.sharing import VIEWS
from tests.loops.specialized import Specialized

N = torch.tensor


def rows(x: Tensor, i: Tensor):
    return x[i] * 2, x.index_select(0, i), F.embedding(i, x) + 1, x.t()[:, i]


def pairs(x: Tensor, i: Tensor, j: Tensor):
    return x[i, j] + 1, x[i.unsqueeze(1), j], x[:, j], x[i.unsqueeze(0), j.unsqueeze(1)] * 2


def apart(x: Tensor, i: Tensor, j: Tensor):
    return x[i, :, j].contiguous() + 1, x[:, i, j] * 2, x[i], x[i, 1:, 0] - x[j, 1:, 2]


def along(x: Tensor, i: Tensor):
    return x.gather(1, i) * 2, x.t().gather(0, i.t()), x.gather(1, i[:1, :1])


def computed(x: Tensor, i: Tensor):
    best = x.argmax(1)
    return (
        x.gather(1, best.unsqueeze(1)),
        (x * 2)[(i + 1).clamp(max=3)].softmax(1),
        x[-(best > 2).long()],
    )


def masked_loss(x: Tensor, i: Tensor):
    p = torch.log_softmax(x, 1)
    return -p.gather(1, i[:, :1]).squeeze(1).mean(), p.exp().sum()


def ordered(x: Tensor):
    values, where = x.topk(3, 1)
    low, low_at = x.topk(2, 0, largest=False)
    up, up_at = x.sort(1)
    down, down_at = x.sort(0, descending=True)
    return values, where, low, low_at, up, up_at, down, down_at, x.argsort(1, descending=True)


def stably(x: Tensor):
    up, up_at = torch.sort(x, stable=True, dim=1)
    down, down_at = torch.sort(x, stable=True, dim=1, descending=True)
    return up, up_at, down, down_at, torch.argsort(x, stable=True, dim=0)


def ranked(x: Tensor):
    """What is found is used to read on."""
    where = x.argsort(1)
    return torch.gather(x * 2, 1, where).cumsum(1), x[where[:, 0]]


def distinct(*shape):
    """Numbers of which no two are equal."""
    return torch.randperm(math.prod(shape)).reshape(shape).float() / 7 - 1


ODD = N([[math.nan, 1.0, -math.inf, 0.5, math.inf], [3.0, math.nan, 2.0, -0.0, -1.0]])

CASES = {
    "rows": (rows, lambda: (torch.randn(6, 5), N([3, 0, 5, 3]))),
    "many rows": (rows, lambda: (torch.randn(40, 33), torch.randint(0, 40, (37,)))),
    "pairs": (pairs, lambda: (torch.randn(4, 6), N([1, -1, 0]), N([5, -6, 2]))),
    "narrow indices": (
        pairs,
        lambda: (torch.randn(4, 6), N([1, 3, 0]).to(torch.int32), N([5, 1, 2]).to(torch.int32)),
    ),
    "apart": (apart, lambda: (torch.randn(3, 4, 5), N([0, 2]), N([2, 1]))),
    "along": (along, lambda: (torch.randn(4, 7), torch.randint(0, 7, (4, 9)))),
    "computed": (computed, lambda: (torch.randn(4, 7), N([2, 0, 3]))),
    "losses": (masked_loss, lambda: (torch.randn(5, 9), torch.randint(0, 9, (5, 2)))),
    "ordered": (ordered, lambda: (distinct(5, 7),)),
    "ordered by columns": (ordered, lambda: (distinct(9, 6).t(),)),
    "ordered doubles": (ordered, lambda: (distinct(4, 21).double(),)),
    "ordered integers": (ordered, lambda: ((distinct(3, 11) * 7).round().long(),)),
    "ordered with NaN": (ordered, lambda: (ODD,)),
    "stably": (stably, lambda: (torch.randint(0, 4, (5, 13)).float(),)),
    "stably with NaN": (stably, lambda: (torch.cat([ODD, ODD, ODD], 1),)),
    "ranked": (ranked, lambda: (distinct(6, 6),)),
}


def left(special):
    """Ops that run beside kernels."""
    return set(special.left) - VIEWS - {"aten::cumsum"}


@pytest.mark.parametrize("name", CASES)
def test_they_give_what_eager_gives(name):
    function, make = CASES[name]
    torch.manual_seed(4)
    arguments = make()
    expected = function(*arguments)
    special = Specialized(function, arguments)
    assert special.changed and not left(special), special.left
    for found in (special.interpret(*arguments), special.run(*arguments)):
        for got, want in zip(found, expected, strict=True):
            torch.testing.assert_close(got, want, equal_nan=True)


def counted(function, arguments):
    """A compiled function with a version for arguments like these."""
    compiled = scriptmode.script(function)
    return scriptmode.specialize(compiled, arguments)


@pytest.mark.parametrize(
    "function, arguments, others",
    [
        (lambda x, i: x[i] * 2, (torch.randn(4, 3), N([0, 1])), [N([4, 0]), N([0, -5])]),
        (lambda x, i: x.index_select(1, i) + 1, (torch.randn(4, 3), N([0, 1])), [N([0, -1])]),
        (lambda x, i: F.embedding(i, x) + 1, (torch.randn(4, 3), N([0, 1])), [N([4, 0])]),
        (lambda x, i: F.embedding(i, x) + 1, (torch.randn(4, 3), N([2])), [N([-1])]),
        (lambda x, i: x.gather(1, i) + 1, (torch.randn(2, 3), N([[0], [1]])), [N([[0], [-1]])]),
    ],
    ids=["index", "index_select", "embedding", "embedding of one", "gather"],
)
def test_an_index_out_of_range_is_torchs_error(function, arguments, others):
    compiled = counted(function, arguments)
    torch.testing.assert_close(compiled(*arguments), function(*arguments))
    for other in others:
        with pytest.raises((IndexError, RuntimeError)) as wanted:
            function(arguments[0], other)
        with pytest.raises(wanted.type) as found:
            compiled(arguments[0], other)
        assert str(found.value).splitlines()[0] == str(wanted.value).splitlines()[0]
    torch.testing.assert_close(compiled(*arguments), function(*arguments))
    (version,) = compiled.versions
    assert version.hits == 2 + len(others) and sum(version.left.values()) == len(others)


def row_of_table(x: Tensor, i: int):
    return F.embedding(torch.tensor([i]), x) * 2


def test_a_number_that_is_no_row_is_torchs_error():
    x = torch.randn(4, 3)
    compiled = counted(row_of_table, (x, 1))
    torch.testing.assert_close(compiled(x, 3), row_of_table(x, 3))
    for i in (-1, 4):
        with pytest.raises(IndexError):
            compiled(x, i)


def best_of(x: Tensor):
    values, where = x.topk(2)
    return values * 2, where


def test_the_order_of_what_is_equal_is_left_to_torch():
    draw = N([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    compiled = counted(best_of, (draw,))
    for x in (draw, N([1.0, 1, 1, 0, 2, 3]), N([2.0, 1, 5, 5, 5, 0]), N([1.0, 2, 2, 3, 0, -1])):
        for got, want in zip(compiled(x), best_of(x), strict=True):
            assert torch.equal(got, want)
    (version,) = compiled.versions
    # equal elements that are not among the two largest do not matter
    assert version.hits == 4 and sum(version.left.values()) == 2


def test_what_is_written_in_place_and_checked_too_stays_in_order():
    def function(x: Tensor, i: Tensor):
        x.mul_(2)
        y = x[i] + 1
        x.add_(y.sum())
        return y, x[i]

    x, i = torch.randn(4, 3), N([2, 0, 2])
    mine, own = x.clone(), x.clone()
    special = Specialized(function, (x, i))
    want, got = function(own, i), special.run(mine, i)
    for a, b in zip((*got, mine), (*want, own), strict=True):
        torch.testing.assert_close(a, b)
    with pytest.raises(IndexError):
        special.run(mine, N([2, 0, 4]))
    torch.testing.assert_close(mine, own * 2)  # as far as eager comes


def test_long_rows_are_left_to_torch():
    x = torch.randn(1000)
    special = Specialized(best_of, (x,))
    assert "aten::topk" in special.left
    for got, want in zip(special.run(x), best_of(x), strict=True):
        assert torch.equal(got, want)


class Search(torch.nn.Module):
    """States in a list that another one takes the place of in each step."""

    def __init__(self):
        super().__init__()
        self.cell = torch.nn.Linear(6, 6)
        self.out = torch.nn.Linear(6, 9)

    def forward(self, start: Tensor, steps: int):
        states: List[Tensor] = [start]
        scores: List[float] = [0.0]
        chosen: List[int] = []
        for _ in range(steps):
            following: List[Tensor] = []
            found: List[float] = []
            for b in range(len(states)):
                h = torch.tanh(self.cell(states[b]))
                top = torch.log_softmax(self.out(h), 1).topk(2, 1)
                for j in range(2):
                    following.append(h * (j + 1))
                    found.append(scores[b] + float(top[0][0, j].item()))
                    chosen.append(int(top[1][0, j]))
            best = 0
            for i in range(len(found)):
                if found[i] > found[best]:
                    best = i
            states = [following[best], following[0]]
            scores = [found[best], found[0]]
        return chosen, scores


def test_lists_that_take_each_others_place_hold_arrays():
    torch.manual_seed(1)
    module, start = Search().eval(), torch.randn(1, 6)
    with torch.no_grad():
        compiled = counted(module, (start, 5))
        (version,) = compiled.versions
        for steps in (0, 1, 5, 9):
            chosen, scores = compiled(start, steps)
            want, wanted = module(start, steps)
            assert chosen == want and scores == pytest.approx(wanted, rel=1e-4)
    kinds = {node.kind for node in version.graph.walk()}
    assert not {kind for kind in kinds if kind.startswith("aten::")}
    lists = [o for n in version.graph.walk() for o in n.outputs if isinstance(o.type, T.ListType)]
    assert any(isinstance(o.type.contained[0], T.ArrayType) for o in lists)


def test_elements_of_known_tensors_are_numbers():
    def function(x: Tensor, n: Tensor, i: int):
        a = float(x[i].item()) + float(x[0])
        return a * 2, int(n[i, 1].item()), float(n[0][i - 1])

    x, n = torch.randn(4), torch.arange(12).reshape(4, 3)
    compiled = counted(function, (x, n, 1))
    (version,) = compiled.versions
    assert "tensor::element" not in str(version.graph)
    for i in (0, 2, 3):
        want, got = function(x, n, i), compiled(x, n, i)
        assert got == want and list(map(type, got)) == list(map(type, want))
    for i in (4, -5):
        with pytest.raises(IndexError):
            compiled(x, n, i)
