"""Why a program has no reverse program."""

from __future__ import annotations

from scriptmode.support.source import Span


class NotDifferentiable(Exception):
    """The program has no reverse program; ``reason`` and ``span`` say what is in the way."""

    def __init__(self, reason: str, span: Span) -> None:
        super().__init__(f"{reason} ({span})")
        self.reason = reason
        self.span = span
