"""What all unboxing shares: plans of contained types, refusals, and containers met before."""

from __future__ import annotations

from scriptmode.codegen.native import i64, load, native, ptr, store
from scriptmode.runtime.frame import (
    FAILED,
    FITS,
    FRAME_REASON,
    FRAME_RECORD,
    MEMO_NATIVE,
    MEMO_OBJECT,
    MEMO_PLAN,
    MISFIT,
    PLAN_CHILDREN,
    PLAN_OFFSETS,
    REASON_ALIAS,
    REC_MUTATES,
    STATE_PARAMETER,
    STATE_TENSOR,
)
from scriptmode.runtime.memo import memo_add, memo_find
from scriptmode.runtime.pyapi import OB_TYPE, PyErr_NoMemory, sm_release, sm_retain, state

NEW = -1


@native
def misfit(frame: ptr, reason: i64) -> i64:
    """Note why an object does not fit."""
    store(i64, frame, FRAME_REASON, reason)
    return MISFIT


@native(noinline=True)
def no_memory() -> i64:
    """Set MemoryError."""
    PyErr_NoMemory()
    return FAILED


@native
def plan_child(plan: ptr, index: i64) -> ptr:
    """The plan of a contained type."""
    return load(ptr, load(ptr, plan, PLAN_CHILDREN), index * 8)


@native
def plan_offset(plan: ptr, index: i64) -> i64:
    """Where a contained value lies."""
    return load(i64, load(ptr, plan, PLAN_OFFSETS), index * 8)


@native
def is_plain_tensor(obj: ptr) -> bool:
    """Whether the object is a Tensor or Parameter, and of no other class."""
    t = load(ptr, obj, OB_TYPE)
    return t == state(STATE_TENSOR) or t == state(STATE_PARAMETER)


@native
def known_object(frame: ptr, obj: ptr, plan: ptr, slot: ptr) -> i64:
    """FITS when the container is in the memo already, NEW when it is not."""
    row = memo_find(frame, obj, MEMO_OBJECT)
    if row == 0:
        return NEW
    if load(ptr, row, MEMO_PLAN) != plan:
        return misfit(frame, REASON_ALIAS)
    found = load(ptr, row, MEMO_NATIVE)
    sm_retain(found)
    store(ptr, slot, 0, found)
    return FITS


@native
def is_written_back(frame: ptr) -> bool:
    """Whether changed containers are brought back to Python."""
    return load(i64, load(ptr, frame, FRAME_RECORD), REC_MUTATES) != 0


@native
def remember(frame: ptr, obj: ptr, made: ptr, plan: ptr, snapshot: ptr) -> i64:
    """Enter a container into the memo, which takes the snapshot over."""
    if memo_add(frame, obj, made, plan, snapshot) == 0:
        sm_release(snapshot)
        sm_release(made)
        return no_memory()
    return FITS
