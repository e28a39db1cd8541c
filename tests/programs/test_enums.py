"""Enumerations, four ways."""

from __future__ import annotations

import enum
from typing import Any, Dict, List, Optional, Tuple, Union

import pytest
import torch
from torch import Tensor

import scriptmode
from tests.fourway import check


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1  # an alias


class Mixed(enum.Enum):
    A = 1
    B = "b"
    C = 2.5


class Level(enum.IntEnum):
    NONE = 0
    LOW = 1
    HIGH = 5

    def doubled(self) -> int:
        return self * 2

    @property
    def is_high(self) -> bool:
        return self is Level.HIGH

    @classmethod
    def first(cls):
        return cls.LOW


class Mode(str, enum.Enum):
    SUM = "sum"
    MEAN = "mean"


class Planet(enum.Enum):
    MERCURY = (3.3e23, 2.4e6)
    EARTH = (5.97e24, 6.37e6)

    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius

    @property
    def gravity(self):
        return 6.67e-11 * self.mass / (self.radius * self.radius)

    def __str__(self):
        return f"planet {self.name}"


class Grade(enum.Enum):
    A = 3
    B = 2

    def __lt__(self, other):
        if self.__class__ is other.__class__:
            return self.value < other.value
        return NotImplemented


class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
    RW = 6


class Bits(enum.IntFlag):
    A = 1
    B = 2


COLORS = [(Color.RED,), (Color.GREEN,)]
LEVELS = [(Level.NONE,), (Level.LOW,), (Level.HIGH,)]


def test_identity_equality_name_and_value():
    def f(c: Color):
        same = c is Color.RED, c == Color.RED, c != Color.GREEN, c is Color.CRIMSON, c is not None
        return same, c.name, c.value, c == 1, str(c), repr(c), f"{c}", f"{c!r:>20}"

    check(f, *COLORS)


def test_lookup_by_value():
    def f(n: int, x: float, s: str):
        return Color(n), Level(n), Mode(s), Color(x), Color(Color(n))

    check(f, (1, 2.0, "sum"), (5, 2.0, "sum"), (1, 9.5, "sum"), (1, 1.0, "no"))


def test_lookup_by_name():
    def f(s: str):
        return Color[s], Color["RED"].value

    check(f, ("RED",), ("CRIMSON",), ("GREEN",), ("BLUE",))


def test_iteration_length_and_membership():
    def f(c: Color):
        names = [m.name for m in Color]
        total = 0
        for m in Color:
            if m is not c:
                total += m.value
        return names, total, len(Color), c in Color, [m for m in Level], list(Color)

    check(f, *COLORS)


def test_members_by_name():
    def f():
        return [name for name in Color.__members__], [v for k, v in Color.__members__.items()]

    check(f, ())


def test_values_of_several_types():
    def f(m: Mixed):
        v = m.value
        if isinstance(v, str):
            return v + "!"
        return v * 2

    check(f, (Mixed.A,), (Mixed.B,), (Mixed.C,))


def test_int_enums_are_ints():
    def f(a: Level, b: Level, xs: List[int]):
        total = a + b * 2 - 1, a < b, a <= 1, -a, a % 3, 7 // (b + 1), a & b, max(a + 0, b + 0)
        if a:
            total = total[1:] + (10,)
        else:
            total = total[1:] + (20,)
        return (
            total,
            xs[a],
            a == 1,
            a == 5.0,
            a != b,
            int(b),
            float(a),
            f"{b:03d}",
            isinstance(a, int),
        )

    check(f, (Level.LOW, Level.HIGH, [1, 2, 3]), (Level.NONE, Level.LOW, [1, 2, 3]))


def test_int_enums_meet_tensors():
    def f(x: Tensor, a: Level):
        return x * a + torch.zeros(a, dtype=torch.float32).sum() + x.sum(Level.NONE)

    check(f, (torch.arange(3.0), Level.HIGH), (torch.arange(3.0), Level.LOW))


def test_methods_and_properties():
    def f(a: Level):
        return a.doubled(), a.is_high, Level.HIGH.doubled(), Level.first(), Level.LOW.is_high

    check(f, *LEVELS)


def test_str_enums_are_strs():
    def f(m: Mode, s: str):
        return m == "sum", m + s, m.upper(), m.value, len(m), m[0], s == m, "u" in m, m == Mode.SUM

    check(f, (Mode.SUM, "mean"), (Mode.MEAN, "mean"))


def test_attributes_set_by_the_constructor():
    def f(p: Planet):
        return p.mass, p.gravity, str(p), f"{p}", Planet.EARTH.radius, p.value[1]

    check(f, (Planet.MERCURY,), (Planet.EARTH,))


def test_comparison_methods():
    def f(a: Grade, b: Grade):
        return a < b, b > a

    check(f, (Grade.A, Grade.B), (Grade.B, Grade.A))


def test_keys_and_elements():
    def f(c: Color, d: Dict[Color, int], cs: List[Color]):
        d[c] = d.get(c, 0) + 1
        counts = {Color.RED: 10, Color.GREEN: 20}
        cs.append(c)
        return d, counts[c], cs, cs.index(c), cs.count(Color.RED), c in cs, c in d

    check(f, (Color.RED, {Color.RED: 3}, [Color.GREEN]), (Color.GREEN, {}, []))


def test_unions_optionals_and_any():
    def f(c: Union[Color, int], o: Optional[Color], given: Any):
        a: Any = given
        if o is not None:
            a = o
        n = c.value if isinstance(c, Color) else c
        if o is not None:
            n += o.value
        if isinstance(a, Color):
            n += 100 * a.value
        return n, c == Color.RED, o == Color.GREEN

    check(f, (Color.RED, None, 3), (7, Color.GREEN, 4), (1, Color.RED, "x"))


def test_truth():
    def f(c: Color, a: Level, p: Perm, o: Optional[Level]):
        return (
            1 if c else 0, bool(a), not a, bool(p), 1 if o else 2, a or 7, Level.NONE or 8,
        )  # fmt: skip

    check(f, (Color.RED, Level.NONE, Perm(0), None), (Color.RED, Level.LOW, Perm.R, Level.NONE))


def test_flags():
    def f(p: Perm, q: Perm):
        if Perm.W in p:
            p = p ^ Perm.W
        return p | q, p & q, ~p, p in q, (p | Perm.X).value, Perm.R | Perm.W, p == Perm.RW, p.name

    check(f, (Perm.R, Perm.W), (Perm.RW, Perm.X), (Perm(0), Perm(7)), (Perm.R | Perm.X, Perm.R))


def test_int_flags():
    def f(p: Bits, n: int):
        return p | Bits.A, p & Bits.B, p + n, bool(p & Bits.A), int(p), Bits(n)

    check(f, (Bits.A, 1), (Bits.B | Bits.A, 3), (Bits(0), 0))


def test_hash():
    def f(a: Level):
        return hash(a)

    check(f, (Level.HIGH,))


class Outer:
    class Inner(enum.Enum):
        X = "x"
        Y = "y"


def test_nested_and_local_enums():
    class Local(enum.Enum):
        RED = 7

    def f(i: Outer.Inner, c: Color):
        return i is Outer.Inner.X, Local.RED, c == Local.RED, Local.RED.value

    f.__annotations__ = {"i": Outer.Inner, "c": Color}
    check(f, (Outer.Inner.X, Color.RED), (Outer.Inner.Y, Color.RED))


def test_enums_of_one_name_are_different_types():
    def make(n):
        class Same(enum.Enum):
            A = n

        return Same

    first, second = make(1), make(2)

    def f():
        return first.A.value, second.A.value, first.A == second.A, first.A

    check(f, ())

    def value_of(x: first):
        return x.value

    value_of.__annotations__ = {"x": first}
    g = scriptmode.script(value_of)
    assert [g(first.A), g(second.A), g(first.A)] == [1, 2, 1]


class Holder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.color = Color.RED
        self.kind = Mixed.B

    def forward(self, x: Tensor, c: Color):
        before = self.color
        self.color = c
        if before is Color.RED and self.kind is Mixed.B:
            x = x + 1
        return x, before


def test_enums_in_modules():
    check(Holder(), (torch.ones(2), Color.GREEN), (torch.ones(2), Color.RED))


@pytest.mark.parametrize("n", [1, 2, 9])
def test_errors_say_what_pythons_say(n):
    def f(n: int):
        return Color(n)

    g = scriptmode.script(f)
    try:
        want = f(n)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            g(n)
    else:
        assert g(n) is want


def test_enum_keys_of_tuples():
    def f(c: Color, pairs: Dict[Tuple[Color, int], str]):
        return pairs[(c, 1)]

    check(f, (Color.RED, {(Color.RED, 1): "a"}), (Color.GREEN, {(Color.RED, 1): "a"}))
