"""The file of an archive: a plain zip whose entries are stored as they are.

One byte of an entry can be asked to lie at a multiple of ``ALIGNMENT``, so that what follows it can
be used where it is when the file is mapped.  A file is written beside its place and renamed; the
same entries give the same bytes.

What is read is checked before it is used: names, sizes against the file, checksums.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import mmap
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scriptmode.archive.problems import bad_archive

codecs.lookup("cp437")  # in which zipfile reads names: imported now, not when a file is read

ALIGNMENT = 64
_DATE = (1980, 1, 1, 0, 0, 0)
_PADDING = 0x4D53  # of an extra field without meaning, as ``zipalign`` uses one
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_SIGNATURE = b"PK\x03\x04"
_ZIP64_FROM = (1 << 31) - 1
_ENCRYPTED = 0x1
_MOST_ENTRIES = 100_000
_MOST_INFLATED = 32 << 20


@dataclass(frozen=True)
class Entry:
    """One file of an archive: its ``parts`` one after the other.

    ``aligned``, where it is not None, is the offset of the byte that lies at an aligned place;
    ``owner`` keeps alive what the parts are views of.
    """

    name: str
    parts: Sequence[bytes | memoryview]
    aligned: int | None = None
    owner: object = None

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(len(part) for part in self.parts)


def write_archive(target: Any, entries: Iterable[Entry]) -> None:
    """Write entries to a path, or to a binary file that can be sought in.

    At a path there is the old file or the whole new one, whatever happens meanwhile.
    """
    if hasattr(target, "write"):
        # a file of the user's may be at any position, and need not be seekable
        whole = io.BytesIO()
        _write_zip(whole, entries)
        target.write(whole.getbuffer())
        return
    path = Path(os.fspath(target))
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(number, "wb") as file:
            _write_zip(file, entries)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _mode_of(path))
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _sync_folder(path.parent)


def _mode_of(path: Path) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    try:
        return path.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_zip(file: IO[bytes], entries: Iterable[Entry]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, _DATE)
            info.create_system = 3  # Unix, on every system
            info.external_attr = 0o644 << 16
            is_large = entry.size > _ZIP64_FROM
            if entry.aligned is not None:
                info.extra = _padding(file.tell(), info, is_large, entry.aligned)
            with archive.open(info, "w", force_zip64=is_large) as out:
                for part in entry.parts:
                    out.write(part)


def _padding(position: int, info: zipfile.ZipInfo, is_large: bool, offset: int) -> bytes:
    """An extra field after which the data begin where ``offset`` is aligned."""
    zip64 = 20 if is_large else 0
    begin = position + _LOCAL_HEADER.size + len(info.filename.encode()) + zip64 + 4
    length = -(begin + offset) % ALIGNMENT
    return struct.pack("<HH", _PADDING, length) + bytes(length)


class Archive:
    """The entries of an archive that is open for reading."""

    def __init__(self, data: memoryview, name: str) -> None:
        self.data = data
        self.name = name
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._begins: dict[str, int] = {}
        self._inflated: dict[str, bytearray] = {}
        try:
            with zipfile.ZipFile(_File(data)) as archive:
                infos = archive.infolist()
        except (
            zipfile.BadZipFile, struct.error, ValueError, OSError, EOFError, OverflowError,
            NotImplementedError, RuntimeError, MemoryError,
        ) as error:  # fmt: skip
            raise self.problem(f"not a zip file: {error}") from None
        if len(infos) > _MOST_ENTRIES:
            raise self.problem(f"it has {len(infos)} entries")
        self._take(infos)

    def problem(self, what: str, where: str = "") -> Exception:
        """The error that names the archive and an entry of it."""
        return bad_archive(self.name, where, what)

    def _take(self, infos: Sequence[zipfile.ZipInfo]) -> None:
        self.is_torchscript = any(_is_torchscript_mark(i.filename) for i in infos)
        methods = (zipfile.ZIP_STORED, *([zipfile.ZIP_DEFLATED] if self.is_torchscript else []))
        ranges: list[tuple[int, int]] = []
        for info in infos:
            name = info.filename
            if info.orig_filename != name or not _is_plain(name):
                raise self.problem("not a name of a file", repr(info.orig_filename))
            if name in self._entries:
                raise self.problem("it is there twice", name)
            if info.compress_type not in methods or info.flag_bits & _ENCRYPTED:
                raise self.problem("it is compressed or encrypted", name)
            is_stored = info.compress_type == zipfile.ZIP_STORED
            if is_stored and info.compress_size != info.file_size:
                raise self.problem("two sizes", name)
            if not is_stored and info.file_size > _MOST_INFLATED:
                raise self.problem("it is compressed, and too large for that", name)
            begin = self._begin(info)
            end = begin + info.compress_size
            if end > len(self.data):
                raise self.problem("the file ends before it does", name)
            self._entries[name], self._begins[name] = info, begin
            ranges.append((info.header_offset, end))
        ranges.sort()
        if any(a[1] > b[0] for a, b in itertools.pairwise(ranges)):
            raise self.problem("entries lie over one another")

    def _begin(self, info: zipfile.ZipInfo) -> int:
        """Where the data of an entry begin."""
        at, name = info.header_offset, info.filename
        if at < 0 or at + _LOCAL_HEADER.size > len(self.data):
            raise self.problem("its header is not in the file", name)
        signature, *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(self.data, at)
        own = bytes(self.data[at + _LOCAL_HEADER.size :][:name_length])
        if signature != _SIGNATURE or own != name.encode():
            raise self.problem("its header is another one's", name)
        return int(at + _LOCAL_HEADER.size + name_length + extra_length)

    @property
    def folder(self) -> str:
        """The folder that a TorchScript file has everything in; other archives have none."""
        return next((n.partition("/")[0] + "/" for n in self._entries if self.is_torchscript), "")

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> list[str]:
        """All entries, in the order of the file's directory."""
        return list(self._entries)

    def view(self, name: str) -> memoryview:
        """The bytes of an entry, where they are; the checksum is not looked at."""
        if name not in self._entries:
            raise self.problem("it is missing", name)
        begin, info = self._begins[name], self._entries[name]
        data = self.data[begin : begin + info.compress_size]
        if info.compress_type == zipfile.ZIP_STORED:
            return data
        inflated = self._inflated.get(name)
        if inflated is None:
            inflated = self._inflated[name] = self._inflate(name, data, info.file_size)
        return memoryview(inflated)

    def _inflate(self, name: str, data: memoryview, size: int) -> bytearray:
        """What a compressed entry says, which is ``size`` bytes."""
        if sum(map(len, self._inflated.values())) + size > _MOST_INFLATED:
            raise self.problem("the compressed entries are too large", name)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            found = bytearray(inflater.decompress(data, size + 1))
        except zlib.error as error:
            raise self.problem(str(error), name) from None
        if len(found) != size:
            raise self.problem("it has another size than the file says", name)
        return found

    def read(self, name: str) -> bytes:
        """A copy of an entry whose checksum is right."""
        self.verify(name)
        return bytes(self.view(name))

    def verify(self, name: str) -> None:
        """Raise unless the checksum of an entry is right."""
        if zlib.crc32(self.view(name)) != self._entries[name].CRC:
            raise self.problem("its checksum is wrong", name)


class _File(io.RawIOBase):
    """A read-only file over memory."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._data)}[whence]
        if base + offset < 0:
            raise OSError("a position before the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        rest = max(len(self._data) - self._at, 0)
        count = rest if size is None or size < 0 else min(size, rest)
        found = bytes(self._data[self._at : self._at + count])
        self._at += count
        return found


def _is_torchscript_mark(name: str) -> bool:
    """Whether only TorchScript files have an entry by this name."""
    folder, _, rest = name.partition("/")
    return bool(folder) and rest in ("constants.pkl", "model.json")


def _is_plain(name: str) -> bool:
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        return False
    return "\\" not in name and ":" not in name and name.isprintable()


@contextlib.contextmanager
def opened(source: Any) -> Iterator[Archive]:
    """The archive at a path, or the rest of a binary file.

    What the archive's views are made of lives as long as they do: a file is mapped, and tensors
    over it are copies from the moment they are written.
    """
    if hasattr(source, "read"):
        yield Archive(memoryview(bytearray(source.read())), getattr(source, "name", "<bytes>"))
        return
    path = os.fspath(source)
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise bad_archive(path, "", "the file is empty")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    yield Archive(memoryview(mapped), path)
