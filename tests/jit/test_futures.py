"""fork, wait and deferred calls: results, errors, threads, what crosses to Python."""

import ctypes
import os
import signal
import threading
from typing import Dict, List, Optional, Tuple  # noqa: UP035

import pytest
import torch
from torch import nn

import scriptmode
from scriptmode.analysis.tasks import is_independent
from scriptmode.jit.pipeline import optimize
from scriptmode.runtime import nativelib
from tests.fourway import check

Future = scriptmode.Future
X = torch.linspace(-1, 1, 6).reshape(2, 3)


def steps(x, n: int):
    for _ in range(n):
        x = torch.tanh(x) + 1
    return x


def pair(x, n: int):
    return steps(x, n), n + 1


def test_results_of_tasks():
    def f(x):
        a = scriptmode.fork(pair, x, 3)
        b = scriptmode.fork(pair, n=2, x=x)
        c = scriptmode.fork(lambda: None)
        scriptmode.wait(c)
        return a.wait()[0] + scriptmode.wait(b)[0], a.wait()[1] + b.value()[1]

    check(f, (X,))


def test_futures_in_containers_and_loops():
    def f(x, n: int):
        futures: List[Future[torch.Tensor]] = []
        for i in range(n):
            futures.append(scriptmode.fork(steps, x, i % 4))
        named: Dict[str, Future[torch.Tensor]] = {"last": futures[-1]}
        total = torch.zeros_like(x)
        for future in futures:
            total = total + future.wait()
        return total + named["last"].wait()

    check(f, (X, 1), (X, 50))


def test_nested_tasks():
    def fib(n: int) -> int:
        if n < 2:
            return n
        a = scriptmode.fork(fib, n - 1)
        b = fib(n - 2)
        return a.wait() + b

    def tree(x, depth: int) -> torch.Tensor:
        if depth == 0:
            return x
        left = scriptmode.fork(tree, x + 1, depth - 1)
        right = scriptmode.fork(tree, x * 2, depth - 1)
        return left.wait() + right.wait()

    check(fib, (12,))
    check(tree, (X, 6))


def test_what_tasks_may_touch():
    """State, arguments and random numbers are as if every task ran where it is made."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)
            self.norm = nn.BatchNorm1d(3)
            self.calls = 0
            self.seen = [0]

        def count(self, x, by: int):
            self.calls += by
            self.seen.append(by)
            return self.linear(x)

        def forward(self, x, log: List[str]):
            a = scriptmode.fork(self.linear, x)
            b = scriptmode.fork(self.norm, x)
            c = scriptmode.fork(self.count, x, 2)
            d = scriptmode.fork(self.count, x, by=self.calls)
            e = scriptmode.fork(lambda y: log.append(str(len(log))), x)
            e.wait()
            noise = scriptmode.fork(torch.rand, 3)
            return a.wait() + b.wait() + c.wait() * d.wait() + noise.wait(), self.calls, self.seen

    check(Net(), (X, ["a"]))


def test_gradients_go_through_tasks():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            futures = [scriptmode.fork(self.linear, x * i) for i in range(4)]
            with torch.no_grad():
                late = scriptmode.fork(self.linear, x)
                first = futures[0].wait() + 0
            return futures[1].wait() + futures[2].wait() * futures[3].wait(), late.wait(), first

    net = Net()
    compiled = scriptmode.script(net)
    want, got = net(X), compiled(X)
    assert [w.requires_grad for w in want] == [g.requires_grad for g in got] == [True, False, False]
    want[0].sum().backward()
    grads = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    got[0].sum().backward()
    for p, grad in zip(net.parameters(), grads, strict=True):
        torch.testing.assert_close(p.grad, grad)


def test_errors_arrive_where_they_are_waited_for():
    def bad(n: int) -> int:
        if n > 2:
            raise ValueError(f"too large: {n}")
        return n

    def f(n: int) -> int:
        a = scriptmode.fork(bad, n)
        b = scriptmode.fork(bad, 7)  # nobody waits
        done = 0 if b.done() else 1
        return a.wait() + min(done, 0)

    check(f, (1,), (3,))

    def g(x):
        return scriptmode.fork(torch.mm, x, x).wait()

    check(g, (X,))
    with pytest.raises(RuntimeError) as caught:
        scriptmode.script(g)(X)
    assert any("fork(torch.mm, x, x)" in note for note in caught.value.__notes__)


def test_futures_that_are_returned():
    def f(x, fail: bool):
        def task(y):
            if fail:
                raise KeyError("no")
            return y + 1

        return scriptmode.fork(task, x), scriptmode._awaitable(steps, x, 2)

    compiled = scriptmode.script(f)
    first, second = compiled(X, False)
    assert isinstance(first, Future) and first.done()
    torch.testing.assert_close(first.wait(), X + 1)
    torch.testing.assert_close(second.wait(), steps(X, 2))
    first, _ = compiled(X, True)
    for _ in range(2):
        with pytest.raises(KeyError, match="no"):
            first.wait()


@pytest.mark.bails_out
def test_futures_that_are_passed():
    def f(one: Future[torch.Tensor], many: List[Future[int]]) -> Tuple[torch.Tensor, int]:
        return one.wait() + 1, sum([m.wait() for m in many])

    compiled = scriptmode.script(f)
    arguments = scriptmode.fork(torch.neg, X), [scriptmode.fork(len, "abc"), Future.of(4)]
    value, total = compiled(*arguments)
    torch.testing.assert_close(value, 1 - X)
    assert total == 7


def test_deferred_calls_run_when_they_are_waited_for():
    def f(x, log: List[int], use: bool):
        def task(y):
            log.append(1)
            return y + len(log)

        a = scriptmode._awaitable(task, x)
        b = scriptmode._awaitable_nowait(x)
        log.append(0)
        result = scriptmode._awaitable_wait(b)
        if use:
            result = scriptmode._awaitable_wait(a) + a.wait()
        return result

    check(f, (X, [], True), (X, [], False))


def test_eager_functions_and_compiled_ones_are_forked_from_python():
    compiled = scriptmode.script(steps)
    assert torch.equal(scriptmode.fork(compiled, X, 2).wait(), steps(X, 2))
    failed = scriptmode.fork(lambda: 1 // 0)
    assert failed.done()
    with pytest.raises(ZeroDivisionError):
        scriptmode.wait(failed)
    lazy = scriptmode._awaitable(lambda: 3)
    assert not lazy.done() and lazy.wait() == 3
    with pytest.raises(RuntimeError, match="not done"):
        scriptmode._awaitable(lambda: 3).value()


def test_older_names_are_recognised_in_compiled_code():
    def task(x: Optional[torch.Tensor], n: int = 1) -> torch.Tensor:
        return torch.zeros(2, 3) if x is None else x * n

    def f(x):
        a: torch.jit.Future[torch.Tensor] = torch.jit.fork(task, x, n=3)
        b = torch.jit._awaitable(task, None)
        return torch.jit.wait(a) + torch.jit._awaitable_wait(b)

    torch.testing.assert_close(scriptmode.script(f)(X), 3 * X)


def test_what_is_no_future_is_refused():
    with pytest.raises(scriptmode.CompileError, match="no future"):
        scriptmode.script(lambda x: scriptmode.wait(x))
    with pytest.raises(scriptmode.CompileError, match="has no attribute `then`"):
        scriptmode.script(lambda x: scriptmode.fork(steps, x, 1).then(steps))


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        (lambda x: torch.tanh(x) + 1, True),
        (lambda x: [x, x + 1][0].add_(1), False),
        (lambda x: x.relu_(), False),
        (lambda x: torch.rand_like(x), False),
        (lambda x: [print("here"), x][1], False),
        (lambda x: torch.nn.functional.dropout(x, 0.5, True), False),
    ],
)
def test_only_tasks_that_nobody_can_notice_run_in_other_threads(task, wanted):
    compiled = scriptmode.script(lambda x: scriptmode.fork(task, x).wait())
    program = optimize(compiled.__scriptmode_ir__()[0])
    (fork,) = [n for g in program.functions.values() for n in g.find_all("prim::Fork")]
    assert is_independent(program, fork) is wanted


def many(x, n: int):
    futures = [scriptmode.fork(steps, x, i % 5) for i in range(n)]
    total = torch.zeros_like(x)
    for future in futures:
        total = total + future.wait()
    return total


def test_thousands_of_tasks_from_several_threads():
    compiled = scriptmode.script(many)
    want = many(X, 1000)
    results = []

    def call():
        results.append(compiled(X, 1000))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for result in results:
        torch.testing.assert_close(result, want)


def test_tasks_in_a_forked_process():
    compiled = scriptmode.script(many)
    want = compiled(X, 50)
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.allclose(compiled(X, 50), want) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_forked_process_leaves_the_pool_alone():
    """Its threads are the parent's; one may have held its lock, and nobody takes tasks from it."""
    compiled = scriptmode.specialize(scriptmode.script(many), (X, 50))
    want = compiled(X, 50)
    assert ctypes.c_int64.from_address(nativelib.address("sm_pool_is_used")).value
    for _ in range(10):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            before = nativelib.live_tensors()
            same = torch.allclose(compiled(X, 50), want)
            os._exit(0 if same and nativelib.live_tensors() == before else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_exceptions_that_are_objects_can_be_caught_around_a_wait():
    class Bad(Exception):
        pass

    def task(n: int) -> int:
        try:
            if n == 1:
                raise Bad("one")
            return 10 // n
        except ZeroDivisionError:
            return -1

    def f(n: int):
        future = scriptmode.fork(task, n)
        seen: List[str] = []
        for _ in range(2):
            try:
                seen.append(str(future.wait()))
            except Bad as error:
                seen.append(str(error))
        return seen

    check(f, (0,), (1,), (2,))


@torch.library.custom_op("scriptmode_futures::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_ops_written_in_python_stay_in_their_thread():
    def f(x):
        futures = [scriptmode.fork(twice, x + i) for i in range(20)]
        texts = [scriptmode.fork(str, x + i) for i in range(3)]
        return [future.wait() for future in futures], [text.wait() for text in texts]

    compiled = scriptmode.script(f)
    want, got = f(X), compiled(X)
    torch.testing.assert_close(got[0], want[0])
    assert got[1] == want[1]


def test_futures_of_objects_that_may_be_parts_of_cycles():
    class Item:
        def __init__(self, n: int):
            self.n = n
            self.other: Optional[Item] = None

    def make(n: int) -> Item:
        item = Item(n)
        item.other = item
        return item

    def f(n: int) -> int:
        total = 0
        for i in range(n):
            future = scriptmode.fork(make, i)
            item = future.wait()
            assert item.other is not None
            total += item.other.n
        return total

    assert scriptmode.script(f)(300) == f(300)
