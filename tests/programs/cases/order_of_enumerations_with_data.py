from enum import Enum, IntEnum
from typing import Dict, List, Tuple


class Level(IntEnum):
    LOW = 1
    MID = 5
    HIGH = 9


class Word(str, Enum):
    X = "b"
    Y = "a"


def f(levels: List[Level], words: List[Word]) -> Tuple[List[Level], List[Word], List[bool], int]:
    ordered = sorted(levels, reverse=True)
    levels.sort()
    pairs = [(x, i) for i, x in enumerate(levels)]
    same = [levels == [1, 5, 9], words == ["b", "a"], pairs < pairs[1:], (levels[0],) == (1,)]
    table: Dict[Level, int] = {x: i for i, x in enumerate(ordered)}
    same.append(sorted(table.items()) == [(1, 2), (5, 1), (9, 0)])
    return ordered, sorted(words), same, sum(sorted(table))


ARGUMENTS = [
    lambda: ([Level.MID, Level.LOW, Level.HIGH], [Word.X, Word.Y]),
    lambda: ([Level.MID], [Word.Y, Word.Y]),
]
