"""Work that no call waits for: one thread does it, in order.

The thread is started with the first job and ends with the process: at exit what is left is dropped
and what runs is ended, by stopping the process that compiles for it and by an exception in the
thread.  The interpreter must not go while native code of the thread runs, which could not go on.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import queue
import threading
from collections.abc import Callable

from scriptmode.codegen.compiler_process import compiler_process

Job = Callable[[], None]
PATIENCE = 60.0  # seconds that the end of the process waits for a job
_AGAIN = 0.5  # seconds until the exception is raised once more: a callback may have lost it


class ProcessEnds(SystemExit):
    """Raised in the thread, wherever it is; no ``except Exception`` there takes it for its own."""


class Background:
    """A queue of jobs and the thread that does them."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_ending = False

    def submit(self, job: Job) -> None:
        """Let the thread do a job when it comes to it."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # a job may have failed
                self._thread = threading.Thread(
                    target=self._work, name="scriptmode compiler", daemon=True
                )
                self._thread.start()
        self._jobs.put(job)

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
                job()
                del job
        except ProcessEnds:
            return

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
        self.__init__()  # type: ignore[misc]


background = Background()
atexit.register(background.end)
os.register_at_fork(after_in_child=background.forget)
