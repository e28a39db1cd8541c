"""Cells in Python's hands: objects that only keep a native value and give it back.

What a cell holds has no form in Python; a cell becomes a capsule that owns one reference to it.
"""

from __future__ import annotations

from scriptmode.abi.objects import HEAP_DESCRIPTOR
from scriptmode.codegen.native import address_of, i64, load, native, ptr, store
from scriptmode.runtime.frame import FITS, MISFIT, PLAN_DESCRIPTOR
from scriptmode.runtime.pyapi import (
    PyCapsule_GetPointer,
    PyCapsule_IsValid,
    PyCapsule_New,
    sm_release,
    sm_retain,
)


@native
def drop_handle(capsule: ptr) -> None:
    """The destructor of a capsule."""
    sm_release(PyCapsule_GetPointer(capsule, ptr(0)))


@native(noinline=True)
def box_cell(cell: ptr) -> ptr:
    """A capsule for a borrowed cell; null with a Python exception."""
    sm_retain(cell)
    made = PyCapsule_New(cell, ptr(0), address_of(drop_handle))
    if made == 0:
        sm_release(cell)
    return made


@native(noinline=True)
def unbox_cell(obj: ptr, plan: ptr, slot: ptr) -> i64:
    """The cell of a capsule, owned by the slot; whether it is one of the plan's type."""
    if PyCapsule_IsValid(obj, ptr(0)) == 0:
        return MISFIT
    cell = PyCapsule_GetPointer(obj, ptr(0))
    if load(ptr, cell, HEAP_DESCRIPTOR) != load(ptr, plan, PLAN_DESCRIPTOR):
        return MISFIT
    sm_retain(cell)
    store(ptr, slot, 0, cell)
    return FITS
