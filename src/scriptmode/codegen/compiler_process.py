"""A process that compiles LLVM assembly, so that threads of this one need not wait for each other.

It is started when it is first needed, runs with a low priority, and ends with this process.  A
forked child starts its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from scriptmode.codegen import object_code
from scriptmode.codegen.object_code import ANSWER, REQUEST


class CompilerEnded(RuntimeError):
    """The process is gone, by itself or because this one ends."""


class CompilerProcess:
    """Compiles one text at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def compile(self, text: str, level: int, optimize_level: int | None = None) -> bytes:
        """Object code, as ``compile_object`` gives it."""
        with self._lock:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            data = text.encode()
            head = REQUEST.pack(len(data), level, -1 if optimize_level is None else optimize_level)
            try:
                process.stdin.write(head + data)
                process.stdin.flush()
                answer = process.stdout.read(ANSWER.size)
                if len(answer) < ANSWER.size:
                    raise CompilerEnded("the process that compiles has ended")
                length, is_code = ANSWER.unpack(answer)
                found = process.stdout.read(length)
            except OSError as error:
                raise CompilerEnded(f"the process that compiles has ended: {error}") from None
            if len(found) < length:
                raise CompilerEnded("the process that compiles has ended")
        if not is_code:
            raise RuntimeError(found.decode())
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        if self._is_stopped:
            raise CompilerEnded("the process that compiles was stopped")
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-I", object_code.__file__, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt from the keyboard is not meant for it
            )
        return self._process

    def stop(self) -> None:
        """End the process, whatever it does, for good."""
        self._is_stopped = True
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def forget(self) -> None:
        """In a forked child: the process is the parent's."""
        process, self._process = self._process, None
        self._lock = threading.Lock()
        if process is not None:
            process.returncode = 0  # nothing to wait for
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    os.close(pipe.fileno())


compiler_process = CompilerProcess()
os.register_at_fork(after_in_child=compiler_process.forget)
