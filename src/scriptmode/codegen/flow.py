"""Where terminators go: the exits of the Ifs and Loops around the code being emitted."""

from __future__ import annotations

from dataclasses import dataclass, field

from llvmlite import ir

from scriptmode.codegen.slots import Slot
from scriptmode.ir.graph import Node, Value
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


@dataclass
class LoopExits:
    """Head and end of a Loop; ``condition`` is None when it is always true."""

    head: Exit
    end: Exit
    index: ir.PhiInstr
    condition: ir.PhiInstr | None


@dataclass
class Flow:
    """Exits by the If or Loop node, and the slots that exits will need."""

    branches: dict[Node, Exit] = field(default_factory=dict)
    loops: dict[Node, LoopExits] = field(default_factory=dict)
    reserved: set[Slot] = field(default_factory=set)
