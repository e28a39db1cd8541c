"""The main job: trace and script a module with a data-dependent branch, and time its loop.

Prints the trace's warning, what each front end made of the program, and a table of the scripted
loop against eager PyTorch and torch.jit (results checked equal in the same run).
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import torch

import scriptmode


class MyDecisionGate(torch.nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


class MyCell(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dg = MyDecisionGate()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, h):
        return torch.tanh(self.dg(self.linear(x)) + h)


class Loop(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = MyCell()

    def forward(self, x, h, n: int):
        for _ in range(n):
            h = self.cell(x, h)
        return h


def interleaved(
    functions: dict[str, Callable[[], object]], repeats: int = 15
) -> dict[str, list[float]]:
    """Microseconds per call of each function, measured in turn."""
    for function in functions.values():
        for _ in range(5):
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(10):
                function()
            times[name].append((time.perf_counter() - start) / 10 * 1e6)
    return times


def show_both_front_ends() -> None:
    cell, x, h = MyCell().eval(), torch.rand(3, 4), torch.rand(3, 4)
    print("== trace: one run is recorded; the branch is frozen, and says so ==")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        traced = scriptmode.trace(cell, (x, h))
    for warning in caught:
        print(f"{warning.category.__name__}: {warning.message}")
    print(traced)
    print(traced.graph)
    print(traced.code)
    print("== script: the source is compiled; the branch stays ==")
    scripted = scriptmode.script(cell)
    print(scripted)
    print(scripted.graph)
    print(scripted.code)
    for name, compiled in (("trace", traced), ("script", scripted)):
        torch.testing.assert_close(compiled(x, h), cell(x, h))
        print(f"{name}: equal to eager on the example input")
    down = -torch.ones(3, 4) * 9
    torch.testing.assert_close(scripted(down, h), cell(down, h))
    print("script: equal to eager on the other branch too")


def time_the_loop(n: int = 100) -> None:
    torch.set_num_threads(1)
    loop = Loop().eval()
    x, h = torch.rand(3, 4), torch.rand(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = torch.jit.script(loop)
    ours = scriptmode.script(loop)
    with torch.no_grad():
        want = loop(x, h, n)
        torch.testing.assert_close(ours(x, h, n), want)
        torch.testing.assert_close(peer(x, h, n), want)
        times = interleaved(
            {
                "eager": lambda: loop(x, h, n),
                "torch.jit": lambda: peer(x, h, n),
                "scriptmode": lambda: ours(x, h, n),
            }
        )
    print(f"\n== Loop, n={n}, under no_grad, one thread, results equal ==")
    print(f"{'':12}{'min us':>10}{'median us':>12}{'vs torch.jit':>14}")
    base = min(times["torch.jit"])
    for name, values in times.items():
        print(f"{name:12}{min(values):10.0f}{statistics.median(values):12.0f}"
              f"{min(values) / base:13.2f}x")  # fmt: skip


if __name__ == "__main__":
    torch.manual_seed(0)
    show_both_front_ends()
    time_the_loop()
