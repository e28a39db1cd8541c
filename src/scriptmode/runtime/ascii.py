"""Python strs of ASCII alone, whose code points are copied as they lie."""

from __future__ import annotations

from scriptmode.abi import python as layout
from scriptmode.abi.objects import STR_DATA, STR_HASH, STR_LENGTH, STR_WIDTH
from scriptmode.codegen.native import i32, i64, load, memcpy, native, ptr, store
from scriptmode.runtime.pyapi import (
    STR_DESCRIPTOR,
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
    made = PyUnicode_New(n, LAST_ASCII)
    if made != 0:
        memcpy(made + OBJECT_DATA, text + STR_DATA, n)
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
