"""Memory of the process stays level, and collections and forks do not meet."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from typing import DefaultDict, Deque, Dict, List, Optional, Set

import scriptmode
from tests.runtime.entries import resident_bytes

BOUND = 8 << 20  # bytes; other threads of the process allocate too


class Node:
    def __init__(self, number: int):
        self.number = number
        self.next: Optional[Node] = None
        self.children: List[Node] = []


def build_everything(n: int) -> int:
    numbers: List[int] = [n, 2, 3]
    lists: Dict[str, List[int]] = {"x": numbers, str(n): [n]}
    names: Set[str] = {str(n), "q"}
    ends: Deque[int] = deque([1, n])
    frozen = frozenset([n, 5])
    ordered: OrderedDict[int, str] = OrderedDict()
    ordered[n] = str(n)
    grouped: DefaultDict[str, List[int]] = defaultdict(list)
    grouped[str(n)].append(n)
    counted = Counter([n, n, 3])
    node = Node(n)
    node.next = node
    node.children.append(node)
    keyed = {(n, "a"): node}
    coded = str(n).encode()
    later = lambda k: k + n  # noqa: E731
    if n % 100 == 7:
        try:
            raise ValueError(str(n))
        except ValueError as error:
            return len(str(error))
    sizes = len(numbers) + len(lists) + len(names) + len(ends) + len(frozen) + len(ordered)
    return sizes + len(grouped) + len(counted) + len(coded) + later(len(keyed))


def build_rings(n: int) -> int:
    total = 0
    for i in range(n):
        node = Node(i)
        node.next = node
        total += node.number
    return total


def test_memory_stays_level():
    f = scriptmode.script(build_everything)
    for n in range(1000):
        assert f(n) == build_everything(n)
    before = resident_bytes()
    for n in range(30_000):
        f(n % 1000)
    assert resident_bytes() - before < BOUND


def test_threads_that_end_leave_nothing():
    f = scriptmode.script(build_everything)

    def work():
        for n in range(100):
            f(n)

    def run_threads(count):
        for _ in range(count):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()

    run_threads(10)
    before = resident_bytes()
    run_threads(200)
    assert resident_bytes() - before < BOUND


def test_forks_wait_for_collections():
    f = scriptmode.script(build_rings)
    assert f(10) == 45
    stop = threading.Event()

    def build():
        while not stop.is_set():
            f(100_000)

    thread = threading.Thread(target=build)
    thread.start()
    statuses = []
    try:
        for _ in range(40):
            pid = os.fork()
            if pid == 0:
                faulthandler.dump_traceback_later(20, exit=True)
                os._exit(0 if f(1000) == 499_500 else 2)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    finally:
        stop.set()
        thread.join()
    assert statuses == [0] * 40
