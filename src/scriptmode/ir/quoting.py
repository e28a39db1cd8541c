"""Quoted texts, read without the help of Python's compiler."""

from __future__ import annotations

import codecs
from typing import Any

codecs.lookup("unicode_escape")  # imported now, not when a text is read


def unquoted(text: str) -> Any:
    """The str or bytes whose ``repr`` is ``text``."""
    if text.startswith("b"):
        return codecs.escape_decode(text[2:-1].encode("ascii"))[0]
    # what is beyond Latin-1 becomes an escape too
    return text[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
