"""Dense products of static shapes: every kernel, on every width of vectors, against torch."""

import ctypes
import random
from dataclasses import replace

import pytest
import torch
from llvmlite import ir

from scriptmode.abi.convention import I64, PTR
from scriptmode.codegen import engine
from scriptmode.codegen.dense import emit
from scriptmode.codegen.dense import machine as machines
from scriptmode.codegen.dense import vectors as V
from scriptmode.codegen.dense.conv import Convolution, emit_conv2d
from scriptmode.codegen.dense.emit import Form, choose_form, emit_product
from scriptmode.codegen.dense.pack import emit_pack
from scriptmode.codegen.dense.product import Product, choose_tile

DTYPES = {"f32": torch.float32, "f64": torch.float64}
MACHINES = {
    "sse": machines.SSE, "avx": machines.AVX, "avx512": machines.AVX512, "neon": machines.NEON,
}  # fmt: skip


class Compiled:
    """Functions of pointers, emitted by ``emit(builder, *pointers)``, in one module."""

    def __init__(self):
        self.module = ir.Module("dense")
        self.names = []
        self.engine = None

    def add(self, count, emit):
        name = f"f{len(self.names)}"
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [PTR] * count), name)
        builder = ir.IRBuilder(function.append_basic_block())
        emit(builder, *function.args)
        builder.ret_void()
        self.names.append((name, count))

    def link(self):
        self.engine = engine.Engine()
        self.engine.add(self.module, optimize_level=1)
        return [
            ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(self.engine.address(name))
            for name, count in self.names
        ]

    def close(self):
        if self.engine:
            self.engine.close()


@pytest.fixture
def compiled():
    made = Compiled()
    yield made
    made.close()


def matrix(rng, batch, rows, columns, dtype, layouts):
    """A tensor of a random layout, with room between rows in some."""
    layout = rng.choice(layouts)
    pad = rng.choice((0, 0, 3))
    if layout == "rows":
        return torch.randn(batch, rows, columns + pad, dtype=dtype)[:, :, :columns]
    if layout == "columns":
        return torch.randn(batch, columns, rows + pad, dtype=dtype)[:, :, :rows].mT
    if layout == "apart":
        return torch.randn(batch, rows, 2 * columns + pad, dtype=dtype)[:, :, : 2 * columns : 2]
    if layout == "row":
        return torch.randn(batch, 1, columns, dtype=dtype).expand(batch, rows, columns)
    if layout == "column":
        return torch.randn(batch, rows, 1, dtype=dtype).expand(batch, rows, columns)
    assert layout == "batch"
    return torch.randn(1, rows, columns, dtype=dtype).expand(batch, rows, columns)


def product_of(a, b, c, dtype):
    return Product(
        a.shape[1], b.shape[2], a.shape[2],
        a.stride()[1:], b.stride()[1:], c.stride()[1:], dtype,
        len(a), (a.stride(0), b.stride(0), c.stride(0)),
    )  # fmt: skip


def bias_relu(bias, element):
    def epilogue(b, value, row, column):
        lanes = V.lanes_of(value)
        value = b.fadd(value, V.load(b, V.at(b, bias, element, column), element, lanes))
        return b.select(b.fcmp_unordered("<=", value, V.zero(element, lanes)),
                        V.zero(element, lanes), value)  # fmt: skip

    return epilogue


def add_position(b, value, row, column):
    """Add 100 * row + column, to see that the epilogue gets the right place."""
    lanes = V.lanes_of(value)
    element = value.type.element if lanes > 1 else value.type
    place = b.add(b.mul(row, ir.Constant(I64, 100)), column)
    scalars = [b.sitofp(b.add(place, ir.Constant(I64, i)), element) for i in range(lanes)]
    return b.fadd(value, V.from_scalars(b, scalars))


def tolerance(dtype):
    return {"rtol": 2e-5, "atol": 1e-4} if dtype == "f32" else {"rtol": 1e-12, "atol": 1e-12}


def check(compiled, cases):
    """Compile products, run them, and compare with torch in float64."""
    prepared = []
    for p, a, b, c, epilogue, accumulate, machine, form in cases:
        element = V.FLOATS[p.dtype]
        bias = torch.randn(p.n, dtype=DTYPES[p.dtype])

        def emit(builder, a_ptr, b_ptr, c_ptr, bias_ptr):
            chosen = {None: None, "bias": bias_relu(bias_ptr, element), "place": add_position}
            emit_product(builder, p, a_ptr, b_ptr, c_ptr, epilogue=chosen[epilogue],
                         accumulate=accumulate, machine=machine, form=form)  # fmt: skip

        compiled.add(4, emit)
        expected = a.double() @ b.double()
        if accumulate:
            expected = expected + c.double()
        if epilogue == "bias":
            expected = torch.relu(expected + bias.double())
        if epilogue == "place":
            rows = 100.0 * torch.arange(p.batch * p.m).view(p.batch, p.m, 1)
            expected = expected + rows + torch.arange(p.n)
        prepared.append((p, a, b, c, bias, expected))
    for function, (p, a, b, c, bias, expected) in zip(compiled.link(), prepared):
        storage = torch.as_strided(c, (c.untyped_storage().size() // c.itemsize,), (1,))
        untouched = torch.ones_like(storage, dtype=torch.bool)
        untouched.as_strided(c.shape, c.stride()).fill_(False)
        before = storage[untouched]
        function(a.data_ptr(), b.data_ptr(), c.data_ptr(), bias.data_ptr())
        torch.testing.assert_close(
            c.double(), expected, **tolerance(p.dtype), msg=lambda m: f"{p}: {m}"
        )
        assert torch.equal(storage[untouched], before), p


def random_case(rng, machine, form=None, layouts=None):
    dtype = rng.choice(("f32", "f64"))
    m, n, k = (rng.choice((1, rng.randint(1, 8), rng.randint(1, 40))) for _ in range(3))
    batch = rng.choice((1, 1, 3))
    operand = layouts or ("rows", "rows", "columns", "columns", "apart", "row", "column", "batch")
    a = matrix(rng, batch, m, k, DTYPES[dtype], operand)
    b = matrix(rng, batch, k, n, DTYPES[dtype], operand)
    c = matrix(rng, batch, m, n, DTYPES[dtype], ("rows", "rows", "rows", "columns", "apart"))
    epilogue = rng.choice((None, "bias", "place"))
    return product_of(a, b, c, dtype), a, b, c, epilogue, rng.random() < 0.3, machine, form


@pytest.mark.parametrize("name", MACHINES)
def test_random_products_equal_torch(compiled, name):
    rng = random.Random(name)
    torch.manual_seed(0)
    check(compiled, [random_case(rng, MACHINES[name]) for _ in range(30)])


FORMS = {
    Form.UNROLLED: None, Form.TILES: None, Form.PACKED_TILES: None, Form.DOTS: None,
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.value)
def test_every_kernel_takes_any_shape(compiled, form):
    rng = random.Random(form.value)
    cases = []
    while len(cases) < 25:
        layouts = FORMS[form]
        p, a, b, c, *rest = random_case(rng, machines.host(), form, layouts)
        if form is Form.DOTS:
            b = b.mT.contiguous().mT
            if p.n == 1 or c.stride(2) != 1:  # the operands change places
                a = a.contiguous()
            p = product_of(a, b, c, p.dtype)
        if form is not Form.UNROLLED or p.m * p.n * p.k < 1000:
            cases.append((p, a, b, c, *rest))
    check(compiled, cases)


def test_many_rows_are_taken_in_blocks(compiled, monkeypatch):
    monkeypatch.setattr(emit, "BLOCK_BYTES", 1 << 16)
    cases = []
    for m, n, k, layout in (
        (90, 9, 700, "rows"),
        (91, 5, 700, "columns"),
        (6, 70, 5000, "rows"),
        (2, 9, 4099, "rows"),
    ):
        a, b, c = torch.randn(1, m, k), torch.randn(1, k, n), torch.randn(1, m, n)
        b = b if layout == "rows" else b.mT.contiguous().mT
        cases.append((product_of(a, b, c, "f32"), a, b, c, "place", False, None, None))
    check(compiled, cases)


def test_large_products_are_calls_of_the_blas(compiled):
    machine = replace(machines.host(), has_blas=True)
    rng = random.Random(7)
    cases = []
    for dtype in DTYPES:
        for a_layout in ("rows", "columns"):
            for b_layout in ("rows", "columns"):
                for c_layout in ("rows", "columns"):
                    a = matrix(rng, 2, 90, 85, DTYPES[dtype], [a_layout])
                    b = matrix(rng, 2, 85, 101, DTYPES[dtype], [b_layout])
                    c = matrix(rng, 2, 90, 101, DTYPES[dtype], [c_layout])
                    p = product_of(a, b, c, dtype)
                    assert (
                        choose_form(p if c_layout == "rows" else p.transposed(), machine)
                        is Form.CALL
                    )
                    accumulate = len(cases) % 3 == 0
                    cases.append((p, a, b, c, "bias", accumulate, machine, None))
    check(compiled, cases)


def test_where_the_blas_is_general_operands_along_k_are_ours(compiled):
    machine = replace(machines.host(), has_blas=False)
    cases = []
    for n, k in ((131, 300), (300, 77)):
        a, b, c = torch.randn(1, 130, k), torch.randn(1, n, k).mT, torch.randn(1, 130, n)
        p = product_of(a, b, c, "f32")
        assert choose_form(p, machine) is Form.DOTS
        assert choose_form(replace(p, m=10_000), machine) is Form.CALL
        cases.append((p, a, b, c, "bias", False, machine, None))
    check(compiled, cases)


@pytest.mark.parametrize("name", MACHINES)
def test_packed_weights_serve_products_of_any_number_of_rows(compiled, name):
    machine = MACHINES[name]
    rng = random.Random(name)
    cases = []
    for _ in range(8):
        dtype = rng.choice(("f32", "f64"))
        n, k = rng.randint(1, 70), rng.randint(1, 40)
        w = matrix(rng, 1, k, n, DTYPES[dtype], ("rows", "columns", "columns", "apart", "column"))[
            0
        ]
        for m in (1, rng.randint(2, 20)):
            a = torch.randn(m, k, dtype=DTYPES[dtype])
            p = Product(m, n, k, a.stride(), w.stride(), (n, 1), dtype)
            compiled.add(
                2, lambda b, source, packed: emit_pack(b, p, source, packed, machine=machine)
            )
            compiled.add(
                3, lambda b, x, y, z: emit_product(b, p.with_packed(), x, y, z, machine=machine)
            )
            cases.append((p, a, w))
    functions = iter(compiled.link())
    for p, a, w in cases:
        packed = torch.full((p.packed_size + 1,), 7, dtype=a.dtype)
        c = torch.empty(p.m, p.n, dtype=a.dtype)
        next(functions)(w.data_ptr(), packed.data_ptr())
        next(functions)(a.data_ptr(), packed.data_ptr(), c.data_ptr())
        torch.testing.assert_close(c, a @ w, **tolerance(p.dtype), msg=lambda m: f"{p}: {m}")
        assert packed[-1] == 7


def test_empty_products(compiled):
    shapes = [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 40, 0), (40, 1, 0), (0, 0, 0)]
    cases = []
    for m, n, k in shapes:
        for accumulate in (False, True):
            for layout in ("rows", "columns"):
                a, b = torch.randn(1, m, k), torch.randn(1, k, n)
                b = b if layout == "rows" else b.mT.contiguous().mT
                c = torch.randn(1, m, n)
                p = product_of(a, b, c, "f32")
                cases.append((p, a, b, c, None, accumulate, None, None))
    check(compiled, cases)


def test_nan_and_infinity_propagate(compiled):
    inf, nan = float("inf"), float("nan")
    cases = []
    for m, n, k in ((3, 4, 4), (1, 33, 19), (7, 33, 19), (5, 1, 30), (2, 7, 3)):
        for layout in ("rows", "columns"):
            a, b = torch.randn(m, k), torch.randn(k, n)
            a[0, 0], a[-1, -1], b[-1, 0], b[0, -1] = inf, nan, 0, -inf
            a[m // 2] = 0
            b = b if layout == "rows" else b.mT.contiguous().mT
            p = Product(m, n, k, a.stride(), b.stride(), (n, 1))
            compiled.add(3, lambda builder, x, y, z: emit_product(builder, p, x, y, z))
            cases.append((a, b))
    for function, (a, b) in zip(compiled.link(), cases):
        c = torch.empty(len(a), b.shape[1])
        function(a.data_ptr(), b.data_ptr(), c.data_ptr())
        expected = (a[:, :, None] * b[None]).sum(1)
        torch.testing.assert_close(c, expected, equal_nan=True)


def test_tiny_products_of_stack_slots_stay_in_registers():
    module = ir.Module("registers")
    element = ir.FloatType()
    function = ir.Function(module, ir.FunctionType(element, [element] * 2), "f")
    b = ir.IRBuilder(function.append_basic_block())
    slots = [b.alloca(ir.ArrayType(element, size)) for size in (12, 16, 12)]
    for slot, value in zip(slots, function.args):
        for i in range(slot.allocated_type.count):
            scaled = b.fmul(value, ir.Constant(element, float(i)))
            V.store(b, scaled, V.at(b, V.untyped(b, slot), element, i), element)
    for strides in ((4, 1), (1, 4)):
        emit_product(b, Product(3, 4, 4, (4, 1), strides, (4, 1)), *slots)
        emit_product(b, Product(3, 4, 4, (4, 1), strides, (4, 1)), slots[2], slots[1], slots[0])
    b.ret(V.load(b, V.at(b, V.untyped(b, slots[0]), element, 5), element))
    machine = engine.target_machine(1)
    parsed = engine.llvm.parse_assembly(str(module))
    engine.optimize(parsed, machine, 1)
    assert "alloca" not in str(parsed) and "fmuladd" in str(parsed)


def test_repeated_runs_give_the_same_bits(compiled):
    a, w = torch.randn(5, 67), torch.randn(37, 67)
    p = Product(5, 37, 67, a.stride(), w.t().stride(), (37, 1))
    for _ in range(2):
        compiled.add(3, lambda b, x, y, z: emit_product(b, p, x, y, z))
    results = []
    for function in compiled.link() * 2:
        results.append(torch.empty(5, 37))
        function(a.data_ptr(), w.data_ptr(), results[-1].data_ptr())
    assert all(torch.equal(results[0], r) for r in results)


def test_tiles_fit_the_registers():
    for registers in (16, 32):
        for rows in range(1, 20):
            for columns in range(1, 20):
                tile = choose_tile(rows, columns, 64, registers)
                used = tile.rows * tile.columns * tile.chains + min(tile.rows, tile.columns) + 1
                assert used <= registers and tile.rows <= rows and tile.columns <= columns
    assert choose_tile(6, 2, 64, 16).rows == 6


def random_convolution(rng):
    groups = rng.choice((1, 1, 2, 0))
    kernel = rng.choice(((1, 1), (3, 3), (3, 3), (2, 5), (7, 7)))
    stride, dilation = (
        rng.choice(((1, 1), (2, 2), (1, 3), (3, 2))),
        rng.choice(((1, 1), (1, 1), (2, 3))),
    )
    channels = rng.randint(1, 6) * max(groups, 1)
    filters = rng.randint(1, 13) * max(groups, 1)
    if groups == 0:  # depthwise
        groups, filters = channels, channels * rng.choice((1, 1, 2))
    padding = rng.randint(0, 3), rng.randint(0, 3)
    sizes = [d * (k - 1) + 1 + rng.randint(0, 30) for d, k in zip(dilation, kernel)]
    dtype = rng.choice(("f32", "f64"))
    return Convolution(
        channels,
        *sizes,
        filters,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        dtype,
        rng.choice((1, 1, 2)),
    )


@pytest.mark.parametrize("name", MACHINES)
def test_convolutions_equal_torch(compiled, name):
    machine, rng = MACHINES[name], random.Random(name)
    cases = [random_convolution(rng) for _ in range(14)]
    cases += [Convolution(8, 9, 9, 12, (1, 1)), Convolution(4, 3, 1, 3, (3, 3), padding=(1, 1))]
    for c in cases:

        def emit(b, x, w, y, bias, scratch):
            def epilogue(b, value, row, column):
                lanes = V.lanes_of(value)
                channel = b.urem(row, ir.Constant(I64, c.filters))
                element = V.FLOATS[c.dtype]
                added = V.load(b, V.at(b, bias, element, channel), element)
                return add_position(b, b.fadd(value, V.splat(b, added, lanes)), row, column)

            emit_conv2d(b, c, x, w, y, scratch, epilogue=epilogue, machine=machine)

        compiled.add(5, emit)
    for function, c in zip(compiled.link(), cases):
        dtype = DTYPES[c.dtype]
        x = torch.randn(c.batch, c.channels, c.height, c.width, dtype=dtype)
        w = torch.randn(c.filters, c.channels // c.groups, *c.kernel, dtype=dtype)
        bias = torch.randn(c.filters, dtype=dtype)
        expected = torch.conv2d(
            x.double(), w.double(), bias.double(), c.stride, c.padding, c.dilation, c.groups
        )
        assert expected.shape[2:] == (c.out_height, c.out_width)
        rows = torch.arange(c.batch * c.filters).view(c.batch, c.filters, 1, 1)
        pixels = torch.arange(c.out_height * c.out_width).view(1, 1, c.out_height, c.out_width)
        scratch = torch.full((c.scratch_size(machine) + 1,), float("nan"), dtype=dtype)
        y = torch.empty(expected.shape, dtype=dtype)
        function(*(t.data_ptr() for t in (x, w, y, bias, scratch)))
        torch.testing.assert_close(
            y.double(),
            expected + 100.0 * rows + pixels,
            **tolerance(c.dtype),
            msg=lambda m: f"{c}: {m}",
        )
        assert scratch[-1].isnan()
