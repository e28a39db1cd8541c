"""Python strs of ASCII alone, whose code points are copied as they lie."""

from __future__ import annotations

from scriptmode.abi import python as layout
from scriptmode.abi.objects import STR_DATA, STR_HASH, STR_LENGTH, STR_WIDTH
from scriptmode.codegen.native import i32, i64, load, memcpy, native, ptr, store
from scriptmode.runtime.pyapi import STR_DESCRIPTOR, sm_object_new

OBJECT_LENGTH = layout.STR_LENGTH
OBJECT_STATE = layout.STR_STATE
OBJECT_DATA = layout.ASCII_DATA
COMPACT_ASCII = layout.STR_COMPACT_ASCII


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
