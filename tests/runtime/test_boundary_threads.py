"""Threads, the GIL, Ctrl-C, fork."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time

import torch

from scriptmode.runtime.boundary import keeps_gil, native_calls
from tests.runtime.entries import alive, entry

SPIN = """graph f(%n: int) -> int:
  %t: bool = prim::Constant[value=True]()
  %zero: int = prim::Constant[value=0]()
  %r: int = prim::Loop(%n, %t, %zero)
    block0(%i: int, %s: int):
      %u: int = int::xor(%s, %i)
      -> (%t, %u)
  return (%r)
"""
TENSORS = """graph f(%x: Tensor, %n: int) -> Tensor:
  %one: int = prim::Constant[value=1]()
  %t: bool = prim::Constant[value=True]()
  %r: Tensor = prim::Loop(%n, %t, %x)
    block0(%i: int, %h: Tensor):
      %k: Tensor = aten::add.Scalar(%h, %one, %one)
      -> (%t, %k)
  return (%r)
"""


def test_python_thread_ticks_during_a_native_loop():
    f = entry(TENSORS)
    x = torch.zeros(1)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    while not ticks:
        time.sleep(0.001)
    start = time.perf_counter()
    assert f(x, 100_000).item() == 100_000
    end = time.perf_counter()
    stop.set()
    thread.join()
    during = [t for t in ticks if start < t < end]
    assert end - start > 0.05 and len(during) >= 3


def test_call_that_keeps_the_gil_lets_it_go_when_it_runs_long():
    f = entry(TENSORS)
    x = torch.zeros(1)
    while not keeps_gil(f):
        f(x, 0)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.005)

    thread = threading.Thread(target=tick)
    thread.start()
    while not ticks:
        time.sleep(0.001)
    start = time.perf_counter()
    f(x, 200_000)
    end = time.perf_counter()
    stop.set()
    thread.join()
    during = [t for t in ticks if start + 0.15 < t < end]
    assert len(during) >= 3
    f(x, 10_000)
    for _ in range(20):
        f(x, 10_000)
    assert not keeps_gil(f)


def test_threads_call_while_others_build_and_drop():
    f = entry(TENSORS)
    errors, stop = [], threading.Event()
    gc.collect()
    before = alive()

    def call():
        x = torch.zeros(2)
        try:
            while not stop.is_set():
                assert f(x, 20).tolist() == [20, 20]
                assert x._use_count() == 1
        except BaseException as error:
            errors.append(error)

    def build():
        x = torch.ones(1)
        try:
            while not stop.is_set():
                g = entry(TENSORS)
                assert g(x, 3).item() == 4
                del g
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=t) for t in [call] * 8 + [build] * 2]
    for thread in threads:
        thread.start()
    time.sleep(2)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert native_calls(f) > 100
    gc.collect()
    assert alive() == before


def test_entry_dropped_while_it_runs():
    holder = [entry(TENSORS)]
    results = []
    thread = threading.Thread(target=lambda: results.append(holder[0](torch.zeros(1), 50_000)))
    thread.start()
    time.sleep(0.02)
    holder.clear()
    gc.collect()
    thread.join()
    assert results[0].item() == 50_000


def run_child(code, **options):
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def test_keyboard_interrupt_ends_a_native_loop():
    done = run_child(
        f"""
        import os, signal, threading, time
        import torch
        from tests.runtime.entries import alive, entry
        f = entry({TENSORS!r})
        x = torch.zeros(1)
        f(x, 3)
        before = alive()
        sent = []
        def interrupt():
            time.sleep(0.3)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            f(x, 1 << 40)
        except KeyboardInterrupt as error:
            late = time.perf_counter() - sent[0]
            print("interrupted", late < 0.5, alive() == before, x._use_count(), f(x, 2).item())
        """
    )
    assert done.stdout.split() == ["interrupted", "True", "True", "1", "2.0"], done.stderr


def test_interrupt_of_a_loop_without_tensors():
    done = run_child(
        f"""
        import os, signal, threading, time
        from tests.runtime.entries import entry
        f = entry({SPIN!r})
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            f(1 << 62)
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert done.stdout == "interrupted\n", done.stderr


def test_forked_child_can_call_and_be_interrupted():
    done = run_child(
        f"""
        import os, signal, threading, time
        import torch
        torch.set_num_threads(1)
        from tests.runtime.entries import entry
        f = entry({TENSORS!r})
        f(torch.zeros(1), 1000)
        pid = os.fork()
        if pid == 0:
            assert f(torch.zeros(1), 10).item() == 10
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try:
                f(torch.zeros(1), 1 << 40)
            except KeyboardInterrupt:
                os._exit(7)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), f(torch.zeros(1), 5).item())
        """
    )
    assert done.stdout == "7 5.0\n", done.stderr


def test_process_ends_while_threads_are_inside():
    done = run_child(
        f"""
        import threading, time
        import torch
        from tests.runtime.entries import entry
        f, g = entry({TENSORS!r}), entry({SPIN!r})
        for _ in range(4):
            threading.Thread(target=lambda: f(torch.zeros(1), 1 << 40), daemon=True).start()
        threading.Thread(target=lambda: g(1 << 62), daemon=True).start()
        time.sleep(0.2)
        print("end")
        """
    )
    assert done.stdout == "end\n" and done.returncode == 0, (done.returncode, done.stderr)


def test_errors_of_cpp_still_end_the_process():
    done = run_child(
        f"""
        import ctypes, resource, threading
        import torch
        from tests.runtime.entries import entry
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        entry({TENSORS!r})(torch.zeros(1), 3)
        terminate = ctypes.CDLL("libstdc++.so.6")["_ZSt9terminatev"]
        thread = threading.Thread(target=terminate, daemon=True)
        thread.start()
        thread.join()
        """
    )
    assert done.returncode == -signal.SIGABRT, (done.returncode, done.stderr)


def test_too_deep_recursion_is_an_error():
    f = entry(
        """graph f(%x: Tensor) -> Tensor:
  %y: Tensor = prim::Call[callee="f"](%x)
  return (%y)
"""
    )

    def check():
        try:
            f(torch.ones(1))
        except RecursionError:
            results.append(True)

    results = []
    check()
    for size in (1 << 18, 1 << 20):
        threading.stack_size(size)
        try:
            thread = threading.Thread(target=check)
            thread.start()
            thread.join()
        finally:
            threading.stack_size(0)
    assert results == [True] * 3
