"""Direct convolutions of static shape: tiles of filters and of pixels in registers.

Vectors run along the rows of the result.  The input is first laid out anew, one group of channels
at a time: with its padding, and its columns in as many phases as the stride, so that what a
vector of results needs for one weight lies in a row, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from llvmlite import ir

from scriptmode.abi.convention import I8, I64, PTR
from scriptmode.codegen import tensors
from scriptmode.codegen.dense import machine as machines
from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.emit import emit_product
from scriptmode.codegen.dense.machine import BYTES, Machine
from scriptmode.codegen.dense.product import DType, Product, covered, registers_of, tiles_cost
from scriptmode.codegen.dense.tiles import LONG_SUM, Emission, Epilogue, outer_product

Pair = tuple[int, int]
UNROLLED_TAPS = 160  # multiplications in the body of the loop over channels, at most
LINE_COST = 0.1  # of one more line in a tile instead of another vector of the line
LINES_TOGETHER = 4  # lines of results in a tile, at most


@dataclass(frozen=True)
class Convolution:
    """A convolution of contiguous ``batch`` x ``channels`` x ``height`` x ``width`` elements.

    Its weights are ``filters`` x ``channels // groups`` x ``kernel``, contiguous as the result.
    """

    channels: int
    height: int
    width: int
    filters: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    dtype: DType = "f32"
    batch: int = 1

    @property
    def out_height(self) -> int:
        """Rows of the result."""
        reach = self.dilation[0] * (self.kernel[0] - 1) + 1
        return (self.height + 2 * self.padding[0] - reach) // self.stride[0] + 1

    @property
    def out_width(self) -> int:
        """Columns of the result."""
        reach = self.dilation[1] * (self.kernel[1] - 1) + 1
        return (self.width + 2 * self.padding[1] - reach) // self.stride[1] + 1

    @property
    def is_product(self) -> bool:
        """Whether it is the product of the weights and the pixels as they lie."""
        ones = (1, 1)
        return (self.kernel, self.stride, self.padding, self.groups) == (ones, ones, (0, 0), 1)

    def scratch_size(self, machine: Machine | None = None) -> int:
        """Elements of memory that the kernel works in."""
        if self.is_product:
            return 0
        plan = _Layout.of(self, (machine or machines.host()).lanes(self.dtype))
        return plan.plane * (self.channels // self.groups)


@dataclass(frozen=True)
class _Layout:
    """How the input lies in the scratch memory: rows of each phase of columns, padded."""

    phases: tuple[int, ...]  # those that some weight needs
    rows: int
    columns: int  # of one phase

    @staticmethod
    def of(c: Convolution, lanes: int) -> _Layout:
        """The layout for vectors of so many lanes, which may read beyond the last result."""
        reach = c.dilation[1] * (c.kernel[1] - 1)
        phases = {j * c.dilation[1] % c.stride[1] for j in range(c.kernel[1])}
        rows = (c.out_height - 1) * c.stride[0] + c.dilation[0] * (c.kernel[0] - 1) + 1
        columns = -(-c.out_width // lanes) * lanes + reach // c.stride[1]
        return _Layout(tuple(sorted(phases)), rows, columns)

    @property
    def plane(self) -> int:
        """Elements of a channel."""
        return len(self.phases) * self.rows * self.columns


def emit_conv2d(
    b: ir.IRBuilder,
    convolution: Convolution,
    input_ptr: ir.Value,
    weight_ptr: ir.Value,
    result_ptr: ir.Value,
    scratch_ptr: ir.Value,
    *,
    epilogue: Epilogue | None = None,
    machine: Machine | None = None,
) -> None:
    """Emit a convolution; ``scratch_ptr`` has room for ``scratch_size`` elements.

    ``epilogue`` gets the result as a matrix: a row for each filter (of the next image, those that
    follow), a column for each pixel.
    """
    c = convolution
    machine = machine or machines.host()
    element = V.FLOATS[c.dtype]
    pixels, inputs = c.out_height * c.out_width, c.height * c.width
    depth = c.channels // c.groups * c.kernel[0] * c.kernel[1]
    each_group = c.filters // c.groups
    product = Product(
        c.filters, pixels, depth, (depth, 1), (pixels, 1), (pixels, 1), c.dtype,
        c.batch, (0, c.channels * inputs, c.filters * pixels),
    )  # fmt: skip
    if 0 in (c.batch, c.filters, pixels):
        return
    if c.is_product:
        emit_product(b, product, weight_ptr, input_ptr, result_ptr, epilogue=epilogue,
                     machine=machine)  # fmt: skip
        return
    source, weights, result, scratch = (
        V.untyped(b, pointer) for pointer in (input_ptr, weight_ptr, result_ptr, scratch_ptr)
    )
    e = Emission(b, product, machine, epilogue, accumulate=False)
    layout = _Layout.of(c, e.lanes)

    def group(turn: V.Index, image: V.Index) -> None:
        number = V.plus(b, V.times(b, image, c.groups), turn)
        first = V.times(b, number, each_group)
        group_inputs = c.channels // c.groups * inputs
        _arrange(e, c, layout, V.at(b, source, element, V.times(b, number, group_inputs)), scratch)
        group_weights = V.at(b, weights, element, V.times(b, turn, each_group * depth))
        _emit_group(e, c, layout, scratch, group_weights, result, first)

    V.each(b, c.batch, lambda image: V.each(b, c.groups, lambda turn: group(turn, image)))


def _arrange(
    e: Emission, c: Convolution, layout: _Layout, source: ir.Value, scratch: ir.Value
) -> None:
    """Lay out the channels of a group."""
    b, element, lanes = e.b, e.element, e.lanes
    top = c.padding[0]
    count = max(0, min(layout.rows - top, c.height))
    stride = c.stride[1]

    def channel(number: V.Index) -> None:
        plane = V.at(b, scratch, element, V.times(b, number, layout.plane))
        image = V.at(b, source, element, V.times(b, number, c.height * c.width))
        _clear(b, plane, layout.plane * BYTES[c.dtype])

        def row(y: V.Index) -> None:
            line = V.at(b, image, element, V.times(b, y, c.width))
            at = V.plus(b, V.times(b, y, layout.columns), top * layout.columns)
            for i, phase in enumerate(layout.phases):
                first = max(0, -((phase - c.padding[1]) // stride))
                end = min(layout.columns, -((phase - c.padding[1] - c.width) // stride))
                start = first * stride + phase - c.padding[1]
                target = V.plus(b, at, i * layout.rows * layout.columns + first)
                _copy_row(b, element, V.at(b, line, element, start),
                          V.at(b, plane, element, target), max(0, end - first), stride,
                          c.width - start, lanes)  # fmt: skip

        V.each(b, count, row)

    V.each(b, c.channels // c.groups, channel)


def _clear(b: ir.IRBuilder, pointer: ir.Value, size: int) -> None:
    flag = ir.IntType(1)
    ftype = ir.FunctionType(ir.VoidType(), [PTR, I8, I64, flag])
    function = tensors.extern_function(b.module, "llvm.memset.p0.i64", ftype)
    b.call(function, [pointer, ir.Constant(I8, 0), V.index(size), ir.Constant(flag, 0)])


def _copy_row(
    b: ir.IRBuilder, element: ir.Type, source: ir.Value, target: ir.Value,
    count: int, stride: int, available: int, lanes: int,
) -> None:  # fmt: skip
    """Copy ``count`` elements that are ``stride`` apart; ``available`` ones may be read."""
    vectors = 0
    if stride <= 2:
        vectors = min(count // lanes, available // (stride * lanes))

    def vector(i: V.Index) -> None:
        where = V.at(b, source, element, V.times(b, i, stride * lanes))
        value = V.load(b, where, element, lanes)
        if stride == 2:
            following = V.load(b, V.at(b, where, element, lanes), element, lanes)
            value = V.evens(b, value, following)
        V.store(b, value, V.at(b, target, element, V.times(b, i, lanes)), element)

    def single(i: V.Index) -> None:
        at = V.plus(b, i, vectors * lanes)
        value = V.load(b, V.at(b, source, element, V.times(b, at, stride)), element)
        V.store(b, value, V.at(b, target, element, at), element)

    V.each(b, vectors, vector)
    V.each(b, count - vectors * lanes, single)


@lru_cache(maxsize=1024)
def _choose_tile(
    filters: int, lines: int, vectors: int, steps: int, registers: int
) -> tuple[int, int, int]:
    """Filters, lines and vectors of a line in the cheapest tile."""
    best, best_cost = (1, 1, 1), float("inf")
    for high in range(1, min(lines, LINES_TOGETHER) + 1):
        for wide in range(1, vectors + 1):
            if registers_of(1, high * wide, 1) > registers:
                break
            widths = [covered(lines, high), covered(vectors, wide)]
            for count in range(1, filters + 1):
                if registers_of(count, high * wide, 1) > registers:
                    break
                cost = tiles_cost(covered(filters, count), widths, 1, steps)
                if filters > 1 and wide < vectors:
                    cost *= 1 + LINE_COST * (high - 1)
                if cost < best_cost:
                    best, best_cost = (count, high, wide), cost
    return best


def _emit_group(
    e: Emission, c: Convolution, layout: _Layout,
    scratch: ir.Value, weights: ir.Value, result: ir.Value, first: V.Index,
) -> None:  # fmt: skip
    """The filters of a group; ``first`` is the row of its first one in the result."""
    b, element, lanes = e.b, e.element, e.lanes
    across = -(-c.out_width // lanes)  # vectors in a row of results
    filters = c.filters // c.groups
    tile_filters, high, wide = _choose_tile(
        filters, c.out_height, across, e.product.k, e.machine.registers
    )

    def filters_from(filter: V.Index, count: int) -> None:
        at_weights = V.at(b, weights, element, V.times(b, filter, e.product.k))
        row = V.plus(b, first, filter)
        at_result = V.at(b, result, element, V.times(b, row, c.out_height * c.out_width))

        def lines_from(y: V.Index, lines: int) -> None:
            line = V.at(b, scratch, element,
                        V.times(b, y, c.stride[0] * layout.columns))  # fmt: skip
            pixel = V.times(b, y, c.out_width)

            def vectors_from(x: V.Index, vectors: int) -> None:
                at = V.times(b, x, lanes)
                full = isinstance(x, ir.Value) or (x + vectors) * lanes <= c.out_width
                last = lanes if full else c.out_width % lanes
                column = V.plus(b, pixel, at)
                _emit_tile(
                    e, c, layout, V.at(b, line, element, at), at_weights,
                    V.at(b, at_result, element, column), row, column,
                    count, lines, vectors, last,
                )  # fmt: skip

            # the last vector of a row may be cut off: code of its own
            whole = c.out_width // lanes
            V.cover(b, whole // wide * wide, wide, vectors_from)
            if across > whole // wide * wide:
                vectors_from(whole // wide * wide, across - whole // wide * wide)

        V.cover(b, c.out_height, high, lines_from)

    V.cover(b, filters, tile_filters, filters_from)


def _emit_tile(
    e: Emission, c: Convolution, layout: _Layout,
    source: ir.Value, weights: ir.Value, result: ir.Value, row: V.Index, column: V.Index,
    filters: int, lines: int, vectors: int, last: int,
) -> None:  # fmt: skip
    """Some filters at some vectors of some lines; of the last vector of a line ``last`` lanes."""
    b, element, lanes = e.b, e.element, e.lanes
    kernel_rows, kernel_columns = c.kernel
    channels = c.channels // c.groups
    places = [(i, j) for i in range(lines) for j in range(vectors)]

    def tap_row(channel: V.Index, i: V.Index, sums: list[ir.Value]) -> list[ir.Value]:
        plane = V.plus(b, V.times(b, channel, layout.plane),
                       V.times(b, i, c.dilation[0] * layout.columns))  # fmt: skip
        weight = V.plus(b, V.times(b, channel, kernel_rows * kernel_columns),
                        V.times(b, i, kernel_columns))  # fmt: skip
        at_plane = V.at(b, source, element, plane)
        at_weight = V.at(b, weights, element, weight)
        for j in range(kernel_columns):
            offset, phase = divmod(j * c.dilation[1], c.stride[1])
            start = layout.phases.index(phase) * layout.rows * layout.columns + offset

            def weight_of(f: int, j: int = j) -> ir.Value:
                return V.load(b, V.at(b, at_weight, element, f * e.product.k + j), element)

            def pixels_of(place: int, start: int = start) -> ir.Value:
                y, x = places[place]
                offset = start + y * c.stride[0] * layout.columns + x * lanes
                return V.load(b, V.at(b, at_plane, element, offset), element, lanes)

            sums = outer_product(b, filters, len(places), weight_of, pixels_of, sums)
        return sums

    def channel_of(channel: V.Index, sums: list[ir.Value]) -> list[ir.Value]:
        operations = filters * len(places) * kernel_rows * kernel_columns
        return V.repeat(b, kernel_rows, lambda i, carried: tap_row(channel, i, carried), sums,
                        unrolled=operations <= UNROLLED_TAPS)  # fmt: skip

    zeros = [V.zero(element, lanes)] * (filters * len(places))

    def run(first: V.Index, count: int) -> list[ir.Value]:
        return V.repeat(b, count, lambda i, s: channel_of(V.plus(b, first, i), s), zeros)

    block = max(1, LONG_SUM // (kernel_rows * kernel_columns))
    sums = V.sum_in_blocks(b, channels, block, run, zeros)
    pixels = c.out_height * c.out_width
    for f in range(filters):
        for place, (y, x) in enumerate(places):
            pixel = y * c.out_width + x * lanes
            e.finish(
                sums[f * len(places) + place],
                last if x == vectors - 1 else lanes,
                V.at(b, result, element, f * pixels + pixel),
                V.plus(b, row, f),
                V.plus(b, column, pixel),
            )
