"""Work that no call waits for: one thread does it, in order.

The thread is started with the first job and ends with the process: at exit what is left is dropped
and what runs is ended, by stopping the process that compiles for it.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable

from scriptmode.codegen.compiler_process import compiler_process

Job = Callable[[], None]
PATIENCE = 10  # seconds that the end of the process waits for a job


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
        while True:
            job = self._jobs.get()
            if job is None or self._is_ending:
                return
            job()
            del job

    def end(self) -> None:
        """Stop before the interpreter goes: native code must not be in the midst of linking."""
        self._is_ending = True
        thread = self._thread
        if thread is not None and thread.is_alive():
            compiler_process.stop()
            self._jobs.put(None)
            thread.join(PATIENCE)

    def forget(self) -> None:
        """In a forked child: the thread and its jobs are the parent's."""
        self.__init__()  # type: ignore[misc]


background = Background()
atexit.register(background.end)
os.register_at_fork(after_in_child=background.forget)
