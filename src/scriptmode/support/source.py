"""Places in users' source files."""

from __future__ import annotations

import linecache
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A range of source text; lines count from 1, columns from 0 as in ``ast``.

    ``function`` is the qualified name of the Python function the text belongs to.
    """

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def text_lines(self, first: int, last: int) -> list[str]:
        """Source lines ``first`` to ``last`` of the file, without line ends; "" where unknown."""
        return [
            linecache.getline(self.file, number).rstrip("\r\n")
            for number in range(first, last + 1)
        ]


UNKNOWN = Span("<unknown>", 0, 0)
