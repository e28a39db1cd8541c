"""The Python blocks of README and docs run, in order, as one file per document."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "docs/walkthrough.md", ROOT / "docs/howto.md"]


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_the_documents_code_runs(path, tmp_path):
    script = tmp_path / "document.py"
    script.write_text("\n\n".join(blocks(path)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)], cwd=tmp_path,  # where it may write
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
