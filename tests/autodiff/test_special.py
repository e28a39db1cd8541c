"""Special forward and reverse programs: compared with eager and with the generic ones."""

import copy
import time

import pytest
import torch
from torch import Tensor, nn

import scriptmode
from scriptmode.support import config
from tests.autodiff.gradients import close, cotangents, fresh, leaves, wanted


@pytest.fixture(autouse=True)
def sync():
    before = config.get("specialize"), config.get("specialize_calls")
    config.set("specialize", "sync")
    config.set("specialize_calls", 1)
    yield
    config.set("specialize", before[0])
    config.set("specialize_calls", before[1])


def scripted_ways(target):
    """The program with special code, and without."""
    is_module = isinstance(target, nn.Module)
    special = scriptmode.script(copy.deepcopy(target) if is_module else target)
    config.set("specialize", "off")
    generic = scriptmode.script(copy.deepcopy(target) if is_module else target)
    config.set("specialize", "sync")
    return special, generic


def run(function, target, arguments, keep=(), twice=True):
    """Results and gradients; ``keep`` are the numbers of the outputs that are differentiated."""
    result = function(*arguments)
    outputs = [o for o in leaves(result) if o.requires_grad]
    if keep:
        outputs = [outputs[i] for i in keep]
    inputs = wanted(target, arguments)
    found = []
    for seed in (5, 6)[: 1 + twice]:
        found += torch.autograd.grad(
            outputs, inputs, cotangents(outputs, seed), allow_unused=True, retain_graph=True
        )
    found += torch.autograd.grad(outputs, inputs, cotangents(outputs, 9), allow_unused=True)
    return result, found


def check(target, *arguments, hits=True, keep=()):
    """Three ways; ``hits``: whether special code must have run."""
    is_module = isinstance(target, nn.Module)
    eager = copy.deepcopy(target) if is_module else target
    special, generic = scripted_ways(target)
    config.set("specialize", "off")
    generic(*fresh(arguments))
    config.set("specialize", "sync")
    want, gradients = run(eager, eager, fresh(arguments), keep)
    for way in (special, generic):
        for _ in range(2):
            got, found = run(way, way, fresh(arguments), keep)
            for w, g in zip(leaves(want), leaves(got), strict=True):
                close(w.detach(), g.detach(), "result")
                assert (w.requires_grad, w.is_leaf) == (g.requires_grad, g.is_leaf)
            for number, (w, g) in enumerate(zip(gradients, found, strict=True)):
                close(w, g, f"gradient {number}")
    assert not generic.gradient_versions
    reasons = [p.reason for p in special._dispatcher.primary.gradients.pairs]
    if hits:
        assert special.gradient_versions, reasons
        assert sum(v.hits for v in special.gradient_versions) >= 1
    else:
        assert not special.gradient_versions and any(reasons)
    return special


def needs(*shape):
    return torch.randn(*shape).requires_grad_()


def straight(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    y = torch.tanh(x @ w + b)
    return torch.sigmoid(y) * y + torch.relu(x @ w).sum(0)


def test_straight_line():
    special = check(straight, needs(3, 4), needs(4, 5), needs(5))
    (version,) = special.gradient_versions
    assert "prim::Region" in str(version.graphs[0]) and "prim::Region" in str(version.graphs[1])


def branches(x: Tensor, y: Tensor) -> Tensor:
    if bool(x.sum() > 0):
        return x * y
    return torch.exp(-y)


def test_both_branches_and_gradients_that_are_none():
    check(branches, torch.ones(3).requires_grad_(), needs(3))
    check(branches, (-torch.ones(3)).requires_grad_(), needs(3))


def repeated(x: Tensor, w: Tensor, n: int) -> Tensor:
    h = x
    for _ in range(n):
        h = torch.tanh(h @ w) + x
        if bool(h.sum() > 1):
            h = h * 0.5
    return h


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_loop_whose_length_is_known_at_run_time(n):
    check(repeated, needs(2, 3), needs(3, 3), n)


def unused_at_the_end(x: Tensor, n: int) -> Tensor:
    y = x
    s = torch.zeros_like(x)
    for _ in range(n):
        s = s + torch.sqrt(y)
        y = y * 0
    return s


def test_a_last_value_that_nobody_uses_has_no_cotangent():
    check(unused_at_the_end, torch.rand(3).requires_grad_(), 1)


def until_small(x: Tensor, most: int) -> Tensor:
    steps = 0
    while steps < most:
        if bool(x.sum() > 3):
            x = x * torch.sigmoid(x)
        else:
            y = torch.tanh(x)
            x = y * y * 1.5 if steps % 2 == 0 else torch.exp(y) * y
        steps += 1
        if bool(x.abs().max() < 0.05):
            break
    return x


@pytest.mark.parametrize(("start", "most"), [(2.0, 9), (2.0, 0), (0.1, 9), (-1.0, 4)])
def test_what_one_side_of_a_branch_keeps_has_a_list_of_its_own(start, most):
    special = check(until_small, torch.full((5,), start).requires_grad_(), most)
    for version in special.gradient_versions:
        frame = version.graphs[1].params[0].type
        assert "Optional" not in str(frame), frame


def newton(a: Tensor, b: Tensor, tol: float) -> Tensor:
    x = torch.ones_like(a)
    for _ in range(50):
        f = x * x * x + a * x - b
        xn = x - f / (3 * x * x + a)
        done = bool((xn - x).abs().max() < tol)
        x = xn
        if done:
            break
    return x


def test_loop_that_ends_by_data():
    check(newton, (torch.rand(8) + 0.5).requires_grad_(), torch.rand(8).requires_grad_(), 1e-4)


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.wi = nn.Linear(3, 8)
        self.wh = nn.Parameter(torch.randn(8, 2) * 0.3)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (self.wi(x) + h @ self.wh.t()).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Listing(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Cell()

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        out: list[Tensor] = []
        for t in range(x.size(0)):
            h, c = self.cell(x[t], h, c)
            out.append(h)
        return torch.stack(out)


def test_lstm_that_lists_its_outputs():
    special = check(Listing(), needs(5, 2, 3), needs(2, 2), needs(2, 2))
    forward, reverse = special.gradient_versions[0].graphs
    assert "Array[float32, 2, 2]" in str(forward) and "Cell[Optional" not in str(reverse)


class Writing(Listing):
    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        out = torch.zeros(x.size(0), h.size(0), h.size(1))
        for t in range(x.size(0)):
            h, c = self.cell(x[t], h, c)
            out[t] = h
        return out


def test_lstm_that_writes_its_outputs():
    check(Writing(), needs(5, 2, 3), needs(2, 2), needs(2, 2))


def nested(x: Tensor, n: int, m: int) -> Tensor:
    for i in range(n):
        for j in range(m + i):
            x = torch.sin(x) * (j + 1)
        x = x + torch.cos(x)
    return x


@pytest.mark.parametrize("n, m", [(3, 2), (2, 0), (0, 3)])
def test_loops_in_loops(n, m):
    check(nested, needs(4), n, m)


def several(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    a = torch.tanh(x * y)
    return a, a.sum() * y


def test_results_of_which_one_is_differentiated():
    special = check(several, needs(3), needs(3), keep=(1,))
    (pairs,) = special._dispatcher.primary.gradients.pairs
    assert pairs.redone == 3  # of the first call, before any backward had been seen
    assert [v.present for v in special.gradient_versions] == [(False, True), (True, True)]


def test_cotangents_with_other_strides():
    x, y = needs(3, 4), needs(3, 4)
    special, _ = scripted_ways(several)
    want = torch.autograd.grad(several(x, y)[1].sum(), (x, y))
    for _ in range(3):
        a, b = special(x, y)
        found = torch.autograd.grad((a * 0 + b.t().t()).sum(), (x, y))
        for w, g in zip(want, found, strict=True):
            close(w, g, "gradient")
    (pairs,) = special._dispatcher.primary.gradients.pairs
    assert pairs.redone == 0


def test_other_shapes_and_dtypes_run_the_generic_programs():
    special, _ = scripted_ways(straight)
    config.set("specialize_calls", 100)
    scriptmode.specialize(special, (needs(3, 4), needs(4, 5), needs(5)), gradients=True)
    for dtype, rows in ((torch.float32, 3), (torch.float32, 2), (torch.float64, 3)):
        given = [t.to(dtype).detach().requires_grad_() for t in (needs(rows, 4), needs(4, 5))]
        given.append(needs(5).to(dtype).detach().requires_grad_())
        want = torch.autograd.grad(straight(*given).sum(), given)
        found = torch.autograd.grad(special(*given).sum(), given)
        for w, g in zip(want, found, strict=True):
            close(w, g, "gradient")
    (version,) = special.gradient_versions
    assert (version.hits, version.misses) == (1, 2)
    text = scriptmode.explain(special)
    assert "special forward and reverse program: 1 hits, 2 misses" in text


def test_second_derivatives():
    x, y = needs(3), needs(3)
    special, _ = scripted_ways(several)
    found = []
    for way in (several, special, special):
        (g,) = torch.autograd.grad(way(x, y)[1].sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.sum(), y)[0])
    close(found[0], found[1], "second derivative")
    close(found[0], found[2], "second derivative")


def test_what_was_written_meanwhile_is_an_error():
    special, _ = scripted_ways(straight)
    given = (needs(3, 4), needs(4, 5), needs(5))
    special(*given).sum().backward()
    result = special(*given)
    with torch.no_grad():
        given[1].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.sum().backward()
    fresh_result = torch.tanh(special(*given))
    fresh_result.sum().backward()


def doubled(x: Tensor) -> tuple[Tensor, Tensor]:
    y = torch.exp(x)
    return y, y


def test_results_that_are_one_tensor():
    special, _ = scripted_ways(doubled)
    x = needs(3)
    for _ in range(2):
        a, b = special(x)
        assert a is b
        close(
            torch.autograd.grad(doubled(x)[0].sum(), x)[0],
            torch.autograd.grad(b.sum(), x)[0], "gradient",
        )  # fmt: skip


def test_a_written_result_that_the_reverse_needs_is_an_error():
    special, _ = scripted_ways(doubled)
    x = needs(3)
    for _ in range(2):
        a, b = special(x)
        a.detach().add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            b.sum().backward()


def asked(x: Tensor) -> Tensor:
    return torch.nn.functional.dropout(torch.tanh(x), 0.5, True) * 2


def test_random_numbers_are_those_of_eager():
    x = needs(64)
    special, _ = scripted_ways(asked)
    for _ in range(2):
        found = []
        for way in (asked, special):
            torch.manual_seed(1)
            result = way(x)
            found.append((result, torch.autograd.grad(result.sum(), x)[0]))
        close(found[0][0].detach(), found[1][0].detach(), "result")
        close(found[0][1], found[1][1], "gradient")


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.a.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


def test_parameters_that_require_no_gradient():
    check(Frozen(), torch.randn(2, 3))
    check(Frozen(), needs(2, 3))


def taken(x: Tensor, k: int) -> Tensor:
    ys: list[Tensor] = []
    for i in range(4):
        ys.append(torch.sin(x * i))
    return ys[k] * ys[-1] + torch.stack(ys).sum(0)


@pytest.mark.parametrize("k", [0, 2, -2])
def test_elements_of_a_list_that_grows(k):
    check(taken, needs(3), k)


def test_an_index_that_is_outside_raises_as_eager_does():
    special, _ = scripted_ways(taken)
    for _ in range(2):
        with pytest.raises(IndexError):
            special(needs(3), 7)


def losses(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    p = torch.log_softmax(x @ w, 1)
    q = torch.softmax(torch.nn.functional.gelu(x @ w), 1)
    s = torch.nn.functional.silu(q) + torch.nn.functional.leaky_relu(p, 0.1)
    return torch.nn.functional.mse_loss(s, y) + torch.nn.functional.hardtanh(p).mean()


def test_derivatives_of_layers_and_losses():
    check(losses, needs(3, 4), needs(4, 5), torch.randn(3, 5))


def bent(x: Tensor) -> Tensor:
    a = torch.relu(x) + torch.nn.functional.hardtanh(x) + torch.nn.functional.leaky_relu(x, 0.1)
    return a + torch.sigmoid(x) * torch.tanh(x) + torch.nn.functional.relu6(x)


def test_values_that_are_not_finite():
    numbers = [float("inf"), float("-inf"), float("nan"), 0.0, -0.0, 1.0, -1.0, 6.0, 1e30, -1e-30]
    x = torch.tensor(numbers).requires_grad_()
    special, _ = scripted_ways(bent)
    for _ in range(2):
        want, got = bent(x), special(x)
        torch.testing.assert_close(got, want, equal_nan=True)
        expected = torch.autograd.grad(want.sum(), x)
        found = torch.autograd.grad(got.sum(), x)
        torch.testing.assert_close(found, expected, equal_nan=True)
    assert special.gradient_versions


def test_in_the_background_pairs_are_made_when_calls_have_taken_long(monkeypatch):
    config.set("specialize", "background")
    before = config.get("specialize_seconds")
    config.set("specialize_seconds", 1e-6)
    monkeypatch.setattr("scriptmode.jit.gradient_versions.NODE", 0)
    try:
        special = scriptmode.script(repeated)
        given = (needs(2, 3), needs(3, 3), 3)
        want = torch.autograd.grad(repeated(*given).sum(), given[:2])

        def step():
            found = torch.autograd.grad(special(*given).sum(), given[:2])
            for w, g in zip(want, found, strict=True):
                close(w, g, "gradient")

        for _ in range(4):
            step()
        (pairs,) = special._dispatcher.primary.gradients.pairs
        with pairs._lock:  # the thread that makes the pair has it
            pass
        for _ in range(200):
            step()
            if pairs.made:
                break
            time.sleep(0.1)
        for _ in range(20):
            step()
        assert pairs.made == 1 and not pairs.reason
        (pair,) = [*pairs.found, *pairs.dropped]
        assert pair.hits >= 6 and pair.ratio > 0
    finally:
        config.set("specialize_seconds", before)
