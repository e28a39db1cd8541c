"""``docs/errors.md`` is what ``tests/diagnostics`` shows; ``pytest --update`` writes it anew."""

from __future__ import annotations

import re
from pathlib import Path

from tests.diagnostics_runner import cases

PATH = Path(__file__).parent.parent / "docs/errors.md"
HEAD = """# Errors

Generated from the tested messages in `tests/diagnostics/`. Every error of scriptmode is a `ScriptError` and
also the Python exception that fits (`ScriptTypeError` is a `TypeError`). Errors at run time are those of
eager, with the places in your source added as notes.

| code | example | message |
| --- | --- | --- |
"""


def text() -> str:
    """The page."""
    rows = []
    for case in cases():
        found = re.search(r"^error\[(SM\d+)\]: (.*)$", case.text, re.MULTILINE)
        if found:
            message = found[2].replace("|", "\\|")
            rows.append((found[1], case.title, message))
    lines = [f"| {code} | {title} | {message} |" for code, title, message in sorted(rows)]
    return HEAD + "\n".join(lines) + "\n"


def test_the_error_index_is_current(request):
    if request.config.getoption("--update"):
        PATH.write_text(text())
    assert PATH.read_text() == text()
