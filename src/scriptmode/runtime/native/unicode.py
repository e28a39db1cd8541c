"""Character properties and case maps, taken from the Python that builds the library.

A property is a table of ascending boundaries: a code point has it when an odd number of boundaries
lies at or below it.  A case map is a table of ``{i32 code, i32 count, i32 x 3}`` ascending by code.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from scriptmode.codegen.native import (
    i32,
    i64,
    load,
    lshr,
    native,
    ptr,
    store,
    table,
    urem,
)

ROW = 20
ASCII_BOUNDARIES = 16  # there are at most so many below 128


# planes 4 to 13 are unassigned and 15, 16 private: no property below holds there
ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))


def _boundaries(has: Callable[[str], bool]) -> Callable[[], bytes]:
    def content() -> bytes:
        found: list[int] = []
        for codes in ASSIGNED:
            values = bytes(map(has, map(chr, codes))) + b"\0"
            at, sought = values.find(1), 0
            while at >= 0:
                found.append(codes.start + at)
                at, sought = values.find(sought, at), 1 - sought
        assert sum(code < 128 for code in found) <= ASCII_BOUNDARIES
        return struct.pack(f"<q{len(found)}i", len(found), *found)

    return content


def _case_map(change: Callable[[str], str]) -> Callable[[], bytes]:
    def content() -> bytes:
        rows = []
        # no code point above the second plane has case
        for code in range(0x20000):
            changed = change(chr(code))
            if changed != chr(code):
                codes = [ord(c) for c in changed] + [0, 0]
                rows.append(struct.pack("<5i", code, len(changed), *codes[:3]))
        return struct.pack("<q", len(rows)) + b"".join(rows)

    return content


FINAL_SIGMA = "\u03c2"


def _is_cased(c: str) -> bool:
    """Unicode's Cased, seen through what ``title`` does after ``c``."""
    return (c + "a").title()[-1] == "a"


def _is_case_ignorable(c: str) -> bool:
    """Unicode's Case_Ignorable, seen through where ``lower`` looks for a word before a sigma."""
    after_letter, after_dot = (f"{x}{c}\u03a3".lower()[-1] for x in "a.")
    return after_letter == FINAL_SIGMA and after_dot != FINAL_SIGMA


ALPHA = table("sm_unicode_alpha", _boundaries(str.isalpha))
DECIMAL = table("sm_unicode_decimal", _boundaries(str.isdecimal))
DIGIT = table("sm_unicode_digit", _boundaries(str.isdigit))
NUMERIC = table("sm_unicode_numeric", _boundaries(str.isnumeric))
SPACE = table("sm_unicode_space", _boundaries(str.isspace))
UPPER = table("sm_unicode_upper", _boundaries(str.isupper))
LOWER = table("sm_unicode_lower", _boundaries(str.islower))
TITLE = table("sm_unicode_title", _boundaries(lambda c: c.istitle() and not c.isupper()))
PRINTABLE = table("sm_unicode_printable", _boundaries(str.isprintable))
NAME_START = table("sm_unicode_name_start", _boundaries(str.isidentifier))
NAME_MORE = table("sm_unicode_name_more", _boundaries(lambda c: ("a" + c).isidentifier()))
CASED = table("sm_unicode_cased", _boundaries(_is_cased))
IGNORABLE = table("sm_unicode_ignorable", _boundaries(_is_case_ignorable))
TO_UPPER = table("sm_unicode_to_upper", _case_map(str.upper))
TO_LOWER = table("sm_unicode_to_lower", _case_map(str.lower))
TO_TITLE = table("sm_unicode_to_title", _case_map(str.title))
TO_FOLDED = table("sm_unicode_to_folded", _case_map(str.casefold))


@native
def _rank(boundaries: ptr, c: i64) -> i64:
    """How many boundaries lie at or below a code point."""
    low = 0
    high = load(i64, boundaries)
    if c < 128 and high > ASCII_BOUNDARIES:
        high = ASCII_BOUNDARIES
    while low < high:
        middle = lshr(low + high, 1)
        if i64(load(i32, boundaries, 8 + middle * 4)) <= c:
            low = middle + 1
        else:
            high = middle
    return low


@native
def has_property(boundaries: ptr, c: i64) -> bool:
    """Whether a code point has the property of a table."""
    return _rank(boundaries, c) & 1 == 1


@native
def decimal_value(c: i64) -> i64:
    """The value of a decimal digit of any script, or -1."""
    if c < 128:
        return c - 48 if c >= 48 and c <= 57 else i64(-1)
    rank = _rank(DECIMAL, c)
    if rank & 1 == 0:
        return -1
    # each script's digits are a run of ten from zero up
    return urem(c - i64(load(i32, DECIMAL, 4 + rank * 4)), 10)


@native
def map_case(rows: ptr, c: i64, codes: ptr) -> i64:
    """Write the one to three code points that a code point maps to; their count."""
    low = 0
    high = load(i64, rows)
    while low < high:
        middle = lshr(low + high, 1)
        code = i64(load(i32, rows, 8 + middle * ROW))
        if code == c:
            for i in range(3):
                place = 16 + middle * ROW + i * 4
                store(i64, codes, i * 8, i64(load(i32, rows, place)))
            return i64(load(i32, rows, 12 + middle * ROW))
        if code < c:
            low = middle + 1
        else:
            high = middle
    store(i64, codes, 0, c)
    return 1


@native
def is_space(c: i64) -> bool:
    """``str.isspace`` of a code point."""
    if c < 128:
        return c == 32 or (c >= 9 and c <= 13) or (c >= 28 and c <= 31)
    return has_property(SPACE, c)


@native
def is_line_break(c: i64) -> bool:
    """Whether ``str.splitlines`` breaks at a code point."""
    if c < 128:
        return (c >= 10 and c <= 13) or (c >= 28 and c <= 30)
    return c == 0x85 or c == 0x2028 or c == 0x2029
