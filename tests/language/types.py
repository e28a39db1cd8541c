"""Types"""

from enum import Enum, Flag, IntEnum
from typing import (
    Any,
    Final,
    List,
    Literal,
    NewType,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)  # fmt: skip

import torch

T = TypeVar("T")
UserId = NewType("UserId", int)
LIMIT: Final = 10


class Color(Enum):
    RED = "r"
    BLUE = "b"


class Level(IntEnum):
    LOW = 1
    HIGH = 5


class Access(Flag):
    READ = 1
    WRITE = 2


class Answer(Enum):
    YES = "yes"
    NO = "no"

    @classmethod
    def _missing_(cls, value):
        return cls.YES if value == "sure" else None

    def __call__(self, n: int) -> int:
        return n if self is Answer.YES else -n


def first(xs: Sequence[T]) -> T:
    return xs[0]


class Sized(Protocol):
    def __len__(self) -> int: ...


def optional(n: Optional[int] = None, s: str | None = "a"):
    """`Optional`, `X | None`"""
    return n is None, s


def unions(x: Union[int, str, List[int]] = "a"):
    """`Union`, refined by `isinstance`"""
    if isinstance(x, int):
        return x + 1
    if isinstance(x, str):
        return x.upper()
    return x[0]


def anything(x: Any = (1, "a")):
    """`Any` and `object`, refined by `isinstance`"""
    if isinstance(x, tuple):
        return "tuple"
    return "other"


def builtin_generics(x: dict[str, list[tuple[int, ...]]] = {"a": [(1, 2)]}):
    """`list[int]`, `dict[str, int]`, `tuple[int, ...]`"""
    return len(x["a"][0])


def special_forms(mode: Literal["a", "b"] = "a", user: UserId = UserId(3)):
    """`Literal`, `NewType`, `Final`, `cast`"""
    return mode == "a", user + LIMIT, cast(int, user)


def generics(n: int = 3):
    """functions generic in a `TypeVar`, specialised for each call"""
    return first([n, 2]), first(["a"]), first((1.5, 2.5))


def refinement(x: Optional[int] = 3, xs: List[Optional[int]] = [1, None]):
    """refinement by `is None`, `and`/`or`, early exit, `assert`, stored conditions, `while`"""
    known = x is not None
    total = x if known else 0
    item = xs[0]
    if item is None or total is None:
        return 0
    return total + item


def different_types(n: int = 3):
    """variables and results of different types"""
    value = n
    if n > 2:
        value = "large"
    return value


def enums(name: str = "RED", n: int = 5):
    """`Enum`, `IntEnum`, `Flag`: identity, look-up by value and name, iteration"""
    color = Color[name]
    return (
        color,
        color is Color.RED,
        color.value,
        Color("b").name,
        Level(n) > Level.LOW,
        len(list(Color)),
        Access.READ | Access.WRITE,
    )


def enum_protocols(n: int = 5, text: str = "sure"):
    """`_missing_`, special methods of members, members as keys, flags one by one"""
    names = {1: "low", 5: "high"}
    return Answer(text)(n), names[Level(n)], [flag for flag in Access(n - 2)], Level(n) in names


def sequence_of_several(n: int = 5):
    """iteration over one of several types of sequences"""
    numbers = (1, 2) if n > 2 else [1.5]
    return [k for k in numbers]


def unknown_member(n: int = 7):
    """a value without a member: `ValueError`"""
    return Level(n)


def dtypes(x: torch.Tensor = torch.ones(2)):
    """`torch.dtype`, `torch.device`, `torch.Size` are types of their own"""
    return x.dtype, x.device, x.shape, x.dtype == torch.float32, x.shape[0]


def sized(xs: List[int] = [1, 2]):
    """`Protocol`, `Sequence`, `Iterable`, `Mapping` parameters"""

    def count(s: Sized) -> int:
        return len(s)

    return count(xs)


def named(pair: "Tuple[int, str]" = (1, "a")):
    """annotations as strings, forward references, type comments"""
    n = 0  # type: int
    return pair[n]
