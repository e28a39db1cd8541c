"""Reads ``tests/diagnostics/*.md``: wrong programs and the exact message each gives.

A file is a document: under each ``## heading`` stands a ``python`` block, which ends in a compile or a
call that fails, and a ``text`` block with the rendered error.  ``pytest --update`` rewrites the
``text`` blocks.
"""

from __future__ import annotations

import importlib.util
import itertools
import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "diagnostics"
_CASE = re.compile(
    r"^## (?P<title>[^\n]+)\n+```python\n(?P<code>.*?)```\n+```text\n(?P<text>.*?)```\n?",
    re.MULTILINE | re.DOTALL,
)
_numbers = itertools.count()


@dataclass(frozen=True)
class Case:
    file: Path
    title: str
    code: str
    text: str


def cases() -> list[Case]:
    """All cases of all files."""
    return [
        Case(path, m["title"], m["code"], m["text"])
        for path in sorted(FOLDER.glob("*.md"))
        for m in _CASE.finditer(path.read_text())
    ]


def message(case: Case, folder: Path) -> str:
    """What the case's program ends in: ``ErrorClass`` and the message, with the folder removed."""
    import scriptmode

    path = folder / "example.py"
    path.write_text("import torch, scriptmode\nfrom typing import *\n" + case.code)
    linecache.checkcache()
    name = f"diagnostic_example_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        notes = "".join(f"\n{n}" for n in getattr(error, "__notes__", ()))
        family = "ScriptError" if isinstance(error, scriptmode.ScriptError) else "Python"
        text = f"{family}: {type(error).__name__}\n{error}{notes}"
    else:
        text = "no error"
    finally:
        del sys.modules[name]
    text = text.replace(str(folder) + "/", "").replace(name, "example")
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def update(case: Case, text: str) -> None:
    """Rewrite the case's ``text`` block."""
    content = case.file.read_text()

    def replaced(m: re.Match[str]) -> str:
        if m["title"] != case.title:
            return m.group(0)
        return m.group(0).replace(f"```text\n{m['text']}```", f"```text\n{text}```")

    case.file.write_text(_CASE.sub(replaced, content))
