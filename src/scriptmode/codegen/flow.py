"""Where terminators and errors go: the exits of the nodes around the code being emitted."""

from __future__ import annotations

from dataclasses import dataclass, field

from llvmlite import ir

from scriptmode.codegen.slots import Slot
from scriptmode.ir.graph import Block, Node, Value
from scriptmode.ir.types import Type

Held = dict[Value, tuple[Slot, ...]]


@dataclass
class Exit:
    """A block that terminators jump to with values: phis, and slots for what the phis own.

    ``held`` is what is held besides on arrival; None while nothing has arrived.
    """

    block: ir.Block
    phis: list[ir.PhiInstr]
    types: list[Type]
    slots: list[tuple[Slot, ...]]
    held: Held | None = None
    places: list[ir.Value | None] = field(default_factory=list)  # memory of arrays

    @property
    def values(self) -> list[ir.Value]:
        """The values that have arrived: phis, and where arrays were copied to."""
        places = self.places or [None] * len(self.phis)
        return [phi if p is None else p for phi, p in zip(self.phis, places, strict=True)]


@dataclass
class LoopExits:
    """Head and end of a Loop; ``condition`` is None when it is always true."""

    head: Exit
    end: Exit
    index: ir.PhiInstr
    condition: ir.PhiInstr | None


@dataclass
class Landing:
    """Where errors go from the code being emitted; ``location`` is the phi of the place's id."""

    block: ir.Block
    location: ir.PhiInstr


@dataclass
class Handling:
    """A handler being emitted: what was being handled before, and the slot of its exception."""

    before: ir.Value
    slot: Slot


@dataclass
class Flow:
    """Exits by the node with the blocks, handlers by block, and the slots that exits will need.

    ``depth`` is the number of Loops around the code being emitted.
    """

    branches: dict[Node, Exit] = field(default_factory=dict)
    loops: dict[Node, LoopExits] = field(default_factory=dict)
    handlings: dict[Block, Handling] = field(default_factory=dict)
    reserved: set[Slot] = field(default_factory=set)
    depth: int = 0
