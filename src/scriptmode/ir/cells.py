"""Cells as Python values: a local variable that is shared or may be unbound.

The reference meaning of ``Cell[T]`` is ``types.CellType``; reading one that is empty raises what
Python raises for the variable.
"""

from __future__ import annotations

import types
from typing import Any


def unbound_error(name: str, is_free: bool) -> NameError:
    """What Python raises where the variable ``name`` has no value."""
    where = "where it is not associated with a value"
    if is_free:
        return NameError(f"cannot access free variable '{name}' {where} in enclosing scope")
    return UnboundLocalError(f"cannot access local variable '{name}' {where}")


def read_cell(cell: types.CellType, name: str, is_free: bool = False) -> Any:
    """The value of a variable; Python's error when it has none."""
    if not is_bound(cell):
        raise unbound_error(name, is_free)
    return cell.cell_contents


def is_bound(cell: types.CellType) -> bool:
    """Whether a variable has a value."""
    try:
        cell.cell_contents  # noqa: B018  (reading it is the test)
    except ValueError:
        return False
    return True


def delete_cell(cell: types.CellType, name: str | None = None, is_free: bool = False) -> None:
    """``del name``; without a name, the variable may be unbound."""
    if name is not None:
        read_cell(cell, name, is_free)
    del cell.cell_contents
