"""``zip(*rows)`` of rows whose number is known at run time only."""

from __future__ import annotations

from scriptmode.frontend.script import script_library
from scriptmode.frontend.script.emitter import Emitter
from scriptmode.frontend.script.values import (
    Constant,
    IRValue,
    IterableValue,
    PythonObject,
    Sugared,
    TupleDisplay,
)
from scriptmode.ir import types as T


def transposed(e: Emitter, rows: Sugared) -> Sugared | None:
    """The columns of a list of lists or tuples; None for other values."""
    if not isinstance(e.type_of(rows), T.ListType):
        rows = e.unit.built_list(e, rows)
    t = e.type_of(rows)
    row = t.element if isinstance(t, T.ListType) else None
    whole = IRValue(e.value(rows))
    if isinstance(row, (T.ListType, T.VarTupleType)):
        made = e.call_positional(PythonObject(script_library.columns), whole)
        return IterableValue("generator", (made,))
    if not isinstance(row, T.TupleType) or not row.elements:
        return None
    if len(set(row.elements)) == 1:
        size = Constant(len(row.elements))
        made = e.call_positional(PythonObject(script_library.columns_of), whole, size)
        return IterableValue("generator", (made,))
    count = len(row.elements)
    empty = e.builder.op("int::eq", e.builder.op("list::len", whole.value), e.int_constant(0))
    e.unit.raise_when(
        e, empty, ValueError, f"not enough values to unpack (expected {count}, got 0)"
    )
    function = PythonObject(script_library.column)
    columns = [e.call_positional(function, whole, Constant(i)) for i in range(count)]
    return IterableValue("generator", (TupleDisplay(tuple(columns)),))
