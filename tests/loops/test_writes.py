"""Writes in place inside regions: the memory afterwards is eager's, whatever overlaps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.loops.specialized import Specialized


def check(function, *arguments, special=None, views=lambda *a: a):
    """What is returned, what is in the arguments afterwards, and how often they were written."""
    special = special or Specialized(function, views(*arguments))

    def after(run):
        copies = [a.clone() if isinstance(a, torch.Tensor) else a for a in arguments]
        given = views(*copies)
        before = [a._version for a in given if isinstance(a, torch.Tensor)]
        try:
            result = run(*given)
        except IndexError:
            result = "IndexError"  # select() words it in its own way
        except RuntimeError as error:
            result = str(error)
        written = [a._version for a in given if isinstance(a, torch.Tensor)]
        counts = [w - b for w, b in zip(written, before, strict=True)]
        return result, copies, counts

    expected = after(function)
    for run in (special.interpret, special.run):
        found = after(run)
        torch.testing.assert_close(found[1:], expected[1:], equal_nan=True)
        if isinstance(expected[0], str):
            assert found[0] == expected[0]
        else:
            torch.testing.assert_close(found[0], expected[0], equal_nan=True)
    return special


def sgd(p: Tensor, g: Tensor, m: Tensor):
    m.mul_(0.9).add_(g, alpha=0.1)
    denominator = (g * g).sqrt() + 1e-3
    p.addcdiv_(m, denominator, value=-0.5)
    return (p * m).sum()


def test_chains_of_writes_are_one_region():
    special = check(sgd, *(torch.randn(5, 9) for _ in range(3)))
    assert not special.left
    assert len(special.graph.find_all("prim::Region")) == 1


def test_arguments_that_are_one_tensor_or_overlap():
    sample = [torch.randn(6, 5) for _ in range(3)]
    special = Specialized(sgd, sample)
    memory = torch.randn(60)
    places = [(0, 0, 0), (0, 30, 0), (0, 0, 30), (0, 3, 7), (5, 0, 10), (0, 30, 29), (30, 0, 29)]
    for place in places:

        def views(memory, place=place):
            return [memory[s : s + 30].view(6, 5) for s in place]

        check(sgd, memory, special=special, views=views)


def reads_before(x: Tensor, y: Tensor):
    a = x * 2
    b = x.t().reshape(-1) + 1
    c = x.clone()
    v = x[1]
    total = x.sum()
    x.add_(y)
    d = x.clone()
    x.mul_(3.0)
    return a + x, b, c, v + 1, total, d, x.sum()


def writes_through_views(x: Tensor, y: Tensor):
    x[0].mul_(2)
    x[:, 1] = y[:, 2]
    x.t()[2].add_(x[:, 0])
    x[1:, 1:].clamp_(min=-0.5)
    x.view(-1)[3] = 7
    x[2] = x[1] + x[0]
    return x * 1


def overlapping_reads(x: Tensor, y: Tensor):
    x.copy_(x.flip(0))
    x[0] = x[1] * x[2]
    y.add_(y.sum(0))
    x -= x.max()
    return x + y


def shifted_rows(x: Tensor, y: Tensor):
    for t in range(4):
        x[t, 0] += x[t - 1, 1]
        y[t] = y[t - 1] * 2
    return x + y


def fresh_memory(x: Tensor, y: Tensor):
    a = x + 1
    b = a.clone()
    a.mul_(y)
    b.relu_()
    c = torch.zeros_like(x)
    c[1] = a[1]
    c[0].fill_(2.5)
    d = torch.cat([a, b])
    d.sub_(1)
    return a, b, c, d


def dtypes(x: Tensor, y: Tensor):
    i = torch.zeros(4, 4, dtype=torch.int64)
    i.add_(3)
    i[1] = 2
    f = x.double()
    x.mul_(f)
    f.copy_(y)
    x.add_(i)
    i.copy_(y > 0)
    y.masked_fill_(y > 0, float("nan"))
    x.zero_()
    return x, f, i, y, x.lt_(y)


def one_memory_many_names(x: Tensor, y: Tensor):
    a = x.view(-1)
    b = a[2:6]
    r = x.add_(1)
    b.mul_(2)
    r += y
    parts = [a[:4], b]
    a.neg_()
    return torch.cat(parts), r is x, a, b


@pytest.mark.parametrize(
    "function",
    [
        reads_before, writes_through_views, overlapping_reads, shifted_rows, fresh_memory, dtypes,
        one_memory_many_names,
    ],
)  # fmt: skip
def test_order_of_reads_and_writes(function):
    special = check(function, torch.randn(4, 4), torch.randn(4, 4))
    assert special.changed
    apart = torch.randn(4, 4), torch.randn(4, 8)
    check(function, *apart, views=lambda x, y: [x.t(), y[:, ::2]])


def test_writes_in_loops():
    def function(x: Tensor, out: Tensor, w: Tensor, n: int):
        h = x * 0
        for t in range(n):
            h = torch.tanh(h @ w + x)
            out[t] = h
            out[t, 0] += h[1]
        return h

    arguments = torch.randn(3), torch.zeros(6, 3), torch.randn(3, 3)
    special = check(function, *arguments, 6)
    assert set(special.left) <= {"aten::select.int"}
    check(function, *arguments, 0, special=special)
    for run in (function, special.interpret, special.run):
        out = torch.zeros(6, 3)
        with pytest.raises(IndexError):
            run(arguments[0], out, arguments[2], 8)
        assert bool((out != 0).all())


def numbers_of_tensors(x: Tensor, y: Tensor):
    x[0] = float(y.sum())
    x.clamp_(float(y.min()), float(y.max()))
    z = torch.full_like(x, float(y[0, 0]))
    x.add_(y, alpha=float(y.mean()))
    first = float(x[1, 1])
    x.mul_(2)
    return torch.where(x > first, x, first) + z * first, x.masked_fill(x > 0, float(y[0, 1]))


def test_numbers_taken_from_tensors_are_operands():
    special = check(numbers_of_tensors, torch.randn(2, 3), torch.randn(2, 3))
    assert special.graph.find_all("prim::Region")


def continues(x: Tensor, n: int):
    for i in range(4):
        x[2] = 2.25
        x.add_(float(x[0]) + i)
        if i >= n:
            continue
        x.mul_(2)
    return x.sum()


def breaks(x: Tensor, n: int):
    for i in range(4):
        x.add_(1)
        if i >= n:
            break
        x.mul_(2)
    return x.sum()


def returns(x: Tensor, n: int):
    x.add_(1)
    for i in range(4):
        x.mul_(2)
        if i >= n:
            return x.sum()
    x.sub_(1)
    return x.sum()


def inner_loops(x: Tensor, n: int):
    k = 0
    for i in range(4):
        x.mul_(2)
        for j in range(i):
            if j >= n:
                break
            k += j
        x.add_(1)
    return x.sum() + k


@pytest.mark.parametrize("function", [continues, breaks, returns, inner_loops])
def test_what_is_written_before_the_block_is_left_stays_written(function):
    special = Specialized(function, (torch.randn(3), 1))
    for n in range(5):
        check(function, torch.randn(3), n, special=special)
    assert special.graph.find_all("prim::Region")


def test_what_is_written_before_an_error_stays_written():
    def function(x: Tensor, i: int, j: int):
        x.mul_(2)
        x[i].add_(1)
        x[j] = 7
        return x.view(-1)[3:]

    for place in ((1, 2), (9, 1), (1, 9), (-3, -4)):
        check(function, torch.randn(3, 3), *place)


def test_what_looks_at_tensors_in_between_sees_what_it_should():
    def function(x: Tensor, y: Tensor):
        a = torch.linalg.norm(x)
        x.mul_(2)
        b = torch.linalg.norm(x)
        c = x + y
        x.add_(1)
        d = float(torch.linalg.norm(y)) + float(x[0])
        y.mul_(d)
        return a, b, c, y.sum()

    check(function, torch.randn(5), torch.randn(5))


def test_errors_are_torchs():
    def wide(x: Tensor, y: Tensor):
        x.mul_(2)
        x.add_(y)

    def narrow(x: Tensor, y: Tensor):
        x.mul_(2)
        x.to(torch.int64).add_(y)

    def twice(x: Tensor, y: Tensor):
        x.mul_(2)
        x.expand(3, 4).add_(1)

    def partly(x: Tensor, y: Tensor):
        x.mul_(2)
        x.t().copy_(y)
        x[1:].add_(x[:-1])

    def raised(run, x, y):
        try:
            run(x, y)
        except RuntimeError as error:
            return str(error)
        return None

    cases = [
        (wide, torch.randn(4), torch.randn(3, 4)), (narrow, torch.randn(4), torch.randn(4)),
        (twice, torch.randn(4), torch.randn(4)), (partly, torch.randn(4, 4), torch.randn(4, 4)),
    ]  # fmt: skip
    for function, x, y in cases:
        special = Specialized(function, (x, y))
        want = x.clone()
        message = raised(function, want, y)
        assert message is not None
        for run in (special.interpret, special.run):
            given = x.clone()
            assert raised(run, given, y) == message
            torch.testing.assert_close(given, want)


def test_inference_tensors_and_empty_ones():
    def function(x: Tensor, y: Tensor):
        x.add_(y)
        return x * 2

    check(function, torch.randn(0, 3), torch.randn(0, 3))
    special = Specialized(function, (torch.randn(3), torch.randn(3)))
    with torch.inference_mode():
        x, y = torch.ones(3), torch.ones(3)
        torch.testing.assert_close(special.run(x, y), torch.full((3,), 4.0))


def test_a_write_is_seen_by_autograd():
    def function(x: Tensor):
        x.mul_(2.0)
        return x + 1

    special = Specialized(function, (torch.randn(3),))
    w = torch.randn(3, requires_grad=True)
    x = torch.randn(3)
    out = (w * x).sum()
    special.run(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()
