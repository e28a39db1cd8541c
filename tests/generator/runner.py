"""Judge many programs in child processes, so that one that crashes or hangs is only a verdict."""

from __future__ import annotations

import gc
import multiprocessing as mp
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from tests.generator.judge import CRASH, REFUSED, Verdict, judge
from tests.generator.shrink import shrink

Judge = Callable[[str], Verdict]
_BUSY = 180.0  # CPU seconds; a program takes one
_HANGS = 1800.0  # seconds; the machine may be busy with others
_TICKS = os.sysconf("SC_CLK_TCK")


def _serve(connection: Connection, judge: Judge) -> None:
    gc.freeze()  # what is imported by now is not looked through by each collection
    while True:
        text = connection.recv()
        if text is None:
            return
        verdict = judge(text)
        connection.send((verdict.kind, verdict.text))
        gc.freeze()  # nor what a program has left in caches


class Worker:
    """A child process that judges programs; it is replaced when it dies."""

    def __init__(self, judge: Judge = judge) -> None:
        self._judge = judge
        self._start()

    def _start(self) -> None:
        self.connection, other = mp.Pipe()
        arguments = (other, self._judge)
        self.process = mp.get_context("fork").Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        other.close()
        self.served = 0

    def judge(self, text: str) -> Verdict:
        """The verdict on one program."""
        self.connection.send(text)
        begun, busy = time.monotonic(), self._cpu_seconds()
        try:
            while not self.connection.poll(5.0):
                if self._cpu_seconds() - busy > _BUSY or time.monotonic() - begun > _HANGS:
                    break
            else:
                self.served += 1
                return Verdict(*self.connection.recv())
            found = Verdict(CRASH, f"no answer within {_BUSY:.0f} s of the CPU")
        except (EOFError, ConnectionResetError):
            self.process.join()
            found = Verdict(CRASH, f"exit code {self.process.exitcode}")
        self.close()
        self._start()
        return found

    def _cpu_seconds(self) -> float:
        """What the process has taken of the CPU; 0 when it is gone."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text()
        except FileNotFoundError:
            return 0.0
        after_name = text.rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS  # user and system

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def judge_all(texts: Iterable[str], judge: Judge = judge) -> Iterator[Verdict]:
    """Verdicts in order; the process is renewed now and then to keep it small."""
    worker = Worker(judge)
    try:
        for text in texts:
            if worker.served >= 200:
                worker.close()
                worker = Worker(judge)
            yield worker.judge(text)
    finally:
        worker.close()


def _gist(verdict: Verdict) -> str:
    """What failed, without the values and names in it."""
    first = verdict.text.partition("\n")[0]
    if first.startswith("compiler failed") or verdict.kind == REFUSED:
        return re.sub(r"<.*>|`[^`]*`|\w*\d\w*|'[^']*'", "", first)
    return first[:12]


def shrunk(text: str, verdict: Verdict, judge: Judge = judge) -> str:
    """A small program with a verdict of the same kind that reads alike."""
    worker = Worker(judge)

    def fails(candidate: str) -> bool:
        found = worker.judge(candidate)
        return found.kind == verdict.kind and _gist(found) == _gist(verdict)

    try:
        return shrink(text, fails)
    finally:
        worker.close()
