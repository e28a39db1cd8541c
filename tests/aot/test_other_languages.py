"""C++, CMake and Rust programs run a library; they are the examples of ``examples/native``."""

from __future__ import annotations

import subprocess

import pytest
import torch
from examples.native.scriptmode_ctypes import Library

import scriptmode
from tests.aot import programs
from tests.aot.compare import same
from tests.aot.tools import HERE, needs

EXAMPLES = HERE.parents[1] / "examples/native"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The gated cell loop, standalone; the numbers that the examples print."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    m = programs.Loop()
    x = torch.full((3, 4), 0.5)
    path = scriptmode.export_library(
        scriptmode.script(m), folder, name="cell", inputs=(x, x, 3), standalone=True
    )
    with torch.no_grad():
        expected = m(x, torch.zeros(3, 4), 100)[0].tolist()
    return folder, path, expected


def check(program, path, expected):
    """What a program prints last: four numbers, then an error."""
    done = subprocess.run([program, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, numbers, refused = done.stdout.splitlines()
    assert [float(n) for n in numbers.split()] == pytest.approx(expected, rel=1e-4)
    assert refused.startswith("refused: TypeError: ")


@needs("cc", "g++")
@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_cxx(exported, tmp_path, standard):
    folder, path, expected = exported
    program = tmp_path / "main"
    subprocess.run(
        ["g++", f"-std={standard}", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{folder}",
         EXAMPLES / "main.cpp", "-o", program, "-ldl"],
        check=True,
    )  # fmt: skip
    check(program, path, expected)


@needs("cc", "g++", "cmake")
def test_cmake(exported, tmp_path):
    folder, path, expected = exported
    for command in (
        ["cmake", "-S", EXAMPLES, "-B", tmp_path, f"-DSCRIPTMODE_OUT={folder}"],
        ["cmake", "--build", tmp_path],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    check(tmp_path / "main", path, expected)


@needs("cc", "rustc")
def test_rust(exported, tmp_path):
    _, path, expected = exported
    program = tmp_path / "main"
    subprocess.run(
        ["rustc", "--edition", "2021", "-D", "warnings", EXAMPLES / "main.rs", "-o", program],
        check=True,
    )
    check(program, path, expected)


@needs("ziglang")
def test_ziglang_links_a_standalone_library(tmp_path):
    m = programs.Loop()
    x = torch.randn(3, 4)
    path = scriptmode.export_library(
        scriptmode.script(m), tmp_path, name="cell", inputs=(x, x, 3), standalone=True,
        linker_command="zig",
    )  # fmt: skip
    with torch.no_grad():
        same(Library(str(path)).call("forward", x.numpy(), x.numpy(), 9), m(x, x, 9))


@needs("ziglang")
def test_ziglang_is_refused_where_libtorch_is_needed(tmp_path):
    with pytest.raises(scriptmode.CompileError, match="ziglang links standalone libraries only"):
        scriptmode.export_library(
            scriptmode.script(torch.nn.ReLU()), tmp_path, linker_command="zig"
        )
