"""Special code for lists of tensors: their length and each element's facts are guarded."""

from __future__ import annotations

import copy
from typing import List

import pytest
import torch
from torch import Tensor

import scriptmode
from scriptmode.support import config
from tests.fourway import same


@pytest.fixture(autouse=True)
def sync():
    with config.override(specialize="sync", specialize_calls=3):
        yield


def momentum(ps: List[Tensor], gs: List[Tensor], ms: List[Tensor], rate: float) -> int:
    for p, g, m in zip(ps, gs, ms):
        m.mul_(0.9).add_(g, alpha=1 - 0.9)
        p.addcdiv_(m, g.abs().sqrt() + 1, value=-rate)
    return len(ps)


SHAPES = [(4, 3), (3,), (2, 3, 2), (4, 3), (1,), ()]


def lists(shapes=SHAPES, count=3):
    return [[torch.randn(s) for s in shapes] for _ in range(count)]


def check(f, eager, *args):
    """Results, and the arguments afterwards, with aliases kept."""
    copies = copy.deepcopy(args)
    want = eager(*copies)
    same(want, f(*args))
    same(list(copies), list(args))


def test_updates_over_lists_are_loops_of_our_own():
    special = scriptmode.specialize(scriptmode.script(momentum), (*lists(), 0.5))
    (version,) = special.versions
    assert not [n for n in version.graph.walk() if n.kind.startswith("aten::")]
    for rate in (0.5, 0.0):
        check(special, momentum, *lists(), rate)
    assert version.hits == 2


def test_other_lengths_and_shapes_run_the_generic_code():
    special = scriptmode.specialize(scriptmode.script(momentum), (*lists(), 0.5))
    (version,) = special.versions
    check(special, momentum, *lists(SHAPES[:2]), 0.5)
    check(special, momentum, *lists([*SHAPES, (2,)]), 0.5)
    check(special, momentum, *lists([(3, 4), *SHAPES[1:]]), 0.5)
    check(special, momentum, *lists([]), 0.5)
    shorter = lists()
    del shorter[1][2:]
    check(special, momentum, *shorter, 0.5)
    transposed = lists()
    transposed[0][0] = torch.randn(3, 4).t()
    check(special, momentum, *transposed, 0.5)
    double = lists()
    double[2][1] = double[2][1].double()
    check(special, momentum, *double, 0.5)
    assert version.hits == 0


def test_elements_and_lists_that_are_the_same():
    special = scriptmode.specialize(scriptmode.script(momentum), (*lists(), 0.5))
    ps, gs, ms = lists()
    check(special, momentum, ps, ps, ms, 0.5)
    check(special, momentum, ps, gs, gs, 0.5)
    ps[3] = ps[0]
    ms[0] = gs[0]
    ms[1] = gs[2].view(-1)[2:5]
    check(special, momentum, ps, gs, ms, 0.5)
    assert special.versions[0].hits == 3


def test_calls_that_are_alike_make_a_version():
    f = scriptmode.script(momentum)
    for _ in range(4):
        check(f, momentum, *lists(), 0.5)
    assert f.versions[0].hits >= 1


def test_tensors_that_need_gradients():
    special = scriptmode.specialize(scriptmode.script(momentum), (*lists(), 0.5))
    ps, gs, ms = lists()
    gs[1].requires_grad_()
    special(ps, gs, ms, 0.5)
    assert ms[1].requires_grad and not special.versions[0].hits
    ps = [torch.nn.Parameter(p) for p in lists(count=1)[0]]
    with torch.no_grad():
        scriptmode.specialize(special, (ps, lists()[0], lists()[0], 0.5))
        check(special, momentum, ps, *lists(count=2), 0.5)
    assert special.versions[0].hits == 1
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        special(ps, *lists(count=2), 0.5)


def test_lists_that_are_read_in_other_ways():
    def function(xs: List[Tensor], i: int):
        total = xs[0] * 0
        for k in range(len(xs) - 1, -1, -1):
            total = total + xs[k] * k
        for x in xs:
            if x.sum() > 0:
                total = total - x
                continue
            total = total * 2
        return torch.stack(xs), xs[i], total

    arguments = [torch.randn(3) for _ in range(4)], 2
    special = scriptmode.specialize(scriptmode.script(function), arguments)
    check(special, function, *arguments)
    assert special.versions[0].hits == 1
    for place in (3, -1, -4):
        check(special, function, arguments[0], place)
    with pytest.raises(IndexError):
        special(arguments[0], 4)
    result = special(*arguments)[1]
    assert result is arguments[0][2]


def test_lists_that_are_changed_are_not_taken_apart():
    def function(xs: List[Tensor], ys: List[Tensor], z: Tensor):
        ys.append(z)
        total = z * 0
        for x in xs:
            total = total + x.sum()
        return total

    f = scriptmode.script(function)
    xs = [torch.randn(3), torch.randn(2)]
    special = scriptmode.specialize(f, (xs, [], torch.randn(3)))
    z = torch.randn(3)
    check(special, function, xs, [], z)
    both = list(xs)
    want = function(list(both) and both, both, z)
    assert len(both) == 3
    del both[2]
    same(want, special(both, both, z))
    assert len(both) == 3


def test_errors_in_the_middle_leave_what_was_done():
    def function(ps: List[Tensor], gs: List[Tensor]):
        for p, g in zip(ps, gs):
            p.add_(g)
            if p.dim() == 2:
                p.add_(p[:, :1].t())

    args = [torch.ones(3), torch.ones(2, 3), torch.ones(4)], [torch.ones(3)] * 2 + [torch.ones(4)]
    special = scriptmode.specialize(scriptmode.script(function), args)
    mine, theirs = copy.deepcopy(args), copy.deepcopy(args)
    with pytest.raises(RuntimeError) as error:
        function(*theirs)
    with pytest.raises(RuntimeError) as own:
        special(*mine)
    assert str(own.value) == str(error.value)
    same(list(theirs), list(mine))
