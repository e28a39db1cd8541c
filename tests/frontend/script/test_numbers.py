"""Numbers: math, cmath, powers, conversions, what is left to Python."""

import cmath
import importlib
import math
import os
import random
import time

import pytest
import torch

import scriptmode
from tests.fourway import check


def products(a: list[int], b: list[float], n: int):
    return math.prod(a), math.prod(b), math.prod(a, start=n), math.prod([n, 2.5])


def distances(p: list[float], q: list[float]):
    return math.dist(p, q), math.hypot(*(p[0], q[0], 1.0)), math.hypot(p[0]), math.dist((1, 2), q)


def exact_sum(a: list[float]) -> float:
    return math.fsum(a)


def modular(a: int, b: int, m: int) -> int:
    return pow(a, b, m)


def ratios(x: float, n: int):
    return x.as_integer_ratio(), n.as_integer_ratio(), x.conjugate(), n.numerator + n.denominator


def test_math_of_lists():
    check(products, ([1, 2, 3], [1.5, 2.0], 2), ([-4], [0.5], 0))
    check(distances, ([1.0, 2.0], [4.0, 6.0]), ([1e200, 1e200], [-1e200, 0.0]))
    check(distances, ([1e-320, 0.0], [0.0, 0.0]), ([math.inf, math.nan], [0.0, 1.0]))
    check(distances, ([1.0, 2.0], [1.0]))


@pytest.mark.parametrize(
    "a",
    [
        [], [0.1] * 10, [1e100, 1.0, -1e100], [1e308, 1e308, -1e308], [math.inf, 1.0],
        [math.inf, -math.inf], [math.nan, 1.0], [2.0**53, 0.5, 2.0**-60], [1e16, 1.0, 1e-16],
    ],
    ids=str,
)  # fmt: skip
def test_exact_sums(a):
    check(exact_sum, (a,))


def test_modular_powers():
    check(modular, (7, 3, 5), (-7, 3, 5), (7, 3, -5), (3, -1, 11), (2, 0, 1), (2, 5, 0), (2, -1, 4))
    check(modular, (2**62 + 1, 2**61, 2**63 - 25), (10**18, 10**18, 10**18 + 9), (0, 0, 7))


def test_ratios():
    check(ratios, (0.75, 3), (-1.5, -2), (3.0, 0), (0.0, 1))
    check(ratios, (math.inf, 1), (math.nan, 1))


def entry_power(a: int, b: int):
    return a**b


def entry_float_power(a: float, b: float):
    return a**b


def entry_root(a: float):
    return a**0.5


def inner_power(a: float, b: float):
    c = a**b
    return c + 1


def test_what_an_entry_returns_has_the_type_that_python_gives():
    check(entry_power, (2, 10), (2, -1), (-3, 3), (0, -1), (0, 0), (-2, -3))
    check(entry_float_power, (-8.0, 1 / 3), (8.0, 1 / 3), (-8.0, 3.0), (0.0, -1.0))
    check(entry_float_power, (-math.inf, 0.5), (-2.0, math.inf), (-1.0, math.nan))
    check(entry_root, (4.0,), (-4.0,), (-0.0,))


def test_inside_a_program_a_power_has_one_type():
    check(inner_power, (8.0, 0.5), (-8.0, 3.0))
    with pytest.raises(ValueError, match="complex"):
        scriptmode.script(inner_power)(-8.0, 0.5)


def complex_functions(z: complex, x: float):
    return [
        cmath.sqrt(z), cmath.exp(z), cmath.log(z), cmath.log(z, 2), cmath.sin(x), cmath.acos(z),
        cmath.rect(x, 2.0), complex(f"{x}+2j"),
    ], cmath.phase(z), cmath.polar(z), cmath.isfinite(z), cmath.isclose(z, z + 1e-12)  # fmt: skip


def test_complex_functions():
    check(complex_functions, (1 + 2j, 0.5), (-1 + 0j, -2.0), (0j, 1.0))


def of_bytes(n: int, x: float, order: bool) -> str:
    data = n.to_bytes(9, "little", signed=True)
    back = int.from_bytes(data, byteorder="little", signed=True)
    return f"{data!r} {back} {x.hex()} {float.fromhex(x.hex())}"


def test_bytes_and_hex_of_numbers():
    check(of_bytes, (1000, 0.1, True), (-5, -2.5e300, False), (2**63 - 1, 0.0, True))


def environment() -> str:
    start = time.perf_counter()
    x = random.random() + random.uniform(1.0, 2.0)
    n = random.randint(3, 5)
    assert 1.0 <= x < 3.0 and 3 <= n <= 5 and time.time() > start - start
    return os.getenv("SCRIPTMODE_TEST_VALUE") or "none"


def test_the_process_around(monkeypatch):
    monkeypatch.setenv("SCRIPTMODE_TEST_VALUE", "here")
    check(environment, ())


def seeded(n: int) -> int:
    random.seed(n)
    return random.randint(0, 10**9)


def test_random_numbers_are_those_of_python():
    check(seeded, (3,), (4,))


def nested(x: torch.Tensor):
    return x.tolist()


def declared(x: torch.Tensor) -> int:
    rows: list[list[int]] = x.tolist()
    return sum([sum(row) for row in rows])


def test_lists_of_tensors():
    x = torch.arange(6)
    check(nested, (x.reshape(2, 3),), (x.float(),), (torch.tensor(True),), (x[:0],))
    check(declared, (x.reshape(3, 2),))
    with pytest.raises(TypeError):
        scriptmode.script(declared)(x)


def facts(x: torch.Tensor) -> str:
    return x.type()


def seeds(n: int) -> torch.Tensor:
    torch.manual_seed(n)
    return torch.rand(3)


def test_the_seed_of_torch():
    check(seeds, (3,))
    importlib.import_module("torch._dynamo")  # wraps torch.manual_seed
    check(seeds, (4,))


def test_what_torch_tells():
    check(facts, (torch.ones(2),), (torch.ones(2).long(),))
