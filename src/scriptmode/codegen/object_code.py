"""From LLVM assembly to object code; also the program of a process that does nothing else.

Compiling in a thread holds llvmlite's lock and would keep other threads from linking, so code for
which nobody waits is compiled in a process of its own.  That process runs this file, without the
package and without torch, and answers requests until its input ends::

    request    i64 length of the text, i32 level, i32 optimisation level or -1, the text
    answer     i64 length, i32 1 for object code or 0 for the text of an error, the bytes
"""

from __future__ import annotations

import contextlib
import json
import struct
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])

import llvmlite.binding as llvm

REQUEST = struct.Struct("<qii")
ANSWER = struct.Struct("<qi")


@cache
def initialize() -> llvm.Target:
    """The target of this machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()


@dataclass(frozen=True)
class Target:
    """For what code is made: a processor, and whether libtorch is there."""

    cpu: str
    features: str
    has_libtorch: bool = True


@cache
def host_target() -> Target:
    """This machine, in a process with libtorch."""
    initialize()
    return Target(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


_TARGET: ContextVar[Target | None] = ContextVar("target", default=None)


def target() -> Target:
    """For what code is made now: this process, or what ``targeting`` says."""
    return _TARGET.get() or host_target()


@contextlib.contextmanager
def targeting(chosen: Target) -> Iterator[None]:
    """Make code for a target inside of the block, in this thread."""
    token = _TARGET.set(chosen)
    try:
        yield
    finally:
        _TARGET.reset(token)


def host_cpu() -> tuple[str, str]:
    """Name and feature string of the processor that code is made for."""
    found = target()
    return found.cpu, found.features


def target_machine(level: int) -> llvm.TargetMachine:
    """A new target machine of the host for code that runs in this process."""
    cpu, features = host_cpu()
    return initialize().create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small", jit=True
    )


def optimize(module: llvm.ModuleRef, machine: llvm.TargetMachine, level: int) -> None:
    """Run LLVM's standard pipeline of ``level`` on ``module``."""
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def compile_object(text: str, level: int = 1, optimize_level: int | None = None) -> bytes:
    """Object code of LLVM assembly; ``optimize_level`` None skips the IR passes."""
    machine = target_machine(level)
    layout = f'target datalayout = "{machine.target_data}"'
    # before parsing: accesses without an alignment get the layout's
    module = llvm.parse_assembly(text.replace('target datalayout = ""', layout, 1))
    module.triple = machine.triple
    module.verify()
    if optimize_level is not None:
        optimize(module, machine, optimize_level)
    return bytes(machine.emit_object(module))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Compile what is asked for until the requests end."""
    while True:
        head = requests.read(REQUEST.size)
        if len(head) < REQUEST.size:
            return
        length, level, optimize_level = REQUEST.unpack(head)
        text = requests.read(length).decode()
        try:
            done, found = (
                1,
                compile_object(text, level, optimize_level if optimize_level >= 0 else None),
            )
        except RuntimeError as error:  # what llvmlite raises
            done, found = 0, str(error).encode()
        answers.write(ANSWER.pack(len(found), done) + found)
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
