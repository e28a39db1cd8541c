"""Ops on str: sequences of Unicode code points, with CPython's meaning."""

from __future__ import annotations

import operator

from scriptmode.ops.table import Effect, op

op("str::len(str self) -> int")(len)
op("str::getitem(str self, int index) -> str", raises=[IndexError])(operator.getitem)
op("str::slice(str self, int? start, int? stop, int? step) -> str", raises=[ValueError])(
    lambda self, start, stop, step: self[start:stop:step]
)
op("str::concat(str a, str b) -> str")(operator.add)
op("str::repeat(str a, int n) -> str")(operator.mul)
op("str::contains(str self, str part) -> bool")(operator.contains)
op("str::bool(str self) -> bool")(bool)
op("str::format(str self, str spec) -> str", raises=[ValueError])(format)
op("str::ord(str self) -> int", raises=[TypeError])(ord)
op("str::join(str self, str[] parts) -> str")(lambda self, parts: self.join(parts))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    op(f"str::{_name}(str a, str b) -> bool")(getattr(operator, _name))
for _name in (
    "lower", "upper", "title", "capitalize", "swapcase", "casefold",
):  # fmt: skip
    op(f"str::{_name}(str self) -> str")(getattr(str, _name))
for _name in (
    "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
    "isnumeric", "isprintable", "isspace", "istitle", "isupper",
):  # fmt: skip
    op(f"str::{_name}(str self) -> bool")(getattr(str, _name))
for _name in ("strip", "lstrip", "rstrip"):
    op(f"str::{_name}(str self, str? chars=None) -> str")(getattr(str, _name))
for _name in ("split", "rsplit"):
    op(
        f"str::{_name}(str self, str? sep=None, int maxsplit=-1) -> str[]",
        effects=Effect.ALLOCATES,
        raises=[ValueError],
    )(getattr(str, _name))
# a split text, piece by piece; they are named by where they begin
op("str::count_pieces(str self, str? sep) -> int", raises=[ValueError])(
    lambda self, sep: len(self.split(sep))
)


@op("str::next_piece(str old, str self, str? sep, int at) -> (str piece, int following)")
def next_piece(old: str, self: str, sep: str | None, at: int) -> tuple[str, int]:
    """The piece from ``at`` on, which may be made in the memory of ``old``."""
    rest = self[at:]
    if sep is None:
        rest = rest.lstrip()
        at = len(self) - len(rest)
    piece = (rest.split(sep, 1) or [""])[0]
    return piece, at + len(piece) + len(sep or "")


for _name in ("find", "rfind", "index", "rindex", "count"):
    op(
        f"str::{_name}(str self, str part, int? start=None, int? stop=None) -> int",
        raises=[ValueError] if _name.endswith("index") else [],
    )(getattr(str, _name))
for _name in ("startswith", "endswith"):
    op(f"str::{_name}(str self, str part, int? start=None, int? stop=None) -> bool")(
        getattr(str, _name)
    )
op("str::replace(str self, str old, str new, int count=-1) -> str")(str.replace)
op("str::splitlines(str self, bool keepends=False) -> str[]", effects=Effect.ALLOCATES)(
    str.splitlines
)
op("str::partition(str self, str sep) -> (str, str, str)", raises=[ValueError])(str.partition)
op("str::rpartition(str self, str sep) -> (str, str, str)", raises=[ValueError])(str.rpartition)
op("str::removeprefix(str self, str prefix) -> str")(str.removeprefix)
op("str::removesuffix(str self, str suffix) -> str")(str.removesuffix)
for _name in ("center", "ljust", "rjust"):
    op(f"str::{_name}(str self, int width, str fill=' ') -> str", raises=[TypeError])(
        getattr(str, _name)
    )
op("str::zfill(str self, int width) -> str")(str.zfill)
op("str::expandtabs(str self, int tabsize=8) -> str")(str.expandtabs)
op("str::list(str self) -> str[]", effects=Effect.ALLOCATES)(list)
