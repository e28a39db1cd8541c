"""Compiled modules in what surrounds training: hooks, checkpoints, autocast, several processes."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import scriptmode
from tests.autodiff.test_programs import Loop, Lstm


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x, n: int):
        h = self.a(x)
        for _ in range(n):
            h = torch.tanh(h) * h
        return self.b(h)


def pair():
    torch.manual_seed(0)
    eager = Net()
    return eager, scriptmode.script(copy.deepcopy(eager))


def grads(module):
    return [p.grad for p in module.parameters()]


def close(a, b, **tolerance):
    for x, y in zip(a, b, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            torch.testing.assert_close(y, x, **tolerance)


def both(run):
    eager, scripted = pair()
    for module in (eager, scripted):
        torch.manual_seed(1)
        run(module)
    close(grads(eager), grads(scripted))
    return eager, scripted


def test_accumulation_over_calls_and_retained_graphs():
    def run(module):
        x = torch.rand(3, 4)
        loss = module(x, 2).sum() + module(x, 1).square().sum()
        loss.backward(retain_graph=True)
        loss.backward()

    both(run)


def test_a_second_backward_without_retaining_is_an_error():
    _, scripted = pair()
    loss = scripted(torch.rand(3, 4), 2).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_frozen_parameters_and_hooks_of_leaves():
    seen = []

    def run(module):
        module.b.weight.requires_grad_(False)
        hook = module.a.weight.register_hook(lambda g: seen.append(g.clone()) or g * 2)
        module(torch.rand(3, 4), 2).sum().backward()
        hook.remove()

    both(run)
    torch.testing.assert_close(seen[0], seen[1])


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint_around(reentrant):
    def run(module):
        x = torch.rand(3, 4).requires_grad_()
        checkpoint(module, x, 2, use_reentrant=reentrant).sum().backward()
        assert x.grad is not None

    both(run)


def test_autocast_around():
    def run(module):
        with torch.autocast("cpu", torch.bfloat16):
            out = module(torch.rand(3, 4), 2)
        assert out.dtype == torch.bfloat16
        out.float().sum().backward()

    both(run)


def test_one_node_hangs_on_the_tape():
    _, scripted = pair()
    out = scripted(torch.rand(3, 4), 5)
    below = [f for f, _ in out.grad_fn.next_functions if f is not None]
    assert all(type(f).__name__ == "AccumulateGrad" for f in below)


def test_memory_stays_flat():
    scripted = scriptmode.script(Lstm())
    state = (torch.zeros(2, 4), torch.zeros(2, 4))

    def steps(n):
        for _ in range(n):
            scripted(torch.rand(6, 2, 3), state)[0].sum().backward()

    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * 4096

    steps(100)
    before = resident()
    steps(400)
    assert resident() - before < 8 * 2**20


WORKER = """
import copy, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
import scriptmode
from tests.autodiff.test_seamless import Net

rank, path = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
torch.manual_seed(0)
eager = Net()
modules = [eager, scriptmode.script(copy.deepcopy(eager))]
found = []
for module in modules:
    parallel = DistributedDataParallel(module)
    torch.manual_seed(rank)
    for _ in range(3):
        parallel(torch.rand(3, 4), 2).sum().backward()
    found.append([p.grad.clone() for p in module.parameters()])
for a, b in zip(*found):
    torch.testing.assert_close(a, b)
dist.destroy_process_group()
print("agrees")
"""


def test_two_processes_of_data(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    workers = [
        subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path / "store")],
                         env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]  # fmt: skip
    for worker in workers:
        out, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0 and "agrees" in out, errors[-2000:]


def test_gradients_from_several_threads():
    scripted = scriptmode.script(Loop())
    x, h = torch.rand(2, 4), torch.rand(2, 4)
    want = torch.autograd.grad(scripted(x, h, 3).sum(), list(scripted.parameters()))
    failures = []

    def work():
        for _ in range(20):
            got = torch.autograd.grad(scripted(x, h, 3).sum(), list(scripted.parameters()))
            try:
                close(want, got)
            except AssertionError as error:
                failures.append(error)

    import threading

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
