"""Compilers and tools of the tests; a test that needs one which is missing is skipped."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def needs(*tools: str):
    """A mark: skipped where one of the tools is missing ("ziglang" is the Python package)."""
    missing = [t for t in tools if not has(t)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def has(tool: str) -> bool:
    """Whether a tool is here."""
    if tool == "ziglang":
        return importlib.util.find_spec("ziglang") is not None
    return shutil.which(tool) is not None


def build_c(name: str, folder: Path, compiler: str = "cc", *options: str) -> Path:
    """Compile a program of this folder against the headers in ``folder``."""
    target = folder / Path(name).stem
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [compiler, "-O1", *warnings, *options, f"-I{folder}", str(HERE / name), "-o", str(target),
         "-lpthread", "-ldl", "-lm"],
        check=True,
    )  # fmt: skip
    return target
