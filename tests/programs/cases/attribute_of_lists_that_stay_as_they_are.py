"""An attribute is given lists with other elements that the program did not make."""

from typing import List, Optional, Tuple, Union


class ShapeError(ValueError):
    def __init__(
        self, message: str, *, actual: Optional[List[int]] = None,
        expected: Optional[Union[List[str], Tuple[int, ...]]] = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.actual = actual
        self.expected = expected


class Holder:
    def __init__(self, items) -> None:
        self.items = items


def check_names(names: List[str], n: int) -> None:
    if len(names) != n:
        raise ShapeError("names", expected=names)


def check_sizes(sizes: List[int], n: int) -> None:
    if len(sizes) < n:
        raise ShapeError("sizes", actual=sizes, expected=(*sizes, n))


def passed_on(sizes: List[int], names: List[str]) -> str:
    holder = make(sizes)
    first = str(holder.items)
    holder = make(names)
    return first + str(holder.items)


def make(items) -> Holder:
    return Holder(items)


def f(sizes: List[int], names: List[str], n: int) -> str:
    texts: List[str] = []
    try:
        check_names(names, n)
    except ShapeError as error:
        texts.append(f"{error} {error.expected} {error.actual}")
    try:
        check_sizes(sizes, n)
    except ShapeError as error:
        texts.append(f"{error} {error.expected} {error.actual}")
    return " ".join(texts) + passed_on(sizes, names)


ARGUMENTS = [lambda n=n: ([2, 3], ["a", "b"], n) for n in range(4)]
