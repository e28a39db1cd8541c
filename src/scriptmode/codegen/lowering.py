"""The table of lowerings: what LLVM code an op becomes.

A lowering is registered on the op's kind and gets the function under construction, the node and
its inputs in the representation of their places::

    @lower("int::and")
    def int_and(f: FunctionEmitter, node: Node, a: ir.Value, b: ir.Value) -> ir.Value:
        return f.b.and_(a, b)

It returns the output's value (owned, where counted), None for no output, a list for several, or
``DEFINED`` when it has defined the outputs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Lowering = Callable[..., Any]

_LOWERINGS: dict[str, Lowering] = {}
# kinds whose inputs are passed as they are, not in the representation of their places
_RAW: set[str] = set()

DEFINED: Any = object()


def lower(*kinds: str, raw: bool = False) -> Callable[[Lowering], Lowering]:
    """Register a lowering for ``kinds``."""

    def register(lowering: Lowering) -> Lowering:
        for kind in kinds:
            assert kind not in _LOWERINGS, f"{kind} has a lowering"
            _LOWERINGS[kind] = lowering
            if raw:
                _RAW.add(kind)
        return lowering

    return register


def find(kind: str) -> Lowering | None:
    """The lowering of ``kind``."""
    return _LOWERINGS.get(kind)


def is_raw(kind: str) -> bool:
    """Whether the inputs of ``kind`` keep their own representation."""
    return kind in _RAW


def lowered_kinds() -> Iterable[str]:
    """All kinds with a lowering."""
    return sorted(_LOWERINGS)
