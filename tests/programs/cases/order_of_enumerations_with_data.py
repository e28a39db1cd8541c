from enum import Enum, IntEnum
from typing import Dict, List, Tuple


class Level(IntEnum):
    LOW = 1
    MID = 5
    HIGH = 9


class Word(str, Enum):
    X = "b"
    Y = "a"


class Share(float, Enum):
    NONE = 0.0
    LOSS = -1.5


class Rank(Enum):
    TOP = 3
    LAST = 1

    def __lt__(self, other: "Rank") -> bool:
        return self.value < other.value


def f(levels: List[Level], words: List[Word]) -> Tuple[List[Level], List[Word], List[bool], int]:
    ordered = sorted(levels, reverse=True)
    levels.sort()
    pairs = [(x, i) for i, x in enumerate(levels)]
    same = [levels == [1, 5, 9], words == ["b", "a"], pairs < pairs[1:], (levels[0],) == (1,)]
    table: Dict[Level, int] = {x: i for i, x in enumerate(ordered)}
    same.append(sorted(table.items()) == [(1, 2), (5, 1), (9, 0)])
    shares = [Share.NONE, Share.LOSS]
    shares.sort()
    same.append(shares == [-1.5, 0.0])
    same.append(sorted([Rank.TOP, Rank.LAST]) == [Rank.LAST, Rank.TOP])
    return ordered, sorted(words), same, sum(sorted(table))


ARGUMENTS = [
    lambda: ([Level.MID, Level.LOW, Level.HIGH], [Word.X, Word.Y]),
    lambda: ([Level.MID], [Word.Y, Word.Y]),
]
