"""Loading of the boundary with its Python helpers."""

from __future__ import annotations

from scriptmode.runtime import library
from scriptmode.runtime.failures import assign_attribute, failed_future, make_error


def load() -> None:
    """Load the boundary's native code, once."""
    library.ensure_loaded(make_error, assign_attribute, failed_future)
