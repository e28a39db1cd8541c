"""Calls of programs that use modules which own their state: captured ones, compiled ones inside.

Such a module has a native instance of its own, and the program has another one for it.  Tensors are
shared; other attributes that the program uses are brought over before a call and back behind it.
Where these are numbers that the program only reads, a copy of their bytes is enough (``Numbers``).
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from scriptmode.abi import layouts
from scriptmode.frontend.trace import is_compiled
from scriptmode.ir import types as T
from scriptmode.ir.graph import Program
from scriptmode.runtime.boundary import captured_instances, state_names, written_state_names
from scriptmode.runtime.instance import NativeInstance

Entry = Callable[..., Any]
_KINDS: dict[T.Type, tuple[type, Any]] = {
    T.INT: (int, ctypes.c_int64), T.FLOAT: (float, ctypes.c_double), T.BOOL: (bool, ctypes.c_bool),
}  # fmt: skip


def compiled_inside(instance: NativeInstance) -> list[NativeInstance]:
    """The outermost modules below that were compiled before and own their state."""
    found: list[NativeInstance] = []
    pending = instance.children
    while pending:
        child = pending.pop()
        if is_compiled(child.module):
            found.append(child)
        else:
            pending += child.children
    return found


class InStep:
    """What is brought over around the calls of one entry."""

    def __init__(self, entry: Entry, program: Program, instance: NativeInstance | None) -> None:
        self.owners = captured_instances(entry)
        if instance is not None:
            self.owners += compiled_inside(instance)
        self.names = state_names(program) if self.owners else frozenset()
        used = [
            (i, name)
            for owner in self.owners
            for i in owner.walk()
            for name in self.names.intersection(i.class_type.attributes)
        ]
        self.is_needed = bool(used)
        self.numbers = Numbers.of(self.owners, used, written_state_names(program))

    def around(self, entry: Entry, quick: Entry | None = None) -> Entry:
        """``entry`` with state brought over; ``quick`` runs instead where bytes are enough."""
        if not self.is_needed:
            return quick or entry
        numbers, owners, names = self.numbers, self.owners, self.names
        fast = quick or entry

        def call(*args: Any, **kwargs: Any) -> Any:
            if numbers is not None and numbers.copy():
                return fast(*args, **kwargs)
            with contextlib.ExitStack() as stack:
                for owner in owners:
                    stack.enter_context(owner.in_step(names))
                return entry(*args, **kwargs)

        return call


class Numbers:
    """Numbers that a program reads of modules that own their state."""

    def __init__(self) -> None:
        # children that must be what they were, compiled modules and their instances
        self.children: list[tuple[dict[str, Any], str, Any]] = []
        self.compiled: list[tuple[dict[str, Any], NativeInstance]] = []
        self.copies: list[tuple[int, int, int]] = []  # target, source, bytes
        self.reads: list[tuple[dict[str, Any], str, type, Any]] = []  # of eager modules

    @staticmethod
    def of(
        owners: Sequence[NativeInstance],
        used: Sequence[tuple[NativeInstance, str]],
        written: frozenset[str],
    ) -> Numbers | None:
        """None where something else is used, or written."""
        found = Numbers()
        for owner in owners:
            for instance in owner.walk():
                modules = instance.module._modules
                found.children += [
                    (modules, name, child.module) for name, child in instance.named_children
                ]
        fits = all(name not in written and found._add(i, name) for i, name in used)
        return found if fits else None

    def _add(self, instance: NativeInstance, name: str) -> bool:
        t = instance.class_type.attributes[name]
        if t not in _KINDS or name in instance.class_type.late:
            return False
        target = instance.address + instance.offsets[name]
        state = vars(instance.module)
        own = state.get("_instance")
        kind, c_type = _KINDS[t]
        if isinstance(own, NativeInstance):
            if own.class_type.attributes.get(name) != t or name in own.class_type.late:
                return False
            self.compiled.append((state, own))
            self.copies.append((target, own.address + own.offsets[name], layouts.size_of(t)))
            return True
        if is_compiled(instance.module) or type(state.get(name)) is not kind:
            return False
        self.reads.append((state, name, kind, c_type.from_address(target)))
        return True

    def copy(self) -> bool:
        """Bring the numbers over; False where a module has been replaced or changed its type."""
        for modules, name, module in self.children:
            if modules.get(name) is not module:
                return False
        for state, own in self.compiled:
            if state["_instance"] is not own:
                return False
        for state, name, kind, slot in self.reads:
            value = state.get(name)
            if type(value) is not kind:
                return False
            slot.value = value
        for target, source, size in self.copies:
            ctypes.memmove(target, source, size)
        return True
