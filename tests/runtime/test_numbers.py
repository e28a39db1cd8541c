"""Native arithmetic and ``math`` against CPython's."""

from __future__ import annotations

import cmath
import itertools
import math
import operator
import random
import struct

import pytest

from scriptmode.ir.type_parser import parse_type
from scriptmode.ir.types import BOOL, COMPLEX, FLOAT, INT
from tests.runtime.natives import Typed, no_leaks, op, outcome

LIMITS = [
    2**63 - 1,
    -(2**63),
    2**62,
    -(2**62),
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    10**18,
    2**31,
    3**39,
]
INTS = [
    0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    7,
    -7,
    10,
    62,
    63,
    64,
    65,
    100,
    -64,
    *LIMITS,
    *[-x for x in LIMITS if x > -(2**63)],
]
FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 1e-5, 1e5, math.pi, -math.e, 1e15, 1e16, 2.0**53,
    2.0**63, -(2.0**63), 2.0**62, 9.2e18, 1e22, 1e23, 1e300, -1e300, 1e308, 1.7e308, 5e-324, -5e-324, 2.2e-308,
    math.inf, -math.inf, math.nan, 0.1, 0.3, 2.675, 1e-300, 1023.0, 1024.0, -1075.0, 100.5,
]  # fmt: skip


@pytest.fixture(autouse=True)
def leaks():
    with no_leaks():
        yield


def checked(function):
    def call(*args):
        value = function(*args)
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise OverflowError("int too large for 64 bits")
        return value

    return call


def small_shift(a, b):
    return a << b if b < 70 or a == 0 else 2**64


def float_pow(a, b):
    if a < 0 and math.isfinite(a) and math.isfinite(b) and b != math.floor(b):
        raise ValueError("power of a negative float with a fractional exponent is complex")
    return a**b


def int_pow(a, b):
    if b < 0:
        raise ValueError("negative exponent of an int power whose result is typed int")
    return a**b if abs(a) < 2 or b < 65 else 2**64


@pytest.mark.parametrize("name, function, returns", [
    ("sm_int_floordiv", operator.floordiv, INT), ("sm_int_mod", operator.mod, INT),
    ("sm_int_truediv", operator.truediv, FLOAT), ("sm_int_lshift", small_shift, INT),
    ("sm_int_rshift", operator.rshift, INT), ("sm_int_pow", int_pow, INT),
    ("sm_math_gcd", math.gcd, INT), ("sm_math_lcm", math.lcm, INT),
    ("sm_int_divmod", divmod, parse_type("Tuple[int, int]")),
])  # fmt: skip
def test_int_operators(name, function, returns):
    for a, b in itertools.product(INTS, INTS):
        if name == "sm_int_divmod" and (a, b) == (-(2**63), -1):
            continue
        want = outcome(checked(function), a, b)
        assert outcome(lambda: op(name, a, b, returns=returns)) == want, (a, b)


def test_int_division_is_correctly_rounded():
    rng = random.Random(3)
    for _ in range(1500):
        a, b = (rng.getrandbits(rng.randrange(1, 64)) * rng.choice((1, -1)) for _ in range(2))
        if b:
            assert op("sm_int_truediv", a, b, returns=FLOAT) == a / b, (a, b)


@pytest.mark.parametrize("name, function, returns", [
    ("sm_int_neg", operator.neg, INT), ("sm_int_abs", abs, INT), ("sm_math_factorial",
     lambda a: math.factorial(a) if a < 30 else 2**64, INT), ("sm_math_isqrt", math.isqrt, INT),
    ("sm_int_bit_length", int.bit_length, INT), ("sm_int_bit_count", int.bit_count, INT),
])  # fmt: skip
def test_int_functions(name, function, returns):
    for a in [
        *INTS,
        *range(4, 30),
        3037000499**2,
        3037000499**2 - 1,
        4503599761588224,
        4503599761588223,
    ]:
        assert outcome(lambda: op(name, a, returns=returns)) == outcome(checked(function), a), a


def test_comb_and_perm():
    for n, k in itertools.product([*range(-2, 70), 2**40, 2**63 - 1], [*range(-1, 40), 66]):
        if n < 100 or k < 5:
            assert outcome(lambda: op("sm_math_comb", n, k, returns=INT)) == outcome(
                checked(math.comb), n, k
            )
            assert outcome(lambda: op("sm_math_perm", n, k, returns=INT)) == outcome(
                checked(math.perm), n, k
            )


def test_rounding_of_ints():
    rng = random.Random(4)
    values = INTS + [5 * 10**18, 5 * 10**18 + 1, 15, 25, 35, -15, -25, 9223372036854775805]
    for a in values + [rng.randrange(-(2**63), 2**63) for _ in range(60)]:
        for digits in range(-21, 2):
            want = outcome(checked(round), a, digits)
            assert outcome(lambda: op("sm_int_round_digits", a, digits, returns=INT)) == want, (
                a,
                digits,
            )


@pytest.mark.parametrize("name, function, returns", [
    ("sm_float_truediv", operator.truediv, FLOAT), ("sm_float_mod", operator.mod, FLOAT),
    ("sm_float_floordiv", operator.floordiv, FLOAT), ("sm_float_pow", float_pow, FLOAT),
    ("sm_float_divmod", divmod, parse_type("Tuple[float, float]")),
    ("sm_math_fmod", math.fmod, FLOAT), ("sm_math_remainder", math.remainder, FLOAT),
    ("sm_math_pow", math.pow, FLOAT), ("sm_math_atan2", math.atan2, FLOAT),
    ("sm_math_copysign", math.copysign, FLOAT), ("sm_math_nextafter", math.nextafter, FLOAT),
    ("sm_math_log_base", math.log, FLOAT),
])  # fmt: skip
def test_float_operators(name, function, returns):
    for a, b in random.Random(1).choices(list(itertools.product(FLOATS, FLOATS)), k=900):
        want = outcome(checked(function), a, b)
        assert outcome(lambda: op(name, a, b, returns=returns)) == want, (a, b)


UNARY = [
    "sqrt", "exp", "log", "log2", "log10", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "tanh", "asinh", "acosh", "atanh", "gamma", "lgamma", "erf", "erfc", "degrees", "radians", "fabs",
    "ulp", "cbrt", "exp2", "frexp", "modf", "isnan", "isinf", "isfinite", "floor", "ceil", "trunc",
]  # fmt: skip
RETURNS = {"frexp": parse_type("Tuple[float, int]"), "modf": parse_type("Tuple[float, float]"),
           **dict.fromkeys(["isnan", "isinf", "isfinite"], BOOL), **dict.fromkeys(["floor", "ceil", "trunc"], INT)}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in UNARY if hasattr(math, n)])
def test_math_functions(name):
    function = checked(getattr(math, name))
    rng = random.Random(5)
    values = (
        FLOATS + [float(i) for i in range(-30, 40)] + [rng.uniform(-20, 20) for _ in range(200)]
    )
    for x in values + [171.5, 171.7, 709.0, 710.0, -745.0, -800.0]:
        got = outcome(lambda: op(f"sm_math_{name}", x, returns=RETURNS.get(name, FLOAT)))
        want = outcome(function, x)
        if got != want and got[0] == want[0] == "value" and name in ("erf", "erfc"):
            assert math.isclose(eval(got[1]), eval(want[1]), rel_tol=1e-13, abs_tol=1e-15), x
        else:
            assert got == want, x


def test_conversions_of_floats():
    for x in [*FLOATS, 0.5, 1.5, 2.5, -0.5, -1.5, 9223372036854774784.0, 2.0**52 + 0.5]:
        assert outcome(lambda: op("sm_float_int", x, returns=INT)) == outcome(checked(int), x)
        assert outcome(lambda: op("sm_float_round", x, returns=INT)) == outcome(checked(round), x)
        assert op("sm_float_is_integer", x, returns=BOOL) == x.is_integer()


def test_rounding_of_floats_to_digits():
    rng = random.Random(6)
    bits = [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(300)]
    near = [round(rng.uniform(-1000, 1000), 3) for _ in range(300)] + [
        5e22,
        5e23,
        15e22,
        25e23,
        4.5e22,
        0.15,
        0.25,
    ]
    for x in (
        rng.sample(FLOATS, 20) + bits[:80] + near[::6] + [25.0, 35.0, 45.0, 250.0, 2.5e22, 55.5]
    ):
        for digits in [
            0,
            1,
            2,
            3,
            5,
            15,
            17,
            300,
            323,
            324,
            -1,
            -2,
            -3,
            -16,
            -22,
            -23,
            -24,
            -300,
            -308,
            -309,
            2**40,
        ]:
            want = outcome(round, x, digits)
            assert outcome(lambda: op("sm_float_round_digits", x, digits, returns=FLOAT)) == want, (
                x,
                digits,
            )


def test_ldexp_and_isclose():
    for x, i in itertools.product(
        FLOATS, [0, 1, -1, 52, 1023, 1024, -1074, 2000, -2000, 2**40, -(2**40)]
    ):
        assert outcome(lambda: op("sm_math_ldexp", x, i, returns=FLOAT)) == outcome(
            math.ldexp, x, i
        )
    for a, b, rel, tol in itertools.product(
        FLOATS[:20] + FLOATS[30:34],
        FLOATS[:12] + FLOATS[30:34],
        [0.0, 1e-9, 0.5, -1.0],
        [0.0, 0.1, -0.1],
    ):
        want = outcome(lambda: math.isclose(a, b, rel_tol=rel, abs_tol=tol))
        assert outcome(lambda: op("sm_math_isclose", a, b, rel, tol, returns=BOOL)) == want


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_ints_compare_with_floats_exactly(name):
    near = [2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**62, 9223372036854774784.0, 1e18]
    for a, b in itertools.product(INTS, FLOATS + near):
        assert op(f"sm_int_{name}_float", a, b, returns=BOOL) == getattr(operator, name)(a, b), (
            a,
            b,
        )


COMPLEXES = [complex(a, b) for a, b in itertools.product(
    [0.0, -0.0, 1.0, -2.5, 3.0, 1e200, math.inf, math.nan, 100.0, 0.5], repeat=2)]  # fmt: skip


@pytest.mark.parametrize(
    "name, function",
    [("mul", operator.mul), ("truediv", operator.truediv), ("pow", operator.pow), ("abs", abs)],
)
def test_complex(name, function):
    cases = list(itertools.product(COMPLEXES, COMPLEXES if name != "abs" else [None]))
    for a, b in random.Random(2).sample(cases, min(1500, len(cases))):
        args = (a,) if b is None else (a, b)
        got = outcome(
            lambda: op(f"sm_complex_{name}", *args, returns=FLOAT if name == "abs" else COMPLEX)
        )
        want = outcome(function, *args)
        if got == want:
            continue
        assert name == "pow" and got[0] == want[0] == "value", (args, got, want)
        x, y = eval(got[1], vars(math)), eval(want[1], vars(math))
        assert cmath.isclose(x, y, rel_tol=1e-12) or cmath.isnan(x) and cmath.isnan(y), (
            args,
            got,
            want,
        )


def number(x):
    if isinstance(x, bool):
        return (4, int(x), 0)
    if isinstance(x, int):
        return (1, x, 0)
    parts = (x.real, x.imag)
    lo, hi = struct.unpack("<qq", struct.pack("<dd", *parts))
    return (3 if isinstance(x, complex) else 0, lo, hi if isinstance(x, complex) else 0)


def test_numbers():
    for x in [0, 5, True, False, 2.5, -0.0, math.inf, math.nan, 1j, 2 + 0j, 2**62]:
        for name, function, t in [
            ("int", int, INT),
            ("float", float, FLOAT),
            ("bool", bool, BOOL),
            ("complex", complex, COMPLEX),
        ]:
            got = outcome(lambda: op(f"sm_number_{name}", *number(x), returns=t))
            assert got == outcome(checked(function), x), (name, x)


def test_sums():
    ints, floats = parse_type("List[int]"), parse_type("List[float]")
    for values in [[], [1, 2, 3], [2**63 - 1, 1], [2**63 - 1, -5]]:
        got = outcome(lambda: op("sm_list_sum_int", Typed(ints, values), returns=INT))
        assert got == outcome(checked(sum), values)
    for values in [[-0.0], [0.1] * 10, [1e100, 1.0, -1e100], [math.inf, -math.inf]]:
        assert repr(op("sm_list_sum_float", Typed(floats, values), returns=FLOAT)) == repr(
            sum(values)
        )
