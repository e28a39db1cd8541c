"""Reads the sections and writes ``docs/language.md`` from them.

``python -m tests.language.table`` writes the page.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from tests.language import (
    classes,
    containers,
    control,
    functions,
    modules,
    numbers,
    refused,
    strings,
)
from tests.language import types as types_section

SECTIONS = (numbers, strings, containers, control, functions, types_section, classes, modules)
PAGE = Path(__file__).parents[2] / "docs" / "language.md"

HEAD = """\
# The language

Generated from `tests/language/` by `python -m tests.language.table`. Each construct of the first tables stands
for a program there that is compiled and gives what eager Python gives; each of the last one is refused with an
error that names the place.

"""


@dataclass(frozen=True)
class Construct:
    """One row: a function or a module class, what it shows, and what to write instead."""

    subject: Any
    text: str
    instead: str = ""

    @property
    def name(self) -> str:
        return self.subject.__name__


def constructs(section: types.ModuleType) -> list[Construct]:
    """The rows of a section, in the order of its text."""
    found = []
    for value in vars(section).values():
        is_own = getattr(value, "__module__", None) == section.__name__
        is_module = isinstance(value, type) and issubclass(value, nn.Module)
        if is_own and value.__doc__ and (is_module or isinstance(value, types.FunctionType)):
            first, _, rest = inspect.cleandoc(value.__doc__).partition("\n\n")
            found.append(Construct(value, first, " ".join(rest.split())))
    return found


def page() -> str:
    """The text of the page."""
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"## {section.__doc__}\n\n| construct | program |\n| --- | --- |\n")
        name = section.__name__.rpartition(".")[2]
        for row in constructs(section):
            parts.append(f"| {_cell(row.text)} | `{name}.{row.name}` |\n")
        parts.append("\n")
    parts.append("## Refused\n\n| construct | instead |\n| --- | --- |\n")
    for row in constructs(refused):
        parts.append(f"| {_cell(row.text)} | {row.instead} |\n")
    return "".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
