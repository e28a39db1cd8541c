"""Each term of the glossary occurs in the code."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_listed_terms_exist_in_the_code():
    code = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*.py")).lower()
    rows = re.findall(r"^\| ([a-z, ]+) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    terms = [term for row in rows for term in row.split(", ") if term != "term"]
    assert len(terms) > 15
    assert not [term for term in terms if term not in code]
