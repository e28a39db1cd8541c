"""Elementary functions: within 2 ulp of mpmath (pow: 4), torch's results at the ends of the range."""

import ctypes
import math
import random
from fractions import Fraction

import llvmlite.binding as llvm
import pytest
import torch
from llvmlite import ir
from mpmath import mp, mpf

from scriptmode.codegen import elementwise
from scriptmode.codegen.elementwise import FUNCTIONS, SMALL, coefficients, emit, lanes
from scriptmode.codegen.engine import Engine, optimize, target_machine
from tests.codegen import minimax

TYPES = {torch.float32: ir.FloatType(), torch.float64: ir.DoubleType()}
PRECISION = {torch.float32: 24, torch.float64: 53}
I64 = ir.IntType(64)
inf, nan = math.inf, math.nan


def define_loop(module, name, dtype, width=1):
    """``void name(arguments..., out, n)``: a loop over scalars, or over vectors of ``width``."""
    kind, arity = TYPES[dtype], FUNCTIONS[name][0]
    item = kind if width == 1 else ir.VectorType(kind, width)
    signature = ir.FunctionType(ir.VoidType(), [ir.PointerType()] * (arity + 1) + [I64])
    function = ir.Function(module, signature, f"{name}_{PRECISION[dtype]}")
    *places, out, count = function.args
    for pointer in (*places, out):
        pointer.add_attribute("noalias")
    entry, loop, end = (function.append_basic_block(b) for b in ("entry", "loop", "end"))
    ir.IRBuilder(entry).branch(loop)
    b = ir.IRBuilder(loop)
    i = b.phi(I64)
    i.add_incoming(I64(0), entry)
    align = 4 if dtype == torch.float32 else 8
    values = [b.load(b.gep(p, [i], source_etype=kind), typ=item, align=align) for p in places]
    b.store(emit(name, b, *values), b.gep(out, [i], source_etype=kind), align=align)
    following = b.add(i, I64(width))
    i.add_incoming(following, loop)
    b.cbranch(b.icmp_signed("<", following, count), loop, end)
    ir.IRBuilder(end).ret_void()


class Compiled:
    """The loops of some functions."""

    def __init__(self, names, width=1, dtypes=tuple(TYPES)):
        module = ir.Module()
        for name in names:
            for dtype in dtypes:
                define_loop(module, name, dtype, width)
        machine = target_machine(3)
        parsed = llvm.parse_assembly(str(module))
        parsed.triple = machine.triple
        parsed.verify()
        if width == 1:
            optimize(parsed, machine, 3)
        self.text = str(parsed)
        self.engine = Engine(3)
        self.engine.add_object(bytes(machine.emit_object(parsed)))

    def __call__(self, name, *tensors):
        out = torch.empty_like(tensors[0])
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in (*tensors, out)]
        address = self.engine.address(f"{name}_{PRECISION[out.dtype]}")
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers), ctypes.c_int64)
        function(address)(*pointers, len(out))
        return out

    def scalars(self, name, *tensors):
        """The results of the loop's remainder, one element at a time."""
        one_by_one = zip(*(t.split(1) for t in tensors))
        return torch.cat([self(name, *(t.clone() for t in row)) for row in one_by_one])


# ---- the exact values ----


def normal(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def gelu_tanh(x, dtype):
    b, k = (mpf(torch.tensor(v, dtype=dtype).item()) for v in (math.sqrt(2 / math.pi), 0.044715))
    return x / (1 + mp.exp(-2 * b * (x + k * x**3)))


def precisely(function):
    """``function`` with enough digits for the remainder of large numbers by pi."""

    def evaluate(x):
        with mp.workprec(1300 if abs(x) > 1e6 else 200):
            return function(x)

    return evaluate


EXACT = {
    "exp": mp.exp, "exp2": lambda x: mpf(2) ** x, "expm1": mp.expm1,
    "log": mp.log, "log2": lambda x: mp.log(x) / mp.ln2, "log10": lambda x: mp.log(x) / mp.ln10,
    "log1p": mp.log1p, "softplus": lambda x: mp.log1p(mp.exp(-abs(x))) + max(x, 0),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "silu": lambda x: x / (1 + mp.exp(-x)),
    "tanh": mp.tanh, "sinh": mp.sinh, "cosh": mp.cosh, "erf": mp.erf, "erfc": mp.erfc,
    "gelu": lambda x: x * normal(x), "sin": precisely(mp.sin), "cos": precisely(mp.cos),
    "tan": precisely(mp.tan), "asin": mp.asin, "acos": mp.acos, "atan": mp.atan,
    "atan2": mp.atan2, "pow": lambda x, y: x**y, "hypot": mp.hypot,
    "sqrt": mp.sqrt, "rsqrt": lambda x: 1 / mp.sqrt(x), "reciprocal": lambda x: 1 / x,
}  # fmt: skip
for small, _, _ in SMALL.values():
    EXACT[small] = EXACT[small.removesuffix("_small")]


def ulps(result, exact, dtype):
    """The distance in units of the last place of ``exact``."""
    precision, least, largest = (24, -149, 128) if dtype == torch.float32 else (53, -1074, 1024)
    if exact == 0 or mp.isinf(exact):
        return 0 if result == exact else inf
    unit = mpf(2) ** max(mp.frexp(abs(exact))[1] - precision, least)
    if math.isinf(result):
        return 0 if mp.sign(exact) * result > 0 and abs(exact) > mpf(2) ** largest - unit else inf
    return float(abs(mpf(result) - exact) / unit)


# ---- arguments ----

COUNT = 40
EXPONENTS = {torch.float32: (-149, 127.9), torch.float64: (-1074, 1023.9)}


def uniform(low, high):
    return lambda rng, dtype: rng.uniform(low, high)


def magnitudes(low=None, high=None, positive=False):
    """Numbers of any size between 2**low and 2**high, by default all of the format."""

    def draw(rng, dtype):
        least, largest = EXPONENTS[dtype]
        value = 2.0 ** rng.uniform(least if low is None else low, largest if high is None else high)
        return value if positive else value * rng.choice((-1, 1))

    return draw


def near(center, positive=False):
    draw = magnitudes(-30, -1, positive)
    return lambda rng, dtype: center + draw(rng, dtype)


def exponents(share):
    """Arguments of exp up to where it overflows or vanishes."""
    return lambda rng, dtype: (
        rng.uniform(-1.06, 1.0) * share * (98 if dtype == torch.float32 else 709)
    )


def multiples_of_half_pi(rng, dtype):
    return rng.randrange(1, 20000) * (math.pi / 2)


EXPONENTIAL = [exponents(1), uniform(-1, 1), uniform(-5, 5), uniform(-25, 25), magnitudes(high=3)]
BELL = [uniform(-1, 1), uniform(-6, 6), uniform(-14, 14), uniform(-40, 40), magnitudes(high=3)]
PERIODIC = [uniform(-4, 4), uniform(-30000, 30000), multiples_of_half_pi, magnitudes(high=15)]
CIRCLE = [uniform(-1, 1), uniform(0.49, 0.51), near(1, True), near(-1), magnitudes(high=0)]
LOGARITHMIC = [magnitudes(positive=True), uniform(0.5, 2), near(1)]
PLANE = [uniform(-3, 3), magnitudes(), magnitudes(-140, -126), magnitudes(122, 127.9)]
ARGUMENTS = {
    "exp2": [uniform(-160, 130), uniform(-1080, 1025), uniform(-1, 1), magnitudes(high=3)],
    "log": LOGARITHMIC, "log2": LOGARITHMIC, "log10": LOGARITHMIC,
    "log1p": [magnitudes(positive=True), uniform(-1, 1), magnitudes(high=-1), near(-1, True)],
    "erf": BELL, "erfc": BELL, "gelu": BELL, "gelu_tanh": BELL,
    "sin": [*PERIODIC, magnitudes()], "cos": [*PERIODIC, magnitudes()],
    "tan": [*PERIODIC, magnitudes()],
    "sin_small": PERIODIC, "cos_small": PERIODIC, "tan_small": PERIODIC,
    "asin": CIRCLE, "acos": CIRCLE, "atan": [uniform(-3, 3), magnitudes()],
    "sqrt": LOGARITHMIC, "rsqrt": LOGARITHMIC, "reciprocal": PLANE,
}  # fmt: skip
PAIRS = {
    "pow": [
        (uniform(0, 8), uniform(-30, 30)), (magnitudes(positive=True), uniform(-3, 3)),
        (near(1), magnitudes(1, 20)), (uniform(0.5, 2), uniform(-1000, 1000)),
    ],
    "atan2": [(p, p) for p in PLANE], "hypot": [(p, p) for p in PLANE],
}  # fmt: skip


def arguments_of(name, dtype):
    """Random arguments, each a tuple."""
    rng = random.Random(name)
    draws = PAIRS.get(name) or [(d,) for d in ARGUMENTS.get(name, EXPONENTIAL)]
    rows = [tuple(d(rng, dtype) for d in row) for row in draws for _ in range(COUNT)]
    columns = [torch.tensor(c, dtype=torch.float64).to(dtype) for c in zip(*rows)]
    finite = torch.stack([c.isfinite() for c in columns]).all(0)
    return [c[finite].contiguous() for c in columns]


@pytest.mark.parametrize("name", [*EXACT, "gelu_tanh"])
def test_results_are_close_to_the_exact_ones(name):
    compiled = Compiled([name])
    assert compiled.text.count("vector.body:") >= len(TYPES)
    for dtype in TYPES:
        arguments = arguments_of(name, dtype)
        rows = [tuple(mpf(v) for v in row) for row in zip(*(a.tolist() for a in arguments))]
        with mp.workprec(160):
            if name == "gelu_tanh":
                exact = [gelu_tanh(*row, dtype) for row in rows]
            else:
                exact = [EXACT[name](*row) for row in rows]
            for way in (compiled, compiled.scalars):
                results = way(name, *arguments).tolist()
                errors = [ulps(r, e, dtype) for r, e in zip(results, exact)]
                worst = max(range(len(errors)), key=errors.__getitem__)
                limit = 4 if name == "pow" else 2
                assert errors[worst] <= limit, (dtype, rows[worst], results[worst], errors[worst])


def hardest_for_circles(dtype):
    """For each exponent the numbers next to a multiple of pi/2: m * 2**e * 2/pi is nearly whole.

    m are denominators of the continued fraction of 2**e * 2/pi.
    """
    bits = len(coefficients.TWO_OVER_PI) * 4
    precision = PRECISION[dtype]
    low, high = (-30, 104) if dtype == torch.float32 else (-55, 971)
    numbers = []
    for e in range(low, high + 1, 1 if dtype == torch.float32 else 9):
        rest = Fraction(int(coefficients.TWO_OVER_PI, 16), 1 << bits) * Fraction(2) ** e % 1
        before, current, largest = 0, 1, 0
        while rest and current < 1 << precision:
            largest = current * ((1 << precision) // current)
            whole, rest = divmod(1 / rest, 1)
            before, current = current, int(whole) * current + before
        numbers.append(float(Fraction(largest) * Fraction(2) ** e))
    return torch.tensor([n for n in numbers if math.isfinite(n)], dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_multiples_of_half_pi_keep_their_precision(name):
    compiled = Compiled([name])
    for dtype in TYPES:
        numbers = hardest_for_circles(dtype)
        for x, result in zip(numbers.tolist(), compiled(name, numbers).tolist()):
            assert ulps(result, EXACT[name](mpf(x)), dtype) <= 2, (dtype, x, result)


# ---- ends of the range ----

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1e-40, -1e-40, 1e30, -1e30]
SPECIAL += [inf, -inf, nan, 1e19, -7.25, 2.5, -2.5, 1.5, 104.0, -104.0]
EAGER = {
    "reciprocal": torch.reciprocal, "round": torch.round, "relu": torch.relu,
    "gelu": torch.nn.functional.gelu, "silu": torch.nn.functional.silu,
    "softplus": lambda x: torch.nn.functional.softplus(x, threshold=1000),
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if not n.endswith("_small")])
def test_special_values_are_those_of_eager(name):
    compiled = Compiled([name], dtypes=(torch.float64,))
    special = torch.tensor(SPECIAL, dtype=torch.float64)
    arguments = [special]
    if FUNCTIONS[name][0] == 2:
        pairs = torch.cartesian_prod(special, special)
        arguments = [pairs[:, 0].contiguous(), pairs[:, 1].contiguous()]
    result = compiled(name, *arguments)
    expected = EAGER.get(name, getattr(torch, name, None))(*arguments)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-15, equal_nan=True)
    signs = result.isnan() | (result.signbit() == expected.signbit())
    assert signs.all(), [(a[~signs], result[~signs], expected[~signs]) for a in arguments]


def test_fmod_of_floats_is_exact():
    compiled = Compiled(["fmod"], dtypes=(torch.float32,))
    assert "vector.body:" in compiled.text
    rng = random.Random(0)
    draw = magnitudes()
    rows = [(draw(rng, torch.float32), draw(rng, torch.float32)) for _ in range(1000)]
    rows += [(rng.uniform(-9, 9), rng.uniform(-2, 2)) for _ in range(200)]
    rows += [(rng.randrange(-99, 99) * 0.5, rng.choice((0.5, 1, 1.5, 3))) for _ in range(200)]
    rows += [(a, b) for a in SPECIAL for b in SPECIAL]
    x, y = (torch.tensor(c) for c in zip(*rows))
    expected = torch.fmod(x.double(), y.double()).float()
    result = compiled("fmod", x, y)
    torch.testing.assert_close(result, expected, rtol=0, atol=0, equal_nan=True)
    assert (result.isnan() | (result.signbit() == expected.signbit())).all()


@pytest.mark.parametrize("name", ["exp", "tanh", "sin", "pow", "log", "erf"])
def test_explicit_vectors_and_scalars_agree(name):
    loop = Compiled([name])
    for dtype, width in ((torch.float32, 8), (torch.float64, 4)):
        arguments = [a[:32].contiguous() for a in arguments_of(name, dtype)]
        vectors = Compiled([name], width, (dtype,))
        torch.testing.assert_close(vectors(name, *arguments), loop(name, *arguments))


@pytest.mark.parametrize("name", ["sin", "erfc", "gelu", "pow"])
def test_processors_without_fma_get_the_same_results(name, monkeypatch):
    loop = Compiled([name])
    monkeypatch.setattr(lanes, "has_fma", lambda: False)
    plain = Compiled([name])
    assert "llvm.fma" not in plain.text
    for dtype in TYPES:
        arguments = arguments_of(name, dtype)
        rtol = 1e-6 if dtype == torch.float32 else 2e-15
        expected = loop(name, *arguments)
        torch.testing.assert_close(plain(name, *arguments), expected, rtol=rtol, atol=1e-40)


def test_the_constants_of_two_over_pi():
    with mp.workprec(1500):
        bits = len(coefficients.TWO_OVER_PI) * 4
        assert int(coefficients.TWO_OVER_PI, 16) == int(mp.floor(2 / mp.pi * mpf(2) ** bits))


@pytest.mark.parametrize("name, bits", [("EXP", 24), ("SIN", 53), ("ERF", 24)])
def test_coefficients_are_those_that_the_derivation_gives(name, bits):
    found, error = minimax.fit(name, bits)
    assert coefficients.COEFFICIENTS[name, bits] == pytest.approx(found, rel=1e-6)
    assert error < (-24 if bits == 24 else -53)


def test_wrong_calls_are_errors():
    builder = ir.IRBuilder()
    with pytest.raises(KeyError):
        elementwise.emit("expo", builder, None)
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        elementwise.emit("pow", builder, None)
