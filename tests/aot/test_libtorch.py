"""Libraries that run on libtorch, called through C: what they give is what the program gives."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from examples.native.scriptmode_ctypes import Library, LibraryError

import scriptmode
from tests.aot import programs
from tests.aot.compare import arrays, cell_input, same
from tests.aot.tools import HERE, build_c, needs


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Exports a program, once for each."""
    made: dict[object, Library] = {}

    def export(program):
        if program not in made:
            folder = tmp_path_factory.mktemp("library")
            what = program() if isinstance(program, type) else program
            compiled = scriptmode.script(what)
            path = scriptmode.export_library(compiled, folder)
            made[program] = (Library(str(path)), what)
        return made[program]

    yield export
    for found, _ in made.values():
        found.close()


def check(library, program, *args, method=None):
    """The library's answer is eager's."""
    found, eager = library(program)
    method = method or next(iter(found.methods))
    with torch.no_grad():
        expected = eager(*args)
    same(found.call(method, *map(arrays, args)), expected)


@needs("cc")
@pytest.mark.parametrize("n", [0, 1, 7])
def test_the_gated_cell_loop(library, n):
    check(library, programs.Loop, torch.randn(3, 4), torch.randn(3, 4), n)


@needs("cc")
def test_module_state_defaults_and_tied_weights(library):
    x = torch.randn(5, 2)
    check(library, programs.Settings, x)
    check(library, programs.Settings, x, 2)
    check(library, programs.Settings, x.t().contiguous().t(), 0, 1.5)


@needs("cc")
@pytest.mark.parametrize("n", [0, 2, 5])
@pytest.mark.parametrize("text", ["", "a b a", "größer € größer 😀"])
def test_strings_lists_dicts_and_exceptions(library, text, n):
    check(library, programs.words, text, n)


@needs("cc")
def test_lists_of_tensors_and_constant_tensors(library):
    check(library, programs.shared, [torch.randn(2, 3), torch.randn(2, 3)], 1)
    check(library, programs.shared, [torch.arange(2)], 0)


@needs("cc")
def test_optional_and_tuple_arguments(library):
    check(library, programs.nothing, None, (3, "x"))
    check(library, programs.nothing, torch.ones(2), (3, "ab"))


@needs("cc")
def test_errors_of_torch_are_caught_inside(library):
    check(library, programs.caught, torch.ones(49))
    check(library, programs.caught, torch.ones(3))


@needs("cc")
@pytest.mark.parametrize("limit", [-1, 1, 2, 3])
def test_an_error_says_what_and_where(library, limit):
    found, _ = library(programs.checked)
    with pytest.raises(Exception) as expected:  # in process, which other tests compare with eager
        scriptmode.script(programs.checked)(torch.ones(4), limit)
    with pytest.raises(LibraryError) as raised:
        found.call("checked", np.ones(4, np.float32), limit)
    lines = str(raised.value).splitlines()
    first = str(expected.value).splitlines()[0]
    assert lines[0] == "Traceback (most recent call last):"
    assert f"{type(expected.value).__name__}: {first}" in lines
    places = [line for line in lines if line.startswith("  File ")]
    assert [re.search(r"in (\w+)$", p)[1] for p in places] == ["checked", "guard"]
    assert lines[1:-1] == [line for note in expected.value.__notes__ for line in note.split("\n")]
    same(found.call("checked", np.ones(4, np.float32), 9), torch.tensor(4.0))


@needs("cc")
def test_wrong_arguments_are_told(library):
    found, _ = library(programs.words)
    with pytest.raises(LibraryError, match="TypeError: missing argument n"):
        found.call("words", "a")
    with pytest.raises(LibraryError, match="TypeError: there are too many arguments"):
        found.call("words", "a", 1, 2)
    with pytest.raises(LibraryError, match="TypeError: expected int"):
        found.call("words", "a", 1.0)
    with pytest.raises(LibraryError, match="TypeError: expected str"):
        found.call("words", 1, 1)


@needs("cc")
def test_too_deep_a_recursion_is_an_error(library):
    found, _ = library(programs.deep)
    assert found.call("deep", 100) == 100
    with pytest.raises(LibraryError, match="RecursionError: maximum recursion depth exceeded"):
        found.call("deep", 10**8)
    results = []
    thread = threading.Thread(target=lambda: results.append(found.call("deep", 1000)))
    thread.start()
    thread.join()
    assert results == [1000]


@needs("cc")
def test_traced_and_loaded_programs(tmp_path):
    m, x = programs.Loop().cell, torch.randn(3, 4)
    traced = scriptmode.trace(m.linear, (x,))
    file = io.BytesIO()
    scriptmode.save(scriptmode.script(m), file)
    file.seek(0)
    for number, (program, args) in enumerate([(traced, (x,)), (scriptmode.load(file), (x, x))]):
        path = scriptmode.export_library(program, tmp_path, name=f"p{number}")
        found = Library(str(path))
        with torch.no_grad():
            same(found.call("forward", *map(arrays, args)), (m.linear if number == 0 else m)(*args))
        found.close()


@needs("cc")
def test_the_methods_are_listed(library):
    found, _ = library(programs.Settings)
    (signature,) = found.methods.values()
    assert signature.startswith("forward(x: Tensor, which: int, factor: float) -> ")


@needs("cc")
def test_what_is_printed_goes_to_the_output_of_c(tmp_path):
    path = scriptmode.export_library(scriptmode.script(programs.talking), tmp_path)
    code = (
        "from examples.native.scriptmode_ctypes import Library\n"
        f"assert Library({str(path)!r}).call('talking', 2) == 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=HERE.parents[1])
    assert done.stdout.decode() == "line | 0 | größer\nline | 1 | größer\n", done.stderr.decode()


@needs("cc")
def test_a_library_is_the_same_each_time(tmp_path):
    m = scriptmode.script(programs.Settings())
    paths = [scriptmode.export_library(m, tmp_path / name, name="same") for name in "ab"]
    for file in ("libsame.so", "same.weights", "scriptmode.h"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert sorted(p.name for p in paths[0].parent.iterdir()) == [
        "libsame.so", "same.weights", "scriptmode.h", "scriptmode.hpp",
    ]  # fmt: skip


@needs("cc")
def test_weights_of_another_program_are_refused(tmp_path):
    path = scriptmode.export_library(scriptmode.script(programs.Settings()), tmp_path)
    weights = tmp_path / "settings.weights"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    with pytest.raises(LibraryError, match="ValueError: the weights file is too short"):
        Library(str(path))
    weights.write_bytes(content[:9] + b"x" + content[10:])
    with pytest.raises(LibraryError, match="ValueError: the weights file is of another program"):
        Library(str(path))
    weights.write_bytes(content)
    Library(str(path)).close()


@needs("cc")
def test_the_weights_are_a_safetensors_file(tmp_path):
    from safetensors.numpy import load_file

    scriptmode.export_library(scriptmode.script(programs.Settings()), tmp_path)
    found = load_file(tmp_path / "settings.weights")
    assert sum(name.startswith("storage.") for name in found) == 2  # the tied weight is there once


# ---- a program of C, without Python


@needs("cc")
def test_a_c_program_calls_from_eight_threads_without_python(tmp_path):
    m = programs.Loop()
    scriptmode.export_library(scriptmode.script(m), tmp_path, name="cell")
    given = cell_input(m)
    program = build_c("cell.c", tmp_path)
    linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    assert "torch" not in linked and "python" not in linked
    needed = subprocess.run(["ldd", tmp_path / "libcell.so"], capture_output=True, text=True).stdout
    assert "libtorch_cpu" in needed
    assert "libpython" not in needed and "libtorch_python" not in needed
    done = subprocess.run(
        [program, tmp_path / "libcell.so", "8", "50"], input=given, capture_output=True
    )
    assert done.stdout == b"8 threads, 50 calls each, 0 failures\n", done.stderr.decode()
    assert done.returncode == 0
