"""Places in users' source files."""

from __future__ import annotations

import linecache
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Span:
    """A range of source text; lines count from 1, columns from 0 as in ``ast``.

    ``function`` is the qualified name of the Python function the text belongs to; ``caller`` the
    place of the call when a pass has inlined that function.
    """

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0
    function: str = ""
    caller: Span | None = field(default=None, compare=False)

    @property
    def chain(self) -> list[Span]:
        """This place and the calls that led to it, innermost first."""
        return [self, *(self.caller.chain if self.caller is not None else [])]

    def called_from(self, caller: Span) -> Span:
        """This place, reached by a call at ``caller``."""
        outer = caller if self.caller is None else self.caller.called_from(caller)
        return replace(self, caller=outer)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def text_lines(self, first: int, last: int) -> list[str]:
        """Source lines ``first`` to ``last`` of the file, without line ends; "" where unknown."""
        return [
            linecache.getline(self.file, number).rstrip("\r\n") for number in range(first, last + 1)
        ]


UNKNOWN = Span("<unknown>", 0, 0)
