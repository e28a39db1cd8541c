"""Object code to shared libraries: the system's C compiler as linker, or ``ziglang``.

Nothing of the result depends on when or where it is linked: no build id, no paths but libtorch's.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from scriptmode.support.diagnostics import CompileError, Diagnostic

_NAMES = ("cc", "gcc", "clang")


def linker(chosen: str | None = None) -> list[str]:
    """The command that links: ``chosen`` ("zig" for ziglang, else a program), or what there is."""
    if chosen is not None and chosen != "zig":
        return [chosen]
    found = None if chosen == "zig" else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return [found]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise CompileError(
        Diagnostic(
            "SM0802",
            "there is no linker" if chosen is None else "ziglang is not installed",
            help='install a C compiler, or the extra "aot" of scriptmode, which has one',
        )
    )


def check_linker(command: Sequence[str]) -> None:
    """Refuse ziglang for what runs on libtorch: its C++ library is another than libtorch's."""
    if "ziglang" in command:
        raise CompileError(
            Diagnostic(
                "SM0802",
                "ziglang links standalone libraries only",
                help="install a C compiler, which links against libtorch's C++ library",
            )
        )


def torch_folder() -> Path:
    """Where libtorch's libraries lie."""
    return Path(torch.__file__).parent / "lib"


def link_shared(code: bytes, name: str, command: Sequence[str], *, has_libtorch: bool) -> bytes:
    """The shared library ``name`` of object code; CompileError with the linker's words."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "library.o"), Path(folder, name)
        source.write_bytes(code)
        options = [
            "-shared", "-o", name, source.name, f"-Wl,-soname,{name}", "-Wl,-z,nodelete",
            "-Wl,--no-undefined", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,--build-id=none",
            "-Wl,-s",
        ]  # fmt: skip
        if has_libtorch:
            lib = torch_folder()
            options += [f"-L{lib}", f"-Wl,-rpath,$ORIGIN:{lib}", "-ltorch_cpu", "-lc10", "-lstdc++"]
        run(command, [*options, "-lm", "-lpthread"], folder)
        return target.read_bytes()


def run(command: Sequence[str], options: Sequence[str], folder: str) -> None:
    """Run a linker in a folder."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, env=environment,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise CompileError(Diagnostic("SM0802", f"linking with {command[0]} failed:\n{words}"))
