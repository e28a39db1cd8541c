"""Guards of captured values in native form, checked at each call of an entry.

A namespace row of a dict whose version is the one that was seen last is not looked into: one
comparison per namespace.  What native code cannot read is left to a Python function.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

from scriptmode.codegen.native import i64, load, native, ptr, store
from scriptmode.runtime.pyapi import (
    NONE,
    OB_SIZE,
    Py_DecRef,
    PyDict_GetItemWithError,
    PyErr_Clear,
    PyObject_CallFunctionObjArgs,
)
from scriptmode.support.captures import MISSING, Attribute, Captures, Cell, Items, Name

HAS_VERSIONS = int(sys.version_info < (3, 12))  # of dicts; later ones do not keep them up
DICT_VERSION = 24  # PyDictObject.ma_version_tag
CELL_VALUE = 16  # PyCellObject.ob_ref
LIST_ITEMS = 24  # PyListObject.ob_item

# what a record's REC_CAPTURED points to
CAP_N_SPACES = 0
CAP_SPACES = 8
CAP_N_CELLS = 16
CAP_CELLS = 24
CAP_N_LISTS = 32
CAP_LISTS = 40
CAP_CHECK = 48  # a Python function that returns None while all is as it was; null: nothing to ask
CAP_WORDS = 7
# a namespace
SPACE_DICT = 0
SPACE_VERSION = 8  # 0: never seen
SPACE_N = 16  # -1: a dict whose items are captured, which any change may concern
SPACE_NAMES = 24  # rows {name, expected object or null}
SPACE_SIZE = 32
NAME_SIZE = 16
CELL_SIZE = 16  # {cell, expected object or null}
# a list
ITEMS_LIST = 0
ITEMS_N = 8
ITEMS_EXPECTED = 16
ITEMS_SIZE = 24


@native(noinline=True)
def captured_changed(captured: ptr) -> i64:
    """Whether some captured value is not the object it was."""
    spaces = load(ptr, captured, CAP_SPACES)
    for i in range(load(i64, captured, CAP_N_SPACES)):
        if _space_changed(spaces + i * SPACE_SIZE):
            return 1
    cells = load(ptr, captured, CAP_CELLS)
    for i in range(load(i64, captured, CAP_N_CELLS)):
        row = cells + i * CELL_SIZE
        if load(ptr, load(ptr, row), CELL_VALUE) != load(ptr, row, 8):
            return 1
    lists = load(ptr, captured, CAP_LISTS)
    for i in range(load(i64, captured, CAP_N_LISTS)):
        if _list_changed(lists + i * ITEMS_SIZE):
            return 1
    check = load(ptr, captured, CAP_CHECK)
    if check != 0:
        answer = PyObject_CallFunctionObjArgs(check, ptr(0))
        if answer == 0:
            PyErr_Clear()
            return 1
        Py_DecRef(answer)
        if answer != NONE:
            return 1
    return 0


@native
def _space_changed(space: ptr) -> i64:
    namespace = load(ptr, space, SPACE_DICT)
    version: i64 = 0
    if HAS_VERSIONS:
        version = load(i64, namespace, DICT_VERSION)
        if version == load(i64, space, SPACE_VERSION):
            return 0
    n = load(i64, space, SPACE_N)
    if n < 0:
        return 1
    names = load(ptr, space, SPACE_NAMES)
    for i in range(n):
        row = names + i * NAME_SIZE
        if PyDict_GetItemWithError(namespace, load(ptr, row)) != load(ptr, row, 8):
            return 1
    store(i64, space, SPACE_VERSION, version)
    return 0


@native
def _list_changed(row: ptr) -> i64:
    items = load(ptr, row)
    n = load(i64, row, ITEMS_N)
    if load(i64, items, OB_SIZE) != n:
        return 1
    held = load(ptr, items, LIST_ITEMS)
    expected = load(ptr, row, ITEMS_EXPECTED)
    for i in range(n):
        if load(ptr, held, i * 8) != load(ptr, expected, i * 8):
            return 1
    return 0


class CapturedRows:
    """The native rows of a program's guards; lives as long as the entry's record."""

    def __init__(self, captures: Captures) -> None:
        self.captures = captures
        self.misfits = False  # a captured container holds values of other types than it did
        self.kept: list[object] = []
        self.block = (ctypes.c_int64 * CAP_WORDS)()
        self.refresh()

    @property
    def address(self) -> int:
        """Where the record points to; 0 when nothing is captured."""
        return ctypes.addressof(self.block) if len(self.captures) else 0

    def is_stale(self) -> bool:
        """Whether some captured value is not the object, or not of the type, that was expected."""
        return self.misfits or any(not guard.is_same() for guard in self.captures)

    def refresh(self) -> None:
        """Expect the objects that the guards hold now."""
        kept: list[object] = []
        spaces: dict[int, list[Name]] = {}
        cells: list[int] = []
        lists: list[int] = []
        dicts: list[int] = []
        others: list[Attribute | Items] = []
        for guard in self.captures:
            if isinstance(guard, Name):
                spaces.setdefault(id(guard.namespace), []).append(guard)
            elif isinstance(guard, Cell):
                cells += [id(guard.cell), _address(guard.expected)]
            elif isinstance(guard, Items) and type(guard.container) is list:
                expected = _words(kept, [id(item) for item in guard.expected])
                lists += [id(guard.container), len(guard.expected), expected]
            elif isinstance(guard, Items) and type(guard.container) is dict and HAS_VERSIONS:
                version = ctypes.c_int64.from_address(id(guard.container) + DICT_VERSION)
                dicts += [id(guard.container), version.value, -1, 0]
            else:
                others.append(guard)
            kept += [guard, guard.expected]
        rows = dicts
        for names in spaces.values():
            words = [w for g in names for w in (id(g.name), _address(g.expected))]
            rows += [id(names[0].namespace), 0, len(names), _words(kept, words)]
        check = _check_of(others) if others else None
        kept.append(check)
        found = [
            len(rows) * 8 // SPACE_SIZE, _words(kept, rows), len(cells) // 2, _words(kept, cells),
            len(lists) // 3, _words(kept, lists), 0 if check is None else id(check),
        ]  # fmt: skip
        for index, word in enumerate(found):
            self.block[index] = word
        self.kept = kept


def _address(value: Any) -> int:
    return 0 if value is MISSING else id(value)


def _words(kept: list[object], values: list[int]) -> int:
    block = (ctypes.c_int64 * max(1, len(values)))(*values)
    kept.append(block)
    return ctypes.addressof(block)


def _check_of(guards: list[Attribute | Items]) -> Callable[[], bool | None]:
    captures = Captures({(i, ""): guard for i, guard in enumerate(guards)})

    def check() -> bool | None:
        return True if captures.changed() else None

    return check
