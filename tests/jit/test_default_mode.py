"""With the options that users have: special code comes by itself, and nothing else changes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest
import torch
from torch import nn

import scriptmode
from scriptmode.jit.background import background
from scriptmode.support import config
from tests.fourway import clone, same

SHORT = 0.002  # seconds that calls take before special code is made, so that a test need not wait
CALLS = 3000


@pytest.fixture(autouse=True)
def defaults():
    """Those of the options that decide about special code, but for the time to wait."""
    names = ("specialize", "specialize_calls", "max_versions")
    options = {name: config.OPTIONS[name].default for name in names}
    with config.override(**options, specialize_seconds=SHORT):
        yield
    background.wait()


def test_special_code_is_made_in_the_background():
    assert config.get("specialize") == "background"


def gate(x, y):
    z = torch.tanh(x) * 2 + y
    if z.sum() > 0:
        return z
    return z - y


def counting(x, steps: int):
    found: list[int] = []
    for i in range(steps):
        x = x * 0.5 + 1
        if x.max() > 1.9:
            found.append(i)
    return x, found


def in_place(x, y):
    for i in range(3):
        x[i] += y
    return x.sum()


def failing(x, limit: float):
    y = torch.exp(x)
    if y.sum() > limit:
        raise ValueError(f"more than {limit}")
    return y


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("total", torch.zeros(3))
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        y = torch.relu(self.linear(x)) + self.calls
        self.total += y.detach().sum(0)
        return y


def outcome(f, arguments):
    try:
        return f(*arguments), arguments
    except ValueError as error:
        return str(error), arguments


def call_until_special(f, eager, draw, until=None):
    """Compare each call with eager's until a version has been hit; that number of calls more."""
    is_done = until or (lambda: any(version.hits > 2 for version in f.versions))
    for number in range(CALLS):
        given = draw()
        own = clone(given)
        same(outcome(eager, given), outcome(f, own), rtol=1e-5, atol=1e-5)
        if number % 16 == 15:
            background.wait()
            if is_done():
                return
    raise AssertionError("no special code has run")


PROGRAMS = {
    "gate": (gate, lambda: (torch.randn(4), torch.randn(4))),
    "counting": (counting, lambda: (torch.rand(5) * 4, 6)),
    "in_place": (in_place, lambda: (torch.rand(3, 4), torch.rand(4))),
    "failing": (failing, lambda: (torch.randn(6), 12.0)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_calls_equal_eager_before_and_behind_the_swap(name):
    function, draw = PROGRAMS[name]
    call_until_special(scriptmode.script(function), function, draw)


@pytest.mark.parametrize("needs_grad", [False, True])
def test_a_module_with_state(needs_grad):
    eager = Counter()
    compiled = scriptmode.script(clone(eager))
    with torch.set_grad_enabled(needs_grad):
        for number in range(400):
            x = torch.rand(2, 3)
            a, b = eager(x), compiled(x)
            same(a, b, rtol=1e-5, atol=1e-5)
            if needs_grad:
                a.sum().backward()
                b.sum().backward()
            if number % 64 == 63:
                background.wait()
    assert compiled.calls == eager.calls == 400
    same(eager.total, compiled.total, rtol=1e-5, atol=1e-3)
    if needs_grad:
        grads = [(p.grad, q.grad) for p, q in zip(eager.parameters(), compiled.parameters())]
        for a, b in grads:
            same(a, b, rtol=1e-4, atol=1e-4)


def test_traced_functions_too():
    def chain(x, y):
        return torch.relu(torch.tanh(x * y + 1) - y) / 2

    traced = scriptmode.trace(chain, (torch.rand(4), torch.rand(4)))
    call_until_special(traced, chain, lambda: (torch.randn(4), torch.randn(4)))


def test_sizes_that_change_all_the_time_stay_generic():
    f = scriptmode.script(gate)
    sizes = iter(range(1, 100_000))

    def draw():
        size = next(sizes)
        return torch.randn(size), torch.randn(size)

    until = iter([False] * 20 + [True])
    call_until_special(f, gate, draw, until=lambda: next(until))
    assert not f.versions and scriptmode.bailout_count() == 0


def test_threads_call_while_the_version_is_made():
    f = scriptmode.script(gate)
    errors: list[BaseException] = []

    def work(seed):
        torch.manual_seed(seed)
        try:
            for _ in range(300):
                x, y = torch.randn(4), torch.randn(4)
                same(gate(x, y), f(x, y), rtol=1e-5, atol=1e-5)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    background.wait()
    assert not errors
    call_until_special(f, gate, PROGRAMS["gate"][1])


# ---- processes of their own, without any option


def run(tmp_path, code, **options):
    (tmp_path / "program.py").write_text(
        textwrap.dedent(
            """
            import torch

            def chain(x, y):
                return torch.relu(torch.tanh(x * y + 1) - y) / 2

            def loop(x, y):
                for _ in range(50):
                    x = chain(x, y)
                return x
            """
        )
    )
    head = """
        import os, sys, threading, time
        sys.path.insert(0, {folder!r})
        import torch, scriptmode, program
        torch.set_num_threads(1)
        x, y = torch.rand(8), torch.rand(8)
    """.format(folder=str(tmp_path))
    env = {k: v for k, v in os.environ.items() if not k.startswith("SCRIPTMODE_SPECIALIZE")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(code)],
        env=env | options, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_a_short_script_starts_nothing(tmp_path):
    done = run(
        tmp_path,
        """
        f = scriptmode.script(program.chain)
        for _ in range(20):
            assert (f(x, y) - program.chain(x, y)).abs().max() < 1e-6
        names = [thread.name for thread in threading.enumerate()]
        print(names, [name for name in ("sympy", "torch._dynamo") if name in sys.modules])
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "['MainThread'] []\n", "")


def test_a_hot_function_gets_special_code(tmp_path):
    done = run(
        tmp_path,
        """
        f, expected = scriptmode.script(program.loop), program.loop(x, y)
        ends = time.monotonic() + 200
        while not (f.versions and f.versions[0].hits) and time.monotonic() < ends:
            assert torch.allclose(f(x, y), expected)
        print(len(f.versions), f.versions[0].guards)
        """,
    )
    wanted = "1 ['x is float32[8]', 'y is float32[8]']\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")


def test_a_process_ends_while_special_code_is_made(tmp_path):
    done = run(
        tmp_path,
        """
        f = scriptmode.script(program.loop)
        ends = time.monotonic() + 200
        while threading.active_count() == 1 and time.monotonic() < ends:
            f(x, y)
        print(threading.active_count())
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")


def test_forks_while_special_code_is_made(tmp_path):
    done = run(
        tmp_path,
        """
        f, expected = scriptmode.script(program.loop), program.loop(x, y)
        ends = time.monotonic() + 200
        while threading.active_count() == 1 and time.monotonic() < ends:
            f(x, y)
        codes = []
        for _ in range(8):
            child = os.fork()
            if child == 0:
                for _ in range(20):
                    assert torch.allclose(f(x, y), expected)
                os._exit(7)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            f(x, y)
        print(codes)
        """,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{[7] * 8}\n", "")
