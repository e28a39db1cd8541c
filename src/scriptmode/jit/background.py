"""Work that no call waits for: one thread does it, in order.

The thread is started with the first job and ends with the process: at exit what is left is dropped
and what runs is ended, by stopping the process that compiles for it and by an exception in the
thread.  The interpreter must not go while native code of the thread runs, which could not go on.

Other threads notice as little as can be: while a job runs, nobody holds the GIL for more than a
millisecond when another thread wants it, and no collection of garbage looks through all objects of
the process, which takes some 100 ms.  Those of young objects go on, and what a job leaves is found
by the next full collection that the program itself causes.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import queue
import sys
import threading
from collections.abc import Callable

from scriptmode.codegen.compiler_process import compiler_process

Job = Callable[[], None]
PATIENCE = 60.0  # seconds that the end of the process waits for a job
SLICE = 0.001  # seconds that a thread may hold the GIL while another one waits
_NEVER = 2**31 - 1
_AGAIN = 0.5  # seconds until the exception is raised once more: a callback may have lost it


class ProcessEnds(SystemExit):
    """Raised in the thread, wherever it is; no ``except Exception`` there takes it for its own."""


class _Unnoticed:
    """Settings of the interpreter while a job runs; what somebody else sets meanwhile stays."""

    def __init__(self) -> None:
        self._slice: float | None = None  # before, while it is another
        self._thresholds: tuple[int, int, int] | None = None

    def begin(self) -> None:
        """Let other threads run."""
        before = sys.getswitchinterval()
        if before > SLICE:
            sys.setswitchinterval(SLICE)
            self._slice = before
        young, middle, old = gc.get_threshold()
        if old != _NEVER:
            gc.set_threshold(young, middle, _NEVER)
            self._thresholds = young, middle, old

    def end(self) -> None:
        """Bring back what was before."""
        before, self._slice = self._slice, None
        # what can be read is what was set, in whole microseconds
        if before is not None and abs(sys.getswitchinterval() - SLICE) < 1e-6:
            sys.setswitchinterval(before)
        thresholds, self._thresholds = self._thresholds, None
        if thresholds is not None and gc.get_threshold() == (*thresholds[:2], _NEVER):
            gc.set_threshold(*thresholds)


class Background:
    """A queue of jobs and the thread that does them."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_ending = False
        self._unnoticed = _Unnoticed()

    def submit(self, job: Job) -> None:
        """Let the thread do a job when it comes to it."""
        with self._lock:
            self._jobs.put(job)
            if self._thread is None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="scriptmode compiler", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when what was submitted is done."""
        done = threading.Event()
        self.submit(done.set)
        done.wait()

    def _work(self) -> None:
        try:
            while not self._is_ending:
                job = self._jobs.get()
                if job is None:
                    return
                self._unnoticed.begin()
                try:
                    job()
                finally:
                    self._unnoticed.end()
                del job
        except ProcessEnds:
            return
        finally:
            with self._lock:
                self._thread = None
                if not self._is_ending and not self._jobs.empty():  # a job has failed
                    self._start()

    def end(self) -> None:
        """Stop before the interpreter goes."""
        self._is_ending = True
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        compiler_process.stop()
        self._jobs.put(None)
        waited = 0.0
        while thread.is_alive() and waited < PATIENCE:
            number = ctypes.c_ulong(thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(ProcessEnds))
            thread.join(_AGAIN)
            waited += _AGAIN

    def forget(self) -> None:
        """In a forked child: the thread and its jobs are the parent's."""
        self._unnoticed.end()
        self.__init__()  # type: ignore[misc]


background = Background()
atexit.register(background.end)
os.register_at_fork(after_in_child=background.forget)
