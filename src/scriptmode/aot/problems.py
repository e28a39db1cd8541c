"""The errors of exporting libraries."""

from __future__ import annotations

from scriptmode.support.diagnostics import CompileError, Diagnostic
from scriptmode.support.source import Span


def not_exported(what: str, span: Span, help: str = "") -> CompileError:
    """Something of a program that an exported library cannot do, and where it is."""
    return CompileError(Diagnostic("SM0801", f"cannot export {what}", span, help=help))
