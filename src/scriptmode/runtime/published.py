"""Modules lent to Python: while a Python function has a module, its state is the eager module's.

Native code hands a module to Python as the eager ``nn.Module`` that it was compiled from.  Before
the call, the attributes of the whole tree get the values that native code has made of them, and
afterwards native code takes over what Python has made of them.  Lists and dicts cross through the
memo of the call, so that aliases stay aliases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from weakref import WeakValueDictionary

import torch

from scriptmode.abi.convention import ctx_offset
from scriptmode.abi.instances import TABLE_DIRTY, TABLE_ENTRY_SIZE
from scriptmode.codegen.native import i64, load, native, ptr, store
from scriptmode.runtime.frame import (
    FILL_DICT,
    FILL_INDEX,
    FILL_MODULE,
    FILL_NAME,
    FILL_NULLABLE,
    FILL_SIZE,
    FRAME_OBJECTS,
    FRAME_RECORD,
    REC_FILL,
    REC_N_FILL,
    STATE_ASSIGN,
)
from scriptmode.runtime.pyapi import (
    NONE,
    THP_TENSOR,
    Py_DecRef,
    Py_IncRef,
    PyDict_DelItem,
    PyDict_GetItemWithError,
    PyObject_CallFunctionObjArgs,
    THPVariable_Wrap,
    sm_tensor_release,
    state,
    tensor_release_wrapped,
    tensor_retain_wrapped,
)
from scriptmode.runtime.unboxing_parts import is_plain_tensor

CTX_TENSORS = ctx_offset("tensors")


# ---- tensors ----


@native
def assign_tensor(row: ptr, entry: ptr) -> i64:
    """Write one tensor of the table back to its module; 0 on failure."""
    value = NONE
    if load(ptr, entry) == 0 and load(i64, row, FILL_NULLABLE) == 2:
        return forget_tensor(row)
    if load(ptr, entry) != 0:
        value = THPVariable_Wrap(entry)
        if value == 0:
            return 0
    else:
        Py_IncRef(value)
    done = PyObject_CallFunctionObjArgs(
        state(STATE_ASSIGN),
        load(ptr, row, FILL_MODULE),
        load(ptr, row, FILL_DICT),
        load(ptr, row, FILL_NAME),
        value,
        ptr(0),
    )
    Py_DecRef(value)
    Py_DecRef(done)
    return i64(done != 0)


@native(noinline=True)
def forget_tensor(row: ptr) -> i64:
    """Delete an attribute that the program has made unbound."""
    place = load(ptr, row, FILL_DICT)
    name = load(ptr, row, FILL_NAME)
    found = PyDict_GetItemWithError(place, name)
    if found == 0:
        return 1
    return i64(PyDict_DelItem(place, name) == 0)


@native
def publish_tensors(frame: ptr) -> i64:
    """Bring assigned tensors to their modules, keeping them too; 0 on failure."""
    record = load(ptr, frame, FRAME_RECORD)
    table = load(ptr, frame, CTX_TENSORS)
    rows = load(ptr, record, REC_FILL)
    for i in range(load(i64, record, REC_N_FILL)):
        row = rows + i * FILL_SIZE
        entry = table + load(i64, row, FILL_INDEX) * TABLE_ENTRY_SIZE
        if load(i64, entry, TABLE_DIRTY) and assign_tensor(row, entry) == 0:
            return 0
    return 1


@native
def refresh_tensors(frame: ptr) -> None:
    """Read the modules' tensors again."""
    record = load(ptr, frame, FRAME_RECORD)
    table = load(ptr, frame, CTX_TENSORS)
    rows = load(ptr, record, REC_FILL)
    for i in range(load(i64, record, REC_N_FILL)):
        row = rows + i * FILL_SIZE
        found = PyDict_GetItemWithError(load(ptr, row, FILL_DICT), load(ptr, row, FILL_NAME))
        if found == 0 and load(i64, row, FILL_NULLABLE) == 2:
            found = NONE
        if found != 0 and (found == NONE or is_plain_tensor(found)):
            entry = table + load(i64, row, FILL_INDEX) * TABLE_ENTRY_SIZE
            _replace(entry, load(ptr, frame, FRAME_OBJECTS) + i * 8, found)


@native
def _replace(entry: ptr, place: ptr, found: ptr) -> None:
    """Own another tensor in an entry of the table; ``place`` has the Python object of the old."""
    impl = ptr(0)
    if found != NONE:
        impl = load(ptr, found, THP_TENSOR)
    old = load(ptr, entry)
    if old == impl:
        return
    if impl != 0:
        tensor_retain_wrapped(impl, found)
    if old != 0:
        if load(i64, entry, TABLE_DIRTY):
            sm_tensor_release(old)
        else:
            tensor_release_wrapped(old, load(ptr, place))
    store(ptr, entry, 0, impl)
    store(i64, entry, TABLE_DIRTY, 0)
    store(ptr, place, 0, found)


# ---- the Python side ----


class Lendable(Protocol):
    """A native instance of a module."""

    @property
    def module(self) -> torch.nn.Module:
        """The eager module."""

    @property
    def relatives(self) -> Sequence[Lendable]:
        """Every instance of its tree, its own too."""

    def publish(self, frame: int) -> Mapping[str, object]:
        """Give the state to the eager module; the values that it has now."""

    def refresh(self, frame: int, before: Mapping[str, object]) -> None:
        """Take over from the eager module what is no longer as ``before``."""


INSTANCES: WeakValueDictionary[int, Lendable] = WeakValueDictionary()  # by native address
_lent: dict[int, dict[int, tuple[Lendable, Mapping[str, object]]]] = {}  # by frame, by id


def lend_module(frame: int, address: int) -> torch.nn.Module:
    """The eager module of a native instance, with the state as it is in this call."""
    instance = INSTANCES[address]
    lent = _lent.setdefault(frame, {})
    if id(instance) not in lent:
        for one in instance.relatives:
            lent[id(one)] = one, one.publish(frame)
    return instance.module


def take_back(frame: int) -> None:
    """Bring the native state of what was lent in a call up to date."""
    for instance, before in _lent.pop(frame, {}).values():
        instance.refresh(frame, before)
