"""What the native instances of one tree of modules share: the table of tensors, and the memory."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING

from scriptmode.ir import types as T
from scriptmode.runtime import boundary_state, descriptors, plans
from scriptmode.runtime.code import Lease
from scriptmode.runtime.crossing import Crossing, Turn, drop_slot
from scriptmode.runtime.mirrors import Mirrors

if TYPE_CHECKING:
    from scriptmode.runtime.instance import NativeInstance


class StateMemory:
    """The slots of all instances of a tree, and the programs whose constants they may refer to."""

    def __init__(self) -> None:
        self._blocks: list[ctypes.Array[ctypes.c_char]] = []
        self._filled: list[tuple[int, int]] = []  # address and descriptor
        self._code: dict[int, Lease] = {}
        self.mirrors = Mirrors()

    def new_block(self, size: int) -> int:
        """The address of new memory, aligned as heap objects are."""
        block = ctypes.create_string_buffer(size + 16)
        self._blocks.append(block)
        return -(-ctypes.addressof(block) // 16) * 16

    def fill(self, slot: int, t: T.Type) -> None:
        """A slot that holds a value from now on."""
        self._filled.append((slot, descriptors.descriptor(t)))
        self.mirrors.add_root(slot, plans.plan(t))

    def use(self, lease: Lease) -> None:
        """A program may store its constants in the slots."""
        if id(lease) not in self._code:
            self._code[id(lease)] = lease.hold()

    def close(self) -> None:
        """Drop every value, then let the programs go."""
        self.mirrors.close()
        for slot, descriptor in self._filled:
            drop_slot(slot, descriptor)
        for lease in self._code.values():
            lease.release()


class Tree:
    """What the instances of one root share."""

    def __init__(self) -> None:
        boundary_state.load()
        self.instances: dict[int, NativeInstance] = {}  # by id of the Python module
        self.table_size = 0
        self.turn = Turn()
        self.filling: Crossing | None = None  # while instances are made: aliases stay aliases
        self.memory = StateMemory()
        weakref.finalize(self, self.memory.close).atexit = False
