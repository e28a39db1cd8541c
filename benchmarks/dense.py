"""Times of the dense kernels beside torch's: one thread, interleaved, CPU time, results checked.

``benchmarks/dense.py`` runs products of m x k x n, with weights as torch.nn.Linear has them, along
n, and packed ahead; then convolutions.  Minimum and median are of calls from native code; torch's
are of calls from Python, which are what a program saves.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable

import torch
from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.codegen import engine
from scriptmode.codegen.dense.conv import Convolution, emit_conv2d
from scriptmode.codegen.dense.emit import choose_form, emit_product
from scriptmode.codegen.dense.machine import host
from scriptmode.codegen.dense.pack import emit_pack
from scriptmode.codegen.dense.product import Product

SHAPES = (
    (3, 4, 4), (1, 32, 96), (1, 64, 256), (16, 64, 256), (16, 512, 2048), (64, 256, 256),
    (128, 768, 768), (1, 768, 3072),
)  # fmt: skip
CONVOLUTIONS = (
    Convolution(3, 32, 32, 32, (3, 3), padding=(1, 1)),
    Convolution(64, 56, 56, 64, (3, 3), padding=(1, 1)),
    Convolution(128, 28, 28, 128, (3, 3), padding=(1, 1)),
    Convolution(512, 7, 7, 512, (3, 3), padding=(1, 1)),
    Convolution(3, 224, 224, 64, (7, 7), (2, 2), (3, 3)),
    Convolution(144, 56, 56, 144, (3, 3), padding=(1, 1), groups=144),
    Convolution(96, 112, 112, 96, (3, 3), (2, 2), (1, 1), groups=96),
    Convolution(384, 14, 14, 384, (3, 3), padding=(1, 1), groups=384),
    Convolution(24, 56, 56, 144, (1, 1)),
)
Call = Callable[[int], None]


class Kernels:
    """Functions of four pointers, each with a function that calls it again and again."""

    def __init__(self) -> None:
        self.module = ir.Module("dense")
        self.names: list[str] = []

    def add(self, emit: Callable[..., None]) -> None:
        name = f"kernel{len(self.names)}"
        kernel = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [PTR] * 4), name)
        kernel.attributes.add("noinline")
        b = ir.IRBuilder(kernel.append_basic_block())
        emit(b, *kernel.args)
        b.ret_void()
        loop = ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), [PTR] * 4 + [I64]), f"{name}.loop"
        )
        b = ir.IRBuilder(loop.append_basic_block())
        entry, head, end = b.block, b.append_basic_block(), b.append_basic_block()
        b.branch(head)
        b.position_at_end(head)
        turn = b.phi(I64)
        b.call(kernel, loop.args[:4])
        following = b.add(turn, ir.Constant(I64, 1))
        turn.add_incoming(ir.Constant(I64, 0), entry)
        turn.add_incoming(following, head)
        b.cbranch(b.icmp_signed("<", following, loop.args[4]), head, end)
        b.position_at_end(end)
        b.ret_void()
        self.names.append(f"{name}.loop")

    def link(self) -> list[Callable[..., None]]:
        self.engine = engine.Engine(level=2)
        self.engine.add(self.module, optimize_level=1)
        ftype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, ctypes.c_int64)
        return [ftype(self.engine.address(name)) for name in self.names]


def compare(title: str, operations: int, calls: dict[str, Call], rounds: int) -> None:
    """Print a row for each way, of interleaved rounds of about half a millisecond."""
    counts = {}
    for name, call in calls.items():
        count = 1
        while True:
            start = time.thread_time()
            call(count)
            if time.thread_time() - start > 5e-4:
                break
            count *= 2
        counts[name] = count
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.thread_time()
            call(counts[name])
            times[name].append((time.thread_time() - start) / counts[name])
    print(title)
    best = min(times["torch"])
    for name, found in times.items():
        least, middle = min(found), statistics.median(found)
        print(
            f"  {name:10} min {least * 1e6:10.3f} us  median {middle * 1e6:10.3f} us "
            f"{operations / least / 1e9:7.1f} GFLOP/s  {best / least:8.2f} x torch",
            flush=True,
        )


def native(function: Callable[..., None], *tensors: torch.Tensor) -> Call:
    def call(count: int) -> None:
        pointers = [t.data_ptr() for t in tensors] + [0] * (4 - len(tensors))
        function(*pointers, count)

    return call


def again(function: Callable[..., torch.Tensor], *arguments: object) -> Call:
    def call(count: int) -> None:
        for _ in range(count):
            function(*arguments)

    return call


def products(rounds: int) -> None:
    kernels = Kernels()
    shapes = []
    for m, k, n in SHAPES:
        linear = Product(m, n, k, (k, 1), (1, k), (n, 1))
        rows = Product(m, n, k, (k, 1), (n, 1), (n, 1))
        shapes.append((linear, rows))
        for p in (linear, rows, linear.with_packed()):
            kernels.add(lambda b, x, w, y, _, p=p: emit_product(b, p, x, w, y))
        kernels.add(lambda b, x, w, y, _, p=linear: emit_pack(b, p, w, y))
    functions = iter(kernels.link())
    for linear, rows in shapes:
        x, w = torch.randn(linear.m, linear.k), torch.randn(linear.n, linear.k)
        along_n, packed = w.t().contiguous(), torch.empty(linear.packed_size)
        y = [torch.empty(linear.m, linear.n) for _ in range(3)]
        names = ("linear", "along n", "packed")
        calls = {
            name: native(next(functions), x, weights, result)
            for name, weights, result in zip(names, (w, along_n, packed), y, strict=True)
        }
        native(next(functions), x, w, packed)(1)
        for name, result in zip(names, y, strict=True):
            calls[name](1)
            torch.testing.assert_close(result, x @ w.t(), rtol=1e-4, atol=1e-3)
        calls["torch"] = again(torch.mm, x, w.t())
        forms = [choose_form(p, host()).value for p in (linear, rows, linear.with_packed())]
        title = f"{linear.m} x {linear.k} x {linear.n}: {', '.join(forms)}"
        compare(title, 2 * linear.m * linear.k * linear.n, calls, rounds)


def convolutions(rounds: int) -> None:
    kernels = Kernels()
    for c in CONVOLUTIONS:
        kernels.add(lambda b, x, w, y, scratch, c=c: emit_conv2d(b, c, x, w, y, scratch))
    for c, function in zip(CONVOLUTIONS, kernels.link(), strict=True):
        x = torch.randn(1, c.channels, c.height, c.width)
        w = torch.randn(c.filters, c.channels // c.groups, *c.kernel)
        y = torch.empty(1, c.filters, c.out_height, c.out_width)
        own = native(function, x, w, y, torch.empty(c.scratch_size() + 1))
        rest = (None, c.stride, c.padding, c.dilation, c.groups)
        own(1)
        torch.testing.assert_close(y, torch.conv2d(x, w, *rest), rtol=1e-4, atol=1e-3)
        ahead = torch._C._nn.mkldnn_reorder_conv2d_weight(
            w.to_mkldnn(), c.padding, c.stride, c.dilation, c.groups
        )
        calls = {
            "direct": own,
            "torch": again(torch.conv2d, x, w, *rest),
            "mkldnn": again(torch.conv2d, x.to_mkldnn(), ahead, *rest),  # laid out ahead
        }
        title = (
            f"{c.channels} x {c.height} x {c.width} -> {c.filters}, kernel {c.kernel[0]}, "
            f"stride {c.stride[0]}, groups {c.groups}"
        )
        compare(title, 2 * w.numel() * c.out_height * c.out_width, calls, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help="products, convolutions (default: both)")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        for name, run in (("products", products), ("convolutions", convolutions)):
            if not arguments.what or name in arguments.what:
                run(arguments.rounds)


if __name__ == "__main__":
    main()
