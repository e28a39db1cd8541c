"""Native strs against CPython's."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from scriptmode.ir.type_parser import parse_type
from scriptmode.ir.types import BOOL, FLOAT, INT, STR
from tests.runtime.natives import Slot, Typed, data_address, no_leaks, op, opt, outcome, raw, word

LIST_STR = parse_type("List[str]")
THREE = parse_type("Tuple[str, str, str]")
WORDS = [
    "", "a", "abc", "aaa", "abab", " a b  c ", "\t\n x\r\ny\x0bz\x0c", "né", "é", "ÀÉß", "€uro", "😀a😀", "a😀b", "ΑΣ", "ΑΣ Σ.",
    "ΣΑ", "İstanbul", "ǆ ǅ Ǆ", "ﬁn", "Hello World", "hELLO wORLD", "a,b,,c", ",", "1_000", "١٢", "²", "Ⅷ", "x\u2028y\x85z",
    "tab\tab\tc", "_name1", "1name", "don't", 'q"q\'', "back\\slash", "\x00\x7f\xa0\xad", "\ud800", "\u200b", "they're bill's",
]  # fmt: skip
SUBS = ["", "a", "b", "ab", "é", "😀", " ", ",", "\n", "€", "aa", "c"]
BOUNDS = [None, 0, 1, 2, -1, -2, 5, 100, -100]


@pytest.fixture(autouse=True)
def leaks():
    with no_leaks():
        yield


def test_utf8_round_trip():
    for s in WORDS:
        data = s.encode("utf-8", "surrogatepass")
        assert op("sm_str_from_utf8", data_address(data), len(data), returns=STR) == s
        with Slot(STR, s) as a:
            address = word(a.address)
            assert raw("sm_utf8_length")(address) == len(data)
            copy = raw("sm_str_to_utf8")(address)
            import ctypes

            assert ctypes.string_at(copy) == data.split(b"\0")[0]
            raw("sm_free")(copy)


@pytest.mark.parametrize("name", ["lower", "upper", "title", "capitalize", "swapcase", "casefold"])
def test_case(name):
    for s in WORDS:
        assert op(f"sm_str_{name}", s, returns=STR) == getattr(s, name)(), s
    every = (
        [chr(c) for c in range(0x3000)]
        + [chr(c) for c in range(0xA640, 0xABFF)]
        + [chr(c) for c in range(0x10400, 0x10500)]
    )
    rng = random.Random(1)
    for s in ["".join(every)] + ["".join(rng.choices(every[:0x600], k=6)) for _ in range(200)]:
        assert op(f"sm_str_{name}", s, returns=STR) == getattr(s, name)()


CLASSES = ["isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
           "isprintable", "isspace", "istitle", "isupper"]  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    chars = [chr(c) for c in range(0x180)] + random.Random(9).choices(
        [chr(c) for c in range(0x12000)], k=300
    )
    for s in WORDS + chars + ["Aa", "AB", "a1", "A b", "a" + "ǅ", "_"]:
        assert op(f"sm_str_{name}", s, returns=BOOL) == getattr(s, name)(), ascii(s)


def test_access():
    for s in WORDS:
        assert op("sm_str_len", s, returns=INT) == len(s)
        assert op("sm_str_bool", s, returns=BOOL) == bool(s)
        assert op("sm_str_list", s, returns=LIST_STR) == list(s)
        assert op("sm_str_repr", s, returns=STR) == repr(s)
        assert outcome(lambda: op("sm_str_ord", s, returns=INT)) == outcome(ord, s)
        for i in range(-4, 4):
            assert outcome(lambda: op("sm_str_getitem", s, i, returns=STR)) == outcome(lambda: s[i])
        cases = list(itertools.product(BOUNDS, BOUNDS, [None, 1, 2, -1, 0]))
        for start, stop, step in random.Random(4).choices(cases, k=60):
            args = [x for b in (start, stop, step) for x in opt(b)]
            assert outcome(lambda: op("sm_str_slice", s, *args, returns=STR)) == outcome(
                lambda: s[start:stop:step]
            )
        for n in (-1, 0, 1, 3):
            assert op("sm_str_repeat", s, n, returns=STR) == s * n
        for n in range(7):
            for name in ("ljust", "rjust", "center"):
                for fill in ("*", "😀", "", "xx"):
                    assert outcome(
                        lambda: op(f"sm_str_{name}", s, n, fill, returns=STR)
                    ) == outcome(getattr(s, name), n, fill)
            assert op("sm_str_zfill", s, n, returns=STR) == s.zfill(n)
            assert op("sm_str_expandtabs", s, n, returns=STR) == s.expandtabs(n)
    for c in [0, 65, 255, 256, 0xFFFF, 0x10000, 0x10FFFF, 0x110000, -1, 2**31, -(2**40), 0xD800]:
        assert outcome(lambda: op("sm_int_chr", c, returns=STR)) == outcome(chr, c)
    assert outcome(lambda: op("sm_str_repeat", "ab", 2**62, returns=STR)) == outcome(
        lambda: "ab" * 2**62
    )
    assert outcome(lambda: op("sm_str_repeat", "a", 2**62, returns=STR))[1] == "MemoryError"


def test_zfill_of_signed():
    for s in ["+1", "-1", "-", "+"]:
        assert op("sm_str_zfill", s, 5, returns=STR) == s.zfill(5)


def test_comparison_and_concatenation():
    for a, b in random.Random(5).choices(list(itertools.product(WORDS, WORDS)), k=400) + list(
        zip(WORDS, WORDS)
    ):
        assert op("sm_str_concat", a, b, returns=STR) == a + b
        for name, symbol in [
            ("eq", "__eq__"),
            ("ne", "__ne__"),
            ("lt", "__lt__"),
            ("le", "__le__"),
            ("gt", "__gt__"),
            ("ge", "__ge__"),
        ]:
            assert op(f"sm_str_{name}", a, b, returns=BOOL) == getattr(a, symbol)(b)
        assert op("sm_str_removeprefix", a, b, returns=STR) == a.removeprefix(b)
        assert op("sm_str_removesuffix", a, b, returns=STR) == a.removesuffix(b)
        if a == b:
            assert op("sm_str_hash", a, returns=INT) == op("sm_str_hash", b, returns=INT)


@pytest.mark.parametrize(
    "name, returns",
    [
        ("find", INT),
        ("rfind", INT),
        ("index", INT),
        ("rindex", INT),
        ("count", INT),
        ("startswith", BOOL),
        ("endswith", BOOL),
    ],
)
def test_search(name, returns):
    cases = list(itertools.product(WORDS[:22], SUBS, BOUNDS, BOUNDS))
    for s, part, start, stop in random.Random(3).choices(cases, k=2500):
        got = outcome(
            lambda: op(f"sm_str_{name}", s, part, *opt(start), *opt(stop), returns=returns)
        )
        assert got == outcome(getattr(s, name), part, start, stop), (s, part, start, stop)


def test_split_and_join():
    for s in WORDS:
        for sep, n in itertools.product([None, *SUBS], [-1, 0, 1, 2]):
            native_sep = 0 if sep is None else sep
            for name in ("split", "rsplit"):
                got = outcome(lambda: op(f"sm_str_{name}", s, native_sep, n, returns=LIST_STR))
                assert got == outcome(getattr(s, name), sep, n), (s, sep, n)
        for sep in SUBS if s in WORDS[:12] else SUBS[:3]:
            assert op("sm_str_contains", s, sep, returns=BOOL) == (sep in s)
            for name in ("partition", "rpartition"):
                assert outcome(lambda: op(f"sm_str_{name}", s, sep, returns=THREE)) == outcome(
                    getattr(s, name), sep
                )
            for name in ("strip", "lstrip", "rstrip"):
                assert op(f"sm_str_{name}", s, sep, returns=STR) == getattr(s, name)(sep)
                assert op(f"sm_str_{name}", s, 0, returns=STR) == getattr(s, name)()
            for new, n in itertools.product(["", "x", "é😀"], [-1, 0, 1, 2]):
                assert op("sm_str_replace", s, sep, new, n, returns=STR) == s.replace(
                    sep, new, n
                ), (s, sep, new, n)
            for parts in ([], ["a"], ["a", "b"], ["é", "", "😀"]):
                assert op("sm_str_join", sep, Typed(LIST_STR, parts), returns=STR) == sep.join(
                    parts
                )
        for keep in (0, 1):
            assert op("sm_str_splitlines", s, keep, returns=LIST_STR) == s.splitlines(bool(keep))


NUMBERS = [
    "", " ", "0", "-0", "+5", " 12\n", "1_000", "_1", "1_", "1__0", "0x1f", "0X_1F", "0b101", "0o17", "010", "000", "0_0", "ff", "zz",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809", "99999999999999999999999",
    "١٢٣", "1.5", "--1", "+-1", "1 2", "0x", "0x_", "- 1", "é", "1e5", "\u2003 7 ", "0b2", "b1", "1\x00", "²", "+", "0b_1",
]  # fmt: skip


def test_int_of_text():
    def want(s, base):
        value = int(s, base)
        if not -(2**63) <= value < 2**63:
            raise OverflowError("int too large for 64 bits")
        return value

    for s in NUMBERS:
        assert outcome(lambda: op("sm_str_int", s, returns=INT)) == outcome(want, s, 10), s
        for base in [0, 2, 8, 10, 16, 36, 1, 37, -1]:
            assert outcome(lambda: op("sm_str_int_base", s, base, returns=INT)) == outcome(
                want, s, base
            ), (s, base)


def test_float_of_text():
    extra = [
        "1.", ".5", ".", "1e", "1e+5", "1E-5", "e5", "inf", "-Infinity", "+nan", "NaN", "-nan", "infin", "1_0.0_1e1_0", "1_.0", "1._0", "0x1p3",
        "1e400", "-1e400", "1e-400", "123456789012345678901234567890", "0.1", "2.2250738585072012e-308", "١.٥", "nan(1)", "1,5", "1e5 x", "1\x00",
        "\xa01.5\u3000", "infinity ", "1e_5", "5e-324", "9007199254740993",
    ]  # fmt: skip
    for s in NUMBERS + extra:
        got, want = (
            outcome(f) for f in (lambda: op("sm_str_float", s, returns=FLOAT), lambda: float(s))
        )
        assert got == want, s
        if want == ("value", "nan"):
            assert math.copysign(1, op("sm_str_float", s, returns=FLOAT)) == math.copysign(
                1, float(s)
            )
