"""Python strs of ASCII alone, whose code points are copied as they lie.

Short ones that were given to Python before are kept, so that words which come again need no new
object, and have their hash already: a str cannot be told from an equal one.  The table has a place
for each of ``KNOWN`` hashes; who holds the GIL may use it.
"""

from __future__ import annotations

from scriptmode.abi import python as layout
from scriptmode.abi.objects import STR_DATA, STR_HASH, STR_LENGTH, STR_WIDTH
from scriptmode.codegen.native import cell, i32, i64, load, lshr, memcpy, native, ptr, store
from scriptmode.runtime.pyapi import (
    STR_DESCRIPTOR,
    Py_DecRef,
    Py_IncRef,
    PyUnicode_FromKindAndData,
    PyUnicode_New,
    sm_object_new,
)

OBJECT_LENGTH = layout.STR_LENGTH
OBJECT_STATE = layout.STR_STATE
OBJECT_DATA = layout.ASCII_DATA
COMPACT_ASCII = layout.STR_COMPACT_ASCII
LAST_ASCII = 127
HIGHS = -0x7F7F7F7F7F7F7F80  # the top bits of eight bytes
LONGEST_KNOWN = 16
KNOWN_BITS = 11
KNOWN = 1 << KNOWN_BITS
KNOWN_SIZE = 32  # object, first and last eight bytes, length
FACTOR = -7046029254386353131  # 2**64 / golden ratio

sm_known_strs = cell("sm_known_strs", KNOWN * KNOWN_SIZE)


@native
def ascii_str(obj: ptr) -> ptr:
    """A native str; null for one with other characters, and when there is no memory."""
    if load(i32, obj, OBJECT_STATE) & COMPACT_ASCII != COMPACT_ASCII:
        return ptr(0)
    n = load(i64, obj, OBJECT_LENGTH)
    text = sm_object_new(STR_DATA + n + 1, STR_DESCRIPTOR)
    if text != 0:
        store(i64, text, STR_LENGTH, n)
        store(i64, text, STR_HASH, 0)
        store(i64, text, STR_WIDTH, 1)
        memcpy(text + STR_DATA, obj + OBJECT_DATA, n + 1)
    return text


@native
def box_str(text: ptr) -> ptr:
    """A Python str."""
    n = load(i64, text, STR_LENGTH)
    width = load(i32, text, STR_WIDTH)
    if n < 2 or width != 1 or _has_high_bytes(text + STR_DATA, n):
        return PyUnicode_FromKindAndData(width, text + STR_DATA, n)
    if n <= LONGEST_KNOWN:
        return _known_str(text, n)
    return _new_str(text, n)


@native(inline=True)
def _new_str(text: ptr, n: i64) -> ptr:
    made = PyUnicode_New(n, LAST_ASCII)
    if made != 0:
        memcpy(made + OBJECT_DATA, text + STR_DATA, n)
    return made


@native(fast=True)
def _known_str(text: ptr, n: i64) -> ptr:
    """The Python str of a short text: the one that was made before, if it is still known."""
    first = load(i64, text, STR_DATA)
    last = i64(0)
    if n < 8:
        first = first & ((i64(1) << (n * 8)) - 1)
    else:
        last = load(i64, text + STR_DATA, n - 8)
    hashed = ((first ^ (last * FACTOR)) + n) * FACTOR
    place = sm_known_strs + lshr(hashed, 64 - KNOWN_BITS) * KNOWN_SIZE
    known = load(ptr, place)
    if known != 0 and load(i64, place, 8) == first and load(i64, place, 16) == last:
        if load(i64, place, 24) == n:
            Py_IncRef(known)
            return known
    made = _new_str(text, n)
    if made != 0:
        Py_IncRef(made)
        store(ptr, place, 0, made)
        store(i64, place, 8, first)
        store(i64, place, 16, last)
        store(i64, place, 24, n)
        Py_DecRef(known)
    return made


@native
def _has_high_bytes(data: ptr, n: i64) -> bool:
    """Whether some bytes, of which eight can always be read, are not ASCII."""
    for i in range(0, n, 8):
        word = load(i64, data, i) & HIGHS
        if n - i < 8:
            word = word & ((i64(1) << ((n - i) * 8)) - 1)
        if word != 0:
            return True
    return False
