"""What a library cannot do is refused when it is exported, with the place in the source."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import torch

import scriptmode
from scriptmode import CompileError
from tests.aot.tools import needs


class Keeps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("last", torch.zeros(2))

    def forward(self, x: torch.Tensor):
        self.last = x
        return x + 1


class Grows(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = [1]

    def forward(self, n: int):
        self.seen.append(n)
        return len(self.seen)


def appends(xs: list[int], n: int):
    if n:
        xs.append(n)
    return len(xs)


class Table(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = {"a": 1}

    def forward(self, name: str):
        return self.table[name]


class Calls(torch.nn.Module):
    @scriptmode.ignore
    def python(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1

    def forward(self, x: torch.Tensor):
        return self.python(x)


class Odd(Exception):
    def __str__(self):
        return "odd"


def raises_odd(n: int):
    if n:
        raise Odd
    return n


class Pair:
    def __init__(self, a: int):
        self.a = a


def returns_object(n: int):
    return Pair(n)


def takes_set(values: set[int]):
    return len(values)


CASES = [
    (Keeps, "an assignment of the module's attribute `last`", "self.last = x"),
    (
        Grows,
        r"a program that may change a List\[int\] of its caller or of a module",
        "self.seen.append(n)",
    ),
    (appends, r"a program that may change a List\[int\] of its caller", "xs.append(n)"),
    (Table, r"attribute `table` of Table: a value of type Dict\[str, int\]", "def forward"),
    (Calls, "a call of Python", "self.python(x)"),
    (raises_odd, "the exception class Odd has a __str__ of its own", "def raises_odd"),
    (returns_object, "the result of type .*Pair", "def returns_object"),
    (takes_set, r"parameter `values` of type Set\[int\]", "def takes_set"),
]


@needs("cc")
@pytest.mark.parametrize(
    ("program", "text", "place"), CASES, ids=lambda c: getattr(c, "__name__", "")
)
def test_it_is_refused_with_its_place(tmp_path, program, text, place):
    is_module = isinstance(program, type)
    compiled = scriptmode.script(program() if is_module else program)
    with pytest.raises(CompileError, match=f"cannot export .*{text}") as raised:
        scriptmode.export_library(compiled, tmp_path / "out")
    assert re.search(r"test_refused\.py, line \d+, column \d+", str(raised.value))
    assert place in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_only_compiled_programs_are_exported(tmp_path):
    for thing in (torch.nn.Linear(2, 2), abs, 3):
        with pytest.raises(CompileError, match="that is not compiled"):
            scriptmode.export_library(thing, tmp_path)


@needs("cc")
def test_a_name_is_plain(tmp_path):
    compiled = scriptmode.script(torch.nn.ReLU())
    with pytest.raises(ValueError, match="is no name for a library"):
        scriptmode.export_library(compiled, tmp_path, name="../x")


@needs("cc")
def test_what_fails_leaves_nothing_behind(tmp_path):
    compiled = scriptmode.script(torch.nn.ReLU())
    first = scriptmode.export_library(compiled, tmp_path).read_bytes()
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho no space >&2\nexit 1\n")
    failing.chmod(0o755)
    with pytest.raises(CompileError, match="no space"):
        scriptmode.export_library(compiled, tmp_path, linker_command=str(failing))
    failing.unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "librelu.so",
        "scriptmode.h",
        "scriptmode.hpp",
    ]
    assert (tmp_path / "librelu.so").read_bytes() == first


@needs("cc")
def test_the_header_is_c_and_cxx(tmp_path):
    scriptmode.export_library(scriptmode.script(torch.nn.ReLU()), tmp_path)
    for language, standard in (("c", "c99"), ("c", "c11"), ("c++", "c++11"), ("c++", "c++20")):
        done = subprocess.run(
            ["cc", f"-x{language}", f"-std={standard}", "-D_GNU_SOURCE", "-Wall", "-Wextra",
             "-Wpedantic", "-Werror", "-Wno-unused-function", "-fsyntax-only",
             str(Path(tmp_path, "scriptmode.h"))],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
