"""Immortal native frozensets made of Python ones: the constants of programs."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

from scriptmode.abi import layouts, objects, python
from scriptmode.ir import types as T
from scriptmode.runtime import descriptors

_made: dict[tuple[int, str], tuple[frozenset[Any], int]] = {}  # holds the sets: ids stay unique


def frozen_set(t: T.Type, value: frozenset[Any]) -> int:
    """The address of an object with the table of ``value``, whose elements are scalars or text."""
    key = (id(value), str(t))
    if key not in _made:
        _made[key] = (value, _build(t, value))
    return _made[key][1]


def _build(t: T.Type, value: frozenset[Any]) -> int:
    (element,) = t.contained
    mask, table, used, filled = (
        python.read_word(id(value) + offset)
        for offset in (
            python.PYSET_MASK, python.PYSET_TABLE, python.PYSET_USED, python.PYSET_FILL,
        )
    )  # fmt: skip
    width = -(-layouts.size_of(element) // 8) * 8
    places = bytearray()
    for index in range(mask + 1):
        entry = table + index * python.PYSET_ENTRY
        address = python.read_word(entry)
        if address == 0:
            places += bytes(objects.PLACE_KEY + width)
            continue
        key = ctypes.cast(address, ctypes.py_object).value
        hashed = ctypes.c_int64.from_address(entry + python.PYSET_ENTRY_HASH).value
        places += struct.pack("<qq", objects.PLACE_USED, hashed) + _element(key).ljust(width, b"\0")
    content = (objects.IMMORTAL, descriptors.descriptor(t), used, filled, mask,
               descriptors.immortal(bytes(places)), 0)  # fmt: skip
    return descriptors.immortal(struct.pack("<7q", *content))


def _element(key: Any) -> bytes:
    match key:
        case bool():
            return struct.pack("<?", key)
        case int():
            return struct.pack("<q", key)
        case float():
            return struct.pack("<d", key)
        case bytes():
            return struct.pack("<q", descriptors.native_text(key.decode("latin-1")))
        case str():
            return struct.pack("<q", descriptors.native_text(key))
    raise TypeError(f"{key!r} cannot be in a constant set")
