"""Training: compiled modules under torch.optim, and whole steps as one native program."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import scriptmode
from scriptmode.transforms.optimizers import adam_step, sgd_step
from tests.autodiff.test_programs import Lstm


def mlp():
    return nn.Sequential(
        nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
    )


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 8, 3, stride=2)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm(self.a(x))), 2)
        x = F.relu(self.b(x))
        return self.out(x.mean([2, 3]))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 32), nn.Linear(32, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.out(x.mean(1))


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = Lstm()
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        zeros = torch.zeros(x.shape[1], 4, dtype=x.dtype)
        outputs, _ = self.cell(x, (zeros, zeros))
        return self.out(outputs[-1])


CASES = {
    "mlp": (mlp, (8, 6)),
    "cnn": (Convolutions, (4, 1, 12, 12)),
    "transformer": (Block, (4, 5, 8)),
    "lstm": (Sequence, (7, 4, 3)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_losses_follow_eager(name, optimizer):
    make, shape = CASES[name]
    torch.manual_seed(0)
    eager = make().double()
    scripted = scriptmode.script(copy.deepcopy(eager))
    losses = []
    for module in (eager, scripted):
        torch.manual_seed(1)
        optim = optimizer(module.parameters(), lr=0.02)
        found = []
        for _ in range(200):
            x = torch.randn(shape, dtype=torch.float64)
            target = torch.randint(3, (shape[1] if name == "lstm" else shape[0],))
            loss = F.cross_entropy(module(x), target)
            optim.zero_grad()
            loss.backward()
            optim.step()
            found.append(loss.item())
        losses.append(found)
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=1e-8)
    assert not scripted._dispatcher.primary.gradients.reason


class Everything(nn.Module):
    """A loop, recursion, a checkpoint, a list and writes through views."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x, n: int):
        out = torch.zeros(n, 3)
        parts = []
        for i in range(n):
            x = scriptmode.checkpoint(self.step, x)
            out[i] = x
            parts.append(self.deep(x, i))
        return (out + torch.stack(parts)).square().sum()

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(x))

    def deep(self, x: torch.Tensor, n: int) -> torch.Tensor:
        return x if n == 0 else self.deep(self.step(x), n - 1) * 0.5


@pytest.mark.slow
def test_memory_stays_flat_over_10000_steps():
    scripted = scriptmode.script(Everything())
    optim = torch.optim.SGD(scripted.parameters(), lr=0.001)
    x = torch.rand(3)
    sizes = []
    for step in range(10_000):
        loss = scripted(x, 1 + step % 4)
        optim.zero_grad()
        loss.backward()
        optim.step()
        if step % 1000 == 999:
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    assert not scripted._dispatcher.primary.gradients.reason
    assert sizes[-1] - sizes[1] < 1_000_000, sizes


def sgd(w, b, x, y, buffers: list[torch.Tensor], nesterov: bool):
    loss = F.mse_loss(torch.tanh(x @ w) + b, y)
    dw, db = torch.autograd.grad(loss, [w, b])
    sgd_step([w, b], [dw, db], buffers, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    return loss.detach()


def adam(w, b, x, y, state: list[list[torch.Tensor]], step: int, decoupled: bool, amsgrad: bool):
    loss = F.mse_loss(torch.tanh(x @ w) + b, y)
    dw, db = torch.autograd.grad(loss, [w, b])
    adam_step([w, b], [dw, db], state[0], state[1], state[2], step, lr=0.05, weight_decay=0.02,
              decoupled=decoupled, amsgrad=amsgrad)  # fmt: skip
    return loss.detach()


def problem():
    torch.manual_seed(2)
    w, b = torch.randn(4, 3).requires_grad_(), torch.zeros(3).requires_grad_()
    return w, b, torch.randn(5, 4), torch.randn(5, 3)


def reference(make):
    w, b, x, y = problem()
    optim = make([w, b])
    losses = []
    for _ in range(8):
        loss = F.mse_loss(torch.tanh(x @ w) + b, y)
        optim.zero_grad()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    return losses, w, b


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_whole_step_with_sgd(nesterov):
    want, w0, b0 = reference(lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=nesterov, foreach=False))  # fmt: skip
    scripted = scriptmode.script(sgd)
    w, b, x, y = problem()
    buffers: list[torch.Tensor] = []
    got = [scripted(w, b, x, y, buffers, nesterov).item() for _ in range(8)]
    torch.testing.assert_close(got, want)
    torch.testing.assert_close((w, b), (w0, b0))


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_whole_step_with_adam(decoupled, amsgrad):
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    want, w0, b0 = reference(lambda p: kind(
        p, lr=0.05, weight_decay=0.02, amsgrad=amsgrad, foreach=False))  # fmt: skip
    scripted = scriptmode.script(adam)
    w, b, x, y = problem()
    state: list[list[torch.Tensor]] = [[], [], []]
    got = [scripted(w, b, x, y, state, n + 1, decoupled, amsgrad).item() for n in range(8)]
    torch.testing.assert_close(got, want)
    torch.testing.assert_close((w, b), (w0, b0))
