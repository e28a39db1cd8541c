"""Small tensors that become arrays: loops and branches, and where they must stay tensors."""

from typing import List

import pytest
import torch
from torch import Tensor

from scriptmode.ir import types as T
from tests.loops.specialized import Specialized


def arrays_of(special):
    values = [o for n in special.graph.walk() for o in n.outputs]
    return [v for v in values if isinstance(v.type, T.ArrayType)]


def both(special, *arguments):
    return special.interpret(*arguments), special.run(*arguments)


def test_a_loop_carries_arrays():
    def function(x: Tensor, h: Tensor, w: Tensor):
        for _ in range(7):
            g = torch.tanh(x @ w + h)
            if g.sum() > 0:
                h = g * 0.5
            else:
                h = -g
            x = h - x
        return h + 0, x

    arguments = torch.randn(3, 4), torch.randn(3, 4), torch.randn(4, 4)
    special = Specialized(function, arguments)
    assert arrays_of(special) and not special.left
    for found in both(special, *arguments):
        torch.testing.assert_close(found, function(*arguments))


def test_values_that_change_places_are_copied_together():
    def function(a: Tensor, b: Tensor, n: int):
        a, b = a * 1, b * 1
        for i in range(n):
            a, b = b, a
            if i == 3:
                a = a + b
        return a - b

    arguments = torch.randn(70), torch.randn(70)
    special = Specialized(function, (*arguments, 5))
    for n in (0, 1, 4, 5):
        for found in both(special, *arguments, n):
            torch.testing.assert_close(found, function(*arguments, n))


def test_an_argument_that_may_come_back_is_no_array():
    def function(h: Tensor, n: int):
        for _ in range(n):
            h = torch.tanh(h) + 1
        return h

    h = torch.randn(4)
    special = Specialized(function, (h, 2))
    assert special.run(h, 0).data_ptr() == h.data_ptr()
    torch.testing.assert_close(special.run(h, 3), function(h, 3))


def test_one_tensor_at_two_places_stays_one():
    def function(x: Tensor, n: int):
        kept = []
        h = x * 2
        for i in range(n):
            if i % 2 == 0:
                h = h + 1
            kept.append(h)
        return h, kept

    x = torch.randn(5)
    special = Specialized(function, (x, 4))
    h, kept = special.run(x, 4)
    expected = function(x, 4)
    torch.testing.assert_close((h, kept), expected)
    places = [t.data_ptr() for t in (h, *kept)]
    wanted = [t.data_ptr() for t in (expected[0], *expected[1])]
    assert [places.index(p) for p in places] == [wanted.index(p) for p in wanted]


def test_breaks_and_errors_leave_nothing():
    def function(x: Tensor, limit: int):
        h = x * 1
        steps = 0
        while steps < 50:
            h = h * 0.5 + 0.1
            steps += 1
            if bool((h - 0.2).abs().max() < 1e-3):
                break
            if steps > limit:
                raise ValueError("too many")
        return h, steps

    x = torch.randn(9)
    special = Specialized(function, (x, 40))
    for found in both(special, x, 40):
        torch.testing.assert_close(found, function(x, 40))
    with pytest.raises(ValueError, match="too many"):
        special.run(x, 2)


def test_parts_of_a_split_and_elements_of_an_unbind():
    def function(xs: Tensor, h: Tensor, w: Tensor):
        outs = []
        for x in xs.unbind(0):
            i, f, g = (x @ w + h.repeat(1, 3)).chunk(3, 1)
            h = torch.sigmoid(i) * torch.tanh(g) + f * h
            outs.append(h)
        return torch.stack(outs), h

    arguments = torch.randn(5, 2, 4), torch.randn(2, 4), torch.randn(4, 12)
    special = Specialized(function, arguments)
    for found in both(special, *arguments):
        torch.testing.assert_close(found, function(*arguments))


def test_lists_of_arrays_are_filled_read_and_stacked():
    def function(x: Tensor, left: List[int], right: List[int], w: Tensor):
        hs = [x[0] * 1.0]
        for i in range(1, x.size(0)):
            hs.append(torch.tanh(x[i]))
        for i in range(len(left)):
            joined = torch.cat([hs[left[i]], hs[right[i]]], 0)
            hs.append(torch.sigmoid(joined @ w))
            hs[0] = hs[-1] * 2
        return torch.stack(hs), hs[-1].sum() + 1

    arguments = torch.randn(3, 4), [0, 3, 1], [1, 2, -1], torch.randn(8, 4)
    special = Specialized(function, arguments)
    assert special.graph.find_all("prim::StackArrays")
    for found in both(special, *arguments):
        torch.testing.assert_close(found, function(*arguments))
    with pytest.raises(IndexError):
        special.run(arguments[0], [9], [0], arguments[3])


def test_a_list_that_gets_out_keeps_its_tensors():
    def function(x: Tensor, n: int):
        kept = []
        for i in range(n):
            kept.append(x * i)
        first = kept[0] + 1
        return kept, first

    x = torch.randn(4)
    special = Specialized(function, (x, 3))
    for found in both(special, x, 3):
        torch.testing.assert_close(found, function(x, 3))


def test_an_element_that_is_read_twice_is_one_tensor():
    def function(x: Tensor, n: int):
        hs = [x * 2]
        for i in range(n):
            hs.append(hs[-1] + i)
        out = []
        for i in range(2):
            out.append(hs[0])
        return out

    x = torch.randn(4)
    special = Specialized(function, (x, 3))
    a, b = special.run(x, 3)
    assert a.data_ptr() == b.data_ptr()


def test_what_is_written_in_place_is_seen_by_all_that_share_it():
    def function(x: Tensor, n: int):
        h = x
        y = x * 1
        total = x.sum() * 0
        for i in range(n):
            x.add_(1.0)
            y.mul_(2.0)
            total = total + (h * 2).sum() + y.t().sum()
            h = y * 0.5
        return total, y, h

    x = torch.randn(2, 3)
    expected = function(x.clone(), 3)
    special = Specialized(function, (x, 3))
    for run in (special.interpret, special.run):
        torch.testing.assert_close(run(x.clone(), 3), expected)


def test_what_a_loop_breaks_out_with_is_an_array():
    def function(a: Tensor, b: Tensor, tol: float):
        x = torch.ones_like(a)
        steps = 0
        while steps < 60:
            following = x - (x * x * x + a * x - b) / (3 * x * x + a)
            done = bool((following - x).abs().max() < tol)
            x = following
            steps += 1
            if done:
                break
        return x, steps

    arguments = torch.rand(40) + 0.5, torch.rand(40) * 100
    special = Specialized(function, (*arguments, 1e-3))
    assert arrays_of(special) and not special.left
    for tol in (1e-3, 1e9, -1.0):
        for found in both(special, *arguments, tol):
            torch.testing.assert_close(found, function(*arguments, tol))


def test_elements_of_a_list_that_follow_from_earlier_ones():
    def function(xs: Tensor, left: List[int], right: List[int], w: Tensor):
        hs: List[Tensor] = []
        cs: List[Tensor] = []
        for i in range(len(left)):
            if left[i] < 0:
                c = torch.tanh(xs[i])
                h = c * 2
            else:
                a, b = left[i], right[i]
                c = torch.sigmoid(torch.cat([hs[a], hs[b]]) @ w) + cs[a] * cs[b]
                h = torch.tanh(c)
            hs.append(h)
            cs.append(c)
        return hs[-1]

    arguments = torch.randn(6, 4), [-1, -1, 0, -1, 2], [-1, -1, 1, -1, 3], torch.randn(8, 4)
    special = Specialized(function, arguments)
    assert arrays_of(special) and not special.left
    for found in both(special, *arguments):
        torch.testing.assert_close(found, function(*arguments))
    for bad in ([0], [5]):
        with pytest.raises(IndexError):
            special.run(arguments[0], bad, bad, arguments[3])


def test_elements_that_grow_are_no_arrays():
    def function(x: Tensor, n: int):
        hs = [x * 1]
        for i in range(n):
            hs.append(torch.cat([hs[-1], hs[0]]))
        return hs[-1]

    x = torch.randn(3)
    special = Specialized(function, (x, 3))
    for found in both(special, x, 3):
        torch.testing.assert_close(found, function(x, 3))


def test_a_dtype_that_is_asked_for_in_a_loop():
    def function(x: Tensor, n: int):
        count = torch.zeros_like(x)
        for _ in range(n):
            alive = x * count < 2
            count = count + alive.to(count.dtype) * x.shape[0]
        return count

    x = torch.randn(7)
    special = Specialized(function, (x, 5))
    assert not special.left
    for n in (0, 5):
        for found in both(special, x, n):
            torch.testing.assert_close(found, function(x, n))
