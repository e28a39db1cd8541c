"""Special code beside generic code, eager PyTorch and torch.jit: small branchy and fused programs.

One thread, no gradients, interleaved blocks, results compared first.  Prints minimum and median
microseconds of a call and the ratios of the minima to those of special code.
``benchmarks/special.py gated lstm`` runs only what it names.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import scriptmode


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        else:
            return -x


class Gated(nn.Module):
    """A loop of cells with a branch on data."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.linear = nn.Linear(4, 4)
        self.steps = 100

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        for _ in range(self.steps):
            h = torch.tanh(self.gate(self.linear(x)) + h)
            x = h * 0.5 - x
        return h


class Decoder(nn.Module):
    """Greedy decoding with a GRU cell until a token or a bound is reached."""

    def __init__(self, tokens: int = 48, size: int = 32):
        super().__init__()
        self.table = nn.Embedding(tokens, size)
        self.inner = nn.Linear(size, 3 * size)
        self.outer = nn.Linear(size, 3 * size)
        self.scores = nn.Linear(size, tokens)

    def forward(self, h: Tensor, most: int) -> list[int]:
        token = 1
        found: list[int] = []
        while len(found) < most:
            x = self.table(torch.tensor([token]))
            a = self.inner(x).chunk(3, 1)
            b = self.outer(h).chunk(3, 1)
            r = torch.sigmoid(a[0] + b[0])
            z = torch.sigmoid(a[1] + b[1])
            n = torch.tanh(a[2] + r * b[2])
            h = (1 - z) * n + z * h
            token = int(torch.log_softmax(self.scores(h), 1).max(1)[1].item())
            found.append(token)
            if token == 0:
                break
        return found


class LSTM(nn.Module):
    """A custom LSTM over a sequence, whose outputs are listed."""

    def __init__(self, size: int = 64):
        super().__init__()
        self.wi = nn.Parameter(torch.randn(4 * size, size) * 0.1)
        self.wh = nn.Parameter(torch.randn(4 * size, size) * 0.1)
        self.b = nn.Parameter(torch.zeros(4 * size))

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for t in range(x.size(0)):
            gates = torch.mm(x[t], self.wi.t()) + torch.mm(h, self.wh.t()) + self.b
            i, f, g, o = gates.chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs)


def newton(a: Tensor, b: Tensor) -> Tensor:
    x = torch.ones_like(a)
    for _ in range(60):
        following = x - (x * x * x + a * x - b) / (3 * x * x + a)
        done = bool((following - x).abs().max() < 1e-4)
        x = following
        if done:
            break
    return x


def gelu_norm(x: Tensor, y: Tensor, bias: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return F.layer_norm(F.gelu(x + bias) + y, [1024], w, b)


def masked_softmax(x: Tensor, mask: Tensor) -> Tensor:
    y = torch.softmax((x * 0.125).masked_fill(mask, -1e9), -1)
    return y * y.gt(1e-4).to(y.dtype)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.transpose(-1, -2) * 0.125, -1) @ v


def chain(x: Tensor, y: Tensor) -> Tensor:
    return torch.relu(torch.tanh(x * y + 1) - y) / 2


def programs() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Each program with its arguments."""
    r = torch.randn
    return {
        "gated": (Gated().eval(), (r(3, 4), r(3, 4))),
        "decoder": (Decoder().eval(), (r(1, 32), 60)),
        "lstm": (LSTM().eval(), (r(100, 16, 64), r(16, 64), r(16, 64))),
        "newton": (newton, (torch.rand(256) + 0.5, torch.rand(256) * 500)),
        "gelu_norm": (gelu_norm, (r(256, 1024), r(256, 1024), r(1024), r(1024), r(1024))),
        "masked_softmax": (masked_softmax, (r(12, 128, 128), r(128, 128) > 0)),
        "attention": (attention, (r(2, 8, 64, 64), r(2, 8, 64, 64), r(2, 8, 64, 64))),
        "chain": (chain, (r(16), r(16))),
    }


def block(call: Callable[[], Any], seconds: float) -> float:
    """Microseconds of one call, over calls of about this time."""
    count, start = 0, time.process_time()
    while True:
        call()
        count += 1
        passed = time.process_time() - start
        if passed >= seconds:
            return passed / count * 1e6


def measure(name: str, repeats: int, seconds: float) -> None:
    """Compare the results, then time all ways in turn."""
    function, arguments = programs()[name]
    generic = scriptmode.script(function)
    special = scriptmode.specialize(scriptmode.script(function), arguments)
    ways: dict[str, Callable[[], Any]] = {
        "special": lambda: special(*arguments),
        "generic": lambda: generic(*arguments),
        "eager": lambda: function(*arguments),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = torch.jit.script(function)
    ways["torch.jit"] = lambda: peer(*arguments)
    expected = function(*arguments)
    for call in ways.values():
        for _ in range(3):
            torch.testing.assert_close(call(), expected, rtol=1e-3, atol=1e-4)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, call in ways.items():
            times[way].append(block(call, seconds))
    least = {way: min(found) for way, found in times.items()}
    texts = [
        f"{way} {least[way]:.1f} ({statistics.median(found):.1f})"
        + ("" if way == "special" else f" = {least[way] / least['special']:.2f}x")
        for way, found in times.items()
    ]
    print(f"{name:15} {'   '.join(texts)}", flush=True)


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(prog="benchmarks/special.py")
    parser.add_argument("names", nargs="*", choices=[[], *programs()], default=[])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.02, help="of one block")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print("minimum (median) us, and how much slower than special code the minimum is")
    with torch.no_grad():
        for name in options.names or programs():
            measure(name, options.repeats, options.seconds)


if __name__ == "__main__":
    main()
