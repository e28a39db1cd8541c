"""Object code on disk, found again by the names of the functions it defines.

One directory per environment (versions, processor, emitting code) holds one file per batch of
functions that were compiled together: a line of magic, the names, a checksum, the code.  Files are
written atomically; damaged ones are ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

_MAGIC = b"scriptmode objects 1\n"
_SUFFIX = ".objects"


def cache_directory() -> Path:
    """``SCRIPTMODE_CACHE_DIR``, else ``scriptmode`` in the user's cache directory."""
    chosen = os.environ.get("SCRIPTMODE_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "scriptmode"


def _read_header(content: bytes) -> tuple[list[str], int] | None:
    """The names in a file and the position after them; None when it is damaged."""
    start = len(_MAGIC) + 8
    if len(content) < start or not content.startswith(_MAGIC):
        return None
    (size,) = struct.unpack_from("<Q", content, len(_MAGIC))
    try:
        names = json.loads(content[start : start + size])
    except ValueError:
        return None
    return (names, start + size) if isinstance(names, list) else None


class ObjectCache:
    """The files of one environment."""

    def __init__(self, environment: str, directory: Path | None = None) -> None:
        self.environment = environment
        self._directory = directory

    @property
    def directory(self) -> Path:
        """Where the files of this environment lie."""
        return (self._directory or cache_directory()) / self.environment

    def load(self, wanted: Iterable[str]) -> list[tuple[list[str], bytes]]:
        """Batches of (names, code) that together define as many of ``wanted`` as are stored."""
        left = set(wanted)
        found: list[tuple[list[str], bytes]] = []
        try:
            paths = sorted(p for p in self.directory.iterdir() if p.suffix == _SUFFIX)
        except OSError:
            return found
        for path in paths:
            if not left:
                break
            batch = self._load_file(path, left)
            if batch is not None:
                found.append(batch)
                left -= set(batch[0])
        return found

    def _load_file(self, path: Path, wanted: set[str]) -> tuple[list[str], bytes] | None:
        try:
            content = path.read_bytes()
        except OSError:
            return None
        header = _read_header(content)
        if header is None or wanted.isdisjoint(header[0]):
            return None
        names, end = header
        digest, code = content[end : end + 32], content[end + 32 :]
        intact = hashlib.sha256(content[:end] + code).digest() == digest
        return (names, code) if intact else None

    def store(self, names: Sequence[str], code: bytes) -> None:
        """Store a batch; a directory that cannot be written is no error."""
        header = json.dumps(list(names)).encode()
        head = _MAGIC + struct.pack("<Q", len(header)) + header
        content = head + hashlib.sha256(head + code).digest() + code
        target = self.directory / (hashlib.sha256(header).hexdigest()[:32] + _SUFFIX)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.directory, suffix=".tmp")
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, target)
        except OSError:
            os.unlink(temporary)
