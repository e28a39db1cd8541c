"""Object code of the texts that were compiled last, for programs whose code comes out equal.

Instances of one function for classes of different callers, or for arguments that differ only in
what the boundary does with them, often have the same LLVM text: everything of their own is in
cells, which are filled when the code is linked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

ENTRIES = 32
LARGEST = 1 << 17  # bytes of object code; what is larger is not kept


class ObjectMemo:
    """What was used longest ago goes first.

    There is no lock: a thread that looks while another puts an entry back compiles anew.
    """

    def __init__(self) -> None:
        self._codes: dict[tuple[bytes, int], bytes] = {}

    def compiled(self, text: str, level: int, compile_text: Callable[[], bytes]) -> bytes:
        """The code of ``text`` at ``level``: what is kept, or what ``compile_text`` makes."""
        key = hashlib.sha256(text.encode()).digest(), level
        code = self._codes.pop(key, None)
        if code is None:
            code = compile_text()
        if len(code) <= LARGEST:
            self._codes[key] = code
        for oldest in list(self._codes)[:-ENTRIES]:
            self._codes.pop(oldest, None)
        return code


memo = ObjectMemo()
