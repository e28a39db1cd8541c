"""Operands of a call as both front ends see them, before types are settled.

The script front end has IR values and compile-time constants; the trace front end has recorded
values and Python objects.  Both hand ``Operand`` to ``frontend.calls``, which picks the op,
converts the operands and appends the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from scriptmode.ir.graph import Value


@dataclass(frozen=True)
class ValueOperand:
    """A typed IR value."""

    value: Value


@dataclass(frozen=True)
class ConstOperand:
    """An immutable Python constant: int, float, bool, complex, str, None, dtype, device, ..."""

    value: Any


@dataclass(frozen=True)
class SequenceOperand:
    """A list or tuple display, not built yet."""

    items: tuple[Operand, ...]
    kind: Literal["list", "tuple"]


@dataclass(frozen=True)
class SliceOperand:
    """A slice inside a subscript; missing parts are ``ConstOperand(None)``."""

    start: Operand
    stop: Operand
    step: Operand


Operand = ValueOperand | ConstOperand | SequenceOperand | SliceOperand
