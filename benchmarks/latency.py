"""Latency of calls while special code is made in the background: ours and eager's, interleaved.

Blocks of calls of the compiled program and of the eager one take turns, from the first call of the
compiled one until some time after a version was made; with ``--busy`` another Python thread counts
all the while.  Results are compared in the same run.  Prints for each way the median, p99, p99.9,
the longest call and a histogram, and p99.9 over the median, whose ratio to eager's should be at
most 1.5.  ``benchmarks/latency.py chain newton`` measures only what it names.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from special import programs

import scriptmode
from scriptmode.support import config

EDGES = (1e-5, 1e-4, 1e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)


def busy(ends: threading.Event) -> None:
    """Hold the GIL as often as it can be had."""
    count = 0
    while not ends.is_set():
        count += 1


def block(call: Callable[[], Any], times: list[float], seconds: float) -> Any:
    """Take the times of calls one by one; the last result."""
    until = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        result = call()
        now = time.perf_counter()
        times.append(now - start)
        if now >= until:
            return result


def percentile(times: list[float], share: float) -> float:
    """The time that a share of the calls is within."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def show(way: str, times: list[float]) -> float:
    """Print what calls took; p99.9 over the median."""
    median, tail = percentile(times, 0.5), percentile(times, 0.999)
    counts = [
        sum(a <= t < b for t in times) for a, b in zip((0, *EDGES), (*EDGES, 1e9), strict=True)
    ]
    print(
        f"  {way:9} {len(times):7} calls: median {1e6 * median:9.1f} us, "
        f"p99 {1e6 * percentile(times, 0.99):9.1f}, p99.9 {1e6 * tail:9.1f}, "
        f"longest {1e3 * max(times):6.2f} ms; {counts}",
        flush=True,
    )
    return tail / median


def measure(name: str, seconds: float, is_busy: bool) -> None:
    """Interleave blocks until ``seconds`` after the version was made."""
    function, arguments = programs()[name]
    expected = function(*arguments)
    compiled = scriptmode.script(function)
    torch.testing.assert_close(compiled(*arguments), expected, rtol=1e-3, atol=1e-4)
    ours: list[float] = []
    eager: list[float] = []
    ends = threading.Event()
    thread = threading.Thread(target=busy, args=(ends,))
    if is_busy:
        thread.start()
    start = time.perf_counter()
    made = 0.0
    try:
        while not made or time.perf_counter() < made + seconds:
            result = block(lambda: compiled(*arguments), ours, 0.02)
            torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)
            block(lambda: function(*arguments), eager, 0.02)
            if compiled.versions and not made:
                made = time.perf_counter()
            if not made and time.perf_counter() > start + 60:
                break
    finally:
        ends.set()
        if is_busy:
            thread.join()
    print(f"{name}{', busy thread' if is_busy else ''}: a version after {made - start:.2f} s")
    ratio = show("compiled", ours) / show("eager", eager)
    tails = percentile(ours, 0.999) / percentile(eager, 0.999)
    print(f"  p99.9 is {tails:.2f} of eager's, over the median {ratio:.2f} of eager's", flush=True)


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(prog="benchmarks/latency.py")
    parser.add_argument("names", nargs="*", choices=[[], *programs()], default=[])
    parser.add_argument("--seconds", type=float, default=3.0, help="after a version was made")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    print(f"histograms: up to {', '.join(f'{1e3 * e:g}' for e in EDGES)} ms, and more")
    with torch.no_grad(), config.override(specialize="background"):
        for name in options.names or programs():
            for is_busy in (False, True):
                measure(name, options.seconds, is_busy)


if __name__ == "__main__":
    main()
