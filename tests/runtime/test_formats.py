"""Text of numbers and the format mini-language against CPython's."""

from __future__ import annotations

import itertools
import math
import random
import struct

import pytest

from scriptmode.ir.type_parser import parse_type
from scriptmode.ir.types import STR
from scriptmode.runtime import descriptors
from tests.runtime.natives import Slot, no_leaks, op, outcome

FLOATS = [
    0.0, -0.0, 1.0, -1.0, 0.1, 1.5, 123456.789, 1e15, 1e16, 1e17, 123456789012345680.0, 1e-4, 1e-5, 0.00012345,
    5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 9.995, 99.95, 0.5,
    2.5, 1e22, 1e23, 9007199254740993.0, 1234567.0, 999999.5, 0.000999, -12345.678,
]  # fmt: skip
INTS = [
    0,
    1,
    -1,
    42,
    -42,
    999,
    1000,
    -1000,
    1234567,
    10**18,
    2**63 - 1,
    -(2**63),
    255,
    65,
    0x1F600,
    0x110000,
]


@pytest.fixture(autouse=True)
def leaks():
    with no_leaks():
        yield


def test_repr_of_floats():
    rng = random.Random(7)
    values = list(FLOATS)
    values += [2.0**k for k in range(-1074, 1024)] + [
        math.nextafter(2.0**k, 0) for k in range(-1073, 1024)
    ]
    values += [float(f"1e{k}") for k in range(-323, 309)] + [
        float(f"9.5e{k}") for k in range(-323, 308)
    ]
    values += [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(1500)]
    values += [rng.uniform(-1e6, 1e6) for _ in range(500)] + [
        round(rng.uniform(0, 100), 2) for _ in range(500)
    ]
    values += [struct.unpack("<d", struct.pack("<q", rng.getrandbits(52)))[0] for _ in range(300)]
    for x in values:
        assert op("sm_float_str", x, returns=STR) == repr(x)


def test_text_of_ints_bools_and_complexes():
    for a in INTS:
        for name, function in [("str", str), ("hex", hex), ("oct", oct), ("bin", bin)]:
            assert op(f"sm_int_{name}", a, returns=STR) == function(a)
    assert [op("sm_bool_str", x, returns=STR) for x in (1, 0)] == ["True", "False"]
    for a, b in itertools.product(FLOATS[::2], FLOATS[1::2]):
        assert op("sm_complex_str", complex(a, b), returns=STR) == repr(complex(a, b))


SPECS = [
    "", "d", "5", "<5", "^7", ">7", "=7", "08", "+", " ", "-", "x", "#x", "X", "#X", "b", "#b", "o", "#o", ",", "_", "010,",
    "_x", "#_b", "012_x", "c", "n", "e", ".2e", "E", "f", ".2f", "010.2f", "F", "g", ".3g", "G", "%", ".1%", "#g",
    "#.0f", ".0f", ".0e", "#.0e", ".17g", ".30f", "*^20", "é<9", "€>9.3", "*=+10", "z.1f", "+z.0f", "s", "10s", ".2s",
    "^10.3s", "q", ",s", ",x", "_c", ",_", "_,", ".", "5.", "99999999999999999999", "ff", "<<<", ".3d", "zd", "+c",
    "#c", "+s", " s", "#s", "=5s", "05s", "z", ",.2f", "015,.2f", "_.3e", "020,d", "06,", "07,", "09,", "0,d", "<010",
    "^010d", "=010", ",.3", ".400f", "\x01", "é", "d ", "1000.2f", "٣d", ".3000000000f", "<<5", "0<5", "#5x", "05", "005",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_format_of_numbers_and_strs(spec):
    for a in INTS:
        assert outcome(lambda: op("sm_int_format", a, spec, returns=STR)) == outcome(
            format, a, spec
        ), (a, spec)
    for x in FLOATS:
        assert outcome(lambda: op("sm_float_format", x, spec, returns=STR)) == outcome(
            format, x, spec
        ), (x, spec)
    for s in ["", "a", "hello world", "né€😀"]:
        assert outcome(lambda: op("sm_str_format", s, spec, returns=STR)) == outcome(
            format, s, spec
        ), (s, spec)
    for x in (True, False):
        assert outcome(lambda: op("sm_bool_format", int(x), spec, returns=STR)) == outcome(
            format, x, spec
        )


def test_random_formats():
    rng = random.Random(8)
    for _ in range(1500):
        spec = "".join([
            rng.choice(["", "", "*", "0"]), rng.choice(["", "", "<", ">", "^", "="]), rng.choice(["", "+", "-", " "]),
            rng.choice(["", "", "z"]), rng.choice(["", "#"]), rng.choice(["", "0"]), rng.choice(["", "3", "8", "12", "20"]),
            rng.choice(["", ",", "_"]), rng.choice(["", ".0", ".1", ".3", ".10"]), rng.choice(["", *"bcdoxXneEfFgG%s"]),
        ])  # fmt: skip
        a = rng.choice([*INTS, rng.randrange(-(10**6), 10**6)])
        x = rng.choice([*FLOATS, rng.uniform(-1e4, 1e4), rng.uniform(-1, 1)])
        assert outcome(lambda: op("sm_int_format", a, spec, returns=STR)) == outcome(
            format, a, spec
        ), (a, spec)
        assert outcome(lambda: op("sm_float_format", x, spec, returns=STR)) == outcome(
            format, x, spec
        ), (x, spec)
        assert outcome(lambda: op("sm_str_format", "héllo", spec, returns=STR)) == outcome(
            format, "héllo", spec
        ), spec


def test_format_of_any_value():
    values = {"int": 5, "bool": True, "float": 2.5, "str": "ab", "None": None, "List[int]": [1], "Tuple[int]": (1,),
              "Any": 7, "Optional[float]": 1.5, "Optional[str]": None, "Dict[str, int]": {"a": 1}}  # fmt: skip
    for text, value in values.items():
        t = parse_type(text)
        with Slot(t, value) as s:
            for spec in ("", "6", "x", "é>9"):
                got = outcome(
                    lambda: op(
                        "sm_slot_format", s.address, descriptors.descriptor(t), spec, returns=STR
                    )
                )
                assert got == outcome(format, value, spec), (text, spec)
