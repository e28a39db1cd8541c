"""Whole programs: control flow, containers, early exits, modules."""

import pytest
import torch

import scriptmode
from scriptmode.jit import gradients
from scriptmode.support import config
from tests.autodiff.gradients import check_gradients


def x(*shape):
    return torch.rand(*shape).requires_grad_()


def straight(a, w):
    return torch.tanh(a * w).sum()


def test_a_straight_line():
    check_gradients(straight, x(4), x(4))
    check_gradients(straight, x(4), torch.rand(4))


class Gate(torch.nn.Module):
    def forward(self, a):
        if a.sum() > 0:
            return a
        return -a


class Cell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, a, h):
        return torch.tanh(self.gate(self.linear(a)) + h)


class Loop(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell()

    def forward(self, a, h, n: int):
        for _ in range(n):
            h = self.cell(a, h)
        return h


def test_the_loop_of_cells():
    check_gradients(Loop(), x(3, 4), x(3, 4), 3)
    check_gradients(Loop(), -torch.rand(3, 4), x(3, 4), 5)
    check_gradients(Loop(), x(3, 4), x(3, 4), 0)


def early(a, n: int):
    h = a * 2
    for i in range(n):
        if h.sum() > 20:
            return h * 3
        if i == 5:
            break
        if h.sum() > 10:
            h = h + 1
            continue
        h = h * a + h
    return h.relu()


def test_early_exits():
    for n in (0, 3, 9):
        check_gradients(early, x(4), n)


def joins(a):
    p, q = a.chunk(2)
    c = torch.cat([p, q * 2, p])
    r, s = torch.unbind(torch.stack([c, c * 3]))
    return r * s


def test_lists_that_do_not_change():
    check_gradients(joins, x(4))


def recurrent(a, w, n: int):
    outputs = []
    h = torch.zeros(4)
    for i in range(n):
        h = torch.tanh(h @ w + a[i])
        outputs.append(h)
    outputs.reverse()
    outputs[0] = outputs[0] * 2
    return torch.stack(outputs).sum(0) + outputs.pop()


def test_a_list_that_grows():
    check_gradients(recurrent, x(5, 4), x(4, 4), 5)


def table(a):
    d = {"a": a * 2}
    d["b"] = d["a"] * a
    total = torch.zeros(4)
    for _, v in d.items():
        total = total + v
    pairs = [(a, 1), (total, 2)]
    for t, i in pairs:
        total = total * t * i
    return total


def test_dicts_and_lists_of_pairs():
    check_gradients(table, x(4))


def nested(a):
    rows = [[a], [a * 2, a * 3]]
    s = a.sum()
    for row in rows:
        for t in row:
            s = s * t.mean() + s
    return s


def test_lists_of_lists():
    check_gradients(nested, x(4))


def several(a, b):
    return a * b, [a.sin(), b.cos()], (a.exp(), 3)


def test_results_in_containers():
    check_gradients(several, x(3), x(3))


def identity(a, b):
    return a, a * b, b


def test_results_that_are_arguments():
    check_gradients(identity, x(3), x(3))
    check_gradients(identity, x(3), torch.rand(3))


def detached(a, w, c: bool):
    y = a * w
    return y.detach() if c else y * 2


def runs(a, w, n: int):
    h = torch.ones(3)
    for _ in range(n):
        h = h * w + a
    return h


def kept(a, w, n: int):
    found = []
    for i in range(n):
        found.append(a * w if i % 2 == 0 else a.detach() + 1)
    return found, torch.zeros(2)


def test_results_that_depend_on_nothing():
    for c in (True, False):
        check_gradients(detached, x(3), x(3), c)
    for n in (0, 2):
        check_gradients(runs, x(3), x(3), n)
        check_gradients(kept, x(3), x(3), n)


def unusual(a):
    y = torch.digamma(a + 1)
    u, s, v = torch.linalg.svd(y.outer(y) + torch.diag(a))
    return y.sum() + s.sum(), torch.fft.rfft(y).abs().sum()


def test_ops_without_rules_of_their_own():
    check_gradients(unusual, x(3))


def in_a_loop(a, n: int):
    for i in range(n):
        if i % 2 == 0:
            a = torch.special.entr(a)
        else:
            a = torch.cumprod(a + 1, 0)
    return a, torch.broadcast_tensors(a, torch.ones(2, 3))[0] * 2


def test_ops_without_rules_in_loops():
    for n in (0, 3):
        check_gradients(in_a_loop, x(3), n)


class Lstm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.x2g = torch.nn.Linear(3, 16)
        self.h2g = torch.nn.Linear(4, 16)

    def forward(
        self, a: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        outputs: list[torch.Tensor] = []
        for t in range(a.shape[0]):
            h, c = state
            gates = self.x2g(a[t]) + self.h2g(h)
            i, f, g, o = gates.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            state = (h, c)
            outputs.append(h)
        return torch.stack(outputs), state


def test_a_custom_lstm():
    check_gradients(Lstm(), x(5, 2, 3), (x(2, 4), torch.zeros(2, 4)))
    check_gradients(Lstm(), torch.rand(5, 2, 3), (torch.zeros(2, 4), torch.zeros(2, 4)))


def of_a_list(tensors: list[torch.Tensor], n: int):
    total = tensors[0] * 2
    for t in tensors:
        total = total + t * t
    return total * tensors[n]


def test_a_list_of_tensors_as_an_argument():
    check_gradients(of_a_list, [x(3), torch.rand(3), x(3)], 1)


def test_the_reverse_program_is_shown():
    scripted = scriptmode.script(straight)
    assert "aten::tanh_backward" in str(scripted.grad_graph)
    text = scriptmode.explain(scripted)
    assert "result 0 of aten::tanh" in text
    assert "autograd" not in text


def test_results_that_were_written_are_refused():
    scripted = scriptmode.script(lambda a: torch.tanh(a))
    y = scripted(x(3))
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def views(a, w):
    return a.t(), a[1:], (a * w).t(), w.detach()


def test_results_that_view_arguments():
    check_gradients(views, x(2, 3), x(2, 3))
    y = x(2, 3) * 2
    scripted = scriptmode.script(views)
    seen = scripted(y, y)[0]
    assert seen._base is y and seen.grad_fn is not None


def many(a):
    return a.unbind(0), torch.broadcast_tensors(a, torch.ones(2, 2, 3))


def test_tuples_of_unknown_length():
    check_gradients(many, x(2, 3))


def counts(a):
    seen = torch.zeros(3)
    seen.add_(1)
    mask = a > 0.5
    y = a * mask
    mask.zero_()
    return y * seen, mask


def marks(a):
    mask = (a > 0.5).float()
    y = a * mask
    mask.zero_()
    return y


def test_writes_of_what_carries_no_gradient():
    check_gradients(lambda a: a * torch.zeros(3).add_(1), x(3))
    for function in (counts, marks):
        scripted = scriptmode.script(function)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            result = scripted(x(3))
            (result[0] if function is counts else result).sum().backward()


SCALE = 2.0


def scaled(a):
    return a * SCALE


def test_captured_values_that_change():
    global SCALE
    scripted = scriptmode.script(scaled)
    a = x(3)
    torch.testing.assert_close(scripted(a), a * 2)
    SCALE = 3.0
    try:
        torch.testing.assert_close(scripted(a), a * 3)
        torch.testing.assert_close(
            torch.autograd.grad(scripted(a).sum(), a)[0], torch.full((3,), 3.0)
        )
    finally:
        SCALE = 2.0


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, seen: list[int]):
        self.calls += 1
        seen.append(self.calls)
        return (a * a).sum()


def test_effects_happen_once_under_second_derivatives():
    scripted = scriptmode.script(Counting())
    a, seen = x(3), []
    (slope,) = torch.autograd.grad(scripted(a, seen), a, create_graph=True)
    (again,) = torch.autograd.grad(slope.sum(), a)
    torch.testing.assert_close(again, torch.full((3,), 2.0))
    assert scripted.calls == 1 and seen == [1]


def appends(a, seen: list[int]):
    seen.append(1)
    return (a * a).sum()


def test_changed_arguments_under_second_derivatives():
    scripted = scriptmode.script(appends)
    a, seen = x(3), []
    (slope,) = torch.autograd.grad(scripted(a, seen), a, create_graph=True)
    torch.autograd.grad(slope.sum(), a)
    assert seen == [1]


class Attributes(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))
        self.factor, self.names, self.table = 2, ["a"], {"a": 1.5}

    def forward(self, a):
        return a * self.weight * self.factor * self.table["a"] + len(self.names)


def test_attributes_that_are_no_tensors():
    check_gradients(Attributes(), x(3))


def test_any_number_of_arguments_is_left_to_the_tape() -> None:
    def f(x: torch.Tensor, *factors, **others):
        for factor in factors:
            x = x * factor
        for other in others.values():
            x = x + other
        return x

    compiled = scriptmode.script(f)
    for factors, others in (((), {}), ((2,), {}), ((2, 3.5), {}), ((3,), {"shift": 1})):
        x = torch.rand(3, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad(compiled(x, *factors, **others).sum(), x)
        (wanted,) = torch.autograd.grad(f(x, *factors, **others).sum(), x)
        assert torch.equal(found, wanted)
    assert "*args" in compiled._dispatcher.primary.gradients.reason


class Around:
    def __enter__(self) -> int:
        return 1

    def __exit__(self, kind, value, trace) -> bool:
        return False


def test_a_loop_that_a_return_always_ends() -> None:
    def f(a: torch.Tensor, n: int):
        with Around():
            for i in range(n):
                a = a * (i + 2)
                if a is a:
                    return a
        return a + 1

    compiled = scriptmode.script(f)
    for n in (0, 1, 3):
        a = x(3).requires_grad_()
        (found,) = torch.autograd.grad(compiled(a, n).sum(), a)
        (wanted,) = torch.autograd.grad(f(a, n).sum(), a)
        assert torch.equal(found, wanted)


def test_a_defect_of_the_compiler_leaves_gradients_to_the_tape(monkeypatch) -> None:
    def fail(*arguments):
        raise KeyError("defect")

    def f(a: torch.Tensor):
        return a * a

    monkeypatch.setattr(gradients, "differentiate", fail)
    with pytest.raises(KeyError, match="defect"):
        scriptmode.script(f)(x(3).requires_grad_())
    compiled = scriptmode.script(f)
    a = x(3).requires_grad_()
    with config.override(verify=False):
        (found,) = torch.autograd.grad(compiled(a).sum(), a)
    assert torch.equal(found, 2 * a)
    assert "the compiler failed: KeyError('defect')" in scriptmode.explain(compiled)
