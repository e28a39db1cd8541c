"""Exceptions as Python values: how a program makes them, and how its source text leaves a Try."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any


def make_exception(cls: type[BaseException], args: Sequence[Any]) -> BaseException:
    """An exception with these ``args``; the program itself calls an ``__init__`` of the user's."""
    if isinstance(cls.__init__, types.FunctionType):
        return cls.__new__(cls, *args)
    return cls(*args)


class Leave(BaseException):
    """Carries results out of a labelled Try in source text, which has no statement for it."""

    def __init__(self, *results: Any) -> None:
        super().__init__(*results)
        self.results = results
