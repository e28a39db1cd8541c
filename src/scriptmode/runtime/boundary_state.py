"""Loading of the boundary with its Python helpers."""

from __future__ import annotations

from collections.abc import Callable

from scriptmode.runtime import exceptions, failures, frame, library, mirrors

_HELPERS: dict[int, Callable[..., object]] = {
    frame.STATE_ERROR: failures.make_error,
    frame.STATE_ASSIGN: failures.assign_attribute,
    frame.STATE_FAILED_FUTURE: failures.failed_future,
    frame.STATE_CATCH: failures.catch_error,
    frame.STATE_ENTER: mirrors.enter_state,
    frame.STATE_KEEP: mirrors.keep_state,
    frame.STATE_TEXT: exceptions.exception_text,
    frame.STATE_EXCEPTION_OUT: exceptions.to_python,
    frame.STATE_EXCEPTION_IN: exceptions.from_python,
}


def load() -> None:
    """Load the boundary's native code, once."""
    library.ensure_loaded(_HELPERS)
