"""Compute what one map alone reads where the map then writes its result.

Before::

    for i: for j: for k: t[i, j] += a[i, k] * b[k, j]
    for i: for j: out[i, j] = relu(t[i, j])

After::

    for i: for j: for k: out[i, j] += a[i, k] * b[k, j]
    for i: for j: out[i, j] = relu(out[i, j])

Both must be of one size and dtype, the map must read only the element that it writes, and nobody
may use the result's memory before.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriptmode.loops.expr import Buffer, Expr, load, loads, rewritten
from scriptmode.loops.kernel import Stage


def overlay_temporaries(stages: Sequence[Stage]) -> None:
    """Replace buffers in the stages, which are in the order in which they run."""
    for position, stage in enumerate(stages):
        found = _overlaid(stages, position)
        if found is None:
            continue
        for other in stages[: position + 1]:
            if other.out is found:
                other.out = stage.out
            other.value = _replaced(other.value, found, stage.out)


def _overlaid(stages: Sequence[Stage], position: int) -> Buffer | None:
    """The buffer that may lie where a stage writes."""
    stage = stages[position]
    out = stage.out
    if stage.fold is not None or out.base is not None or out.role not in ("output", "temporary"):
        return None
    for one in stages[:position]:
        if one.out.memory is out or any(r.buffer.memory is out for r in loads(one.value)):
            return None
    for read in loads(stage.value):
        buffer = read.buffer
        fits = buffer.dtype == out.dtype and buffer.size == out.size
        if buffer.role != "temporary" or buffer.base is not None or not fits or buffer is out:
            continue
        if _is_only_reader(stages, position, buffer):
            return buffer
    return None


def _is_only_reader(stages: Sequence[Stage], position: int, buffer: Buffer) -> bool:
    for number, stage in enumerate(stages):
        if stage.out.memory is buffer and (number >= position or stage.out is not buffer):
            return False
        offsets = [r.offset for r in loads(stage.value) if r.buffer.memory is buffer]
        if number != position and offsets:
            return False
        if any(offset != stage.offset for offset in offsets):
            return False
    return True


def _replaced(value: Expr, old: Buffer, new: Buffer) -> Expr:
    return rewritten(value, lambda r: load(new, r.offset) if r.buffer is old else r, {})
