"""Loops that read or write parts of tensors: their cotangents are added to in place."""

import torch

import scriptmode
from scriptmode.ir.graph import ancestors
from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape, dtype=torch.float64).requires_grad_()


def reads(a, n: int):
    h = torch.zeros(4, dtype=a.dtype)
    for i in range(n):
        h = torch.tanh(h + a[i] * a[0]) + a[i, 1:3].sum() + a.narrow(0, i, 1).sum()
    return h * a[1]


def test_a_loop_that_reads_parts_of_a_tensor():
    check_gradients(reads, x(5, 4), 5)
    check_gradients(reads, x(5, 4), 0)


def writes(a, w, n: int):
    out = torch.zeros(5, 4, dtype=a.dtype)
    h = a[0]
    for i in range(n):
        h = torch.tanh(h * w)
        out[i] = h
    return out, h


def test_a_loop_that_writes_parts_of_a_tensor():
    check_gradients(writes, x(5, 4), x(4), 5)
    check_gradients(writes, x(5, 4), x(4), 3)


def branches(a, w, n: int):
    out = a * 2
    for i in range(n):
        if bool(a[i].sum() > 2):
            out[i] = a[i] * w
        else:
            out[i, 1:] = w[1:] * a[0, 0]
    return out.sum() + out[1]


def test_branches_that_write_other_parts():
    check_gradients(branches, x(5, 4), x(4), 5)


INDICES = torch.tensor([[0, 1, 5], [2, 2, 1], [3, 0, 0]])


def looks_up(w, i, n: int):
    s = w[0]
    for k in range(n):
        s = s + torch.nn.functional.embedding(i[k], w, padding_idx=1).sum(0)
        s = s * w.index_select(0, i[k]).sum() + w[i[k]].mean(0)
    return s


def test_rows_that_are_looked_up():
    check_gradients(looks_up, x(6, 3), INDICES, 3, verify=False)


def nested(a, b, n: int):
    t = torch.zeros((), dtype=a.dtype)
    for i in range(n):
        for j in range(i):
            if j == 1:
                t = t + (a[i] * b[j] * a[j]).sum()
            else:
                t = t * b[i].mean() + (b @ a[j]).sum()
    return t


def test_nested_loops():
    check_gradients(nested, x(4, 3), x(4, 3), 4)


def shared(a, n: int):
    p = a
    for _ in range(n):
        q = a + p
        p = q * a + p
    return p, a[0] + a[0]


def test_cotangents_that_several_values_share():
    check_gradients(shared, x(3, 2), 3)


def test_the_cotangent_that_is_given_is_not_written():
    scripted = scriptmode.script(writes)
    a, w = x(5, 4), x(4)
    out, _ = scripted(a, w, 5)
    given = torch.ones_like(out)
    out.backward(given)
    assert bool((given == 1).all())


def test_nothing_as_large_as_the_whole_is_made_in_an_iteration():
    for target, arguments in ((reads, (x(5, 4), 5)), (writes, (x(5, 4), x(4), 5))):
        scripted = scriptmode.script(target)
        scripted(*arguments)
        (loop,) = scripted.grad_graph.find_all("prim::Loop")
        kinds = [n.kind for n in scripted.grad_graph.walk() if loop.blocks[0] in ancestors(n.block)]
        assert "aten::select_backward" not in kinds
        # what is cloned is the part that was written; see add_into for the first of a sum
        assert kinds.count("aten::clone") <= 3
