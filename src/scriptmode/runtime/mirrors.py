"""Containers of module state that Python holds too: the same objects on both sides.

A list or dict that belongs to a module's native state and has been seen by Python (read as an
attribute, returned by a method, or passed in and stored) is a pair of a native object and a Python
one.  ``Mirrors`` has the pairs of one tree of modules.  Around a call they are rows of its memo: on
entry native objects take over what Python has changed since, on exit Python's are brought up to
date in place.  So an attribute is the same object each time it is read, as in eager mode.

A pair ends when the native object is no longer part of the state, or when nothing else has the
Python object any more.
"""

from __future__ import annotations

import collections
import ctypes
import operator
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scriptmode.abi import layouts, objects
from scriptmode.runtime import frame, nativelib, plans
from scriptmode.runtime.captured import CapturedRows
from scriptmode.runtime.crossing import (
    Crossing,
    boundary_function,
    native_function,
    release_object,
)

_POINTER = ctypes.c_void_p
_OWN_REFERENCES = 2  # to the Python object of a pair: the pair's, and that of the question
_CONTAINERS = (frame.IN_LIST, frame.IN_DICT, frame.IN_OBJECT, frame.IN_SET, frame.IN_DEQUE)


@dataclass
class _Pair:
    obj: Any
    native: int  # owned
    plan: int
    seen: list[Any]  # what the Python object held when both were equal


class Mirrors:
    """The pairs of one tree, by native address."""

    def __init__(self) -> None:
        self._pairs: dict[int, _Pair] = {}
        self._roots: list[tuple[int, int]] = []  # slots of the state, and their plans
        self._count = ctypes.c_int64(0)
        self.captured: list[CapturedRows] = []  # of programs that have captured containers

    @property
    def count_address(self) -> int:
        """Where native code reads how many pairs there are."""
        return ctypes.addressof(self._count)

    def add_root(self, slot: int, plan: int) -> None:
        """A slot of the modules' state."""
        if _holds_containers(plan):
            self._roots.append((slot, plan))

    def seed(self, call: int) -> None:
        """Let a crossing know the pairs."""
        for pair in self._pairs.values():
            _add_row(call, pair)

    def enter(self, call: int) -> None:
        """Begin a call: the pairs are rows of its memo, natively as Python has left them.

        TypeError when Python has put values of other types into them.
        """
        for native, pair in list(self._pairs.items()):
            if sys.getrefcount(pair.obj) <= _OWN_REFERENCES and not _is_changed(pair):
                self._end(native)
        self.seed(call)
        for number, pair in enumerate(list(self._pairs.values())):
            name = "sm_read_back_row" if _is_changed(pair) else "sm_snapshot_row"
            step = boundary_function(name, ctypes.c_int64, _POINTER, ctypes.c_int64)
            try:
                step(call, number)
            except TypeError:
                t = plans.type_of_descriptor(_word(pair.plan + frame.PLAN_DESCRIPTOR))
                raise TypeError(
                    f"{pair.obj!r} is part of a compiled module's state, where it is a {t}"
                ) from None
            pair.seen = _contents(pair.obj)
        if boundary_function("sm_fill_rows", ctypes.c_int64, _POINTER)(call) == 0:
            raise TypeError("an object of a compiled module's state has attributes of other types")
        self._count.value = len(self._pairs)

    def settle(self) -> None:
        """Let native objects take over what Python has changed, outside of a call."""
        if self._pairs:
            with Crossing() as crossing:
                self.enter(crossing.address)

    def leave(self, call: int) -> None:
        """End a call, which has brought the Python objects up to date."""
        self.keep(call)
        for pair in self._pairs.values():
            pair.seen = _contents(pair.obj)

    def keep(self, call: int) -> None:
        """End a crossing: containers of the state that have crossed in it stay pairs."""
        reached: set[int] = set()
        for slot, plan in self._roots:
            _visit(slot, plan, reached)
        for obj, native, plan in _rows(call):
            if native not in reached:
                continue
            if native not in self._pairs:
                native_function("sm_retain", _POINTER)(native)
                self._pairs[native] = _Pair(obj, native, plan, _contents(obj))
        for native in [n for n in self._pairs if n not in reached]:
            self._end(native)
        self._count.value = len(self._pairs)

    def _end(self, native: int) -> None:
        del self._pairs[native]
        release_object(native)

    def close(self) -> None:
        """End all pairs."""
        for native in list(self._pairs):
            self._end(native)


def _contents(obj: Any) -> list[Any]:
    """What an object holds, to be compared by identity."""
    if isinstance(obj, dict):
        return [*obj.keys(), *obj.values()]
    if isinstance(obj, (list, set, collections.deque)):
        return list(obj)
    held = getattr(obj, "__dict__", None)
    return [object()] if held is None else [*held.keys(), *held.values()]


def _is_changed(pair: _Pair) -> bool:
    now = _contents(pair.obj)
    return len(now) != len(pair.seen) or not all(map(operator.is_, now, pair.seen))


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


# ---- the memo of a call ----


def _add_row(call: int, pair: _Pair) -> None:
    add = boundary_function(
        "memo_add", ctypes.c_int64, _POINTER, ctypes.py_object, _POINTER, _POINTER, _POINTER
    )
    if add(call, pair.obj, pair.native, pair.plan, None) == 0:
        raise MemoryError


def _rows(call: int) -> Iterator[tuple[Any, int, int]]:
    """Python object, native object and plan of every container in a memo."""
    data = _word(call + frame.FRAME_MEMO_DATA)
    for i in range(_word(call + frame.FRAME_MEMO_N)):
        row = data + i * frame.MEMO_SIZE
        plan = _word(row + frame.MEMO_PLAN)
        if _word(plan + frame.PLAN_KIND) in _CONTAINERS:
            obj = ctypes.cast(_word(row + frame.MEMO_OBJECT), ctypes.py_object).value
            yield obj, _word(row + frame.MEMO_NATIVE), plan


# ---- which containers belong to the state ----

_holding: dict[int, bool] = {}


def _children(plan: int) -> list[int]:
    first = _word(plan + frame.PLAN_CHILDREN)
    return [_word(first + 8 * i) for i in range(_word(plan + frame.PLAN_N))]


def _holds_containers(plan: int) -> bool:
    """Whether a value of a plan's type is a container with identity, or may hold one."""
    found = _holding.get(plan)
    if found is None:
        _holding[plan] = False  # types that contain themselves do so through a container
        kind = _word(plan + frame.PLAN_KIND)
        found = kind in (*_CONTAINERS, frame.IN_UNION) or any(
            map(_holds_containers, _children(plan))
        )
        _holding[plan] = found
    return found


def _visit(slot: int, plan: int, reached: set[int]) -> None:
    """Add the addresses of the containers in a slot to ``reached``."""
    kind = _word(plan + frame.PLAN_KIND)
    if not _holds_containers(plan):
        return
    if kind == frame.IN_UNION:
        _visit_union(slot, reached)
        return
    children = _children(plan)
    if kind in (frame.IN_TUPLE, frame.IN_NAMED_TUPLE):
        offsets = _word(plan + frame.PLAN_OFFSETS)
        for i, child in enumerate(children):
            _visit(slot + _word(offsets + 8 * i), child, reached)
    elif kind == frame.IN_OPTIONAL_VALUE:
        if ctypes.c_int8.from_address(slot).value:
            _visit(slot + _word(_word(plan + frame.PLAN_OFFSETS)), children[0], reached)
    elif kind == frame.IN_OPTIONAL_POINTER:
        if _word(slot):
            _visit(slot, children[0], reached)
    elif kind in (*_CONTAINERS, frame.IN_VAR_TUPLE):
        value = _word(slot)
        if value and value not in reached:
            reached.add(value)
            for item, child in _items(value, plan):
                _visit(item, child, reached)


def _visit_union(slot: int, reached: set[int]) -> None:
    descriptor = _word(slot)
    if descriptor == 0:
        return
    plan = plans.plan_of_descriptor(descriptor)
    is_boxed = _word(plan + frame.PLAN_SIZE) > 8
    _visit(_word(slot + 8) + layouts.HEAP_PAYLOAD if is_boxed else slot + 8, plan, reached)


def _items(value: int, plan: int) -> Iterator[tuple[int, int]]:
    """The slots inside a container that may hold containers, and their plans."""
    kind, children = _word(plan + frame.PLAN_KIND), _children(plan)
    if kind in (frame.IN_LIST, frame.IN_VAR_TUPLE) and _holds_containers(children[0]):
        size = _word(children[0] + frame.PLAN_SIZE)
        data = _word(value + objects.LIST_DATA)
        for i in range(_word(value + objects.LIST_LENGTH)):
            yield data + i * size, children[0]
    elif kind == frame.IN_OBJECT:
        own = plans.plan_of_descriptor(_word(value + layouts.HEAP_DESCRIPTOR))
        yield from _attributes(value, own)
    elif kind == frame.IN_DICT and _holds_containers(children[1]):
        yield from _dict_values(value, children)


def _attributes(value: int, plan: int) -> Iterator[tuple[int, int]]:
    """The bound attributes of an instance."""
    offsets, flags = _word(plan + frame.PLAN_OFFSETS), _word(plan + frame.PLAN_FLAGS)
    for i, child in enumerate(_children(plan)):
        if _word(flags + 8 * i) & frame.FIELD_MAY_LACK:
            presence = _word(_word(plan + frame.PLAN_NATIVE) + 8 * i)
            if ctypes.c_int8.from_address(value + presence).value == 0:
                continue
        yield value + _word(offsets + 8 * i), child


def _dict_values(value: int, children: list[int]) -> Iterator[tuple[int, int]]:
    key, held = (_word(c + frame.PLAN_DESCRIPTOR) for c in children)
    offset = _size_function("entry_value_offset")(key)
    step = offset + (_word(held + objects.DESC_SIZE) + 7 & -8)
    entry = _word(value + objects.DICT_ENTRIES)
    for _ in range(_word(value + objects.DICT_USED)):
        if _word(entry + objects.ENTRY_HASH) != objects.ENTRY_ERASED:
            yield entry + offset, children[1]
        entry += step


def _size_function(name: str) -> Any:
    return ctypes.PYFUNCTYPE(ctypes.c_int64, _POINTER)(nativelib.address(name))


def enter_state(mirrors: Mirrors, call: int) -> bool | None:
    """Begin a call of a program that reads containers of the state.

    True when captured containers hold values of types that the program does not know.
    """
    try:
        mirrors.enter(call)
    except TypeError:
        if not mirrors.captured:
            raise
        for rows in mirrors.captured:
            rows.misfits = True
        return True
    return None


def keep_state(mirrors: Mirrors, call: int) -> None:
    """End such a call."""
    mirrors.leave(call)
