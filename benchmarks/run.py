"""Times of scriptmode beside eager PyTorch and torch.jit: one thread, interleaved, results checked.

Prints one table per program: minimum and median microseconds, and the ratio of the minima to
torch.jit's.  The cold part starts fresh processes and prints CPU seconds to the first result.
``benchmarks/run.py loop add`` runs only what it names.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

import scriptmode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import scalar as scalar_programs
from demo import Loop

Calls = dict[str, Callable[[], object]]


def five_ops(x, y):
    return torch.tanh(torch.relu(x * y) + x) - y


def add_one(x):
    return x + 1


def encoder() -> torch.nn.Module:
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    return torch.nn.TransformerEncoder(layer, 12, enable_nested_tensor=False).eval()


def torch_jit(target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(copy.deepcopy(target))


def sides(target, *args) -> Calls:
    """The same call three ways, checked to be equal."""
    ways = {
        "eager": target,
        "torch.jit": torch_jit(target),
        "scriptmode": scriptmode.script(target),
    }
    want = target(*args)
    calls: Calls = {}
    for name, way in ways.items():
        for _ in range(5):
            torch.testing.assert_close(way(*args), want)
        calls[name] = lambda way=way: way(*args)
    return calls


def interleaved(
    calls: Calls, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Microseconds per call, measured in turn; a sample takes about 5 ms."""
    number = {}
    for name, call in calls.items():
        start = clock()
        for _ in range(5):
            call()
        number[name] = max(1, int(5e-3 / ((clock() - start) / 5)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = clock()
            for _ in range(number[name]):
                call()
            times[name].append((clock() - start) / number[name] * 1e6)
    return times


def table(title: str, times: dict[str, list[float]], unit: str = "us", digits: int = 2) -> None:
    print(f"\n== {title} ==")
    print(f"{'':22}{'min ' + unit:>12}{'median':>12}{'vs torch.jit':>14}")
    base = min(times["torch.jit"])
    for name, values in times.items():
        print(f"{name:22}{min(values):12.{digits}f}{statistics.median(values):12.{digits}f}"
              f"{min(values) / base:13.2f}x")  # fmt: skip


def loop(repeats: int) -> None:
    x, h = torch.rand(3, 4), torch.rand(3, 4)
    for title, is_grad in (("no_grad", False), ("grad on", True)):
        with torch.set_grad_enabled(is_grad):
            table(f"Loop, n=100, {title}", interleaved(sides(Loop().eval(), x, h, 100), repeats))


def add(repeats: int) -> None:
    table("x + 1, one element", interleaved(sides(add_one, torch.ones(1)), repeats))


def five(repeats: int) -> None:
    x, y = torch.rand(16), torch.rand(16)
    table("five ops, 16 elements", interleaved(sides(five_ops, x, y), repeats))


def transformer(repeats: int) -> None:
    with torch.no_grad():
        calls = sides(encoder(), torch.rand(2, 16, 64))
        table("12-layer encoder, no_grad", interleaved(calls, repeats))


def scalar(repeats: int) -> None:
    """Programs of scalars and containers: CPython, torch.jit and plain C beside scriptmode.

    Process CPU time, for the machine may be shared; results are compared in the same run.
    """
    library = scalar_programs.c_limits()
    print("\n== scalar and container programs: us, ratios of the minima and of the medians ==")
    print(f"{'':15}{'scriptmode':>12}{'CPython':>10}{'torch.jit':>11}{'C':>9}"
          f"{'x CPython':>11}{'x jit':>8}{'/ C':>7}")  # fmt: skip
    for case in scalar_programs.cases():
        times = interleaved(scalar_calls(case, library), repeats, time.process_time)
        rows = [{k: pick(v) for k, v in times.items()} for pick in (min, statistics.median)]
        name = case.function.__name__
        print(f"{name:15}" + scalar_times(rows[0]) + scalar_ratios(rows[0])
              + "  " + scalar_ratios(rows[1]))  # fmt: skip


def scalar_calls(case: scalar_programs.Case, library: ctypes.CDLL | None) -> Calls:
    """The ways to run a program, checked to give the same."""
    want = case.function(*case.args)
    ways = {"scriptmode": scriptmode.script(case.function), "CPython": case.function}
    with contextlib.suppress(RuntimeError):  # it knows no recursion
        ways["torch.jit"] = torch_jit(case.function)
    calls: Calls = {}
    for name, way in ways.items():
        assert way(*case.args) == want, name
        calls[name] = lambda way=way: way(*case.args)
    if library is not None and case.c_args:
        calls["C"] = scalar_programs.c_call(library, case)
        assert calls["C"]() == case.measure(want), "C"
    return calls


def scalar_times(row: dict[str, float]) -> str:
    widths = {"scriptmode": 12, "CPython": 10, "torch.jit": 11, "C": 9}
    return "".join(
        f"{row[k]:{w}.1f}" if k in row else f"{'-':>{w}}" for k, w in widths.items()
    )  # fmt: skip


def scalar_ratios(row: dict[str, float]) -> str:
    ours = row["scriptmode"]
    parts = [f"{row['CPython'] / ours:11.1f}"]
    parts.append(f"{row['torch.jit'] / ours:8.1f}" if "torch.jit" in row else f"{'-':>8}")
    parts.append(f"{ours / row['C']:7.2f}" if "C" in row else f"{'-':>7}")
    return "".join(parts)


COLD = {
    "12-layer encoder": "m, a = run.encoder(), (torch.rand(2, 16, 64),)",
    "five ops": "m, a = run.five_ops, (torch.rand(16), torch.rand(16))",
}
COMPILE = {"torch.jit": "c = run.torch_jit(m)", "scriptmode": "c = scriptmode.script(m)"}
CHILD = """
import sys, time, torch
sys.path.insert(0, {here!r})
import run, scriptmode
torch.set_num_threads(1)
torch.set_grad_enabled(False)
{make}
want = m(*a)
t = time.process_time()
{compile}
got = c(*a)
t = time.process_time() - t
torch.testing.assert_close(got, want)
print(t)
"""


def cold(repeats: int) -> None:
    """CPU seconds from ``script`` to the first result, in fresh processes."""
    for title, make in COLD.items():
        times: dict[str, list[float]] = {name: [] for name in COMPILE}
        for _ in range(max(2, repeats // 5)):
            for name, how in COMPILE.items():
                here = str(Path(__file__).parent)
                code = CHILD.format(here=here, make=make, compile=how)
                done = subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", code],
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                times[name].append(float(done.stdout))
        table(f"{title}: compile and first result", times, "CPU s", 3)


BENCHMARKS = {f.__name__: f for f in (loop, add, five, transformer, scalar, cold)}


def chosen() -> Iterator[tuple[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(BENCHMARKS))
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    for name in options.names or BENCHMARKS:
        yield name, options.repeats


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, scriptmode {scriptmode.__version__}, one thread")
    for benchmark, count in chosen():
        BENCHMARKS[benchmark](count)
