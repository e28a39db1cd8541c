"""What enumerations define of Python's protocols, and members where their data would do."""

from __future__ import annotations

from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from typing import List

from tests.fourway import check


class Operation(Enum):
    ADD = "+"
    SUB = "-"

    def __call__(self, a, b):
        return a + b if self is Operation.ADD else a - b

    def __len__(self):
        return len(self.value)

    def __getitem__(self, i):
        return self.value * i

    def __iter__(self):
        return iter([1, 2])

    def __contains__(self, x):
        return x in self.value

    def __int__(self):
        return 5


def special_methods(sign: str):
    o = Operation(sign)
    return o(5, 3), Operation.SUB(1, 2), len(o), o[2], list(o), "+" in o, int(o), [i for i in o]


class Color(Enum):
    RED = 1
    GREEN = 2

    def __str__(self):
        return self.name.lower()


class Word(StrEnum):
    A = auto()
    B = "x"


class Level(IntEnum):
    LOW = 1
    MID = 5


def keys(v: int, text: str):
    level, word = Level(v), Word(text)
    names = {"a": 1, "x": 2}
    numbers = {1: "one", 5: "five"}
    return (
        {Color(1): 1}[Color.RED], {"a": 1}[Word.A], names.get(word), names[word], numbers[level],
        numbers.get(Level.LOW), level in numbers, word in names, {True: "yes"}[1], {1.0: "f"}[1],
    )  # fmt: skip


class Ordered(Enum):
    A = 1
    B = 2
    C = 3

    def __lt__(self, other):
        return self.value < other.value


def own_order(v: int):
    c = Ordered(v)
    pairs = [(Ordered.C, 1), (c, 2)]
    return sorted(pairs), [c, Ordered.A] < [Ordered.C], (c, 1) < (Ordered.B, 5), max([c, Ordered.A])


class Mode(IntFlag):
    A = 1
    B = 2
    C = 4


def int_flags(v: int):
    m = Mode(v)
    return m | 2, m & 1, 1 ^ m, m | Mode.C, m & 3, m + 1, 2 | m


class Permission(Flag):
    R = auto()
    W = auto()
    X = auto()
    RW = R | W


def iterated_flags(v: int):
    p = Permission(v)
    names: List[str] = []
    for flag in p:
        names.append(flag.name)
    return list(p), len(p), names, sum(1 for _ in p), Permission.R in p


class Answer(Enum):
    YES = "yes"
    NO = "no"

    @classmethod
    def _missing_(cls, value):
        for member in cls:
            if member.value == value.lower():
                return member
        return None


class Level2(IntEnum):
    KNOWN = 1
    OTHER = 0

    @classmethod
    def _missing_(cls, value):
        return cls.OTHER


def missing(text: str, n: int):
    return Level2(n), Answer(text), Answer("YES")


def test_special_methods_of_members():
    check(special_methods, ("+",), ("-",))


def test_members_as_keys_are_found_where_their_data_is():
    check(keys, (5, "x"), (1, "a"))


def test_a_member_s_own_order_holds_inside_lists_and_tuples():
    check(own_order, (2,), (3,))


def test_an_int_flag_with_an_int_is_a_flag():
    check(int_flags, (1,), (5,))


def test_flags_are_iterated_over_at_run_time():
    check(iterated_flags, (3,), (0,), (5,))


def test_missing_is_asked_at_run_time():
    check(missing, ("No", 1), ("yes", 7), ("maybe", 2))
