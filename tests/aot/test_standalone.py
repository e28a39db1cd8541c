"""Libraries without libtorch: equal results, no symbol of torch, errors instead of surprises."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from examples.native.scriptmode_ctypes import Library, LibraryError

import scriptmode
from scriptmode import CompileError
from tests.aot import programs
from tests.aot.compare import arrays, cell_input, same
from tests.aot.tools import build_c, needs

pytestmark = needs("cc")
CPUS = ["portable", "native"]


def alone(folder, program, inputs, **options):
    """A standalone library of a program."""
    compiled = scriptmode.script(program)
    path = scriptmode.export_library(compiled, folder, inputs=inputs, standalone=True, **options)
    return Library(str(path))


def check(folder, program, inputs, *calls, method="forward", **options):
    """What a library gives is what eager gives."""
    library = alone(folder, program, inputs, **options)
    for args in (inputs, *calls):
        with torch.no_grad():
            expected = program(*args)
        same(library.call(method, *map(arrays, args)), expected)
    library.close()


@pytest.mark.parametrize("cpu", CPUS)
def test_the_gated_cell_loop(tmp_path, cpu):
    x, h = torch.randn(3, 4), torch.randn(3, 4)
    calls = [(x, h, 0), (-x, h, 100), (h, x, 7)]
    check(tmp_path, programs.Loop(), (x, h, 3), *calls, cpu=cpu)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_small_cnn(tmp_path, cpu):
    x = torch.randn(2, 1, 28, 28)[:, :, ::2, ::2].contiguous()
    check(tmp_path, programs.SmallCNN().eval(), (x,), (x * 3,), cpu=cpu)


@pytest.mark.parametrize(("cpu", "is_causal"), [("portable", True), ("native", False)])
def test_a_transformer_block(tmp_path, cpu, is_causal):
    x = torch.randn(2, 6, 32)
    check(tmp_path, programs.Block(is_causal), (x,), (x * 2,), cpu=cpu)


def test_strings_lists_and_a_missing_argument(tmp_path):
    ids = torch.randint(0, 20, (3, 5))
    check(tmp_path, programs.Words(), (ids,), (ids.flip(0),))


def test_several_methods(tmp_path):
    x = torch.randn(3)
    m = programs.Switch()
    library = alone(tmp_path, m, {"forward": (x,), "inverse": (x, 2)})
    assert list(library.methods) == ["forward", "inverse"]
    with torch.no_grad():
        same(library.call("forward", x.numpy()), m(x))
        same(library.call("inverse", x.numpy(), 3), m.inverse(x, 3))
    with pytest.raises(LibraryError, match=r"(?s)programs.py.*ValueError: -1 is negative"):
        library.call("inverse", x.numpy(), -1)


CONVOLUTIONS = [
    ((2, 4, 9), dict(out_channels=6, kernel_size=3)),
    ((1, 3, 8, 7), dict(out_channels=5, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0))),
    ((2, 4, 8, 8), dict(out_channels=4, kernel_size=3, groups=4, padding=1)),
    ((1, 4, 8, 8), dict(out_channels=6, kernel_size=1, groups=2, bias=False)),
    ((1, 2, 9, 9), dict(out_channels=3, kernel_size=3, dilation=2, padding=2)),
    ((1, 2, 5, 5, 5), dict(out_channels=3, kernel_size=2, padding=1)),
]


@pytest.mark.parametrize(("shape", "options"), CONVOLUTIONS)
def test_convolutions(tmp_path, shape, options):
    kind = {3: torch.nn.Conv1d, 4: torch.nn.Conv2d, 5: torch.nn.Conv3d}[len(shape)]
    check(tmp_path, kind(shape[1], **options), (torch.randn(shape),))


POOLS = [
    torch.nn.MaxPool2d(2), torch.nn.MaxPool2d(3, 2, 1), torch.nn.MaxPool2d(2, ceil_mode=True),
    torch.nn.MaxPool2d(2, dilation=2), torch.nn.AvgPool2d(3, 2), torch.nn.AvgPool2d(3, 1, 1),
    torch.nn.AdaptiveAvgPool2d(1),
]  # fmt: skip


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_pools(tmp_path, pool):
    x = torch.randn(2, 3, 9, 9)
    x[0, 0, 0, 0] = float("nan")
    check(tmp_path, pool, (x,))


def test_it_has_no_symbol_of_torch_and_is_small(tmp_path):
    path = tmp_path / "libloop.so"
    alone(tmp_path, programs.Loop(), (torch.randn(3, 4), torch.randn(3, 4), 3)).close()
    listed = subprocess.run(["nm", "-D", path], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    assert "scriptmode_library" in names and "malloc" in names
    assert not [n for n in names if re.search(r"torch|aten|c10|^_Z", n)]
    needed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"torch|python|stdc\+\+|libgcc", needed)
    assert path.stat().st_size < 100_000


def test_other_tensors_than_it_was_made_for_are_refused(tmp_path):
    library = alone(tmp_path, programs.Loop(), (torch.randn(3, 4), torch.randn(3, 4), 3))
    good = np.ones((3, 4), np.float32)
    for bad in (
        np.ones((4, 4), np.float32), np.ones((3, 4)), np.ones(12, np.float32),
        np.ones((4, 3), np.float32).T,
    ):  # fmt: skip
        with pytest.raises(LibraryError, match="ValueError: argument h has other sizes, strides"):
            library.call("forward", good, bad, 1)
    assert library.call("forward", good, good, 1).shape == (3, 4)


def test_an_index_out_of_range_is_an_error(tmp_path):
    ids = torch.randint(0, 20, (3, 5))
    library = alone(tmp_path, programs.Words(), (ids,))
    with pytest.raises(LibraryError, match=r"(?s)in Words.forward.*IndexError: index out of range"):
        library.call("forward", ids.numpy() + 20)


def transformed(x: torch.Tensor):
    return torch.fft.rfft(x).abs()


def random(x: torch.Tensor):
    return x + torch.rand(3)


def forked(x: torch.Tensor):
    task = scriptmode.fork(transformed, x)
    return scriptmode.wait(task)


def listed(xs: list[torch.Tensor]):
    return xs[0] + xs[1]


@pytest.mark.parametrize(
    ("program", "inputs", "text"),
    [
        (transformed, (torch.randn(4),), "aten::fft_rfft"),
        (random, (torch.randn(3),), "aten::rand"),
        (listed, ([torch.randn(3)] * 2,), r"parameter `xs` of type List\[Tensor\]"),
    ],
    ids=lambda c: getattr(c, "__name__", ""),
)
def test_what_it_cannot_do_is_refused_with_its_place(tmp_path, program, inputs, text):
    with pytest.raises(CompileError, match=f"cannot export {text} to a standalone") as raised:
        alone(tmp_path / "out", program, inputs)
    assert re.search(r"test_standalone\.py, line \d+, column \d+", str(raised.value))
    assert not (tmp_path / "out").exists()


def test_big_products_do_without_the_blas_of_torch(tmp_path):
    def big(a: torch.Tensor, b: torch.Tensor):
        return F.relu(a @ b)

    a, b = torch.randn(200, 300) / 10, torch.randn(300, 250) / 10
    library = alone(tmp_path, big, (a, b))
    np.testing.assert_allclose(
        library.call("big", a.numpy(), b.numpy()), big(a, b).numpy(), rtol=1e-4, atol=1e-4
    )


def test_inputs_are_asked_for(tmp_path):
    compiled = scriptmode.script(programs.Loop())
    with pytest.raises(ValueError, match="give inputs"):
        scriptmode.export_library(compiled, tmp_path, standalone=True)
    with pytest.raises(ValueError, match="'backward' is no compiled method"):
        scriptmode.export_library(compiled, tmp_path, standalone=True, inputs={"backward": ()})


def test_a_library_is_the_same_each_time(tmp_path):
    x = torch.randn(2, 1, 14, 14)
    compiled = scriptmode.script(programs.SmallCNN().eval())
    for name in "ab":
        scriptmode.export_library(compiled, tmp_path / name, inputs=(x,), standalone=True)
    for file in ("libsmallcnn.so", "smallcnn.weights"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def c_program(folder):
    """The C program beside a library of the cell; what it reads."""
    m = programs.Loop()
    example = (torch.randn(3, 4), torch.randn(3, 4), 3)
    alone(folder, m, example, name="cell").close()
    return build_c("cell.c", folder), cell_input(m)


def test_a_c_program_calls_from_eight_threads(tmp_path):
    program, given = c_program(tmp_path)
    done = subprocess.run(
        [program, tmp_path / "libcell.so", "8", "500"], input=given, capture_output=True
    )
    assert done.stdout == b"8 threads, 500 calls each, 0 failures\n", done.stderr.decode()


@needs("valgrind")
def test_valgrind_finds_nothing(tmp_path):
    program, given = c_program(tmp_path)
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite",
         program, tmp_path / "libcell.so", "8", "5"],
        input=given, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"8 threads, 5 calls each, 0 failures\n"


@needs("valgrind")
def test_valgrind_finds_nothing_with_strings_dicts_and_errors(tmp_path):
    alone(tmp_path, programs.words, ("a b", 1), name="words").close()
    program = build_c("words.c", tmp_path)
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite",
         program, tmp_path / "libwords.so", "8", "20"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "IndexError: list index out of range" in done.stdout
    assert done.stdout.endswith("\n0 failures\n")
