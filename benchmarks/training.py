"""Forward and backward of programs with control flow, beside eager PyTorch and torch.jit.

One thread, interleaved, gradients compared first.  Prints minimum and median microseconds of one
step, the ratio of the minima to scriptmode's special code, and whether the program has a reverse
program of our own, and a special one.  ``benchmarks/training.py lstm tree`` runs only what it
names.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import scriptmode
from scriptmode.support import config


class Gate(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x
        else:
            return -x


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = Gate()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.gate(self.linear(x)) + h)


class Cells(nn.Module):
    """A loop of cells with a branch on data."""

    def __init__(self):
        super().__init__()
        self.cell = Cell()

    def forward(self, x: Tensor, h: Tensor, n: int) -> Tensor:
        for _ in range(n):
            h = self.cell(x, h)
            x = h * 0.5 - x
        return h


class LSTMCell(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.wi = nn.Parameter(torch.randn(4 * size, size) * 0.2)
        self.wh = nn.Parameter(torch.randn(4 * size, size) * 0.2)
        self.b = nn.Parameter(torch.zeros(4 * size))

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        gates = torch.mm(x, self.wi.t()) + torch.mm(h, self.wh.t()) + self.b
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class LSTM(nn.Module):
    """A custom LSTM over a sequence, whose outputs are listed."""

    def __init__(self, size: int):
        super().__init__()
        self.cell = LSTMCell(size)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        state = (h, c)
        for t in range(x.size(0)):
            y, state = self.cell(x[t], state)
            outputs.append(y)
        return torch.stack(outputs)


class WritingLSTM(LSTM):
    """The same, whose outputs are written into one tensor."""

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        out = torch.zeros(x.size(0), h.size(0), h.size(1))
        state = (h, c)
        for t in range(x.size(0)):
            y, state = self.cell(x[t], state)
            out[t] = y
        return out


class Tree(nn.Module):
    """A tree-LSTM that calls itself."""

    def __init__(self, size: int):
        super().__init__()
        self.leaf = nn.Linear(size, 3 * size)
        self.node = nn.Linear(2 * size, 5 * size)

    def forward(self, xs: Tensor, left: list[int], right: list[int]) -> Tensor:
        return self.visit(len(left) - 1, xs, left, right)[0]

    def visit(self, i: int, xs: Tensor, left: list[int], right: list[int]) -> tuple[Tensor, Tensor]:
        if left[i] < 0:
            g = self.leaf(xs[i]).chunk(3, 1)
            c = torch.sigmoid(g[0]) * torch.tanh(g[1])
            return torch.sigmoid(g[2]) * torch.tanh(c), c
        hl, cl = self.visit(left[i], xs, left, right)
        hr, cr = self.visit(right[i], xs, left, right)
        g = self.node(torch.cat([hl, hr], 1)).chunk(5, 1)
        c = (
            torch.sigmoid(g[0]) * torch.tanh(g[1])
            + torch.sigmoid(g[2]) * cl
            + torch.sigmoid(g[3]) * cr
        )
        return torch.sigmoid(g[4]) * torch.tanh(c), c


class ListedTree(Tree):
    """The same tree from its leaves up, without recursion: what torch.jit can compile."""

    def forward(self, xs: Tensor, left: list[int], right: list[int]) -> Tensor:
        hs: list[Tensor] = []
        cs: list[Tensor] = []
        for i in range(len(left)):
            if left[i] < 0:
                g = self.leaf(xs[i]).chunk(3, 1)
                c = torch.sigmoid(g[0]) * torch.tanh(g[1])
                h = torch.sigmoid(g[2]) * torch.tanh(c)
            else:
                l, r = left[i], right[i]
                g = self.node(torch.cat([hs[l], hs[r]], 1)).chunk(5, 1)
                c = (
                    torch.sigmoid(g[0]) * torch.tanh(g[1])
                    + torch.sigmoid(g[2]) * cs[l]
                    + torch.sigmoid(g[3]) * cs[r]
                )
                h = torch.sigmoid(g[4]) * torch.tanh(c)
            hs.append(h)
            cs.append(c)
        return hs[-1]


def newton(a: Tensor, b: Tensor, tol: float) -> Tensor:
    x = torch.ones_like(a)
    it = 0
    while it < 100:
        f = x * x * x + a * x - b
        df = 3 * x * x + a
        xn = x - f / df
        done = bool((xn - x).abs().max() < tol)
        x = xn
        it += 1
        if done:
            break
    return x


class Ponder(nn.Module):
    """Adaptive computation: steps until the halting probability is used up."""

    def __init__(self, size: int):
        super().__init__()
        self.step = nn.Linear(size, size)
        self.halt = nn.Linear(size, 1)

    def forward(self, x: Tensor, most: int) -> Tensor:
        h = x
        total = torch.zeros(x.size(0), 1)
        out = torch.zeros_like(x)
        for _ in range(most):
            h = torch.tanh(self.step(h))
            p = torch.sigmoid(self.halt(h)) * (1 - total)
            out = out + p * h
            total = total + p
            if bool(total.min() > 0.95):
                break
        return out + (1 - total) * h


class Beam(nn.Module):
    """Beam search that keeps lists of states and scores, which carry gradients."""

    def __init__(self, vocabulary: int, size: int, width: int):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, size)
        self.step = nn.Linear(2 * size, size)
        self.out = nn.Linear(size, vocabulary)
        self.width = width

    def forward(self, h0: Tensor, steps: int) -> Tensor:
        tokens: list[int] = [1]
        scores: list[Tensor] = [torch.zeros(())]
        states: list[Tensor] = [h0]
        for _ in range(steps):
            found: list[float] = []
            parents: list[int] = []
            chosen: list[int] = []
            values: list[Tensor] = []
            next_states: list[Tensor] = []
            for b in range(len(tokens)):
                x = self.embed(torch.tensor([tokens[b]]))
                h = torch.tanh(self.step(torch.cat([x, states[b]], 1)))
                next_states.append(h)
                top = torch.log_softmax(self.out(h), 1).topk(self.width, 1)
                for j in range(self.width):
                    score = scores[b] + top[0][0, j]
                    values.append(score)
                    found.append(float(score.item()))
                    parents.append(b)
                    chosen.append(int(top[1][0, j].item()))
            tokens2: list[int] = []
            scores2: list[Tensor] = []
            states2: list[Tensor] = []
            while len(tokens2) < self.width:
                best = 0
                for i in range(len(found)):
                    if found[i] > found[best]:
                        best = i
                tokens2.append(chosen[best])
                scores2.append(values[best])
                states2.append(next_states[parents[best]])
                found[best] = -1e30
            tokens, scores, states = tokens2, scores2, states2
        return torch.stack(scores).logsumexp(0)


class Node:
    """A node of a tree that is made of objects."""

    def __init__(self, value: Tensor):
        self.value = value
        self.left: Node | None = None
        self.right: Node | None = None


def tree(leaves: int) -> tuple[list[int], list[int]]:
    """A lopsided binary tree, nodes behind what they join."""
    left, right, live, turn = [-1] * leaves, [-1] * leaves, list(range(leaves)), 3
    while len(live) > 1:
        turn = turn * 1103515245 % 2147483648
        i = turn % (len(live) - 1)
        left.append(live[i])
        right.append(live[i + 1])
        live[i : i + 2] = [len(left) - 1]
    return left, right


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def programs() -> dict[str, Callable[[], tuple[object, object, tuple[object, ...]]]]:
    """By name: the program, what torch.jit is given instead, the arguments."""

    def needs(*shape: int) -> Tensor:
        return torch.randn(*shape).requires_grad_()

    def lstm(kind: type[nn.Module]) -> tuple[object, object, tuple[object, ...]]:
        return (module := kind(16)), module, (needs(100, 4, 16), needs(4, 16), needs(4, 16))

    def recursive(kind: type[Tree]) -> tuple[object, object, tuple[object, ...]]:
        left, right = tree(32)
        module, peer = kind(32), ListedTree(32)
        peer.load_state_dict(module.state_dict())
        return module, peer, (needs(len(left), 1, 32), left, right)

    def same(target: object, *arguments: object) -> tuple[object, object, tuple[object, ...]]:
        return target, target, arguments

    return {
        "mlp": lambda: same(MLP(), torch.randn(4, 8)),
        "cells": lambda: same(Cells(), needs(3, 4), needs(3, 4), 100),
        "lstm": lambda: lstm(LSTM),
        "writing": lambda: lstm(WritingLSTM),
        "listed tree": lambda: recursive(ListedTree),
        "tree": lambda: recursive(Tree),
        "newton": lambda: same(
            newton, (torch.rand(64) + 0.5).requires_grad_(), torch.rand(64) * 1000, 1e-3
        ),
        "ponder": lambda: same(Ponder(16), needs(4, 16), 30),
        "beam": lambda: same(Beam(32, 16, 4), needs(1, 16), 12),
    }


def step(target: Callable[..., Tensor], arguments: tuple[object, ...]) -> Callable[[], object]:
    """One forward and backward."""
    inputs = [a for a in arguments if isinstance(a, Tensor) and a.requires_grad]
    if isinstance(target, nn.Module) or hasattr(target, "parameters"):
        inputs += [p for p in target.parameters() if p.requires_grad]

    def run() -> object:
        return torch.autograd.grad(target(*arguments).sum(), inputs, allow_unused=True)

    return run


def measure(name: str, repeats: int, samples: float) -> None:
    torch.manual_seed(0)
    target, peer, arguments = programs()[name]()
    scripted = scriptmode.script(copy.deepcopy(target))
    special = scriptmode.script(copy.deepcopy(target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jit = torch.jit.script(copy.deepcopy(peer))
    ways = {"eager": target, "torch.jit": jit, "generic": scripted, "special": special}
    steps = {way: step(f, arguments) for way, f in ways.items()}
    want = steps["eager"]()
    try:
        scriptmode.specialize(special, arguments, gradients=True)
        made = "and a special one"
    except scriptmode.ScriptError as error:
        made = f"and no special one: {error.__cause__ or error}"
    for run in steps.values():
        for _ in range(4):
            for a, b in zip(want, run(), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    number = {}
    for way, run in steps.items():
        start = time.perf_counter()
        run()
        number[way] = max(1, int(samples / (time.perf_counter() - start)))
    times: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(repeats):
        for way, run in steps.items():
            start = time.process_time()
            for _ in range(number[way]):
                run()
            times[way].append((time.process_time() - start) / number[way] * 1e6)
    ours = min(times["special"])
    reason = scripted._dispatcher.primary.gradients.reason
    print(f"{name}: " + (reason or f"a reverse program of its own, {made}"))
    for way, found in times.items():
        low, middle = min(found), statistics.median(found)
        print(f"  {way:10} {low:10.1f} {middle:10.1f}  x{low / ours:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.05, help="of one sample")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config.set("autodiff", True)
    config.set("specialize", "off")  # but where it is asked for
    for name in options.names or programs():
        measure(name, options.repeats, options.seconds)


if __name__ == "__main__":
    main()
