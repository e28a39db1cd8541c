"""One compiled module with state, called by several threads: calls take turns."""

import os
import threading
from typing import List  # noqa: UP035

import torch
from torch import nn

import scriptmode

X = torch.ones(1)


class Log(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = [1]
        self.named = {"a": 1}
        self.text = "x"
        self.calls = 0

    def forward(self, x, n: int):
        for i in range(n):
            self.items.append(i)
            self.named[str(i % 50)] = i
            self.text = self.text[-3:] + str(i)
            if len(self.items) > 100:
                self.items = [1]
        self.calls += 1
        return x + len(self.items) + len(self.named)


def run_threads(body, n):
    errors = []

    def guarded():
        try:
            body()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not errors, errors


def test_calls_of_one_module_from_several_threads():
    log = scriptmode.script(Log())

    def body():
        for _ in range(30):
            log(X, 500)
            assert log.named["a"] == 1 and len(log.text) > 1
            log.text = "fresh"

    run_threads(body, 4)
    assert log.calls == 120 and len(log.named) == 51


def test_a_call_may_come_back_to_its_module():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen = [0]

        @scriptmode.ignore
        def back(self, n: int) -> int:
            return compiled.add(n)

        def forward(self, n: int) -> int:
            self.seen.append(n)
            return self.back(n) if n > 0 else len(self.seen)

        @scriptmode.export
        def add(self, n: int) -> int:
            self.seen.append(n)
            return len(self.seen)

    compiled = scriptmode.script(Nested())
    assert compiled(1) > 0
    run_threads(lambda: [compiled(1) for _ in range(20)], 3)
    compiled = None  # the class refers to it


def test_other_threads_go_on_while_a_call_runs_python_code():
    entered, leave = threading.Event(), threading.Event()

    class Waiting(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen: List[int] = []

        @scriptmode.ignore
        def pause(self, n: int) -> int:
            entered.set()
            assert leave.wait(60)
            return n

        def forward(self, n: int) -> int:
            self.seen.append(n)
            return self.pause(n)

        @scriptmode.export
        def size(self) -> int:
            return len(self.seen)

    compiled = scriptmode.script(Waiting())
    thread = threading.Thread(target=lambda: compiled(3))
    thread.start()
    assert entered.wait(60)
    assert compiled.size() == 1
    leave.set()
    thread.join(60)
    assert not thread.is_alive()


def test_turns_are_free_in_a_forked_process():
    log = scriptmode.script(Log())
    log(X, 10)
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            log(X, 2000)

    thread = threading.Thread(target=busy)
    thread.start()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if log(X, 10).item() > 0 else 1)
        children.append(child)
    results = [os.waitpid(child, 0)[1] for child in children]
    stop.set()
    thread.join(60)
    assert results == [0, 0, 0]
